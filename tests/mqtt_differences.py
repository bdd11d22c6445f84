"""Where hubbub and Mosquitto answer the same packets in different ways, and what has hubbub do so."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_suffix(".txt")


class Difference(NamedTuple):
    """One script, the lines that only one of the two gave back, and the statements that have it so, with a word."""

    script: str
    hubbub: tuple[str, ...]
    mosquitto: tuple[str, ...]
    statements: tuple[str, ...]
    why: str


def read(text: str) -> list[Difference]:
    """Read lines of `script | hubbub | Mosquitto | statements | why`; several lines stand with `;;` between them."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            script, ours, theirs, named, why = (part.strip() for part in line.split(" | "))
            found.append(Difference(script, _lines(ours), _lines(theirs), tuple(named.split()), why))
    return found


def _lines(part: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in part.split(";;")) if part != "-" else ()


DIFFERENCES = read(LIST.read_text())
