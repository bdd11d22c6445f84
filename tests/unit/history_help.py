"""A history whose commits are as slow as a test wants, and a client that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubbub.dialects.lines import Lines
from hubbub.kernel.commits import Commits
from hubbub.kernel.history.memory import MemoryHistory
from hubbub.kernel.history.rule import HistoryRule
from unit.kernel_help import World


class SlowHistory(MemoryHistory):
    """Pages have only what was committed, and come when the test says so."""

    def __init__(self, turn: Any) -> None:
        super().__init__(turn)
        self.committed = self._newest
        self.reads: list[Callable[[], None]] = []

    @property
    def readable(self) -> int:
        return self.committed

    def commit(self, count: int) -> None:
        self.committed = min(self.committed + count, self._newest)

    def _later(self, job: Any) -> None:
        self.reads.append(job)

    def read(self, wanted, after, then, asker) -> None:
        super().read(wanted, after, lambda page: then(page), asker)

    def _page(self, wanted, after, until):
        rows, end, lost = super()._page(wanted, after, until)
        end = max(min(end, self.committed), after)
        return [row for row in rows if row[0] <= end], end, lost

    def answer(self) -> bool:
        """Answer the oldest read."""
        if self.reads:
            self.reads.pop(0)()
        return bool(self.reads)


def hub_with(*rules: HistoryRule, slow: bool = False, **more: Any) -> tuple[World, MemoryHistory]:
    world = World(**more)
    store = (SlowHistory if slow else MemoryHistory)(world.hub.turn)
    world.hub.keep_history(rules, store)
    return world, store


def lines(world: World, *commands: str, link: Any = None) -> list[str]:
    """What a client hears, line by line, after some commands."""
    link = link or world.link(Lines)
    return world.say(link, "".join(f"{one}\n" for one in commands).encode()).decode().splitlines()


__all__ = ["Commits", "HistoryRule", "Lines", "SlowHistory", "hub_with", "lines"]
