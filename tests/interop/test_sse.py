"""What a client in Python, httpx-sse, makes of a stream of server-sent events."""

from __future__ import annotations

import httpx
from httpx_sse import connect_sse

from running import Daemon

SECONDS = 20


def test_httpx_sse_shows_no_keep_alive(tmp_path):
    """It takes an empty line for the end of an event once an event has had an id."""
    history = ("--state", str(tmp_path / "state"), "--history", "e")
    with (
        Daemon("--websocket", "tcp:0", *history) as daemon,
        httpx.Client(base_url=daemon.url(scheme="http"), timeout=SECONDS, trust_env=False) as web,
        connect_sse(web, "GET", "events?filter=e") as source,
    ):
        received = source.iter_sse()
        where = next(received)
        assert (where.event, where.data) == ("message", "")  # the position that the stream begins at: an id alone
        seen = []
        for payload in ("1", "2"):
            web.post("topics/e", content=payload)
            seen.append(next(received))
            if payload == "1":
                _wait_for_a_keep_alive(daemon)
        assert [(one.event, one.data) for one in seen] == [("e", "1"), ("e", "2")]


def _wait_for_a_keep_alive(daemon: Daemon) -> None:
    """Return when a stream that was begun now has had its first keep-alive."""
    with httpx.stream(
        "GET", f"{daemon.url(scheme='http')}events?filter=quiet", timeout=SECONDS, trust_env=False
    ) as stream:
        read = stream.iter_raw()
        assert next(read)
        assert next(read)
