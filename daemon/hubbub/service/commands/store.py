"""The command `hubbub store`: looks at the folder of `--state`, and carries it elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hubbub.errors import ConfigError
from hubbub.service.commands.arguments import Arguments, one_of, wants_help
from hubbub.service.commands.report import size
from hubbub.service.state import NO_APSW, has_apsw

USAGE = """\
hubbub store: inspect, export and import the folder of --state

  hubbub store stats DIR   print the numbers of its records
  hubbub store check DIR   check every page and record; status 1 if one is
                           damaged
  hubbub store export DIR  write all of it to stdout, as lines of JSON
  hubbub store import DIR  fill an empty folder with such lines from stdin

The first three change nothing, and work beside a running hubbub; import needs
a folder that no hubbub uses.
"""
_EVERY = 1_000  # rows between two updates of the progress


def store(arguments: Sequence[str]) -> int:
    """Do what one command line says. Raises ConfigError."""
    if wants_help(arguments):
        print(USAGE, end="")
        return 0
    parser = Arguments("store")
    parser.add_argument("what", type=one_of(*_COMMANDS), metavar="|".join(_COMMANDS))
    parser.add_argument("folder", type=Path, metavar="DIR")
    asked = parser.parse_args(arguments)
    if not has_apsw():
        raise ConfigError(f"store: {NO_APSW}")
    return int(_COMMANDS[asked.what](asked.folder.absolute()))


def _stats(folder: Path) -> int:
    from hubbub.storage import reading

    found = reading.stats(folder)
    print(f"sessions   {found['sessions']}, {found['subscriptions']} subscriptions")
    print(f"messages   {found['messages']} queued or in flight, for {found['audiences']} audiences")
    print(f"retained   {found['retained']}")
    print(f"history    {found['history']} messages of {found['history_rules']} filters")
    print(f"bytes      {size(found['bytes'])}")
    return 0


def _check(folder: Path) -> int:
    from hubbub.storage import reading

    with closing(reading.open_reader(folder)) as reader:
        faults = [line for line in _shown(reading.check(reader), reading.rows(reader)) if line is not None]
    for line in faults:
        print(f"hubbub: {line}", file=sys.stderr)
    print("everything is fine" if not faults else f"{len(faults)} faults; hubbub sets the file aside at its start")
    return 1 if faults else 0


def _export(folder: Path) -> int:
    from hubbub.storage import reading, transfer
    from hubbub.storage.database import Damaged

    with closing(reading.open_reader(folder)) as reader:
        try:
            for line in _shown(transfer.export(reader), reading.rows(reader)):
                sys.stdout.buffer.write(line + b"\n")
        except Damaged as error:
            raise ConfigError(f"{folder} is damaged ({error}): hubbub store check shows where") from None
    return 0


def _import(folder: Path) -> int:
    from hubbub.storage import transfer

    count = transfer.import_lines(folder, _shown(iter(sys.stdin.buffer), 0))
    print(f"imported {count} lines")
    return 0


def _shown(rows: Iterator[Any], total: int) -> Iterator[Any]:
    """Pass rows on, and show how many on a terminal."""
    shows, count = sys.stderr.isatty(), 0
    for count, row in enumerate(rows, 1):
        if shows and not count % _EVERY:
            share = f" of {total}, {min(100, 100 * count // total)}%" if total else ""
            print(f"\r{count}{share} ", end="", file=sys.stderr, flush=True)
        yield row
    if shows and count >= _EVERY:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


_COMMANDS = {"stats": _stats, "check": _check, "export": _export, "import": _import}
