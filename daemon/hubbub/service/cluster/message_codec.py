"""Messages of the hub as messages of NATS between two nodes, and back, without loss.

    subject, reply subject, payload    topic, response topic, payload
    hubbub-path: a1b2 c3d4             the hubs that the message has passed, the publisher's node last
    Hubbub-Number: 17                  grows with each message of that node: a second copy is known by it
    Hubbub-Message: {"qos":1}          what NATS has no word for, as JSON, where there is any
    Content-Type: text/plain           and then the properties, as NATS applications read and write them

A property that no header can say, and the others with it, stands in the JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.loop_prevention import PATH
from hubbub.message import Message
from hubbub.nats_protocol.headers import VERSION, is_plain, read_headers, write_headers
from hubbub.publish import PartialReply, Publish, QosPublish
from hubbub.user_properties import UserProperties, pairs_of

_BEGIN = VERSION + b"\r\n"
_PATH = _BEGIN + PATH.encode() + b": "
_NUMBER = b"Hubbub-Number: "
_MORE = b"Hubbub-Message: "
_OWN = (PATH, "hubbub-number", "hubbub-message")
_DIGITS = 15  # of a number


class More(msgspec.Struct, omit_defaults=True, gc=False):
    """What NATS has no word for.

    expiry  seconds that are left; correlation: data; format: the payload format indicator
    taken   groups a member of which has the message, by their whole names
    stored  whether it is in the stream too, by which other nodes get it
    status  behind the version of the headers; type: the content type
    """

    qos: int = 0
    expiry: float | None = None
    correlation: bytes | None = None
    format: int | None = None
    hops: int = 0
    partial: bool = False
    taken: tuple[str, ...] = ()
    stored: bool = False
    status: str = ""
    type: str | None = None
    properties: tuple[tuple[str, str], ...] | None = None


_encode_more = msgspec.json.encode
_decode_more = msgspec.json.Decoder(More).decode
_NOTHING = More()
STORED = [_MORE + _encode_more(More(qos, stored=True)) for qos in range(3)]
"""By QoS: the header of a message that is in the stream too, and has no properties."""


def encode_headers_of(
    message: Message, path: str, number: int, now: float, taken: tuple[str, ...] = (), stored: bool = False
) -> bytes:
    """Return the block of headers of a message at Unix seconds `now`. Raises ValueError for what no text is."""
    begin = b"%b%b\r\n%b%d\r\n" % (_PATH, path.encode(), _NUMBER, number)
    plain = type(message) is not QosPublish and type(message) is not PartialReply
    bare = message.properties is None and message.content_type is None and not message.hops
    if plain and bare and not taken and not stored:
        return begin + b"\r\n"
    more, natural = _more_of(message, now), b""
    more.taken, more.hops, more.stored = taken, message.hops, stored
    if more.properties is None and more.type is None:
        status, _, natural = write_headers(message)[len(VERSION) :].partition(b"\r\n")
        more.status = status.decode().strip()
    block = b"" if more == _NOTHING else b"%b%b\r\n" % (_MORE, _encode_more(more))
    return b"%b%b%b" % (begin, block, natural or b"\r\n")


def _more_of(message: Message, now: float) -> More:
    more = More(partial=type(message) is PartialReply)
    if isinstance(message, QosPublish):
        more.qos, more.correlation = message.qos, message.correlation
        if message.message_expiry is not None:
            more.expiry = max(0.0, message.time + message.message_expiry - now)
    properties = message.properties
    if properties is not None:
        more.format = getattr(properties, "format", None)
    pairs = tuple(pairs_of(properties))
    type_said = message.content_type is None or is_plain("Content-Type", message.content_type)
    if not type_said or not all(is_plain(*pair) and pair[0].lower() not in _RESERVED for pair in pairs):
        if getattr(properties, "block", b"") and type_said and not any(name.lower() in _OWN for name, _ in pairs):
            return more  # headers of a NATS client, which pass as they are
        more.properties, more.type = tuple(pair for pair in pairs if pair[0] != PATH), message.content_type
    return more


_RESERVED = ("content-type", *_OWN)


class Origin(msgspec.Struct, gc=False):
    """Where a message comes from: its path, its number there, the groups that have it, and whether it is stored."""

    path: str
    number: int
    taken: tuple[str, ...] = ()
    stored: bool = False

    @property
    def node(self) -> str:
        """The node that has published it."""
        return self.path.rpartition(" ")[2]


def origin_of(block: bytes) -> tuple[Origin, list[bytes]] | None:
    """Return the origin of a message and the lines behind it; None: no node has sent it. Raises Refusal."""
    if not block.startswith(_PATH):
        return None
    path, *lines = block[len(_PATH) :].split(b"\r\n")
    if not lines or not lines[0].startswith(_NUMBER):
        return None
    digits = lines[0][len(_NUMBER) :]
    if not digits.isdigit() or len(digits) > _DIGITS or len(path) > limits.NAME_CHARACTERS * limits.HOPS:
        raise Refusal("bad-payload", "a message of a node has a path and a number")
    return Origin(path.decode(errors="replace"), int(digits)), lines[1:]


def decode(topic: str, reply_to: str | None, block: bytes, payload: bytes) -> tuple[Publish, Origin | None]:
    """Return a message, and its origin if a node has sent it. Raises Refusal (bad-payload, quota)."""
    found = origin_of(block) if block else None
    if found is None:
        message = Publish(topic, payload, reply_to=reply_to)
        if block:
            message.properties, message.content_type = read_headers(block)
        return message, None
    origin, lines = found
    if lines == [b"", b""]:
        message = Publish(topic, payload, reply_to=reply_to)
    else:
        more = _NOTHING
        if lines[0].startswith(_MORE):
            more = _read_more(lines[0][len(_MORE) :])
            lines = lines[1:]
        message = _message(topic, payload, more)
        message.reply_to, message.hops, origin.taken = reply_to, more.hops, more.taken
        origin.stored = more.stored
        _put_properties(message, more, lines)
    message.path = origin.path
    return message, origin


def _read_more(data: bytes) -> More:
    try:
        return _decode_more(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("bad-payload", "Hubbub-Message is JSON of a node") from None


def _message(topic: str, payload: bytes, more: More) -> Publish:
    if more.partial:
        return PartialReply(topic, payload)
    if more.qos not in (0, 1, 2):
        raise Refusal("bad-payload", "a QoS is 0, 1 or 2")
    if not more.qos and more.expiry is None and more.correlation is None:
        return Publish(topic, payload)
    message = QosPublish(topic, payload, more.qos)
    message.message_expiry, message.correlation = more.expiry, more.correlation
    return message


def _put_properties(message: Publish, more: More, lines: list[bytes]) -> None:
    properties: Any = None
    if more.properties is not None:
        properties, message.content_type = more.properties, more.type
        message.properties = UserProperties(properties, more.format) if properties or more.format is not None else None
        return
    if lines != [b"", b""] or more.status:
        status = f" {more.status}".encode() if more.status else b""
        properties, message.content_type = read_headers(VERSION + status + b"\r\n" + b"\r\n".join(lines))
    if more.format is not None:
        properties = UserProperties(pairs_of(properties), more.format)
    message.properties = properties if properties or more.format is not None else None
