"""The commands that speak to a hub or a broker as its clients do: pub, sub, req."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import duration, printable, rate
from hubbub.service.client.base import Begin, Client, Outgoing, Received, Refused
from hubbub.service.commands.arguments import Arguments, read_by, wants_help
from hubbub.service.commands.connection import WHERE, positive, url_parser, with_client
from hubbub.topics import quote

_INCOMPLETE = {
    "since": "the hub doesn't have all messages of that time: its history is younger, or no --history covers FILTER",
    "last": "the hub doesn't have the messages of all topics: no --history there covers FILTER",
}
"""What it means that the history is incomplete, by how a subscription begins (docs/history.md)."""

PUB_USAGE = f"""\
hubbub pub: publish messages

  hubbub pub [OPTIONS] URL TOPIC [PAYLOAD]

Without PAYLOAD each line of stdin is a message.

  --file FILE            the payload is the content of FILE; - is stdin
  --json                 payloads are JSON
  --retain               keep it for later subscribers
  --qos 0|1|2            the quality of service; default 0, at which an MQTT
                         broker reports no refusal
  --count N              publish PAYLOAD N times, or N lines at most
  --rate N/s             no faster than that; also N/min, N/h

{WHERE}.
"""
SUB_USAGE = f"""\
hubbub sub: print messages, a line each: the topic, a space, the payload

  hubbub sub [OPTIONS] URL FILTER...

A space in a topic is %20, and a line end in a payload is \\n; --json is exact.

  --json                 a JSON object for each, as the dialect json has it
  --timestamps           the time of each before its topic (RFC 3339)
  --count N              end after N messages
  --since TIME           begin with those of the last TIME, such as 10min, if
                         the hub has a history of them
  --last N               begin with the last N of each topic, in the same way
  --qos 0|1|2            the highest quality of service, for MQTT

{WHERE}.
"""
REQ_USAGE = f"""\
hubbub req: publish a request, and print its reply

  hubbub req [OPTIONS] URL TOPIC [PAYLOAD]

Without PAYLOAD stdin is the payload.

  --json                 PAYLOAD is JSON
  --timeout TIME         maximum wait for the reply; default {limits.REQUEST_SECONDS:g}s

