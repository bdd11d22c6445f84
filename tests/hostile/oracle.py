"""What must hold after whatever a client did: nobody else was harmed."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator

from running import Daemon, LineClient
from system.clients import Datagrams, WebSocketClient
from waiting import wait_until

MEMORY = 64 * 1024 * 1024  # bytes that a daemon may have grown by
DESCRIPTORS = 10  # seconds until those of clients that have gone are closed
DELIVERY = 5  # seconds from a publish to its subscribers: 1 s is meant, and shared machines stall

LISTENERS = (
    "--tcp", "tcp:0:id=auto",
    "--tcp", "tcp:0:id=raw:dialect=raw:end=lf:topic=probe:subscribe=probe",
    "--udp", "udp:0:id=udp",
    "--udp", "udp:0:id=udp-raw:dialect=raw:topic=probe:subscribe=probe",
    "--websocket", "tcp:0:id=web",
    "--websocket", "tcp:0:id=web-raw:dialect=raw:topic=probe:subscribe=probe",
)  # fmt: skip
"""What a Probe expects first among the options of its daemon."""


class Probe:
    """A subscriber on each transport and dialect, and a publisher on each that is new every time."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.numbers = itertools.count()
        self.clients = {kind: make() for kind, make in self.kinds().items()}
        for kind, client in self.clients.items():
            if kind.startswith("lines"):
                assert client.ask("SUB probe") == "OK SUB probe"
            elif kind.startswith("json"):
                said = client.ask('{"op":"subscribe","topic":"probe"}')
                assert json.loads(said) == {"op": "subscribed", "topic": "probe"}

    def kinds(self):
        one = self.daemon
        return {
            "lines tcp": lambda: LineClient(one.tcp[0], 20),
            "json tcp": lambda: LineClient(one.tcp[0], 20),
            "raw tcp": lambda: LineClient(one.tcp[1], 20),
            "lines udp": lambda: Datagrams(one.udp[0]),
            "json udp": lambda: Datagrams(one.udp[0]),
            "lines websocket": lambda: WebSocketClient(one.websocket[0]),
            "json websocket": lambda: WebSocketClient(one.websocket[0]),
            "raw websocket": lambda: WebSocketClient(one.websocket[1]),
        }

    def check(self) -> None:
        """Everybody hears everybody, soon."""
        for kind in ("lines udp", "json udp"):  # a lease ends after 60 s
            self.clients[kind].send("SUB probe" if kind == "lines udp" else '{"op":"subscribe","topic":"probe"}')
            self.clients[kind].line()
        publishers = {kind: make() for kind, make in self.kinds().items()}
        # What raw publishers send comes back to nobody, being raw; all others are told apart by what they send.
        for kind, publisher in publishers.items():
            text = f"{kind} {next(self.numbers)}"
            before = time.monotonic()
            publisher.send(_publish(kind, text))
            for subscriber, client in self.clients.items():
                said = client.receive()[1].decode() if subscriber == "raw websocket" else client.line()
                assert _payload(subscriber, said) == text, (kind, subscriber)
            assert time.monotonic() - before < DELIVERY
        for publisher in publishers.values():
            publisher.close()

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


def _publish(kind: str, text: str) -> str:
    dialect = kind.split()[0]
    if dialect == "raw":
        return text
    return f"PUB probe {text}" if dialect == "lines" else json.dumps({"op": "publish", "topic": "probe", "data": text})


def _payload(kind: str, said: str) -> str:
    dialect = kind.split()[0]
    if dialect == "raw":
        return said
    if dialect == "lines":
        assert said.startswith("MSG probe "), said
        return said.removeprefix("MSG probe ")
    message = json.loads(said)
    assert message["op"] == "message", said
    return message["data"]


@contextlib.contextmanager
def unharmed(daemon: Daemon, probe: Probe, tracebacks: bool = False) -> Iterator[None]:
    """Whatever happens inside: the daemon is the same afterwards, and has logged no traceback unless it may."""
    memory, descriptors = daemon.memory(), daemon.descriptors()
    yield
    probe.check()
    wait_for_descriptors(daemon, descriptors)
    assert daemon.process.poll() is None
    wait_until(  # the subscriptions of clients that have gone end step by step
        lambda: daemon.memory() - memory < MEMORY, failed=lambda: f"{daemon.memory() - memory} bytes aren't freed"
    )
    for word in () if tracebacks else ("Traceback", "Unhandled", "failed"):
        assert word not in daemon.log, daemon.log


def wait_for_descriptors(daemon: Daemon, most: int, seconds: float = DESCRIPTORS) -> None:
    """Wait until the daemon has no more than `most` descriptors open."""
    wait_until(
        lambda: daemon.descriptors() <= most,
        seconds,
        failed=lambda: f"{daemon.descriptors()} descriptors are open, {most} were before",
    )
