"""Where hubbub and another server answer the same bytes in different ways, and why."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
Play = Callable[[int, str, Any], Awaitable[list[str]]]
Lines = tuple[str, ...]


class Difference(NamedTuple):
    """One script, the lines that only one of the two gave back, and why hubbub does so."""

    script: str
    hubbub: tuple[str, ...]
    other: tuple[str, ...]
    why: str


def read(name: str) -> list[Difference]:
    """Read the lines of a file: `script | hubbub | the other | why`; several lines stand with `;;` between them."""
    found = []
    for line in (HERE / f"{name}_differences.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            script, ours, theirs, why = (part.strip() for part in line.split(" | "))
            found.append(Difference(script, _lines(ours), _lines(theirs), why))
    return found


def _lines(part: str) -> Lines:
    return tuple(one.strip() for one in part.split(";;")) if part != "-" else ()


async def play_all(
    play: Play, scripts: Mapping[str, Any], ports: tuple[int, int], prefix: str = "s", at_once: int = 1_000
) -> dict[str, tuple[Lines, Lines]]:
    """Play all scripts to hubbub and to another server; return the lines that came from one alone, where there are any.

    play  plays a script to a port, with a name of its own that begins with `prefix`, and returns what came back
    at_once  scripts that are played at the same time
    """
    places = asyncio.Semaphore(at_once)

    async def one(number: int, script: Any) -> tuple[Lines, Lines]:
        async with places:
            return _different(*await asyncio.gather(*(play(port, f"{prefix}{number}", script) for port in ports)))

    found = await asyncio.gather(*(one(number, script) for number, script in enumerate(scripts.values())))
    return {name: both for name, both in zip(scripts, found, strict=True) if both != ((), ())}


def listed(differences: Iterable[Difference]) -> dict[str, tuple[Lines, Lines]]:
    """Return the same of a list."""
    return {one.script: (one.hubbub, one.other) for one in differences}


def check_list(differences: list[Difference], scripts: Mapping[str, Any]) -> None:
    """Check that a list names each script once at most, and says why."""
    assert len(listed(differences)) == len(differences)
    assert listed(differences).keys() <= scripts.keys()
    assert all(one.why for one in differences)


def _different(ours: list[str], theirs: list[str]) -> tuple[Lines, Lines]:
    """Return the lines that came from the one alone, and from the other alone."""
    lines = list(difflib.ndiff(theirs, ours))
    return tuple(one[2:] for one in lines if one[0] == "+"), tuple(one[2:] for one in lines if one[0] == "-")
