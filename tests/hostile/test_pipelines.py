"""HTTP clients that send many requests at once: of each connection one is answered in a turn, and others come between.

Each test is a row of docs/security.md's table. `make test` has a small crowd; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hostile.canary import Canary
from hostile.test_turns import crowd
from running import Daemon
from system.clients import connect

REQUESTS = {
    "publish": b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
    "missing": b"GET /topics/none HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", "--limit", "source-connections=100000") as one:
        yield one
        assert "Traceback" not in one.log


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(("connections", "requests"), [(crowd(150, 300), 100), (1, 700)])
def test_many_requests_at_once(daemon, request_, connections, requests):
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(daemon.websocket[0], seconds=60)) for _ in range(connections)]
        with Canary(daemon) as canary:
            for client in clients:
                client.sendall(request_ * requests)
            for client in clients:
                answers = b""
                while answers.count(b"HTTP/1.1 ") < requests:
                    piece = client.recv(65_536)
                    assert piece, answers[-1_000:]
                    answers += piece
        canary.check(0.02)
