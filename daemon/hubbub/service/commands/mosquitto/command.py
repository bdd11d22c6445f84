"""`hubbub import mosquitto`: writes hubbub.toml and permissions.toml, and tells what is missing in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hubbub.errors import ConfigError
from hubbub.service.commands.arguments import Arguments, one_of, wants_help
from hubbub.service.commands.mosquitto.conf import Import
from hubbub.service.commands.mosquitto.notes import Note
from hubbub.service.plugins.discovery import Plugins

USAGE = """\
hubbub import: convert the configuration of another broker

  hubbub import mosquitto MOSQUITTO.CONF

Converts listeners, bridges, TLS, logins and permissions: writes hubbub.toml,
and permissions.toml if there is an acl_file. hubbub reads the password files
unchanged. Prints each line that it can't convert to stderr, and writes it with
the reason at the end of hubbub.toml.

  --into FOLDER   write the files there; default ./hubbub-mosquitto.
                  It overwrites no file

Then look at the files, and:  hubbub run --config hubbub-mosquitto/hubbub.toml
"""
DEFAULT = Path("hubbub-mosquitto")


def import_from(arguments: Sequence[str]) -> int:
    """Write the files, and print their names. Raises ConfigError."""
    if wants_help(arguments):
        sys.stdout.write(USAGE)
        return 0
    parser = Arguments("import")
    parser.add_argument("broker", type=one_of("mosquitto"), metavar="BROKER")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--into", type=Path, default=DEFAULT, metavar="FOLDER")
    asked = parser.parse_args(arguments)
    made = Import(asked.file)
    notes = [*made.notes, *_dialects()]
    missing = "".join(f"# {note}\n" for note in notes)
    config = f"# From {asked.file}. The names are those of `hubbub run --help`.\n\n{made.config}"
    if missing:
        config += f"\n# Not carried over, or not as it was:\n{missing}"
    files = {"hubbub.toml": config}
    if made.permissions is not None:
        files["permissions.toml"] = (
            f"# From {asked.file}. docs/permissions.md says what this means.\n\n{made.permissions}"
        )
    for path in _write(asked.into, files):
        sys.stdout.write(f"{path}\n")
    sys.stdout.flush()  # where both go to one pipe, the files come first
    for note in notes:
        sys.stderr.write(f"hubbub: {note}\n")
    return 0


def _dialects() -> Iterator[Note]:
    """Say so where this hubbub doesn't speak what all of this is about."""
    if not Plugins(()).has("dialect", "mqtt"):
        yield Note(None, "no dialect mqtt is installed: until one is, these listeners speak lines and json")


def _write(folder: Path, files: dict[str, str]) -> list[Path]:
    """Write all files or none. Raises ConfigError."""
    paths = [folder / name for name in files]
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path} exists; --into FOLDER puts the files somewhere else")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, files.values(), strict=True):
            path.write_text(text)
    except OSError as error:
        raise ConfigError(f"{error.filename or folder}: {error.strerror}") from None
    return paths
