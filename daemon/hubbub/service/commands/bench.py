"""The command `hubbub bench`: how long a message takes through a hub or a broker, and how many there are a second."""

from __future__ import annotations

import json
import secrets
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import duration, rate
from hubbub.service.client.base import Client, Lost, Outgoing
from hubbub.service.commands.arguments import read_by, wants_help
from hubbub.service.commands.bench_report import Bar, report, summary
from hubbub.service.commands.connection import WHERE, address_of, open_client, url_parser, with_client

USAGE = f"""\
hubbub bench: measure latency and throughput of a hub or a broker

  hubbub bench [OPTIONS] URL

One client publishes to a topic of its own below bench/, another one is
subscribed. It publishes at a fixed rate for half of the time, for the latency,
then as fast as it gets answers; the client may be slower than the hub.

  --seconds TIME         time of the whole run; default 6s
  --rate N/s             the rate for the latency; default 200/s
  --size BYTES           bytes of each payload; default 100
  --qos 0|1|2            the quality of service; default 0
  --json                 print one JSON object; times are in seconds

{WHERE}.
"""
_STAMP = 20  # characters of a payload that are its time
_PROBE_SECONDS = 0.05  # between two messages while the subscription may not be there yet
_LINGER_SECONDS = 2.0  # that the last messages may take


@dataclass(slots=True)
class Phase:
    """What was measured while messages were published in one way.

    seconds    how long; sent, received: messages; latencies: seconds of each that came
    """

    name: str
    seconds: float = 0.0
    sent: int = 0
    received: int = 0
    latencies: list[float] = field(default_factory=list)


class Reader(threading.Thread):
    """The subscriber, with a connection of its own."""

    def __init__(self, client: Client, topic: str, qos: int) -> None:
        super().__init__(daemon=True)
        self.ready = threading.Event()
        self.phase = Phase("")
        self.failure: ConfigError | None = None
        self._client = client
        self._topic = topic
        self._qos = qos

    def run(self) -> None:
        """Note when each message comes, until the connection is closed."""
        try:
            for message in self._client.subscribe([self._topic], self._qos):
                self.ready.set()
                if not isinstance(message, int):
                    self._note(message.payload[:_STAMP])
        except ConfigError as error:
            self.failure = error
        except (OSError, ValueError) as error:  # the other thread has closed the connection
            self.failure = Lost(str(error))
        self.ready.set()

    def _note(self, stamp: bytes) -> None:
        now = time.perf_counter_ns()
        sent, phase = int(stamp), self.phase
        if sent:
            phase.received += 1
            phase.latencies.append((now - sent) / 1e9)


def bench(arguments: Sequence[str]) -> int:
    """Measure latency and throughput."""
    if wants_help(arguments):
        print(USAGE, end="")
        return 0
    parser = url_parser("bench")
    parser.add_argument("--seconds", type=read_by(duration), default=6.0)
    parser.add_argument("--rate", type=read_by(rate), default=200.0)
    parser.add_argument("--size", type=_size, default=100)
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), default=0)
    asked = parser.parse_args(arguments)
    return with_client(asked, lambda client: _measure(asked, client))


def _measure(asked: Any, client: Client) -> int:
    topic = f"bench/{secrets.token_hex(6)}"
    with closing(open_client(address_of(asked))) as subscriber:
        reader = Reader(subscriber, topic, asked.qos)
        reader.start()

        def publish(stamp: int) -> None:
            if reader.failure is not None:
                raise reader.failure
            client.publish(Outgoing(topic, b"%0*d" % (_STAMP, stamp) + b"x" * (asked.size - _STAMP), False, asked.qos))

        _begin(client, reader, publish)
        half = asked.seconds / 2
        paced = _phase("latency", client, reader, publish, half, 1.0 / asked.rate)
        fast = _phase("throughput", client, reader, publish, half, 0.0)
        if asked.json:
            print(json.dumps(summary(paced, fast)))
        else:
            print(report(str(address_of(asked)), asked, paced, fast), end="")
    return 0


def _begin(client: Client, reader: Reader, publish: Callable[[int], None]) -> None:
    """Publish until the subscriber gets something: its subscription is there then. Raises ConfigError."""
    until = time.monotonic() + limits.CONNECT_SECONDS
    while not reader.ready.is_set():
        if time.monotonic() > until:
            raise Lost("the messages of bench/ don't come back: may this user publish and subscribe there?")
        publish(0)
        client.settle()
        reader.ready.wait(_PROBE_SECONDS)


def _phase(
    name: str, client: Client, reader: Reader, publish: Callable[[int], None], seconds: float, pause: float
) -> Phase:
    """Publish for so long, with `pause` seconds between two, and wait for what is on its way."""
    reader.phase = phase = Phase(name)
    bar = Bar(name, seconds)
    began = due = time.perf_counter()
    now = began
    while now < began + seconds:
        if pause:
            due += pause
            time.sleep(max(0.0, due - now))
        publish(time.perf_counter_ns())
        phase.sent += 1
        if pause:
            client.settle()
        now = time.perf_counter()
        bar.show(now - began, phase.received)
    with suppress(TimeoutError):
        client.settle()
    until = time.perf_counter() + _LINGER_SECONDS
    while phase.received < phase.sent and time.perf_counter() < until and reader.failure is None:
        time.sleep(_PROBE_SECONDS / 10)
    phase.seconds = time.perf_counter() - began
    if phase.received < phase.sent:
        phase.seconds -= _LINGER_SECONDS
    bar.end()
    if reader.failure is not None:
        raise reader.failure
    return phase


def _size(text: str) -> int:
    if not text.isdecimal() or not _STAMP <= int(text) <= limits.MESSAGE_BYTES:
        raise ArgumentTypeError(f"expected a number from {_STAMP} to {limits.MESSAGE_BYTES}")
    return int(text)
