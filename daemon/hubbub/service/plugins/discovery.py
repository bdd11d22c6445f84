"""Finds dialects and handlers: those that come with hubbub, installed ones, and files in `--plugin-dir`.

Discovery is not activation: a plugin is imported when it is named, when `auto` may need it, or to be listed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from hubbub.dialect import Dialect
from hubbub.errors import ConfigError, Refusal
from hubbub.handler import Handler
from hubbub.option import configure, hint

GROUP = "hubbub.plugins"
_BUILT_IN = {
    "auto": "hubbub.dialects.detect:Auto",
    "json": "hubbub.dialects.json:Json",
    "lines": "hubbub.dialects.lines:Lines",
    "raw": "hubbub.dialects.raw:Raw",
}
_KINDS: dict[str, type] = {"dialect": Dialect, "handler": Handler}
_RELOAD = """
SIGHUP has a running hubbub look at its --plugin-dir folders again. Handlers whose file has changed start anew; new
links get the changed dialect, live links keep the one they have.
"""
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


@dataclass
class Changes:
    """What a look at the folders has found: which files are new, changed or gone, and why some can't be run.

    broken  for each reason the names of the plugins that its file brings
    """

    files: list[str] = field(default_factory=list)
    broken: dict[str, set[str]] = field(default_factory=dict)


class Plugins:
    """All plugins that can be found; of two with one name the first counts: folders, then installed ones.

    broken  as the last look at the folders has found it, see Changes
    Raises ConfigError where a folder can't be read.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = tuple(folders)
        self._files: dict[Path, _File] = {}
        self._others = (*_installed(), *_built_in())
        self._found: dict[str, list[Plugin]] = {}
        self.broken: dict[str, set[str]] = {}
        self.look()

    def look(self) -> Changes:
        """Look at the folders, and run the files that are new or not what was run last.

        A file that can't be run keeps the plugins that it had, and is tried again the next time.
        Raises ConfigError, and leaves all as it was, where a folder can't be read.
        """
        paths = list(plugin_files(self._folders))
        changes = Changes([f"{path.name} gone" for path in self._files if path not in paths])
        known, self._files = self._files, {}
        for path in paths:
            file = self._files[path] = known.get(path) or _File(path)
            try:
                if file.run():
                    changes.files.append(f"{path.name} {'changed' if path in known else 'new'}")
            except _BROKEN as error:
                why = file.keep(error)
                changes.broken[why] = {plugin.name for plugin in file.plugins}
        self._found = {}
        for plugin in (*(plugin for file in self._files.values() for plugin in file.plugins), *self._others):
            self._found.setdefault(plugin.name, []).append(plugin)
        self.broken = changes.broken
        return changes

    def renewed(self, folders: Iterable[Path]) -> tuple[Plugins, Changes]:
        """Return what there is now, with these folders, and what has changed; this one stays what it is.

        Raises ConfigError where a folder can't be read.
        """
        new = copy(self)
        new._folders = tuple(folders)
        new._files = {path: copy(file) for path, file in self._files.items()}
        return new, new.look()

    def has(self, kind: str, name: str) -> bool:
        """Tell whether there is a plugin of that kind and name."""
        return any(_is_kind(plugin, kind) for plugin in self._found.get(name, ()))

    def find(self, kind: str, name: str) -> type[Any]:
        """Return the class of that kind and name. Raises ConfigError: unknown, or it can't be loaded."""
        for plugin in self._found.get(name, ()):
            try:
                if plugin.kind == kind:
                    return plugin.load()
            except _BROKEN as error:
                raise ConfigError(f"{kind} {name} can't be loaded: {reason(error, plugin.source)}") from error
        known = sorted(plugin.name for plugin in self if _is_kind(plugin, kind))
        raise ConfigError("; ".join([f"unknown {kind} '{name}'{hint(name, known)}", *self._broken()]))

    def configured(self, kind: str, name: str, options: Mapping[str, object], role: str = "") -> type[Any]:
        """Return the class of that kind and name with these options, each time the same one. Raises ConfigError.

        role  of a dialect, which side of it
        """
        found = self.find(kind, name)
        if role in getattr(found, "roles", ()):
            found = found.for_role(role)
        with self._telling(kind, name):
            return configure(found, options)

    def make(self, kind: str, name: str, options: Mapping[str, object]) -> Any:
        """Return an object of that plugin with these options. Raises ConfigError."""
        configured = self.configured(kind, name, options)
        with self._telling(kind, name):
            return configured()

    @contextmanager
    def _telling(self, kind: str, name: str) -> Iterator[None]:
        """Turn what a plugin raises into a ConfigError that says where."""
        try:
            yield
        except ConfigError:
            raise
        except _BROKEN as error:
            source = next(plugin.source for plugin in self._found[name] if _is_kind(plugin, kind))
            raise ConfigError(f"{kind} {name} can't be made: {reason(error, source)}") from error

    def _broken(self) -> Iterator[str]:
        """Tell of each plugin that can't be loaded; what an operator looks for may be in its file."""
        for plugin in self:
            if plugin.shipped:
                continue
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
        ) + (_RELOAD if self._folders else "")


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
    owner_of = cache(lambda dist: "?" if dist is None else dist.name)  # each look reads all of its metadata
    for entry in entry_points(group=GROUP):
        owner = owner_of(entry.dist)
        yield Plugin(entry.name, f"package {owner}", owner == "hubbub", entry.load)


def plugin_files(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the plugin files of `folders`. Raises ConfigError."""
    for folder in folders:
        try:
            names = sorted(path.name for path in folder.iterdir())
        except FileNotFoundError:
            raise ConfigError(f"--plugin-dir {folder}: there is no such folder") from None
        except OSError as error:
            raise ConfigError(f"--plugin-dir {folder}: {error.strerror}") from None
        yield from (folder / name for name in names if name.endswith(".py") and name[0] not in "_.")


class _File:
    """One file of a folder, with the plugins that it brought when it could last be run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plugins: list[Plugin] = []
        self._source: bytes | None = None  # what was last run to its end

    def run(self) -> bool:
        """Run it unless it is what was run last, and tell whether that was needed. Raises what it raises."""
        source = self.path.read_bytes()
        if source == self._source:
            return False
        module = load_file(self.path, source)
        self.plugins = [
            Plugin(found.name, str(self.path), False, partial(_as_it_is, found))
            for found in vars(module).values()
            if isinstance(found, type) and issubclass(found, Dialect | Handler) and found.__module__ == module.__name__
        ]
        self._source = source
        return True

    def keep(self, error: BaseException) -> str:
        """Say why it can't be run, and whether the plugins that it had stay; without any it is listed as broken."""
        why = reason(error, str(self.path))
        if self._source is not None:
            return f"{why}; what it was before stays"

        trace = error.__traceback__

        def broken() -> type:
            raise error.with_traceback(trace)  # which would grow each time

        self.plugins = [Plugin(self.path.stem, str(self.path), False, broken)]
        return why


def _as_it_is(found: type) -> type:
    return found


def load_file(path: Path, source: bytes) -> ModuleType:
    """Run `source`, which `path` holds. It is compiled each time: a cached `.pyc` could be older than the file."""
    module = ModuleType(f"hubbub_plugin_{path.stem}")
    module.__file__ = str(path)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102  that is what a plugin is for
    except BaseException:
        del sys.modules[module.__name__]
        if before is not None:  # whose classes look up names here
            sys.modules[module.__name__] = before
        raise
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
