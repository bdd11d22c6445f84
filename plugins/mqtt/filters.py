"""The filters of a long SUBSCRIBE or UNSUBSCRIBE: each is decoded once it is acted on, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hubbub import Event, Fault, Refusal
from hubbub_plugins.mqtt.wire import Malformed

MANY_BYTES = 4_096  # bytes of a packet whose filters are decoded later: some hundred take 2 ms


class Filters(Sequence[Any]):
    """The events of such a packet. If a filter is malformed, a Fault for it is the last.

    error  what is malformed, once it has been found
    """

    def __init__(self, events: Iterator[Event]) -> None:
        self.error: Malformed | None = None
        self._events = events
        self._found: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        yield from self._found
        while (one := self._next()) is not None:
            yield one

    def _next(self) -> Event | None:
        try:
            one = next(self._events, None)
        except Malformed as error:
            self.error = error
            one = Fault(Refusal("bad-command", error.reason))
        if one is not None:
            self._found.append(one)
        return one

    def __len__(self) -> int:
        for _ in self:
            pass
        return len(self._found)

    def __getitem__(self, at: Any) -> Any:
        return self._found[at] if len(self) else ()
