"""Bridges that go round: nothing comes back, and nothing comes twice."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from ports import free_port
from running import Daemon, LineClient
from system.bridges import console

# What goes round


class Hub:
    """One of several hubs that know each other's ports; `to`: those that it has a bridge to."""

    def __init__(self, stack, ports, own, to, keys):
        options = ["--tcp", f"tcp:{ports[own]}"]
        for at in to:
            name = f"hub{own}-{at}"
            options += ["--connect", f"tcp:127.0.0.1:{ports[at]}:dialect=mqtt:id=to{at}:client={name}:{keys}"]
        self.daemon = stack.enter_context(Daemon(*options))
        self.client = stack.enter_context(console(self.daemon))

    def wait(self, to):
        for at in to:
            self.daemon.wait_for(f"to{at}: MQTT ")

    def until(self, text):
        """Return what comes before that, and how often which."""
        found = []
        while (line := self.client.line()) != text:
            found.append(line)
        return found


WAYS = {
    "there and back": {0: (1,), 1: (0,)},
    "one alone": {0: (1,), 1: ()},
    "ring": {0: (1,), 1: (2,), 2: (0,)},
    "all with all": {0: (1, 2), 1: (2, 0), 2: (0, 1)},
}


@pytest.mark.parametrize("ways", WAYS.values(), ids=WAYS)
def test_nothing_goes_round(ways):
    """Everything is pulled and pushed everywhere: each message gets to each hub, and comes to an end."""
    ports = [free_port() for _ in ways]
    with ExitStack() as stack:
        hubs = [Hub(stack, ports, own, to, "pull=#:push=#") for own, to in ways.items()]
        for hub, to in zip(hubs, ways.values(), strict=True):
            hub.wait(to)
        for hub in hubs:  # what is kept goes the same ways
            hub.client.send(f"PUB! kept/{hubs.index(hub)} x")
        for speaker in hubs:
            speaker.client.send("PUB round/1 x")
            for count in range(20):  # long enough for what goes round to come again
                speaker.client.send(f"PUB end/{hubs.index(speaker)} {count}")
                seen = [hub.until(f"MSG end/{hubs.index(speaker)} {count}") for hub in hubs]
                for hub, lines in zip(hubs, seen, strict=True):
                    hub.lines = [*getattr(hub, "lines", []), *lines]
        for hub in hubs:
            for kind in ("MSG round/1 x", *(f"MSG kept/{n} x" for n in range(len(hubs)))):
                share = hub.lines.count(kind) / (len(hubs) if "round" in kind else 1)
                assert 1 <= share <= 2 ** len(hubs), (kind, hub.lines)
            assert "Traceback" not in hub.daemon.log


def test_a_server_of_the_old_version_sends_nothing_back():
    """There is no No Local in 3.1.1: what comes back is known again, and what is new with the same words isn't lost."""
    with Daemon("--tcp", "tcp:0") as there, console(there) as far:
        at = "tcp:{}:{}:dialect=mqtt:version=3.1.1:id=b:pull=a/#:push=a/#".format(*there.tcp[0])
        with Daemon("--tcp", "tcp:0", "--connect", at) as here:
            with console(here) as near:
                with LineClient(there.tcp[0]) as other:
                    other.send("PUB! a/ready 1")
                assert near.line() == "MSG a/ready 1"
                assert far.line() == "MSG a/ready 1"
                for text in ("on", "on", "off"):
                    near.send(f"PUB a/1 {text}")
                    assert (near.line(), far.line()) == (f"MSG a/1 {text}",) * 2
                for text in ("on", "off"):
                    far.send(f"PUB a/1 {text}")
                    assert (near.line(), far.line()) == (f"MSG a/1 {text}",) * 2


def test_what_was_kept_here_does_not_come_back_from_the_old_version():
    number = free_port()
    at = f"tcp:127.0.0.1:{number}:dialect=mqtt:version=3.1.1:id=b:pull=a/#:push=a/#"
    with Daemon("--tcp", "tcp:0", "--connect", at) as here, console(here) as near:
        near.send("PUB! a/kept x")
        assert near.line() == "MSG a/kept x"
        with Daemon("--tcp", f"tcp:{number}") as there, console(there) as far:
            assert far.line() == "MSG a/kept x"
            far.send("PUB a/1 end")
            assert near.line() == "MSG a/1 end"
