"""Writes a small working plugin package, with its test, to start from."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from hubbub.errors import ConfigError
from hubbub.option import hint, shown
from hubbub.service.commands.arguments import Arguments, one_of, wants_help
from hubbub.service.plugins.discovery import Plugins

USAGE = """\
hubbub new: write a small working plugin, ready for pip install

  hubbub new dialect NAME   a wire protocol: bytes in, events out
  hubbub new handler NAME   behaviour: methods that are called with messages

NAME is in lower case, such as scale or weigh_bridge. It writes the files into
./hubbub-NAME, and overwrites no file.

  --into FOLDER   write them there instead
  --like PATTERN  begin with another pattern. Of a dialect: lines, the default;
                  acknowledged: numbered messages, each acknowledged; binary:
                  frames with a length and a checksum. Of a handler: watching,
                  the default; polled: sends requests to a device again and
                  again; enriching: adds to messages, and publishes them
"""
PATTERNS = {"dialect": ("lines", "acknowledged", "binary"), "handler": ("watching", "polled", "enriching")}
"""What a plugin of each kind can start from; the first where nothing else is asked for."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_IMPORT = re.compile(r"^from \S+ import (\([^)]*\)|.+)$", re.MULTILINE)
_NAME_CHARACTERS = 40  # a name is typed in options, and its file may be 255 bytes long
_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "{readme}.README.md.txt",
    "{module}.py": "{template}.py.txt",
    "test_{name}.py": "{template}.test.py.txt",
}
"""What is written, and which template it comes from."""


def new(arguments: Sequence[str]) -> int:
    """Write a plugin, and print its files."""
    if wants_help(arguments):
        print(USAGE, end="")
        return 0
    parser = Arguments("new")
    parser.add_argument("kind", type=one_of(*PATTERNS), metavar="KIND")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--into", type=Path, metavar="FOLDER")
    parser.add_argument("--like", metavar="PATTERN")
    asked = parser.parse_args(arguments)
    if asked.like is not None and asked.like not in PATTERNS[asked.kind]:
        parser.error(f"--like {shown(asked.like)}: no such {asked.kind}{hint(asked.like, PATTERNS[asked.kind])}")
    for path in write_plugin(asked.kind, asked.name, asked.into, asked.like):
        print(path)
    return 0


def write_plugin(kind: str, name: str, folder: Path | None = None, pattern: str | None = None) -> list[Path]:
    """Write the package of a plugin and return its files.

    folder   where; by default one named for the plugin, here. Nothing that is there already is overwritten.
    pattern  one of PATTERNS that it starts from, None: the first

    Raises ConfigError for a bad name, a file that is there, and one that can't be written.
    """
    fields = _fields(kind, name)
    usual = pattern in (None, PATTERNS[kind][0])
    fields |= {"template": kind if usual else f"{kind}-{pattern}", "readme": kind if usual else "pattern"}
    folder = folder or Path(f"hubbub-{fields['project']}")
    texts = {folder / file.format(**fields): _fill(source.format(**fields), fields) for file, source in _FILES.items()}
    try:
        for path in texts:
            if path.exists() or path.is_symlink():
                raise ConfigError(f"{path} exists, and isn't overwritten; --into FOLDER takes another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from None
    return list(texts)


def _fields(kind: str, name: str) -> dict[str, str]:
    """Return what templates may say. Raises ConfigError for a name that can't be used."""
    if not _NAME.fullmatch(name) or len(name) > _NAME_CHARACTERS:
        expected = f"up to {_NAME_CHARACTERS} lower case letters, digits and _ between, such as scale or weigh_bridge"
        raise ConfigError(f"'{shown(name)}' is no name for a {kind}: expected {expected}")
    taken = next((plugin.source for plugin in Plugins() if plugin.name == name), None)
    if taken is not None:
        raise ConfigError(f"there is a plugin {name} already ({taken})")
    return {
        "kind": kind,
        "name": name,
        "project": name.replace("_", "-"),
        "module": f"hubbub_{name}",  # beside any other module of that name
        "Class": "".join(part.capitalize() for part in name.split("_")),
    }


def _fill(source: str, fields: dict[str, str]) -> str:
    """Fill a template. Raises ConfigError where the plugin's class would hide what its files import."""
    template = (files("hubbub.service.commands") / "templates" / source).read_text(encoding="utf-8")
    imported = {name for names in _IMPORT.findall(template) for name in re.findall(r"\w+", names)}
    if fields["Class"] in imported or keyword.iskeyword(fields["Class"]):
        reason = f"its class would be {fields['Class']}, which is taken"
        raise ConfigError(f"'{fields['name']}' is no name for a {fields['kind']}: {reason}")
    return Template(template).substitute(fields)
