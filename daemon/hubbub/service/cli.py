"""The command `hubbub`: a short way to twistd, and tools for who writes plugins."""

from __future__ import annotations

import io
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from hubbub.dialect import TRANSPORTS
from hubbub.errors import ConfigError

USAGE = """\
hubbub: one daemon for every real-time client

  hubbub run [OPTIONS]  open the listeners and serve until SIGINT or SIGTERM;
                        same as twistd --nodaemon --pidfile= --reactor=hubbub
                        --logger=hubbub.service.logs.by_destination
                        hubbub [OPTIONS]
  hubbub run --help     the options
  hubbub new dialect NAME  or  hubbub new handler NAME
                        write a small plugin to start from, with its test
  hubbub try DIALECT FILE
                        print what a dialect makes of captured bytes
  hubbub check [OPTIONS]
                        tell what is wrong with options and files, and start
                        nothing
  hubbub status  reload  kick  trace  top
                        look at a running hubbub, and change it
  hubbub passwd add|remove|check FILE USER
                        the users of a password file for --auth hubbub:FILE
  hubbub check-acl USER publish|subscribe TOPIC
                        tell whether the permissions allow it, and why
  hubbub import mosquitto mosquitto.conf
                        write what a Mosquitto does as hubbub's files
  hubbub COMMAND --help
                        more about one of these
  hubbub --version      the version
  hubbub --help         this text
"""

NEW_USAGE = """\
hubbub new: write a small working plugin to start from, ready for pip install

  hubbub new dialect NAME   a wire protocol: bytes in, events out
  hubbub new handler NAME   behaviour: methods that are called with messages

NAME is in lower case, such as scale or weigh_bridge. The files are put into
./hubbub-NAME; nothing that is there already is overwritten.

  --into FOLDER   put them there instead
"""
TRY_USAGE = """\
hubbub try: print what a dialect makes of captured bytes, with no daemon

  hubbub try [OPTIONS] DIALECT FILE [KEY=VALUE ...]

Each event is a line: what it is, what it is about, and what else it says.
FILE holds the bytes that one client sent; - is stdin. A KEY is an option of
the dialect, or topic= or max-message= of its listener.

  --split N          hand over N bytes at a time; the events should be the same
  --hex              FILE is text of hexadecimal digits, with any white space
  --transport NAME   tcp, udp or websocket; the dialect's first if not given.
                     udp, websocket: FILE is one datagram or message, and
                     with --split many of N bytes
  --plugin-dir DIR   look for plugins in this folder too; may be repeated

Examples:
  printf 'PUB a/b 21.5\\nSUB c/#\\n' | hubbub try lines - --split 1
  hubbub try raw meter.bin length=u16be topic=meter
  echo 30 03 00 01 61 78 | hubbub try raw --hex - size=2
"""


LOGGER = "--logger=hubbub.service.logs.by_destination"


