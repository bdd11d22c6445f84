"""Imports and classes of the project as graphs, read from its source: circles of imports, levels of inheritance."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Sources = Mapping[str, str]
"""Dotted name of a module -> its source."""

PACKAGES = {"hubbub": "daemon/hubbub", "hubbub_plugins": "plugins"}


def read_sources(root: Path) -> dict[str, str]:
    """Return the source of each module of the daemon and of the plugins."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in (root / folder).rglob("*.py"):
            parts = path.relative_to(root / folder).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            found[name] = path.read_text(encoding="utf-8")
    return found


def import_graph(sources: Sources) -> dict[str, set[str]]:
    """Return module -> the modules of `sources` that it imports anywhere: late, or for type hints alone, too."""
    return {
        module: {_module(name, sources) for name in _imported(ast.parse(source))} - {"", module}
        for module, source in sources.items()
    }


def find_circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the modules of a circle in their order, the first again at the end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def deep_classes(sources: Sources, levels: int) -> Iterator[str]:
    """Yield each class that inherits over more than so many levels of classes of `sources`, with its way up."""
    bases, exported = {}, {}
    for module, source in sources.items():
        nodes = list(ast.walk(ast.parse(source)))
        names = dict(_names(nodes))
        exported |= {f"{module}.{name}": origin for name, origin in names.items()}
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                bases[f"{module}.{node.name}"] = [_dotted(base, names, module) for base in node.bases]
    for name in bases:
        way = _longest(name, bases, exported)
        if len(way) - 1 > levels:
            yield " > ".join(way)


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of each import; `from a import b` gives `a.b`, as b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module(name: str, sources: Sources) -> str:
    """Return the module of `sources` that has that name or holds it, or an empty string."""
    while name and name not in sources:
        name = name.rpartition(".")[0]
    return name


def _names(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, and what it means."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)


def _dotted(base: ast.expr, names: Mapping[str, str], module: str) -> str:
    """Return the whole name of a base class; of `Generic[T]` and the like, without the brackets."""
    written = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
    head, dot, rest = written.partition(".")
    return names.get(head, f"{module}.{head}") + dot + rest


def _longest(name: str, bases: Mapping[str, list[str]], exported: Mapping[str, str]) -> list[str]:
    """Return the longest way from a class up to the last of its bases that is in `bases`."""
    while name not in bases and name in exported:
        name = exported[name]
    if name not in bases:
        return []
    return [name, *max((_longest(base, bases, exported) for base in bases[name]), key=len, default=[])]
