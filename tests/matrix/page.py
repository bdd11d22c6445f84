"""The tables of docs/semantics.md, which the tests read, so that page and tests can't disagree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "semantics.md"


def lines() -> list[str]:
    return PAGE.read_text(encoding="utf-8").splitlines()


def cells(line: str) -> list[str]:
    """The cells of a table's line."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(corner: str) -> Iterator[list[str]]:
    """Yield the lines of the table whose first cell says `corner`, its head first."""
    rest = iter(lines())
    head = next(cells(line) for line in rest if line.startswith("|") and cells(line)[0] == corner)
    yield head
    next(rest)
    for line in rest:
        if not line.startswith("|"):
            return
        found = cells(line)
        assert len(found) == len(head), line
        yield found


def crossed(corner: str) -> Iterator[tuple[str, str, str]]:
    """Yield (row, column, cell) for each cell of a table that has names in its head and in its first column."""
    head, *rows = table(corner)
    for row, *found in rows:
        for column, cell in zip(head[1:], found, strict=True):
            yield row, column, cell


def explained() -> set[str]:
    """Every phrase that a table of two columns explains."""
    found = [cells(line) for line in lines() if line.startswith("|")]
    return {phrase for row in found if len(row) == 2 for phrase in row[0].split(", ")}
