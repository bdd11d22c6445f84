"""The command `hubbub passwd`: writes the password files that `--auth hubbub:FILE` reads."""

from __future__ import annotations

import fcntl
import getpass
import os
import secrets
import stat
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.nats_protocol.nkeys import read_public
from hubbub.option import shown
from hubbub.service.auth import hashes
from hubbub.service.auth.passwords import Entry, Table, check_name, read
from hubbub.service.auth.scram import COSTS, Scram
from hubbub.service.commands.arguments import Arguments, one_of, wants_help

USAGE = """\
hubbub passwd: the users of a password file, which --auth hubbub:FILE reads

  hubbub passwd add FILE USER     add a user, or change the password
  hubbub passwd remove FILE USER  remove a user
  hubbub passwd check FILE USER   check a password
  hubbub passwd list FILE         print the users

It asks for the password on a terminal; otherwise the password is the first
line of stdin. It creates a missing FILE, readable by its owner only. A running
hubbub reads a changed file again.

  --datagram-key  with add: make a key that signs the user's datagrams, and
                  print it; the password stays as it is
  --public-key K  with add: the user's public key, for WAMP's cryptosign and
                  NATS: an NKey UA... or 64 hexadecimal digits
  --scram KDF     with add: store the keys of WAMP-SCRAM too; KDF is
                  argon2id-13 or pbkdf2, as the clients support
"""


_KEY_DIGITS = 64  # hexadecimal ones of a public key


def passwd(arguments: Sequence[str]) -> int:
    """Do what one command line says. Raises ConfigError."""
    if wants_help(arguments):
        print(USAGE, end="")
        return 0
    parser = Arguments("passwd")
    parser.add_argument("what", type=one_of("add", "remove", "check", "list"), metavar="add|remove|check|list")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("user", metavar="USER", nargs="?")
    parser.add_argument("--datagram-key", action="store_true")
    parser.add_argument("--public-key", type=_public_key, metavar="KEY")
    parser.add_argument("--scram", type=one_of(*COSTS), metavar="|".join(COSTS))
    asked = parser.parse_intermixed_args(arguments)
    wishes = {"--datagram-key": asked.datagram_key, "--public-key": asked.public_key, "--scram": asked.scram}
    wished = [name for name, wish in wishes.items() if wish]
    if wished and asked.what != "add":
        raise ConfigError(f"passwd: {wished[0]} is for add")
    if len(wished) > 1:
        raise ConfigError(f"passwd: {' and '.join(wished)} can't be combined: add the user once for each")
    if asked.what == "list":
        return _list(asked.file, parser, asked.user)
    if asked.user is None:
        parser.error(f"{asked.what} needs a USER")
    if asked.what == "add":
        return _add(asked.file, asked.user, asked)
    return _remove(asked.file, asked.user) if asked.what == "remove" else _check(asked.file, asked.user)


def _public_key(text: str) -> bytes:
    """Read a public key, UA... or in hexadecimal digits. Raises ValueError."""
    return bytes.fromhex(text) if len(text) == _KEY_DIGITS else read_public(text)


def _add(file: Path, user: str, wish: Namespace) -> int:
    try:
        check_name(user)
    except ValueError as error:
        raise ConfigError(f"passwd: {shown(user)}: {error}") from None
    if file.exists():
        read(file, keyed=True)  # what can't be read is found before a password is asked for
    if wish.public_key:
        _write(file, user, lambda old: replace(old, public=wish.public_key))
    elif wish.datagram_key:
        key = secrets.token_bytes(32)
        _write(file, user, lambda old: replace(old, key=key))
        print(key.hex())
    else:
        password = _new_password(user)
        _write(file, user, lambda old: _with_password(old, password, wish.scram))
    return 0


def _with_password(old: Entry, password: bytes, kdf: str | None) -> Entry:
    """Return a user's entry with another password; keys that are made of a password are made again."""
    kdf = kdf or (old.scram.kdf if old.scram is not None else None)
    scram = None if kdf is None else Scram.make(password, kdf)
    return replace(old, hash=hashes.make(password), scram=scram)


def _remove(file: Path, user: str) -> int:
    _known(file, user)
    _write(file, user, lambda old: None)
    return 0


def _list(file: Path, parser: Arguments, user: str | None) -> int:
    """Print the users in the order of the file, and what each can show beside a password."""
    if user is not None:
        parser.error("list has no USER")
    for name, entry in read(file, keyed=True).entries.items():
        has = {"a datagram key": entry.key, "a public key": entry.public, "SCRAM": entry.scram}
        shows = " and ".join(what for what, there in has.items() if there)
        print(f"{name}  (has {shows})" if shows else name)
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


def _write(file: Path, user: str, change: Callable[[Entry], Entry | None]) -> None:
    """Put what `change` makes of the user's entry in its place, None: take it out; all other lines stay.

    Raises ConfigError.
    """
    path = file.resolve()  # a link stays a link
    try:
        with _locked(path.parent):
            entry = change(read(path, keyed=True).entries.get(user, Entry()) if path.exists() else Entry())
            text = path.read_bytes().decode() if path.exists() else ""
            lines = text.removesuffix("\n").split("\n") if text else []
            _replace(path, "".join(f"{line}\n" for line in _edited(lines, user, entry)))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; nothing was changed") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Have the folder's lock, so that two commands at once don't undo each other. The file itself is replaced.

    Raises ConfigError where another holds it too long: any user that may read the folder can. Raises OSError.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    until = time.monotonic() + limits.PASSWD_LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ConfigError(f"{folder}: another command has locked the folder; nothing was changed") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(handle)


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
