"""The command `hubbub`: a short way to twistd, and later the operator's other commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

USAGE = """\
hubbub: one daemon for every real-time client

  hubbub run [OPTIONS]  open the listeners and serve until SIGINT or SIGTERM;
                        same as twistd --nodaemon --pidfile= --reactor=hubbub
                        hubbub [OPTIONS]
  hubbub run --help     the options
  hubbub --version      the version
  hubbub --help         this text
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: those of this process) and return the exit status.

    A command that doesn't exist is one line on stderr and status 1.
    """
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command not in COMMANDS:
        print(f"hubbub: no command '{command}'; `hubbub --help` tells which there are", file=sys.stderr)
        return 1
    return COMMANDS[command](rest)


def run(options: Sequence[str]) -> int:
    """Become `twistd --nodaemon --pidfile= --reactor=hubbub hubbub OPTIONS`, in this process."""
    # Imported late: it takes a quarter of a second, and the other commands don't need it.
    from twisted.scripts.twistd import run as twistd

    sys.argv[:] = ["twistd", "--nodaemon", "--pidfile=", "--reactor=hubbub", "hubbub", *options]
    twistd()
    return 0


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
    "--version": show_version,
    "-V": show_version,
    "version": show_version,
    "--help": show_help,
    "-h": show_help,
    "help": show_help,
}
