"""Feeds a dialect without end: what it keeps must stay bounded, and what is too long must be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hubbub import limits
from hubbub.testing.trial import Trial, broken, shown

_SLACK = 64 * limits.KiB  # bytes that an object may hold beside a unit: a table of topics, what a bytearray reserves
_LOOKS = 8  # times that what it holds is weighed in one flood
_EVENTS = 10_000  # events after which a flood has shown enough
_FLOOD = 2  # times what it may hold
_FILLERS = (b"A", b"9", b"\0", b"\xff")  # what an endless unit is made of
_REFUSE = (
    "A unit that is longer than max_unit ends with Close(reason, refusal=Refusal('too-long', reason)), or is a Fault"
)


def check_floods(new: Callable[[], Trial], units: Sequence[bytes]) -> None:
    """Fail the test where a flood isn't refused, or piles up. `new` makes the dialect of another link."""
    _check_max_unit(new())
    for head, filler in _floods(units):
        trial = new()
        if trial.dialect.context.stream:
            _flood_stream(trial, head, filler)
        elif len(filler) > 1:
            _flood_units(trial, filler)
        else:
            _send_too_long(trial, head, filler)


def _floods(units: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield what comes first, and what follows for ever: a unit that doesn't end, and units that are well formed."""
    for filler in _FILLERS:
        yield b"", filler
    for unit in units[:10]:
        yield unit[: len(unit) // 2], b"A"
        yield unit[:-1], b"9"
        if len(unit) > 1:
            yield b"", unit


def _flood_stream(trial: Trial, head: bytes, filler: bytes) -> None:
    flood = _FLOOD * _max_held(trial)
    piece = filler * (flood // _LOOKS // len(filler) + 1)
    events = len(trial.feed(head)) if head else 0
    fed = len(head)
    while fed < flood and events < _EVENTS and not trial.closed:
        events += len(trial.feed(piece))
        trial.events.clear()
        fed += len(piece)
        _check_held(trial, f"{fed} bytes that begin with {shown(head + filler)}")
    if not events:
        rule = f"{fed} bytes that begin with {shown(head + filler)} are swallowed without an event"
        broken(trial.name, rule, _REFUSE)


def _flood_units(trial: Trial, unit: bytes) -> None:
    count, events = _FLOOD * _max_held(trial) // len(unit), 0
    for at in range(count):
        events += len(trial.feed(unit))
        trial.events.clear()
        if trial.closed or events > _EVENTS:
            return
        if at % (count // _LOOKS + 1) == 0:
            _check_held(trial, f"{at + 1} times {shown(unit)}")


def _send_too_long(trial: Trial, head: bytes, filler: bytes) -> None:
    unit = head + filler * (_longest(trial) + 1 - len(head))
    what = f"a unit of {len(unit)} bytes that begins with {shown(head + filler)}"
    if not trial.feed(unit):
        broken(trial.name, f"{what} is swallowed without an event", _REFUSE)
    trial.events.clear()
    _check_held(trial, what)


def _check_held(trial: Trial, what: str) -> None:
    held = trial.held()
    if held > _max_held(trial):
        rule = f"after {what} it holds {held} bytes, and max_unit allows {_longest(trial)} and some slack"
        broken(
            trial.name, rule, "Give every buffer and table a bound, as the readers of hubbub.framing have: max_frame"
        )


def _check_max_unit(trial: Trial) -> None:
    longest, payload = _longest(trial), trial.dialect.context.max_message
    mend = "It is the longest unit that carries a payload of context.max_message, and what the hub will read at once"
    if not isinstance(longest, int) or not payload <= longest <= 16 * payload + limits.MiB:
        broken(trial.name, f"max_unit is {longest} bytes where max-message= is {payload}", mend)


def _longest(trial: Trial) -> int:
    return type(trial.dialect).max_unit(trial.dialect.context)


def _max_held(trial: Trial) -> int:
    """Bytes that it may hold: a unit, in a bytearray that has room to grow, and the slack."""
    return _longest(trial) * 5 // 4 + _SLACK
