"""Clients that ask the hub about itself: each answer is short, and others are answered between two of them.

Each test is a row of docs/security.md's table. `make test` has a small crowd; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from hostile.canary import Canary
from hostile.test_turns import crowd, links, pour
from running import Daemon

LONG = "x" * 60_000


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0") as one:
        yield one
        assert "Traceback" not in one.log


def request(name: str, **asked: Any) -> bytes:
    return json.dumps({"op": "request", "topic": f"$hubbub/{name}", "data": asked}).encode() + b"\n"


def read_pages(one: socket.socket, name: str, **asked: Any) -> list[dict[str, Any]]:
    """Read a list page by page."""
    rows, lines = [], one.makefile("rb")
    after: Any = 0
    while after is not None:
        one.sendall(request(name, after=after, limit=1_000, **asked))
        page = json.loads(lines.readline())["data"]
        rows += page[name]
        after = page["next"]
    return rows


@pytest.mark.parametrize("name", ["subscriptions", "topics", "retained"])
def test_pages_of_very_long_names(daemon, name):
    """A page ends where its names are long, and the next one goes on."""
    count = crowd(100, 990)
    with links(daemon, 2) as (busy, asking):
        subscribe = "".join(f"SUB k/{n}{LONG}\n" for n in range(count)).encode()
        publish = "".join(f"PUB! k/{n}{LONG} x\n" for n in range(count)).encode()
        read_pages(asking, "topics")  # from then on they are counted
        pour([busy], (subscribe if name == "subscriptions" else publish) + b"PING\n", b"PONG\n")
        with Canary(daemon) as canary:
            rows = read_pages(asking, name, **({} if name == "subscriptions" else {"below": "k"}))
        assert len(rows) >= (count if name != "topics" else 1)  # what is counted has a bound of its own
        canary.check()


@pytest.mark.parametrize("name", ["links", "status"])
def test_many_links_that_ask_for_much(daemon, name):
    """A turn makes some answers, and hands some over."""
    with links(daemon, crowd(300, 900)) as many, links(daemon, 50) as asking:
        pour(many, b"SUB crowd\nPING\n", b"PONG\n")
        for one in asking:
            one.sendall(request(name, limit=1_000) * 10)
        with Canary(daemon) as canary:
            for one in asking:
                lines = one.makefile("rb")
                assert all(b'"op":"reply"' in lines.readline() for _ in range(10))
        canary.check()
