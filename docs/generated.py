"""Writes the reference pages of the site: each is made of what the code says of itself, so none can be out of date."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from textwrap import fill

from hubbub.bounds import table
from hubbub.handler import Handler
from hubbub.option import options_of
from hubbub.service.commands.help_texts import all_help
from hubbub.service.plugins.discovery import Plugins

COLUMNS = 90  # of a block of text that is shown without scrolling
NAME = re.compile(r" *\S.*?  +(?=\S)")
MODULES = """
hubbub.publish hubbub.events hubbub.message hubbub.dialect hubbub.line_dialect hubbub.framing hubbub.handler
hubbub.option hubbub.topics hubbub.template hubbub.errors hubbub.testing
""".split()


def write_reference(folder: Path) -> None:
    """Write the pages of commands, plugins, limits and Python modules into `folder`."""
    folder.mkdir(exist_ok=True)
    pages = {"commands": commands, "plugins": plugins, "limits": limits, "python": python}
    for name, make in pages.items():
        text = "\n".join(make()) + "\n"
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def commands() -> Iterator[str]:
    """Yield the lines about each command: its help text."""
    yield "# Commands\n\nThe help text of each command, as `hubbub COMMAND --help` prints it."
    for name, help in all_help().items():
        yield f"\n## hubbub {name}\n"
        yield from fenced(help.text)


def plugins() -> Iterator[str]:
    """Yield the lines about each plugin that comes with hubbub: its docstring and its keys."""
    yield "# Dialects and handlers\n\nWhat comes with hubbub, and the keys of each beside those of its listener."
    for plugin in Plugins():
        found = plugin.load()
        yield f"\n## {plugin.name}\n\nA {plugin.kind}, `{found.__module__}`.\n"
        yield from fenced(inspect.getdoc(found) or "")
        options = options_of(found)
        if options:
            prefix = "" if not issubclass(found, Handler) else f"{plugin.name}:"
            yield "\n| key | default | meaning |\n|---|---|---|"
            for name, one in options.items():
                key = name.rstrip("_").replace("_", "-")
                yield f"| `{prefix}{key}=` | `{one.default!r}` | {cell(one.help)} |"


def limits() -> Iterator[str]:
    """Yield the lines about each limit that an operator may set."""
    yield "# Limits\n\nSet with `--limit NAME=VALUE`, or in the table `[limits]` of the configuration.\n"
    yield "| limit | default | meaning |\n|---|---|---|"
    for name, default, help in table():
        yield f"| `{name}` | `{default}` | {cell(help)} |"


def python() -> Iterator[str]:
    """Yield the lines about each module that a plugin may import."""
    yield "# Python\n\nThe modules that a plugin may import. These names are stable."
    for name in MODULES:
        module = import_module(name)
        yield f"\n## {name}\n"
        yield from fenced(inspect.getdoc(module) or "")
        for attribute, one in vars(module).items():
            if is_public(module, attribute, one):
                yield from described(attribute, one)


def is_public(module: object, name: str, one: object) -> bool:
    """Return whether a name of a module is its own, and meant for others."""
    exported = getattr(module, "__all__", None)
    if name.startswith("_") or not (inspect.isclass(one) or inspect.isfunction(one)):
        return False
    return (
        name in exported if exported is not None else getattr(one, "__module__", "") == getattr(module, "__name__", "")
    )


def described(name: str, one: object) -> Iterator[str]:
    """Yield the lines about a class or a function."""
    yield f"\n### {name}\n"
    text = [f"{name}{signature(one)}", "", *((inspect.getdoc(one) or "").split("\n"))]
    if inspect.isclass(one):
        for member, found in vars(one).items():
            if not member.startswith("_") and inspect.isroutine(inspect.unwrap(getattr(found, "__func__", found))):
                function = getattr(found, "__func__", found)
                text += ["", f"    {member}{signature(function)}"]
                text += [f"        {line}".rstrip() for line in (inspect.getdoc(function) or "").split("\n")]
    yield from fenced("\n".join(text))


def signature(one: object) -> str:
    """Return the parameters of a class or a function."""
    try:
        return str(inspect.signature(one))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "(...)"


def fenced(text: str) -> Iterator[str]:
    """Yield text as it stands, but for lines of prose that are wider than a page: these are broken anew."""
    yield "````text"
    for (indent, columns), lines in groupby(text.rstrip().split("\n"), shape):
        run = list(lines)
        if columns:
            yield from map(hanging, run)
        elif max(map(len, run)) <= COLUMNS:
            yield from run
        else:
            prose = " ".join(line.strip() for line in run)
            yield fill(prose, COLUMNS, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    yield "````"


def hanging(line: str) -> str:
    """Break a line whose first column is a name, so that the others stand below their beginning."""
    name = NAME.match(line)
    return line if name is None or len(line) <= COLUMNS else fill(line, COLUMNS, subsequent_indent=" " * name.end())


def shape(line: str) -> tuple[str, bool]:
    """Return the indent of a line, and whether it has columns. Lines of one shape may be joined."""
    return line[: len(line) - len(line.lstrip())], not line.strip() or "  " in line.strip()


def cell(text: str) -> str:
    """Return text that can stand in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
