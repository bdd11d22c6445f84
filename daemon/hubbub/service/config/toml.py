"""Reads `--config FILE` and the `conf.d/*.toml` beside it: arrays by name, each entry with its file."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import hint, shown
from hubbub.service.config.toml_place import Place, places
from hubbub.service.config.watched_file import read_bounded

ARRAYS = ("tcp", "udp", "websocket", "connect", "handler", "plugin-dir", "origin", "auth", "trust-proxy", "history")
"""The names of arrays that a file may have; those of several files add up."""
SCALARS = (
    "permissions",
    "metrics",
    "control",
    "drain",
    "state",
    "durability",
    "on-damage",
    "once",
    "cluster",
    "workers",
)
"""The names of single values that a file may have; one that is set twice is an error."""
TABLES = ("limits",)
"""The names of tables that a file may have: each key of one is a single value."""

Entry = tuple[Place, object]
_CREDENTIALS = "${CREDENTIALS_DIRECTORY}"
_POSITION = re.compile(r" \(at line ([0-9]+), column ([0-9]+)\)$")


def read(file: str) -> dict[str, list[Entry]]:
    """Read `file`, then `conf.d/*.toml` beside it by name. Raises ConfigError naming file and line."""
    found: dict[str, list[Entry]] = {name: [] for name in ARRAYS + SCALARS + TABLES}
    for path in (Path(file), *_fragments(Path(file).parent / "conf.d")):
        text = read_text(path)
        for name, value in parse_text(text, path).items():
            where = places(text, path, name, max(1, len(value)) if isinstance(value, list) else 1)
            if name not in found:
                raise ConfigError(f"{where[0]}: unknown key {shown(name)}{hint(name.replace('_', '-'), found)}")
            if name in TABLES:
                found[name] += _table(name, value, where[0], text, found[name])
                continue
            if name in SCALARS:
                if found[name]:
                    raise ConfigError(f"{where[0]}: {name} is set in {found[name][0][0]} already")
                value = [value]
            elif not isinstance(value, list):
                raise ConfigError(f"{where[0]}: {name} is an array, as in {name} = [...] or [[{name}]]")
            found[name] += [(place, _expand(entry, place)) for place, entry in zip(where, value, strict=False)]
    return found


def _table(name: str, value: object, where: Place, text: str, before: list[Entry]) -> list[Entry]:
    """Return the keys of a table as entries (key, value)."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {name} is a table, as in [{name}]")
    known = {entry[0]: where for where, entry in before if isinstance(entry, tuple)}
    made: list[Entry] = []
    for key, entry in value.items():
        (place,) = places(text, where.path, key, 1, table=name)
        if key in known:
            raise ConfigError(f"{place}: {name}: {shown(key)} is set in {known[key]} already")
        made.append((place, (key, _expand(entry, place))))
    return made


def _fragments(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None
    paths = [path for path in paths if path.suffix == ".toml" and not path.name.startswith(".")]
    if len(paths) > limits.CONFIG_FILES:
        raise ConfigError(f"{folder} has more than {limits.CONFIG_FILES} files")
    return paths


def parse(path: Path) -> dict[str, object]:
    """Read one TOML file. Raises ConfigError naming file, line and column."""
    return parse_text(read_text(path), path)


def read_text(path: Path) -> str:
    """Return the text of a file. Raises ConfigError naming file, line and column."""
    data = read_bounded(path, limits.CONFIG_BYTES)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode())
        raise ConfigError(f"{path}:{line}:{column}: it isn't UTF-8") from None


def parse_text(text: str, path: Path) -> dict[str, object]:
    """Read the text of a TOML file. Raises ConfigError naming file, line and column."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    except ValueError as error:
        at = _POSITION.search(str(error))
        line, column = (int(at[1]), int(at[2])) if at else _place(text)
        raise ConfigError(f"{path}:{line}:{column}: {_POSITION.sub('', str(error))}") from None


def _place(before: str) -> tuple[int, int]:
    """Return the line and column, from 1, that follow the text `before`."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _expand(value: object, where: Place) -> object:
    """Put systemd's folder of credentials in the place of its name, in all text of an entry."""
    if isinstance(value, dict):
        return {key: _expand(one, where) for key, one in value.items()}
    if isinstance(value, list):
        return [_expand(one, where) for one in value]
    if not isinstance(value, str) or _CREDENTIALS not in value:
        return value
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        reason = "isn't set; systemd sets it for LoadCredential="
        raise ConfigError(f"{where}: {shown(value)}: CREDENTIALS_DIRECTORY {reason}")
    return value.replace(_CREDENTIALS, folder)
