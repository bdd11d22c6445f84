"""What tells an operator who makes the daemon's turns long: metrics, and `hubbub status`."""

from __future__ import annotations

import contextlib
import json

import pytest

from ports import free_port
from running import LineClient
from system.clients import connect
from system.controlled import PLAIN, Controlled, output
from system.test_metrics import metrics, value
from waiting import wait_until

BURST = b"".join(b"SUB turns/%d/+\nUNSUB turns/%d/+\n" % (n, n) for n in range(500)) + b"PING\n"


@pytest.fixture
def daemon(tmp_path):
    port = free_port()
    with Controlled(tmp_path, *PLAIN, "--metrics", f"tcp:{port}") as running:
        running.metrics = port
        yield running


def test_long_turns_are_counted_by_what_they_put_off(daemon):
    before = metrics(daemon.metrics)
    some = [connect(daemon.tcp[0]) for _ in range(10)]
    for one in some:
        one.sendall(BURST)
    for one in some:
        while not one.recv(1 << 20).endswith(b"PONG\n"):
            pass
    found = metrics(daemon.metrics)
    assert value(found, "hubbub_turn_seconds_count") > value(before, "hubbub_turn_seconds_count")
    assert value(found, "hubbub_turn_seconds_sum") > value(before, "hubbub_turn_seconds_sum")
    longer = [value(one, "hubbub_turn_seconds_count") - value(one, "hubbub_turn_seconds_bucket", le="0.001")
              for one in (before, found)]  # fmt: skip
    assert longer[1] > longer[0]
    assert value(found, "hubbub_deferred_steps_total", kind="commands") >= 10
    assert value(found, "hubbub_turns_exhausted_total", kind="commands") > 0
    for one in some:
        one.close()


def test_the_status_names_the_client_that_costs_the_most(daemon):
    with LineClient(daemon.tcp[0]) as modest, connect(daemon.tcp[0]) as busy:
        assert modest.ask("PING") == "PONG"
        assert json.loads(output(daemon.ask("status", "--json")))["busiest"] is None
        for _ in range(3):
            busy.sendall(BURST)
            while not busy.recv(1 << 20).endswith(b"PONG\n"):
                pass
        found = json.loads(output(daemon.ask("status", "--json")))["busiest"]
        assert found["deferred"] > 0
        assert found["who"].endswith(f"127.0.0.1:{busy.getsockname()[1]}")
        assert f"busiest   link {found['link']}, {found['who']}: put off " in output(daemon.ask("status"))


def test_events_that_are_held_back(daemon):
    with connect(daemon.tcp[0], buffer=4096) as one:
        one.setblocking(False)
        said = b"PING\n" * 10_000

        def held() -> float:
            with contextlib.suppress(BlockingIOError):
                one.send(said)
            return value(metrics(daemon.metrics), "hubbub_events_held_back", listener="a")

        wait_until(lambda: held() > 0)
    wait_until(lambda: value(metrics(daemon.metrics), "hubbub_events_held_back") == 0)
