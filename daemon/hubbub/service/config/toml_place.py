"""Where an entry stands in a TOML file, for messages: tomllib keeps no lines, so they are looked up in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A file, and the line from 1 where something in it begins; None: that isn't sure."""

    path: Path
    line: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.line is None else f"{self.path}:{self.line}"


def places(text: str, path: Path, name: str, count: int, table: str | None = None) -> list[Place]:
    """Return where each of `count` entries of `name` begins: at its [[name]], or all of them at `name =`.

    table  the table whose key `name` is, None: it is a key of the file
    """
    lines = text.split("\n")
    headers = [at for at, line in enumerate(lines, 1) if re.match(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]", line)]
    if headers and len(headers) == count:
        return [Place(path, at) for at in headers]
    keys = [at for at, line in enumerate(lines, 1) if re.match(rf"\s*{re.escape(name)}\s*=", line)]
    keys += [at for at, line in enumerate(lines, 1) if re.match(rf"\s*\[\s*{re.escape(name)}\s*\]", line)]
    keys = [at for at in keys if _table_at(lines, at) == table or lines[at - 1].lstrip().startswith("[")]
    return [Place(path, keys[0] if len(keys) == 1 else None)] * count


def _table_at(lines: list[str], at: int) -> str | None:
    """Return the name of the table in which the line `at` stands, None: before the first one."""
    for line in reversed(lines[: at - 1]):
        if found := re.match(r"\s*\[+\s*([\w.-]+)\s*\]", line):
            return found[1]
    return None
