"""What the server's and the client's side of NATS share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from mypy_extensions import mypyc_attr

from hubbub import Answer, Close, Dialect, DialectContext, Event, Message, Sender, limits
from hubbub.nats_protocol.topics import Topics
from hubbub.nats_protocol.wire import PING, PONG, Malformed, Reader

_PINGS = 2  # unanswered pings after which the other side counts as gone, as at nats-server


@mypyc_attr(allow_interpreted_subclasses=True)
class NatsBase(Dialect):
    """Base of Nats and NatsClient."""

    name = "nats"
    transports: ClassVar[Sequence[str]] = ("tcp", "websocket")

    def __init__(self, context: DialectContext, peer: Sender, sized: Collection[bytes]) -> None:
        super().__init__(context, peer)
        self._begin_by: float | None = None  # when the login must be over
        self._closed = False
        self._pause = context.idle / (_PINGS + 1)  # seconds of silence before a ping
        self._pings = 0  # that are unanswered
        self._reader = Reader(sized, context.max_message)
        self._topics = Topics()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return context.max_message + limits.LINE_SLACK

    def held(self) -> str:
        return self._reader.held()

    def note_received(self, now: float) -> None:
        """The other side is there."""
        self._pings = 0
        self.deadline = self._begin_by or now + self._pause

    def cut(self, data: bytes, most: int) -> int:
        return most  # units are pieces of a stream

    def units(self, data: bytes) -> int:
        return data.count(b"\n")

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        if self._closed:
            return []
        events: list[Event | Message] = []
        error = self._reader.feed(data, events, self._act)
        self.note_received(now)
        if error is not None:
            events.append(self.fail(error))
        return events

    def _act(self, line: bytes, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        """Turn one operation of the other side into events; the dialect of each side has its own. Raises Malformed."""
        raise NotImplementedError

    def _on_ping(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        events.append(Answer(PONG))

    def timeout(self, now: float) -> list[Event | Message]:
        if self._closed:
            return []
        if self._begin_by is not None:
            return [self.fail(Malformed("Authentication Timeout", "no login in time", "timeout"))]
        if self._pings >= _PINGS:
            return [self.fail(Malformed("Stale Connection", "no answer to two pings", "timeout"))]
        self._pings += 1
        self.deadline = now + self._pause
        return [Answer(PING)]

    def fail(self, error: Malformed) -> Close:
        """End the connection."""
        raise NotImplementedError