{WHERE};
3 no client is subscribed, or no reply came in time.
"""


def pub(arguments: Sequence[str]) -> int:
    """Publish messages."""
    if wants_help(arguments):
        print(PUB_USAGE, end="")
        return 0
    parser = url_parser("pub")
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument("payload", metavar="PAYLOAD", nargs="?")
    parser.add_argument("--file")
    parser.add_argument("--retain", action="store_true")
    parser.add_argument("--rate", type=read_by(rate))
    _add_counts(parser)
    asked = parser.parse_intermixed_args(arguments)
    payloads = _payloads(asked.payload, asked.file, asked.count)

    def publish(client: Client) -> int:
        due = time.monotonic()
        for payload in payloads:
            if asked.rate:
                client.settle()
                time.sleep(max(0.0, due - time.monotonic()))
                due = max(due, time.monotonic() - 1.0) + 1.0 / asked.rate
            client.publish(_outgoing(asked, payload, asked.retain, asked.qos))
        client.settle()
        return 0

    return with_client(asked, publish)


def sub(arguments: Sequence[str]) -> int:
    """Print messages."""
    if wants_help(arguments):
        print(SUB_USAGE, end="")
        return 0
    parser = url_parser("sub")
    parser.add_argument("filters", metavar="FILTER", nargs="+")
    begins = parser.add_mutually_exclusive_group()
    begins.add_argument("--since", type=read_by(duration))
    begins.add_argument("--last", type=positive)
    parser.add_argument("--timestamps", action="store_true")
    _add_counts(parser)
    asked = parser.parse_intermixed_args(arguments)
    begin = None if asked.since is None else Begin("since", asked.since)
    if asked.last is not None:
        begin = Begin("last", asked.last)

    def follow(client: Client) -> int:
        left, show = asked.count, _shown_for(asked)
        for message in client.subscribe(asked.filters, asked.qos, begin):
            if isinstance(message, int):
                slow = f"{message} messages were lost: this reader is too slow"
                print(f"hubbub: {slow if message or begin is None else _INCOMPLETE[begin.name]}", file=sys.stderr)
                continue
            print(show(message), flush=True)
            left = None if left is None else left - 1
            if left == 0:
                break
        return 0

    return with_client(asked, follow)


def req(arguments: Sequence[str]) -> int:
    """Publish a request, and print its reply."""
    if wants_help(arguments):
        print(REQ_USAGE, end="")
        return 0
    parser = url_parser("req")
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument("payload", metavar="PAYLOAD", nargs="?")
    parser.add_argument("--timeout", type=read_by(duration), default=limits.REQUEST_SECONDS)
    asked = parser.parse_intermixed_args(arguments)
    payload = sys.stdin.buffer.read() if asked.payload is None else _bytes(asked.payload)

    def request(client: Client) -> int:
        reply = client.request(_outgoing(asked, payload), asked.timeout)
        sys.stdout.buffer.write(reply)
        sys.stdout.buffer.write(b"\n" if sys.stdout.isatty() or not reply.endswith(b"\n") else b"")
        sys.stdout.flush()
        return 0

    return with_client(asked, request)


def _add_counts(parser: Arguments) -> None:
    parser.add_argument("--count", type=positive)
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), default=0)


def _payloads(payload: str | None, file: str | None, count: int | None) -> Iterator[bytes]:
    """Yield what is to be published. Raises ConfigError."""
    if payload is not None and file is not None:
        raise ConfigError("pub: the payload is PAYLOAD or --file, not both")
    if payload is None and file is None:
        return (line.rstrip(b"\r\n") for _, line in zip(_numbers(count), sys.stdin.buffer, strict=False))
    try:
        data = _bytes(payload) if payload is not None else _read(file or "")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    return (data for _ in range(count or 1))


def _numbers(count: int | None) -> Iterator[int]:
    number = 0
    while count is None or number < count:
        yield number
        number += 1


def _read(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _bytes(argument: str) -> bytes:
    """Return an argument as the shell had it, whether or not it is UTF-8."""
    return os.fsencode(argument)


def _outgoing(asked: Any, payload: bytes, retain: bool = False, qos: int = 0) -> Outgoing:
    if asked.json:
        try:
            json.loads(payload)
        except ValueError as error:
            raise Refused("bad-payload", f"that isn't JSON: {error}") from None
    return Outgoing(asked.topic, payload, retain, qos, asked.json)


def _shown_for(asked: Any) -> Callable[[Received], str]:
    if asked.json:
        return _as_json
    if asked.timestamps:
        return _with_time
    return _for_a_person if sys.stdout.isatty() else _as_line


def _as_json(message: Received) -> str:
    if message.unit:
        return message.unit.decode().rstrip()
    unit: dict[str, object] = {"op": "message", "topic": message.topic}
    try:
        unit["data"] = message.payload.decode()
    except UnicodeDecodeError:
        unit["base64"] = base64.b64encode(message.payload).decode()
    return json.dumps(unit | ({"retained": True} if message.retained else {}), ensure_ascii=False)


def _as_line(message: Received) -> str:
    return f"{quote(message.topic)} {_text(message.payload)}"


def _moment(message: Received) -> datetime:
    """Return when a message came to the hub; MQTT doesn't say it, so it is now."""
    return datetime.now().astimezone() if message.time is None else datetime.fromtimestamp(message.time).astimezone()


def _with_time(message: Received) -> str:
    return f"{_moment(message).isoformat(timespec='milliseconds')} {_as_line(message)}"


def _for_a_person(message: Received) -> str:
    moment = _moment(message)
    topic = f"\x1b[36m{quote(message.topic):<24}\x1b[0m"
    return f"\x1b[2m{moment:%H:%M:%S}\x1b[0m {topic} {_text(message.payload)}" + " (retained)" * message.retained


def _text(payload: bytes) -> str:
    """Write a payload in one line that moves no cursor."""
    return printable(payload.decode(errors="backslashreplace"), keep="\t")
