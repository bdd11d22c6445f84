"""Shows what a dialect makes of captured bytes, with no daemon: it is called as a link would call it."""

from __future__ import annotations

import io
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hubbub import limits
from hubbub.dialect import TRANSPORTS, Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.lines import Lines
from hubbub.errors import ConfigError
from hubbub.events import Close, Event, SwitchDialect
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.option import configure, parse, printable, shown, size
from hubbub.service.commands.arguments import Arguments, one_of, wants_help
from hubbub.service.plugins.discovery import Plugins, reason
from hubbub.service.tracing.event_text import as_text, describe
from hubbub.template import Template

_NOW = 1_000.0  # seconds: one moment for the whole capture, so that each trial of it is the same
_NOT_HEX = re.compile(r"[^0-9A-Fa-f\s]")

USAGE = """\
hubbub try: print the events that a dialect reads from captured bytes

  hubbub try [OPTIONS] DIALECT FILE [KEY=VALUE ...]

Prints a line for each event: its class, its topic or filter, its fields. A last
line that begins with = shows the bytes of an incomplete frame.
FILE has the bytes of one client; - is stdin. A KEY is an option of
the dialect, or topic= or max-message= of its listener.

  --split N          pass N bytes at a time; the events should be the same
  --hex              FILE is text of hexadecimal digits, with any white space
  --transport NAME   tcp, udp or websocket; default: the dialect's first.
                     udp, websocket: FILE is one datagram or message, and
                     with --split many of N bytes
  --plugin-dir DIR   look for plugins in this folder too; may be repeated

Examples:
  printf 'PUB a/b 21.5\\nSUB c/#\\n' | hubbub try lines - --split 1
  hubbub try raw meter.bin length=u16be topic=meter
  echo 30 03 00 01 61 78 | hubbub try raw --hex - size=2
"""


def try_dialect(arguments: Sequence[str]) -> int:
    """Print the events that a dialect makes of a capture."""
    if wants_help(arguments):
        print(USAGE, end="")
        return 0
    parser = Arguments("try")
    parser.add_argument("dialect", metavar="DIALECT")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("keys", metavar="KEY=VALUE", nargs="*", default=[])
    parser.add_argument("--split", type=count, metavar="N")
    parser.add_argument("--hex", action="store_true")
    parser.add_argument("--transport", type=one_of(*TRANSPORTS))
    parser.add_argument("--plugin-dir", type=Path, metavar="DIR", action="append", default=[])
    asked = parser.parse_intermixed_args(arguments)
    trial = Trial(Plugins(asked.plugin_dir), asked.dialect, asked.transport, read_keys(asked.keys))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # payloads may hold what the terminal can't show
    for event in trial.run(read_capture(asked.file, asked.hex), asked.split):
        print(printable(describe(event)))
    if held := trial.held():
        print(f"= {held}")
    return 0


