"""What the client's side of lines and of json share: whole lines from whatever way bytes arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubbub.dialect import Dialect, DialectContext
from hubbub.errors import Refusal
from hubbub.events import Close, Event, Fault, Subscribe
from hubbub.framing import EndReader, TooLong
from hubbub.message import Message, Sender
from hubbub.option import shown


class LineClient(Dialect):
    """A client whose hub speaks in lines; `_lines` makes events of those that are whole."""

    roles = ("client",)
    can_pull = True
    text = True

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._longest = self.max_unit(context)
        self._reader = EndReader(b"\n", self._longest) if context.stream else None
        self._end = b"\n" if context.stream else b""

    def _pushes(self) -> list[Event | Message]:
        return [Subscribe(filter, echo=False) for filter in self.context.push]

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Subscribe) and isinstance(result, Refusal):  # what is pushed
            return Close(result.reason, self.encode_close(result.reason), result)
        return b""

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        if self._reader is None:
            return self._lines(data.split(b"\n")) if len(data) <= self._longest else [_too_long()]
        try:
            return self._lines(self._reader.feed(data))
        except TooLong as long:
            return [*self._lines(long.frames), _too_long()]

    def eof(self, now: float) -> list[Event | Message]:
        return self._lines([self._reader.rest()]) if self._reader is not None else []

    def held(self) -> str:
        return self._reader.held() if self._reader is not None else ""

    def _lines(self, lines: Sequence[bytes]) -> list[Event | Message]:
        raise NotImplementedError


def refused(reason: str) -> Fault:
    """Take up what the other side refuses, whose reason is any text, or none."""
    return Fault(Refusal("unavailable", shown(reason) or "it gives no reason"))


def _too_long() -> Close:
    refusal = Refusal("too-long", "a line is longer than this connector takes")
    return Close(refusal.reason, b"", refusal)
