"""What tests of bridges share."""

from __future__ import annotations

from running import LineClient


def console(daemon, filter="#"):
    client = LineClient(daemon.tcp[0])
    assert client.ask(f"SUB {filter}") == f"OK SUB {filter}"
    return client
