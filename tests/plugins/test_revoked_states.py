"""A login that ends while its client waits for something, in each dialect: nothing more comes to it, or of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hubbub.dialects.http import Http
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.errors import Refusal
from hubbub.http import HttpRequest
from hubbub.kernel.history.rule import HistoryRule
from hubbub_plugins.nats import Nats
from hubbub_plugins.stomp import Stomp
from unit.history_help import hub_with

SECRET = b"secret"
STALE = Refusal("not-authorized", "this login isn't good any more")
NATS = b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
STOMP = b"CONNECT\naccept-version:1.2\nhost:hub\n\n\0"


def frame(command: str, body: str = "", **headers: str) -> bytes:
    """A frame of STOMP."""
    head = "".join(f"{name.replace('_', '-')}:{value}\n" for name, value in headers.items())
    return f"{command}\n{head}\n{body}\0".encode()


class Hub:
    """A hub that keeps all in its history, and the links of one client whose login ends and of another."""

    def __init__(self, dialect):
        self.world, _ = hub_with(HistoryRule("#"))
        self.link = self.world.link(dialect)
        self.other = self.world.link(Lines)

    def say(self, *commands):
        """Have the client say something, and return what it hears."""
        return b"".join(self.world.say(self.link, command) for command in commands)

    def tell(self, *commands):
        """Have the other client say something, and return what it hears."""
        return self.world.say(self.other, b"".join(command + b"\n" for command in commands))


def publish(hub):
    hub.tell(b"PUB t/a secret")


def replay(hub):
    """More waits in the history than its transport takes."""
    hub.tell(b"SUB t/end", *[b"PUB t/a secret %d" % number + bytes(1_000).hex().encode() for number in range(200)])
    hub.link.wire.full = True
    hub.say(b"SUB t/# LAST 1000\n")


def read_on(hub):
    hub.link.wire.room()


def stream(path):
    return lambda hub: hub.say(HttpRequest.made("GET", path, {"filter": ["t/#"]}))


class State(NamedTuple):
    """What a client waits for: `begin` brings it there, `go_on` is what it waits for."""

    dialect: type
    begin: Callable[[Hub], object]
    go_on: Callable[[Hub], object]


STATES = {
    "lines: a replay of the history": State(Lines, replay, read_on),
    "lines: a group": State(Lines, lambda hub: hub.say(b"SUB $share/g/t/#\n"), publish),
    "json: a subscription": State(Json, lambda hub: hub.say(b'{"op":"subscribe","topic":"t/#"}\n'), publish),
    "http: server-sent events": State(Http, stream(b"/events"), publish),
    "http: a stream of messages": State(Http, stream(b"/messages"), publish),
    "nats: a queue group": State(Nats, lambda hub: hub.say(NATS, b"SUB t.> g 1\r\n"), publish),
    "stomp: an acknowledgement": State(
        Stomp, lambda hub: hub.say(STOMP, frame("SUBSCRIBE", id="1", destination="/topic/t/#", ack="client")), publish
    ),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("end", ["revoked", "kept"])
def test_nothing_comes_to_it(name, end):
    """With `kept` it does come: else the row would show nothing."""
    state = STATES[name]
    hub = Hub(state.dialect)
    state.begin(hub)
    hub.link.wire.output()
    if end == "revoked":
        hub.link.revoke(STALE.reason, STALE)
    state.go_on(hub)
    hub.world.turn()
    assert (SECRET in hub.link.wire.output()) == (end == "kept")


SAID = {
    "stomp: a transaction": State(
        Stomp,
        lambda hub: hub.say(
            STOMP, frame("BEGIN", transaction="x"), frame("SEND", "secret", destination="/topic/t/a", transaction="x")
        ),
        lambda hub: hub.say(frame("COMMIT", transaction="x")),
    ),
    "nats: half of a message": State(
        Nats, lambda hub: hub.say(NATS, b"PUB t.a 6\r\nsec"), lambda hub: hub.say(b"ret\r\n")
    ),
    "lines: half of a line": State(Lines, lambda hub: hub.say(b"PUB t/a sec"), lambda hub: hub.say(b"ret\n")),
}


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("end", ["revoked", "kept"])
def test_nothing_comes_of_it(name, end):
    state = SAID[name]
    hub = Hub(state.dialect)
    hub.tell(b"SUB #")
    state.begin(hub)
    if end == "revoked":
        hub.link.revoke(STALE.reason, STALE)
    state.go_on(hub)
    hub.world.turn()
    assert (SECRET in hub.other.wire.output()) == (end == "kept")


WORK = frame("SUBSCRIBE", id="1", destination="/queue/jobs", ack="client-individual")


def test_what_it_has_not_acknowledged_goes_to_another_member():
    hub = Hub(Stomp)
    assert b"CONNECTED" in hub.say(STOMP, WORK)
    other = hub.world.link(Stomp)
    hub.world.say(other, STOMP)
    hub.world.say(other, frame("SEND", "secret", destination="/queue/jobs"))
    assert SECRET in hub.link.wire.output()
    assert SECRET not in hub.world.say(other, WORK)
    hub.link.revoke(STALE.reason, STALE)
    hub.world.turn()
    assert SECRET in other.wire.output()
