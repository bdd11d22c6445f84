"""The command `hubbub passwd`: writes the password files that `--auth hubbub:FILE` reads."""

from __future__ import annotations

import getpass
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import shown
from hubbub.service.auth import hashes
from hubbub.service.auth.passwords import Entry, Table, check_name, read
from hubbub.service.commands.arguments import Arguments, wants_help

USAGE = """\
hubbub passwd: the users of a password file, which --auth hubbub:FILE reads

  hubbub passwd add FILE USER     add a user, or change the password
  hubbub passwd remove FILE USER  remove a user
  hubbub passwd check FILE USER   tell whether a password is right

The password is asked for; where stdin is no terminal it is its first line.
FILE is made, for its owner alone, if it isn't there. A running hubbub reads
it again when it has changed.

  --datagram-key  with add: make a key that signs the user's datagrams, and
                  print it; the password stays as it is
"""


def passwd(arguments: Sequence[str]) -> int:
    """Do what one command line says. Raises ConfigError."""
    if wants_help(arguments):
        print(USAGE, end="")
        return 0
    parser = Arguments("passwd")
    parser.add_argument("what", choices=("add", "remove", "check"), metavar="add|remove|check")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("user", metavar="USER")
    parser.add_argument("--datagram-key", action="store_true")
    asked = parser.parse_intermixed_args(arguments)
    if asked.datagram_key and asked.what != "add":
        raise ConfigError("passwd: --datagram-key goes with add")
    if asked.what == "add":
        return _add(asked.file, asked.user, asked.datagram_key)
    return _remove(asked.file, asked.user) if asked.what == "remove" else _check(asked.file, asked.user)


def _add(file: Path, user: str, keyed: bool) -> int:
    try:
        check_name(user)
    except ValueError as error:
        raise ConfigError(f"passwd: {shown(user)}: {error}") from None
    old = read(file, keyed=True).entries.get(user, Entry()) if file.exists() else Entry()
    if keyed:
        key = secrets.token_bytes(32)
        _write(file, user, Entry(old.hash, key))
        print(key.hex())
    else:
        _write(file, user, Entry(hashes.make(_new_password(user)), old.key))
    return 0


def _remove(file: Path, user: str) -> int:
    _known(file, user)
    _write(file, user, None)
    return 0


def _check(file: Path, user: str) -> int:
    """Status 0: it is the user's password, 1: it isn't."""
    table = _known(file, user)
    right = table.check(user, _password(f"Password of {user}: "))
    print("right" if right else "wrong")
    return 0 if right else 1


def _known(file: Path, user: str) -> Table:
    table = read(file, keyed=True)
    if user not in table.entries:
        raise ConfigError(f"{file}: there is no user {shown(user)}")
    return table


def _new_password(user: str) -> bytes:
    """Ask for a password, at a terminal twice. Raises ConfigError."""
    password = _password(f"New password of {user}: ")
    if sys.stdin.isatty() and password != _password("The same again: "):
        raise ConfigError("passwd: the two passwords differ; nothing was changed")
    if not password:
        raise ConfigError("passwd: the password is empty; nothing was changed")
    return password


def _password(prompt: str) -> bytes:
    """Read one password. Raises ConfigError."""
    try:
        text = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().removesuffix("\n")
        password = text.removesuffix("\r").encode()
    except (EOFError, UnicodeError):
        raise ConfigError("passwd: the password can't be read: it is a line of UTF-8") from None
    if len(password) > limits.PASSWORD_BYTES:
        raise ConfigError(f"passwd: the password is longer than {limits.PASSWORD_BYTES} bytes")
    return password


def _write(file: Path, user: str, entry: Entry | None) -> None:
    """Put `entry` in the place of the user's line, or take that out; all other lines stay. Raises ConfigError."""
    path = file.resolve()  # a link stays a link
    try:
        text = path.read_bytes().decode() if path.exists() else ""
        lines = text.removesuffix("\n").split("\n") if text else []
        _replace(path, "".join(f"{line}\n" for line in _edited(lines, user, entry)))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; nothing was changed") from None


def _edited(lines: Sequence[str], user: str, entry: Entry | None) -> Iterator[str]:
    fresh = [] if entry is None else [f"{user}:{entry.text}"]
    for line in lines:
        if line.startswith(f"{user}:"):
            yield from fresh
            fresh = []
        else:
            yield line
    yield from fresh


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, so that a reader sees the old one or the new one; owner and mode stay."""
    before = path.stat() if path.exists() else None
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            if before is not None:
                with suppress(PermissionError):  # only root may give a file away
                    os.fchown(handle, before.st_uid, before.st_gid)
                os.fchmod(handle, stat.S_IMODE(before.st_mode))
            stream.flush()
            os.fsync(handle)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
