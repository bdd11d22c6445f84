"""What the stream has for a session that comes here: by its subscriptions, in the order of the stream.

Pages are direct gets: of the subjects of each filter, or of all subjects where there are many filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.internet.task import deferLater

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.kernel.routing.trie import Trie
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.qos import qos_of
from hubbub.nats_protocol.subjects import subjects_of
from hubbub.publish import Publish, QosPublish, number_of
from hubbub.service.cluster.jetstream import JetStream
from hubbub.service.cluster.message_owners import MessageOwners
from hubbub.service.cluster.numbers import Numbers
from hubbub.service.cluster.stream_pages import PageMessage, read_on, read_one
from hubbub.topics import unshared


class Source(NamedTuple):
    """Where messages are read from: a stream, whose messages `decode` makes messages of the hub.

    owners  which sessions have messages of groups
    """

    jetstream: JetStream
    reactor: Any
    stream: str
    decode: Callable[[PageMessage], Publish | None]
    numbers: Numbers
    owners: MessageOwners


class Wish(NamedTuple):
    """A subscription, and the sequence behind which its messages begin."""

    wish: Subscribe
    since: int


class MissedMessages:
    """Reads what one session has missed, up to sequence `until`.

    dropped  messages that found no room
    """

    def __init__(self, source: Source, wishes: Sequence[Wish], until: int) -> None:
        self.dropped = 0
        self._found: dict[int, InflightMessage] = {}
        self._size = 0
        self._source = source
        self._trie = Trie()
        self._until = until
        self._wishes: dict[str, list[Wish]] = {}
        for one in wishes:
            if one.wish.qos and unshared(one.wish.filter) == one.wish.filter:
                self._wishes.setdefault(one.wish.filter, []).append(one)
        for filter in self._wishes:
            self._trie.add(filter)

    async def read(self, after: int, max_bytes: int) -> list[InflightMessage]:
        """Return the messages behind a sequence, the newest that fit into a queue. Raises JetStreamError."""
        if len(self._wishes) > limits.CLUSTER_MOVE_FILTERS:
            await self._read(">", after, max_bytes)
        else:
            for filter, wishes in self._wishes.items():
                begin = max(after, min([one.since for one in wishes]))
                for subject in subjects_of(filter):
                    await self._read(f"*.{subject}", begin, max_bytes)  # its messages are below two names
        self._trim(1, max_bytes)
        return [self._found[seq] for seq in sorted(self._found)]

    async def _read(self, subject: str, after: int, max_bytes: int) -> None:
        source = self._source
        while after < self._until:
            page = await read_on(source.jetstream, source.reactor, source.stream, subject, after, self._until)
            if not page:
                return
            for one in page:
                if one.seq <= self._until:
                    self._take(one)
            after = page[-1].seq
            self._trim(2, max_bytes)
            await deferLater(source.reactor, 0)

    def _take(self, one: PageMessage) -> None:
        if one.seq in self._found:
            return
        try:
            message = self._source.decode(one)
        except Refusal:
            return
        if message is None:
            return
        message.time = one.time
        if isinstance(message, QosPublish):
            message.number = self._source.numbers.of(one.seq)
        wishes = [
            wish.wish
            for entry in self._trie.match(message.topic)
            for wish in self._wishes[entry.filter]
            if wish.since < one.seq
        ]
        if wishes:
            wish = max(wishes, key=lambda wish: wish.qos)
            if qos := min(qos_of(message), wish.qos):
                self._found[one.seq] = found = InflightMessage(message, wish, qos)
                found.number = number_of(message)
                self._size += found.size

    def _trim(self, times: int, max_bytes: int) -> None:
        """Drop the oldest, so that no more than so many queues full are left."""
        if len(self._found) <= times * limits.QUEUE_MESSAGES and self._size <= times * max_bytes:
            return
        for seq in sorted(self._found)[:-1]:
            if len(self._found) <= limits.QUEUE_MESSAGES and self._size <= max_bytes:
                break
            self._size -= self._found.pop(seq).size
            self.dropped += 1


async def read_named(source: Source, seq: int) -> Publish | None:
    """Return one message of the stream; None: it isn't there any more. Raises JetStreamError."""
    known = min(seq, source.numbers.last)
    stored = await read_one(source.jetstream, source.stream, ">", seq, known)
    try:
        found = None if stored is None or stored.seq != seq else source.decode(stored)
    except Refusal:
        return None
    if isinstance(found, QosPublish):
        found.number = source.numbers.of(seq)
    return found
