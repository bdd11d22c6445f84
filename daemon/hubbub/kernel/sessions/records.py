"""What a store keeps, as plain values: no live object is in a record, so that it can be written and read anywhere."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from hubbub.events import Subscribe
from hubbub.kernel.sessions.paged_queue import PagedQueue
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish
from hubbub.user_properties import UserProperties, pairs_of

Key = tuple[str, str | None, str]
"""A client: its mount point, its user, its client identifier."""
StoredMessage = tuple[int, Message, "Way"]
"""A message that was read from the store: its number there, and how it comes to the session that it was read for."""
Way = tuple[Hashable, int, str]
"""How a message comes to a session: the id of the subscription, the QoS, the shared filter or ""."""


Publisher = tuple[str, str | None, str]
"""Whose an idempotency key is, see ingress.idempotency.Attempt."""


class MessageRecord(NamedTuple):
    """One message.

    properties  pairs, as names may repeat; format: the payload format indicator, see user_properties.UserProperties
    time        Unix seconds; the rest as in QosPublish
    """

    topic: str
    payload: bytes
    retain: bool
    content_type: str | None
    reply_to: str | None
    properties: tuple[tuple[str, str], ...]
    time: float
    qos: int
    message_expiry: float | None
    correlation: bytes | None
    format: int | None = None


class SubscriptionRecord(NamedTuple):
    """One subscription, as in Subscribe. `options` are str, int, bool, None or tuples of them."""

    filter: str
    echo: bool
    full: str | None
    options: Hashable
    qos: int
    retained: str
    id: Hashable


class Progress(NamedTuple):
    """How far a session has come with its messages. Their numbers are the store's, and grow in the order of the queue.

    next      the queue has all messages of the session from this number on, but the `gaps`
    inflight  (number, packet identifier, whether PUBREC has come) of those before `next`; an identifier of 0: it was
              in flight, and waits at the front of the queue again
    received  packet identifiers of QoS 2 messages that the client may send again
    dropped   messages that were lost, and the client hasn't been told of
    """

    next: int
    inflight: tuple[tuple[int, int, bool], ...]
    gaps: tuple[int, ...]
    received: tuple[int, ...]
    dropped: int = 0


class DeliveryRecord(NamedTuple):
    """One message in the queue of a session, or in flight; sessions share the Message.

    number, packet_id, received  see Progress.inflight
    """

    number: int
    message: Message
    way: Way
    packet_id: int
    received: bool


class SessionRecord(NamedTuple):
    """One session without its subscriptions and messages; times are Unix seconds, see PersistentSession.

    login  what its client's login is recognised by, see identity.Identity.mark; None: it hasn't logged in
    login_expires  when that ends, or None
    certificates  what its client has shown of TLS, DER, its own first; (): it has shown none
    """

    key: Key
    host: str
    port: int
    transport: str
    listener: str
    groups: frozenset[str]
    grants: Mapping[str, tuple[str, ...]] | None
    login: str | None
    login_expires: float | None
    expiry: float
    left: float | None
    will: MessageRecord | None
    will_delay: float
    max_bytes: int
    full: str
    certificates: tuple[bytes, ...] = ()


class KeyRecord(NamedTuple):
    """One idempotency key, see ingress.idempotency.

    time  Unix seconds; receivers, position: what its publisher was answered
    """

    publisher: Publisher
    key: str
    digest: bytes
    time: float
    receivers: int
    position: str = ""


class StoredSession(NamedTuple):
    """A session of an earlier process, with all that it has.

    number      what the store calls it
    deliveries  those in flight in the order of their sending, then the queue in its order, as far as it is in memory
    paged       the rest of the queue
    """

    number: int
    session: SessionRecord
    subscriptions: tuple[SubscriptionRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
    progress: Progress
    paged: PagedQueue


_new = tuple.__new__


def record_message(message: Message) -> MessageRecord:
    """Return the record of a message."""
    properties, qos, expiry, correlation = message.properties, 0, None, None
    pairs: tuple[tuple[str, str], ...] = ()
    format: int | None = None
    if properties is not None:
        pairs, format = tuple(pairs_of(properties)), getattr(properties, "format", None)
    if isinstance(message, QosPublish):
        qos, expiry, correlation = message.qos, message.message_expiry, message.correlation
    values = (
        message.topic, message.payload, message.retain, message.content_type, message.reply_to, pairs, message.time,
        qos, expiry, correlation, format,
    )  # fmt: skip
    return _new(MessageRecord, values)  # a third of the time: this is called for each message that is stored


def make_message(record: MessageRecord) -> Publish:
    """Return the message of a record."""
    topic, payload, retain, kind, back, pairs, time, qos, expiry, correlation, format = record
    properties = UserProperties(pairs, format) if pairs or format is not None else None
    if qos or expiry is not None or correlation is not None:
        made: Publish = QosPublish(topic, payload, qos, None, retain, kind, back, properties, None, expiry, correlation)
    else:
        made = Publish(topic, payload, retain, kind, back, properties)
    made.time = time
    return made


def record_subscription(wish: Subscribe) -> SubscriptionRecord:
    """Return the record of a subscription, whose filter is the hub's."""
    return SubscriptionRecord(wish.filter, wish.echo, wish.full, wish.options, wish.qos, wish.retained, wish.id)


def make_subscription(record: SubscriptionRecord) -> Subscribe:
    """Return the subscription of a record."""
    filter, echo, full, options, qos, retained, id = record
    return Subscribe(filter, echo, full, options, None, qos, retained, id)
