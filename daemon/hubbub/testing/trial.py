"""One link of a dialect on trial: whatever it is fed, it keeps to the rules that hold for every call."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import pytest

from hubbub.dialect import Dialect, DialectContext
from hubbub.events import Close, Subscribe
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.testing.watching import describe, weight
from hubbub.testing.wellformed import faults

T = TypeVar("T")

NOW = 1_000.0  # seconds that the clock shows, where time doesn't matter
_NO_RAISE = "What a client gets wrong is no exception: return a Fault(Refusal(code, reason)), or end with a Close"
_SHOWN = 80  # characters of bytes or events in a sentence


def broken(name: str, rule: str, mend: str) -> NoReturn:
    """Fail the test with one sentence on the rule, and one on how to keep it."""
    pytest.fail(f"{name}: {rule}.\n{mend}.", pytrace=False)


def attempt(name: str, what: str, mend: str, call: Callable[..., T], *arguments: Any) -> T:
    """Return what `call` returns; where it raises, fail the test."""
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001  it is what is looked for
        raised = describe(error)
    broken(name, f"{what} raised {raised}", mend)


def shown(value: object) -> str:
    """Write bytes or events into a sentence."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


class Trial:
    """One object of a dialect, called as a link calls it. Fails the test where a call breaks a rule.

    events  what it has made of all that it was fed, up to a Close
    now     the monotonic time in seconds that it gets
    """

    def __init__(self, dialect: type[Dialect], dialect_context: DialectContext, now: float = NOW) -> None:
        self.name = f"{dialect.name}, over {dialect_context.transport}"
        self.now = now
        self.events: list[Any] = []
        self.closed = False
        self._setting = dialect_context
        self._text = dialect.text if dialect_context.transport == "websocket" else None
        peer = Session("192.0.2.7", 50_000, dialect_context.transport, "contract")
        mend = "A dialect is made with (context, peer), for each link"
        self.dialect = attempt(self.name, "making it", mend, dialect, dialect_context, peer)

    def feed(self, data: bytes, text: bool | None = None) -> list[Any]:
        """Hand over bytes, and return the events; a stream never brings none."""
        if self.closed or (self._setting.stream and not data):
            return []
        text = self._text if text is None or self._text is None else text
        return self._call("receive", shown(data), self.dialect.receive, data, self.now, text)

    def feed_all(self, units: Sequence[bytes]) -> list[Any]:
        """Hand over units that came at once, as a WebSocket may, and return the events up to a Close."""
        pairs = [(data, self._text) for data in units]
        events = attempt(
            self.name, f"receive_units, for {shown(units)},", _NO_RAISE, self.dialect.receive_units, pairs, self.now
        )
        ends = [at for at, event in enumerate(events) if type(event) is Close]
        return events[: ends[0] + 1] if ends else events

    def end(self) -> list[Any]:
        """End the input."""
        return [] if self.closed else self._call("eof", "end of input", self.dialect.eof, self.now)

    def ring(self) -> list[Any]:
        """Let its deadline pass, if it has one."""
        deadline: Any = self.dialect.deadline
        if deadline is None or self.closed:
            return []
        self.now = max(self.now, deadline)
        self.dialect.deadline = None
        events = self._call("timeout", "a deadline", self.dialect.timeout, self.now)
        again: Any = self.dialect.deadline
        if again is not None and again <= deadline:
            rule = f"after timeout at {deadline:g} the deadline is {again:g}, so that it would ring for ever"
            broken(self.name, rule, "Leave `deadline` None in timeout, or set it to a time after `now`")
        return events

    def form(self, wish: Subscribe) -> Any:
        """Return how it wants the messages of a subscription."""
        mend = "A form is hashable, and there is one for Subscribe(topic) without options: replies are written with it"
        form = attempt(self.name, f"form({shown(wish)})", mend, self.dialect.form, wish)
        attempt(self.name, f"hash(form({shown(wish)}))", mend, hash, form)
        return form

    def encode(self, message: Message, form: Any) -> bytes | None:
        """Return a message as a unit."""
        mend = "Messages come from everybody: return None for what can't be carried"
        what = f"encode({message!r}, {form!r})"
        return attempt(self.name, what, mend, type(self.dialect).encode, message, form)

    @property
    def encodes_all(self) -> bool:
        """Whether its dialect has its own way to encode messages that go out together."""
        own: Any = type(self.dialect).encode_all
        inherited: Any = Dialect.encode_all
        return getattr(own, "__func__", own) is not inherited.__func__

    def encode_all(self, messages: Sequence[Message], form: Any) -> Sequence[bytes | None]:
        """Return messages that go out together as units."""
        mend = "Leave it out, or return what encode returns for each of them"
        return attempt(self.name, "encode_all", mend, type(self.dialect).encode_all, messages, form)

    def held(self) -> int:
        """Bytes that it keeps, what its class keeps included."""
        own = [
            value
            for name, value in getattr(self.dialect, "__dict__", {}).items()
            if name not in ("dialect_context", "peer")
        ]
        classes = [kind for kind in type(self.dialect).__mro__ if kind not in (*Dialect.__mro__, object)]
        slots = [
            getattr(self.dialect, name, None)
            for kind in classes
            for name in vars(kind).get("__slots__", ())
            if isinstance(name, str)
        ]
        kinds = (bytearray, list, dict, set, deque)
        shared = [value for kind in classes for value in vars(kind).values() if isinstance(value, kinds)]
        return weight(*own, *slots, *shared)

    def _call(self, name: str, what: str, call: Callable[..., list[Any]], *arguments: Any) -> list[Any]:
        events = attempt(self.name, f"{name}, for {what},", _NO_RAISE, call, *arguments)
        for fault in faults(events, self._setting.max_message):
            broken(self.name, f"{name}, for {what}, returned {shown(events)}", fault[0].upper() + fault[1:])
        self._check_deadline(name)
        self.events += events
        self.closed = bool(events) and type(events[-1]) is Close
        return events

    def _check_deadline(self, name: str) -> None:
        deadline = self.dialect.deadline
        if deadline is None:
            return
        mend = "A deadline is in the seconds of `now`: self.deadline = now + seconds"
        if not isinstance(deadline, int | float) or not math.isfinite(deadline):
            broken(self.name, f"after {name} the deadline is {deadline!r}", mend)
        if deadline < self.now:
            broken(self.name, f"after {name} the deadline is {self.now - deadline:g} s before now", mend)
