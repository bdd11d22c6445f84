"""Where hubbub and another server answer the same bytes in different ways, and why; the list of nats-server."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_suffix(".txt")


class Difference(NamedTuple):
    """One script, the lines that only one of the two gave back, and why hubbub does so."""

    script: str
    hubbub: tuple[str, ...]
    other: tuple[str, ...]
    why: str


def read(text: str) -> list[Difference]:
    """Read lines of `script | hubbub | the other | why`; several lines stand with `;;` between them."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            script, ours, theirs, why = (part.strip() for part in line.split(" | "))
            found.append(Difference(script, _lines(ours), _lines(theirs), why))
    return found


def _lines(part: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in part.split(";;")) if part != "-" else ()


def different(ours: list[str], theirs: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines of each that the other has not."""
    lines = list(difflib.ndiff(theirs, ours))
    return tuple(one[2:] for one in lines if one[0] == "+"), tuple(one[2:] for one in lines if one[0] == "-")
