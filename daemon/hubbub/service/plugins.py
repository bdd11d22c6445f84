"""Finds dialects and handlers: those that come with hubbub, installed ones, and files in `--plugin-dir`.

Discovery is not activation: a plugin is imported when it is named, when `auto` may need it, or to be listed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from hubbub.dialect import Dialect
from hubbub.errors import ConfigError, Refusal
from hubbub.handler import Handler
from hubbub.option import configure

GROUP = "hubbub.plugins"
_BUILT_IN = {
    "auto": "hubbub.dialects.detect:Auto",
    "json": "hubbub.dialects.json:Json",
    "lines": "hubbub.dialects.lines:Lines",
    "raw": "hubbub.dialects.raw:Raw",
}
_KINDS: dict[str, type] = {"dialect": Dialect, "handler": Handler}
_BROKEN = (Exception, SystemExit)  # what a plugin may raise that hubbub outlives


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
            except _BROKEN as error:
                raise ConfigError(f"{kind} {name} can't be loaded: {reason(error, plugin.source)}") from error
        known = ", ".join(sorted(plugin.name for plugin in self if _is_kind(plugin, kind)))
        raise ConfigError("; ".join([f"unknown {kind} '{name}'", f"there are {known}", *self._broken()]))

    def make(self, kind: str, name: str, options: Mapping[str, object]) -> Any:
        """Return an object of that plugin with these options. Raises ConfigError."""
        configured = configure(self.find(kind, name), options)
        try:
            return configured()
        except ConfigError:
            raise
        except _BROKEN as error:
            source = next(plugin.source for plugin in self._found[name] if _is_kind(plugin, kind))
            raise ConfigError(f"{kind} {name} can't be made: {reason(error, source)}") from error

    def _broken(self) -> Iterator[str]:
        """Tell of each plugin that can't be loaded; what an operator looks for may be in its file."""
        for plugin in self:
            try:
                plugin.load()
            except _BROKEN as error:
                yield f"{plugin.name} can't be loaded: {reason(error, plugin.source)}"

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
            except _BROKEN as error:
                kind, says = "broken", reason(error, plugin.source)
            rows.append((kind, plugin.name, plugin.source, says))
        widths = [max(len(row[at]) for row in rows) for at in range(3)]
        return "".join(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) + "\n"
            for row in sorted(rows)
        )


def _is_kind(plugin: Plugin, kind: str) -> bool:
    try:
        return plugin.kind == kind
    except _BROKEN:  # it is listed so
        return False


def _built_in() -> Iterator[Plugin]:
    for name, path in _BUILT_IN.items():
        module, _, attribute = path.partition(":")
        yield Plugin(name, "built in", True, partial(_load, module, attribute))


def _load(module: str, attribute: str) -> type:
    found: type = getattr(import_module(module), attribute)
    return found


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
    except _BROKEN as error:

        def broken(error: BaseException = error) -> type:
            raise error

        yield Plugin(path.stem, str(path), False, broken)
        return
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, Dialect | Handler) and found.__module__ == module.__name__:
            yield Plugin(found.name, str(path), False, partial(_as_it_is, found))


def _as_it_is(found: type) -> type:
    return found


def load_file(path: Path) -> ModuleType:
    """Run one plugin file, compiled from its source each time: a cached `.pyc` could be older than the file."""
    module = ModuleType(f"hubbub_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102  that is what a plugin is for
    return module


def reason(error: BaseException, source: str) -> str:
    """Say in one line where a plugin failed and why; `source` is its file, if it has one.

    The line is the last one in that file, which may have called something that knows better what is wrong.
    """
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [(frame.filename, frame.lineno) for frame in extract_tb(error.__traceback__)]
    elsewhere = [line for line in lines if not line[0].startswith("<") and "importlib" not in line[0]]
    file, line = next((line for line in reversed(lines) if line[0] == source), elsewhere[-1] if elsewhere else ("", 0))
    where = source if file in ("", __file__) else f"{file}, line {line}"
    says = error.reason if isinstance(error, Refusal) else str(error)
    return f"{where}: {type(error).__name__}: {' '.join(says.split())}"