class Arguments(ArgumentParser):
    """The arguments of one command. A mistake raises ConfigError; the usage text is written by hand."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError, in one line."""
        raise ConfigError(f"{self.prog}: {' '.join(message.split())}; `hubbub {self.prog} --help` tells how")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: those of this process) and return the exit status.

    What can't be done is one line on stderr and status 1.
    """
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command not in COMMANDS:
        print(f"hubbub: no command '{command}'; `hubbub --help` tells which there are", file=sys.stderr)
        return 1
    try:
        return COMMANDS[command](rest)
    except ConfigError as error:
        print(f"hubbub: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # 128 and SIGINT, as shells have it


def run(options: Sequence[str]) -> int:
    """Become `twistd --nodaemon --pidfile= --reactor=hubbub --logger=... hubbub OPTIONS`, in this process."""
    # Imported late: it takes a quarter of a second, and the other commands don't need it.
    from twisted.scripts.twistd import run as twistd

    sys.argv[:] = ["twistd", "--nodaemon", "--pidfile=", "--reactor=hubbub", LOGGER, "hubbub", *options]
    twistd()
    return 0


def new(arguments: Sequence[str]) -> int:
    """Write a plugin, and print its files."""
    from hubbub.service.new import KINDS, write_plugin

    if wants_help(arguments):
        print(NEW_USAGE, end="")
        return 0
    parser = Arguments("new")
    parser.add_argument("kind", choices=KINDS, metavar="KIND")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--into", type=Path, metavar="FOLDER")
    asked = parser.parse_args(arguments)
    for path in write_plugin(asked.kind, asked.name, asked.into):
        print(path)
    return 0


def try_dialect(arguments: Sequence[str]) -> int:
    """Print the events that a dialect makes of a capture."""
    from hubbub.service.plugins import Plugins
    from hubbub.service.try_dialect import Trial, describe, read_capture, read_keys

    if wants_help(arguments):
        print(TRY_USAGE, end="")
        return 0
    parser = Arguments("try")
    parser.add_argument("dialect", metavar="DIALECT")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("keys", metavar="KEY=VALUE", nargs="*", default=[])
    parser.add_argument("--split", type=count, metavar="N")
    parser.add_argument("--hex", action="store_true")
    parser.add_argument("--transport", choices=TRANSPORTS)
    parser.add_argument("--plugin-dir", type=Path, metavar="DIR", action="append", default=[])
    asked = parser.parse_intermixed_args(arguments)
    trial = Trial(Plugins(asked.plugin_dir), asked.dialect, asked.transport, read_keys(asked.keys))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # payloads may hold what the terminal can't show
    try:
        for event in trial.run(read_capture(asked.file, asked.hex), asked.split):
            print(describe(event))
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; what the exit flushes would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def check_acl(arguments: Sequence[str]) -> int:
    """Tell what the permissions say."""
    from hubbub.service.check_acl import check_acl

    return check_acl(arguments)


def passwd(arguments: Sequence[str]) -> int:
    """Change a password file."""
    from hubbub.service.passwd import passwd

    return passwd(arguments)


def import_from(arguments: Sequence[str]) -> int:
    """Turn the configuration of another broker into hubbub's."""
    from hubbub.service.mosquitto.command import import_from

    return import_from(arguments)


def check(arguments: Sequence[str]) -> int:
    """Tell what is wrong with options."""
    from hubbub.service.check import USAGE as CHECK_USAGE
    from hubbub.service.check import check as look

    if arguments and wants_help(arguments):
        print(CHECK_USAGE, end="")
        return 0
    return look(arguments)


def control(command: str) -> Callable[[Sequence[str]], int]:
    """Return a command that talks to a running daemon."""

    def run_it(arguments: Sequence[str]) -> int:
        from hubbub.service import commands

        found: Callable[[Sequence[str]], int] = getattr(commands, command)
        return found(arguments)

    return run_it


def wants_help(arguments: Sequence[str]) -> bool:
    """Tell whether the usage text is asked for; a command without arguments asks for it too."""
    return not arguments or "--help" in arguments or "-h" in arguments


def count(text: str) -> int:
    """Read a number of bytes, at least 1."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) < 1:
        raise ArgumentTypeError("expected a number of bytes, at least 1")
    return int(text)


def show_version(_: Sequence[str]) -> int:
    """Print the version that is installed."""
    print(f"hubbub {version('hubbub')}")
    return 0


def show_help(_: Sequence[str]) -> int:
    """Print what commands there are."""
    print(USAGE, end="")
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run,
    "new": new,
    "try": try_dialect,
    "check": check,
    **{name: control(name) for name in ("status", "reload", "kick", "trace", "top")},
    "check-acl": check_acl,
    "passwd": passwd,
    "import": import_from,
    "--version": show_version,
    "-V": show_version,
    "version": show_version,
    "--help": show_help,
    "-h": show_help,
    "help": show_help,
}
