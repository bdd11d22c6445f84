"""Sessions of a crowd end together, or their wills are due together: others are answered meanwhile."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.canary import Canary
from hostile.test_costs import read
from hostile.test_long_units import until
from hostile.test_turns import SOURCE, crowd, links
from hubbub_plugins.mqtt.packets import V5, Connect, Subscribe, Subscription, Will
from system.controlled import Controlled, output
from waiting import wait_until

SHARE = 0.02  # seconds that others may wait: each session takes under 1 ms


@pytest.fixture(params=["in memory", "stored"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Controlled]:
    state = ("--state", str(tmp_path / "state")) if request.param == "stored" else ()
    with Controlled(tmp_path, "--tcp", "tcp:0", *SOURCE, *state) as one:
        yield one
        assert "Traceback" not in one.log


@contextlib.contextmanager
def sessions(
    daemon: Controlled, count: int, seconds: int, filters: int = 0, will: Will | None = None
) -> Iterator[None]:
    """Have so many sessions, which end so many seconds after the block."""
    with links(daemon, count) as many:
        for at, one in enumerate(many):
            lasts = {"session_expiry_interval": seconds}
            packets = Connect(version=V5, client=f"gone-{at}", properties=lasts, will=will).encode(V5)
            if filters:
                wish = [Subscription(filter=f"gone/{at}/+/{each}/+/a/+/b/+/c", qos=1) for each in range(filters)]
                packets += Subscribe(id=1, subscriptions=wish, properties={}).encode(V5)
            one.sendall(packets + b"\xc0\0")
        for one in many:
            read(one, b"\xd0\0")
        yield


def away(daemon: Controlled) -> int:
    return json.loads(output(daemon.ask("status", "--json")))["sessions"]["away"]


def test_sessions_with_many_subscriptions_expire_together(daemon):
    count = crowd(200, 1_000)
    with sessions(daemon, count, 3, filters=200):
        pass
    wait_until(lambda: away(daemon) == count, 30)
    with Canary(daemon) as canary:
        wait_until(lambda: away(daemon) == 0, 30)
    canary.check(SHARE)


def test_wills_of_a_crowd_are_due_together(daemon):
    """Each is for all of another crowd, at QoS 1."""
    count = crowd(200, 1_000)
    will = Will(topic="wills", payload=b"gone", qos=1, properties={"will_delay_interval": 3})
    with links(daemon, crowd(500, 1_000)) as many:
        for at, one in enumerate(many):
            wish = Subscribe(id=1, subscriptions=[Subscription(filter="wills", qos=1)], properties={})
            one.sendall(Connect(version=V5, client=f"stays-{at}").encode(V5) + wish.encode(V5) + b"\xc0\0")
        for one in many:
            read(one, b"\xd0\0")
        with sessions(daemon, count, 600, will=will):
            pass
        with Canary(daemon) as canary:
            for one in many:
                until(one, b"gone", 20)  # as many as are in flight
    canary.check(SHARE)
