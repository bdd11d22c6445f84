"""Finds dialects and handlers: those that come with hubbub, installed ones, and files in `--plugin-dir`.

Discovery is not activation: a plugin is imported when it is named, when `auto` may need it, or to be listed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from hubbub.dialect import Dialect
from hubbub.errors import ConfigError
from hubbub.handler import Handler

GROUP = "hubbub.plugins"
_BUILT_IN = {
    "auto": "hubbub.dialects.detect:Auto",
    "json": "hubbub.dialects.json:Json",
    "lines": "hubbub.dialects.lines:Lines",
    "raw": "hubbub.dialects.raw:Raw",
}
_KINDS: dict[str, type] = {"dialect": Dialect, "handler": Handler}


@dataclass(frozen=True)
class Plugin:
    """One plugin that was found.

    source   where it comes from, for people
    shipped  whether it is hubbub's own, and so takes part in `auto` unnamed
    load     returns the class, or raises what its import raises
    """

    name: str
    source: str
    shipped: bool
    load: Callable[[], type]

    @property
    def kind(self) -> str:
        """What it is, "dialect" or "handler"; loads it."""
        found = self.load()
        return next((kind for kind, base in _KINDS.items() if issubclass(found, base)), "unknown")


class Plugins:
    """All plugins that can be found; of two with one name the first counts: folders, then installed ones."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._found: dict[str, list[Plugin]] = {}
        for plugin in (*_in_folders(folders), *_installed(), *_built_in()):
            self._found.setdefault(plugin.name, []).append(plugin)

    def find(self, kind: str, name: str) -> type[Any]:
        """Return the class of that kind and name. Raises ConfigError: unknown, or it can't be loaded."""
        for plugin in self._found.get(name, ()):
            try:
                if plugin.kind == kind:
                    return plugin.load()
            except Exception as error:
                raise ConfigError(f"{kind} {name} can't be loaded: {_reason(error, plugin)}") from error
        known = ", ".join(sorted(plugin.name for plugin in self if _is_kind(plugin, kind)))
        raise ConfigError(f"unknown {kind} '{name}'; there are {known}")

    def shipped_dialects(self) -> list[type[Dialect]]:
        """Return hubbub's own dialects that load; one that doesn't is listed with its reason."""
        return [plugin.load() for plugin in self if plugin.shipped and _is_kind(plugin, "dialect")]

    def __iter__(self) -> Iterator[Plugin]:
        return (plugins[0] for _, plugins in sorted(self._found.items()))

    def listing(self) -> str:
        """Describe every plugin on a line: kind, name, source, and the first line of its docstring or why it fails."""
        rows = []
        for plugin in self:
            try:
                kind, says = plugin.kind, (plugin.load().__doc__ or "").strip().partition("\n")[0]
            except Exception as error:  # noqa: BLE001  whatever a plugin's import raises is its reason
                kind, says = "broken", _reason(error, plugin)
            rows.append((kind, plugin.name, plugin.source, says))
        widths = [max(len(row[at]) for row in rows) for at in range(3)]
        return "".join(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) + "\n"
            for row in sorted(rows)
        )


def _is_kind(plugin: Plugin, kind: str) -> bool:
    try:
        return plugin.kind == kind
    except Exception:  # noqa: BLE001  it is listed as broken
        return False


def _built_in() -> Iterator[Plugin]:
    for name, path in _BUILT_IN.items():
        module, _, attribute = path.partition(":")
        yield Plugin(name, "built in", True, lambda m=module, a=attribute: getattr(import_module(m), a))


def _installed() -> Iterator[Plugin]:
    for entry in entry_points(group=GROUP):
        owner = entry.dist.name if entry.dist is not None else "?"
        yield Plugin(entry.name, f"package {owner}", owner == "hubbub", entry.load)


def _in_folders(folders: Iterable[Path]) -> Iterator[Plugin]:
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"--plugin-dir {folder}: there is no such folder")
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                yield from _in_file(path)


def _in_file(path: Path) -> Iterator[Plugin]:
    try:
        module = load_file(path)
    except Exception as error:  # noqa: BLE001  whatever it raises is the reason that it can't be used

        def broken(error: Exception = error) -> type:
            raise error

        yield Plugin(path.stem, str(path), False, broken)
        return
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, Dialect | Handler) and found.__module__ == module.__name__:
            yield Plugin(found.name, str(path), False, lambda found=found: found)


def load_file(path: Path) -> ModuleType:
    """Run one plugin file, compiled from its source each time: a cached `.pyc` could be older than the file."""
    module = ModuleType(f"hubbub_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102  that is what a plugin is for
    return module


def _reason(error: Exception, plugin: Plugin) -> str:
    """Say in one line where a plugin failed and why."""
    if isinstance(error, SyntaxError):
        where = f"{error.filename}, line {error.lineno}"
        return f"{where}: {type(error).__name__}: {error.msg}"
    trace, where = error.__traceback__, plugin.source
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith("<") and "importlib" not in name and name != __file__:
            where = f"{name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return f"{where}: {type(error).__name__}: {' '.join(str(error).split())}"
