"""A session as the bucket of a cluster has it: what another node needs to go on with it.

Its queue isn't there: what waits is in the stream, from a sequence on, as its subscriptions say. Only messages that the
subscriptions don't find there are named one by one: those in flight, and those that came by a group.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Hashable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from hubbub import limits
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.records import (
    Key,
    MessageRecord,
    SessionRecord,
    SubscriptionRecord,
    record_message,
    record_subscription,
)
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.message import cost
from hubbub.service.cluster.numbers import Numbers
from hubbub.storage.codec import hashable, pack


class Named(NamedTuple):
    """A message that is named: one in flight, in the order of sending, or with an id of 0 one before all that waits.

    seq      in the stream; 0: it isn't there
    id, received  see records.DeliveryRecord; sub, qos, share: see records.Way
    message  the message itself, where it isn't in the stream; of a retained one its topic is enough
    """

    seq: int
    id: int
    received: bool
    sub: Any
    qos: int
    share: str
    message: MessageRecord | None


class Record(NamedTuple):
    """One session.

    owner          the node that has it; "": none
    session        None: a node has the client, whose session ends with its link
    subscriptions  each with the sequence behind which its messages begin
    epoch          of the stream
    next           the sequence of the first message that was never sent
    named, received, dropped  see Named and records.Progress
    released       how many identifiers of QoS 2 its client has released
    """

    key: Key
    owner: str
    session: SessionRecord | None = None
    subscriptions: tuple[Any, ...] = ()
    epoch: str = ""
    next: int = 1
    named: tuple[Named, ...] = ()
    received: tuple[int, ...] = ()
    dropped: int = 0
    released: int = 0

    def wishes(self) -> Iterator[tuple[SubscriptionRecord, int]]:
        """Yield the subscriptions."""
        for fields, since in self.subscriptions:
            yield SubscriptionRecord(*hashable(fields)), since


_decode = msgspec.msgpack.Decoder(Record).decode


def name_of(key: Key) -> str:
    """Return the key of a session in the bucket; client identifiers may be long, and of any characters."""
    return b32encode(blake2b(pack(key), digest_size=20).digest()).decode().lower()


def decode(value: bytes) -> Record:
    """Return the record of a value. Raises ValueError."""
    return _decode(value)


def encode(record: Record) -> bytes:
    """Return the value of a record."""
    return pack(record)


def make_record(
    state: PersistentSession, owner: str, since: Mapping[Hashable, int], numbers: Numbers, whole: bool
) -> Record:
    """Return a session as it is now, for that owner.

    whole  name all messages that came by a group, and aren't in flight: the session leaves this node
    """
    progress = state.progress()
    next = numbers.newest + 1
    if state.left is not None or state.queue:
        next = min(progress.next, next)  # of groups it may have later ones
    named = [_named(one, numbers) for one in state.inflight.values() if one.lender is None]
    room = limits.CLUSTER_NAMED_BYTES
    for one in state.queue:
        if one.number >= next and not whole:
            break
        if one.number < next or one.share:
            room -= 0 if one.number else cost(one.message)
            if room > 0:
                named.append(_named(one, numbers))
    return Record(
        state.key, owner, state.record(),
        tuple([(record_subscription(one), numbers.seq(since.get(one.key, 0))) for one in state.subscriptions.values()]),
        numbers.epoch, numbers.seq_from(next), tuple(named), progress.received, progress.dropped, state.released,
    )  # fmt: skip


def _named(one: InflightMessage, numbers: Numbers) -> Named:
    seq = numbers.seq(one.number) if one.number else 0
    message = None
    if not seq and not one.received:
        message = record_message(one.message)
        if one.message.retained and not one.share:
            message = message._replace(payload=b"")
    return Named(seq, one.id, one.received, one.wish.key, one.qos, one.share, message)
