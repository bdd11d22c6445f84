"""One client does as much as it can: nobody else waits for it, and what it holds is bounded and given back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hostile.oracle import DELIVERY
from running import Daemon, LineClient
from system.clients import MiB, connect, pour, reset_on_close
from waiting import wait_until

SUBSCRIBERS, SUBSCRIPTIONS = 10, 10_000
RETAINED = 4 * MiB  # bytes, the limit of retained messages
OPTIONS = ("--limit", f"retained-bytes={RETAINED}", "--limit", "retained-messages=5000")


@contextlib.contextmanager
def canary(daemon: Daemon) -> Iterator[None]:
    """All the while another client is answered."""
    begun, stop = threading.Event(), threading.Event()

    def ask() -> float:
        slowest = 0.0
        with LineClient(daemon.tcp[0]) as client:
            while not stop.is_set():
                before = time.monotonic()
                assert client.ask("PING") == "PONG"
                slowest = max(slowest, time.monotonic() - before)
                begun.set()
        return slowest

    with ThreadPoolExecutor(1) as executor:
        slowest = executor.submit(ask)
        assert begun.wait(20)
        try:
            yield
        finally:
            stop.set()
        assert slowest.result() < DELIVERY


@pytest.mark.parametrize("data", [b"PUB flood x\n", b"PING\n", b"SUB a\nUNSUB a\n", b'PUB flood "x"\n'], ids=repr)
def test_a_flood_of_commands(daemon, data):
    """As fast as a socket takes it, and nothing of what comes back is read."""
    with canary(daemon), connect(daemon.tcp[0], seconds=2) as client, contextlib.suppress(TimeoutError):
        reset_on_close(client)
        pour(client, data * (65_536 // len(data)), 2 * MiB)


def test_many_subscriptions_go_with_their_clients(daemon):
    """100,000 filters, exact ones and with wildcards, of clients that are reset: others are answered meanwhile.

    A request has no receiver as soon as the links have ended, while their subscriptions are still ending.
    """
    before = daemon.descriptors()
    with canary(daemon), contextlib.ExitStack() as stack:
        for n in range(SUBSCRIBERS):
            client = stack.enter_context(LineClient(daemon.tcp[0], 30))
            reset_on_close(client.socket)
            client.send(*(f"SUB gone/{n}/{at}{'/+' if at % 2 else ''}" for at in range(SUBSCRIPTIONS)))
            for at in range(SUBSCRIPTIONS):
                assert client.line().startswith("OK SUB"), at
    with LineClient(daemon.tcp[0]) as publisher:
        wait_until(lambda: daemon.descriptors() <= before + 1)
        publisher.send("PUB gone/9/9999 x")
        assert publisher.ask("REQ gone/9/9999 x").startswith("ERR no-responders")


def test_retained_messages_are_bounded(daemon):
    """What finds no room is refused, what is there stays, an empty payload makes room, a search for all is paced."""
    with canary(daemon), LineClient(daemon.tcp[0], 30) as client:
        client.send(*(f"PUB! big/{n} {'x' * 500_000}" for n in range(20)), "PING")
        refused = 0
        while (said := client.line()) != "PONG":
            assert said.startswith("ERR quota ")
            refused += 1
        assert 20 - RETAINED // 500_000 <= refused < 20
        with LineClient(daemon.tcp[0]) as reader:
            assert reader.ask("SUB big/0") == "OK SUB big/0"
            assert reader.line() == f"MSG big/0 {'x' * 500_000}"
        client.send(*(f"PUB! big/{n} " for n in range(20)))
        client.send(*(f"PUB! many/{n} x" for n in range(6000)), "PING")
        refused = 0
        while (said := client.line()) != "PONG":
            assert said.startswith("ERR quota ")
            refused += 1
        assert refused == 1000
        with LineClient(daemon.tcp[0]) as reader:
            assert reader.ask("SUB many/#") == "OK SUB many/#"
            assert len({reader.line() for _ in range(5000)}) == 5000
        client.send(*(f"PUB! many/{n} " for n in range(6000)))
        assert client.ask("PING") == "PONG"


def test_topics_as_long_and_deep_as_they_may_be(daemon):
    """The longest and the deepest are fine, one more is refused, and none costs others time."""
    with canary(daemon), LineClient(daemon.tcp[0], 30) as client:
        for topic, fine in (
            ("a" * 65_535, True), ("a" * 65_536, False), ("/" * 127, True), ("/" * 128, False), ("/" * MiB, False),
        ):  # fmt: skip
            for command in (f"PUB {topic} x", f"PUB! {topic} x", f"PUB! {topic} "):
                client.send(command)
            client.send("PING")
            said = [client.line()]
            while said[-1] != "PONG":
                said.append(client.line())
            assert len(said) == 1 if fine else [one[:14] for one in said] == ["ERR bad-topic "] * 3 + ["PONG"]
