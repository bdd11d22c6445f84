"""`hubbub top`: a daemon's status again and again, with what happened between two looks."""

from __future__ import annotations

import os
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from select import select
from shutil import get_terminal_size
from typing import Any

from hubbub.errors import ConfigError
from hubbub.service.commands.report import filled, headline, report, size, summary, table

Status = Mapping[str, Any]
_COLUMNS = ("id", "where", "links", "in/s", "bytes/s", "out/s", "waiting", "dropped", "refused")


def watch(look: Callable[[], Status], seconds: float, count: int | None = None) -> None:
    """Show what `look` returns every `seconds`, `count` times; on a terminal in place. Raises ConfigError."""
    if not sys.stdout.isatty():
        for status, _ in _looks(look, seconds, count):
            print(report(status), flush=True)
        return
    try:
        from rich.live import Live
    except ImportError:
        raise ConfigError("top needs rich on a terminal: pip install 'hubbub[top]', or see `hubbub status`") from None
    with _keys() as pressed, Live(screen=count is None, auto_refresh=False) as live:
        for status, before in _looks(look, seconds, count, pressed):
            live.update(_screen(status, before), refresh=True)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Read single keys of the terminal: yield what waits so many seconds for one, and returns it or ""."""
    if not sys.stdin.isatty():
        yield _no_keys
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def pressed(seconds: float) -> str:
        return os.read(terminal, 1).decode(errors="replace") if select([terminal], [], [], seconds)[0] else ""

    tty.setcbreak(terminal, termios.TCSANOW)  # which keeps what was typed before
    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _no_keys(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _looks(
    look: Callable[[], Status], seconds: float, count: int | None, pressed: Callable[[float], str] = _no_keys
) -> Iterator[tuple[Status, Status]]:
    """Yield each status, and the one before it; until `count` were, or q is pressed."""
    before = look()
    yield before, before
    left = None if count is None else count - 1
    while left is None or left > 0:
        if pressed(seconds) in ("q", "Q"):
            return
        status = look()
        yield status, before
        before = status
        left = None if left is None else left - 1


def _screen(status: Status, before: Status) -> Any:
    from rich.text import Text

    width = get_terminal_size().columns
    columns = {name: itemgetter(name) for name in _COLUMNS}
    places = table((dict(zip(_COLUMNS, row, strict=True)) for row in rows(status, before)), columns, width)
    return Text("\n".join([headline(status), "", places, *filled(summary(status), width)]))


def rows(status: Status, before: Status) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each listener and connector: what there is, and in a second since `before`."""
    passed = status["uptime"] - before["uptime"]
    known = {one["id"]: one for one in (*before["listeners"], *before["connectors"])}
    for one in (*status["listeners"], *status["connectors"]):
        old = known.get(one["id"], one)

        def rate(name: str, one: Status = one, old: Status = old) -> float:
            return max(0, one[name] - old[name]) / passed if passed > 0 else 0.0

        yield (
            one["id"], f"{one['transport']} {one['where']}", str(one["links"]),
            f"{rate('received'):,.0f}", f"{size(rate('received_bytes'))}", f"{rate('sent'):,.0f}",
            size(one["waiting"]), str(one["dropped"]), str(one["refused"]),
        )  # fmt: skip
