"""Messages of the hub as messages of the cluster's stream, and back, without loss.

    payload                      the payload
    Nats-Msg-Id: 3f09-8a2c-17    node, run of the node, number: the stream takes each once
    Hubbub-Id: 3f09-8a2c-17      the same, where an idempotency key says by Nats-Msg-Id what is to be taken once
    Hubbub-Presence: 3f09        the node that says that a client is online, or isn't
    Nats-TTL: 604800s            of an empty retained message, which clears its topic
    Hubbub-Sent: abc.3.17        of QoS 2: the session, how many identifiers it had released, its identifier
    Hubbub-Stored: {"q":1}       all else, as JSON

A property stands in the JSON alone: as a header of its own a client could tell JetStream what to do.
"""

from __future__ import annotations

import msgspec

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.sessions.presence import PresenceMessage
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish
from hubbub.user_properties import UserProperties, pairs_of

_STORED = b"\r\nHubbub-Stored: "
_ID = b"\r\nNats-Msg-Id: "
_OWN_ID = b"\r\nHubbub-Id: "
_PRESENCE = b"\r\nHubbub-Presence: "
_SENT = b"\r\nHubbub-Sent: "
_END = b"\r\n"
_BEGIN = b"NATS/1.0"
_FIRST = _BEGIN + _ID
_CLEARED = b"\r\nNats-TTL: %ds" % limits.CLUSTER_STREAM_SECONDS


class _Stored(msgspec.Struct, omit_defaults=True, gc=False):
    """What a message is beside its topic and payload; names are short, as each message has them.

    q  QoS; e: Unix seconds when it expires; c: correlation data; r: response topic; t: content type
    p  properties; f: the payload format indicator
    """

    q: int = 0
    e: float | None = None
    c: bytes | None = None
    r: str | None = None
    t: str | None = None
    p: tuple[tuple[str, str], ...] | None = None
    f: int | None = None


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Stored).decode
_PLAIN = [_encode(_Stored(qos)) for qos in range(3)]
_FOREIGN = _Stored(1)  # what a NATS application has published into the stream is acknowledged to it too


def encode_block(message: Message, id: bytes, once: bytes = b"", sent: bytes = b"") -> bytes:
    """Return the headers of a message, which is taken once by `once`, or else by `id`. Raises Refusal (bad-utf8)."""
    more = _CLEARED if message.retain and not message.payload else b""
    if isinstance(message, PresenceMessage):
        more += _PRESENCE + id.partition(b"-")[0]
    if sent:
        more += _SENT + sent
    ids = (_ID, once, _OWN_ID, id) if once else (_ID, id)
    return b"".join((_BEGIN, *ids, more, _STORED, _said(message), b"\r\n\r\n"))


def _said(message: Message) -> bytes:
    qos = isinstance(message, QosPublish)
    properties = message.properties
    if properties is None and message.reply_to is None and message.content_type is None:
        if not qos:
            return _PLAIN[0]
        assert isinstance(message, QosPublish)
        if message.message_expiry is None and message.correlation is None:
            return _PLAIN[message.qos]
    stored = _Stored(r=message.reply_to, t=message.content_type)
    if isinstance(message, QosPublish):
        stored.q, stored.e, stored.c = message.qos, message.expires_at(), message.correlation
    if properties is not None:
        stored.p, stored.f = tuple(pairs_of(properties)), getattr(properties, "format", None)
    try:
        return _encode(stored)
    except UnicodeEncodeError:
        raise Refusal("bad-utf8", "a property has a character that isn't text") from None


def id_of(block: bytes) -> bytes:
    """Return the id of a message, or b""."""
    if block.startswith(_FIRST):
        end = block.find(_END, len(_FIRST))
        if not block.startswith(_OWN_ID, end):
            return block[len(_FIRST) : end].strip()
    return _value(block, _OWN_ID) or _value(block, _ID)


def presence_of(block: bytes) -> str:
    """Return the node that says something of a client's presence, or ""."""
    return _value(block, _PRESENCE).decode(errors="replace")


def sent_of(block: bytes) -> str:
    """Return what a message says of the session that has sent it, or ""."""
    return _value(block, _SENT).decode(errors="replace")


def _value(block: bytes, name: bytes) -> bytes:
    at = block.find(name)
    if at < 0:
        return b""
    at += len(name)
    return block[at : block.find(_END, at)].strip()


def decode(topic: str, payload: bytes, block: bytes, retain: bool, now: float) -> Publish | None:
    """Return the message of a topic, which arrives at Unix seconds `now`; None: it has expired. Raises Refusal."""
    value = _value(block, _STORED)
    try:
        stored = _decode(value) if value else _FOREIGN
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("bad-payload", "a message of the stream has headers that can't be read") from None
    properties = None if stored.p is None else UserProperties(stored.p, stored.f)
    if not stored.q and stored.e is None and stored.c is None:
        return Publish(topic, payload, retain, stored.t, stored.r, properties)
    made = QosPublish(
        topic, payload, min(max(stored.q, 0), 2), None, retain, stored.t, stored.r, properties, correlation=stored.c
    )
    return made if set_expiry(made, stored.e, now) else None


def set_expiry(message: QosPublish, expires: float | None, now: float) -> bool:
    """Set when a message that arrives at Unix seconds `now` expires. False: it has."""
    message.expires = None
    message.message_expiry = None if expires is None else expires - now
    return expires is None or expires > now