def read_capture(file: str, as_hex: bool = False) -> bytes:
    """Return the bytes in `file`, `-` for stdin; with `as_hex` it is text of hexadecimal digits. Raises ConfigError."""
    name = "stdin" if file == "-" else shown(file)
    try:
        if file == "-":
            data = sys.stdin.buffer.read(limits.CAPTURE_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(limits.CAPTURE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > limits.CAPTURE_BYTES:
        raise ConfigError(f"{name} is longer than {limits.CAPTURE_BYTES} bytes")
    return _from_hex(data.decode(errors="replace"), name) if as_hex else data


def _from_hex(text: str, name: str) -> bytes:
    if bad := _NOT_HEX.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise ConfigError(f"{name}, line {line}: '{shown(bad[0])}' is no hexadecimal digit")
    digits = "".join(text.split())
    if len(digits) % 2:
        raise ConfigError(f"{name}: {len(digits)} hexadecimal digits, but a byte has two")
    return bytes.fromhex(digits)


def read_keys(words: Iterable[str]) -> dict[str, str]:
    """Read KEY=VALUE words. Raises ConfigError."""
    keys: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = key.replace("_", "-")
        if not key or not equals:
            raise ConfigError(f"'{shown(word)}' is no KEY=VALUE")
        if key in keys:
            raise ConfigError(f"{shown(key)}= is given twice")
        keys[key] = value
    return keys


class Trial:
    """One dialect at work on one capture.

    transport  one of dialect.TRANSPORTS; None: the first that the dialect names
    keys       `topic` and `max-message` are a listener's; all others are options of the dialect

    Raises ConfigError for what a listener would refuse, and where the dialect raises.
    """

    def __init__(self, plugins: Plugins, name: str, transport: str | None, keys: Mapping[str, str]) -> None:
        options = {key: value for key, value in keys.items() if key not in ("topic", "max-message")}
        found = configure(_find(plugins, name), options)
        transport = transport or found.transports[0]
        if transport not in found.transports:
            raise ConfigError(f"dialect {name} is for {', '.join(found.transports)}, not for {transport}")
        longest = parse("max-message", size, keys.get("max-message", limits.MESSAGE_BYTES))
        topic = Template(keys["topic"]) if "topic" in keys else None
        if topic is not None:
            topic.expect(found.fields)
        self._setting = DialectContext(transport, longest, topic)
        self._peer = Session("127.0.0.1", 0, transport, "try")
        self._closed = False
        self._become(found)

    def run(self, data: bytes, split: int | None = None) -> Iterator[Event | Message]:
        """Yield the events for `data`, up to a Close.

        split  bytes that are handed over at a time: pieces of a stream, or else units; None: all at once
        """
        step = split or max(1, len(data))
        end = len(data) if self._setting.stream else max(1, len(data))  # an empty unit is a unit
        for at in range(0, end, step):
            yield from self._receive(data[at : at + step])
            if self._closed:
                return
        yield from self._end()

    def held(self) -> str:
        """Say what is left at the end and has made no event; empty: nothing."""
        return "" if self._closed else self.dialect.held()

    def _receive(self, piece: bytes) -> Iterator[Event | Message]:
        text = self.dialect.text and as_text(piece) is not None if self._setting.transport == "websocket" else None
        return self._act(lambda: self.dialect.receive(piece, _NOW, text))

    def _end(self) -> Iterator[Event | Message]:
        """End the capture: a stream has its end of input, units are followed by silence."""
        dialect = self.dialect
        if self._setting.stream:
            yield from self._act(lambda: self.dialect.eof(_NOW))
            if self.dialect is not dialect and not self._closed:  # the end has told which dialect it is
                yield from self._act(lambda: self.dialect.eof(_NOW))
        elif (deadline := dialect.deadline) is not None:
            yield from self._act(lambda: dialect.timeout(deadline))

    def _act(self, call: Callable[[], Iterable[Event | Message]]) -> Iterator[Event | Message]:
        with self._guard():
            events = list(call())
        for event in events:
            yield event
            if isinstance(event, SwitchDialect):
                self._become(event.dialect)
                yield from self._receive(event.head)
            self._closed = self._closed or isinstance(event, Close)
            if self._closed:
                return

    def _become(self, dialect: type[Dialect]) -> None:
        self._kind = dialect
        with self._guard():
            self.dialect = dialect(self._setting, self._peer)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Say where a dialect raises; in a daemon that would cost the link."""
        try:
            yield
        except ConfigError:
            raise
        except Exception as error:
            file = getattr(sys.modules.get(self._kind.__module__), "__file__", None) or ""
            raise ConfigError(f"dialect {self._kind.name} raises: {reason(error, file)}") from error


def _find(plugins: Plugins, name: str) -> type[Dialect]:
    found: type[Dialect] = plugins.find("dialect", name)
    if found is not Auto:
        return found
    return Auto.among([one for one in plugins.shipped_dialects() if "claims" in vars(one) and one is not Auto], Lines)


def count(text: str) -> int:
    """Read a number of bytes, at least 1."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) < 1:
        raise ArgumentTypeError("expected a number of bytes, at least 1")
    return int(text)
