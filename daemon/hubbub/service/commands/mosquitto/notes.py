"""What an import couldn't carry over, line by line; and how values are written as TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import printable, shown


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: its first word, and the rest."""

    file: Path
    number: int
    key: str
    rest: str

    def __str__(self) -> str:
        rest = "..." if self.key.endswith("password") else self.rest
        return f"{self.file}:{self.number}: {shown(f'{self.key} {rest}'.rstrip())}"


@dataclass(frozen=True, slots=True)
class Note:
    """Why a line isn't carried over, or not as it was; None: it isn't about a line."""

    line: Line | None
    reason: str

    def __str__(self) -> str:
        return f"{self.line}: {self.reason}" if self.line is not None else self.reason


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines that aren't empty or comments. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.CONFIG_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{_name(path)}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: it isn't UTF-8") from None
    except ValueError:  # it has a NUL, from another file
        raise ConfigError(f"{_name(path)}: there is no such file") from None
    if len(data) > limits.CONFIG_BYTES:
        raise ConfigError(f"{path} is longer than {limits.CONFIG_BYTES} bytes")
    for number, whole in enumerate(text.split("\n"), 1):
        key, _, rest = whole.strip().partition(" ")
        if key and not key.startswith("#"):
            yield Line(path, number, key, rest.strip())


def _name(path: Path) -> str:
    """Write a path, which a file may have named, as one printable line."""
    return printable(str(path))


def located(file: str) -> str:
    """Return the path from the root: Mosquitto looks from where it is started, hubbub from the folder of its file."""
    return str(Path(file).absolute())


def toml(value: str | bool | int | Sequence[str]) -> str:
    """Write a value as TOML 1.0 has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):  # JSON leaves DEL as it is, TOML doesn't take it
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if len(value) == 1:
        return toml(value[0])
    return "[" + ", ".join(map(toml, value)) + "]"
