"""A dialect that raises costs its own link, or the message that it can't write, and nobody else anything."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs, formatEvent

from hubbub import Dialect, DialectContext, Handler, limits, on
from hubbub.dialects.detect import Auto
from hubbub.dialects.lines import Lines
from hubbub.kernel.sessions.session import Session
from hubbub.service.logs.failures import Failures
from hubbub.testing import World
from matrix.speakers import seat

TRANSPORTS = ("tcp", "udp", "websocket")


def boom(*_: object) -> None:
    raise RuntimeError("a plugin's fault")


@pytest.fixture
def world():
    world = World()
    world.hub.turn.failed = Failures()
    return world


@pytest.fixture(autouse=True)
def logs():
    with capturedLogs() as events:
        yield events


def failures(logs) -> list[str]:
    return [str(event["log_failure"].value) for event in logs if "log_failure" in event]


def frail(*broken: str) -> type[Lines]:
    """Lines whose `broken` methods raise, and which encode message by message."""
    body = {name: classmethod(boom) if name in ("encode", "claims") else boom for name in broken}
    return type("Frail", (Lines,), {"name": "frail", "encode_all": vars(Dialect)["encode_all"], **body})


def bystander(world):
    """Somebody who hears a/# and doesn't mind the others."""
    one = seat(world, "tcp-lines", subscribes="a/#")
    one.subscribe("a/#")
    assert one.output() == [("subscribed", "a/#")]
    return one


def still_served(world, ear) -> bool:
    seat(world, "websocket-json").publish("a/still", b"there")
    return ear.output()[-1:] == [("message", "a/still", b"there")]


def gone(client) -> bool:
    """Whether its link has been closed; over UDP a client can't know."""
    client.world.turn()
    return getattr(client, "closed", True)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("where", ["receive", "outcome"])
def test_what_a_client_says(world, logs, transport, where):
    ear = bystander(world)
    for _ in range(3):
        listener = world.listen(transport, frail(where))
        client = listener.connect()
        client.send("PING" if transport == "websocket" else b"PING\n")
        assert gone(client)
        assert not listener.context.links
    assert failures(logs) == ["a plugin's fault"]
    assert world.hub.turn.counters.failed == 3
    assert still_served(world, ear)


def subscriber(world, transport, *broken, **keys):
    """A client of a frail dialect that has subscribed to a/#."""
    listener = world.listen(transport, frail(*broken), **keys)
    client = listener.connect()
    client.send("SUB a/#" if transport == "websocket" else b"SUB a/#\n")
    world.turn()
    client.received()
    return listener, client


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("where", ["form", "frame_for_link"])
def test_what_a_subscriber_gets(world, logs, transport, where):
    ear = bystander(world)
    listeners = [subscriber(world, transport, where)[0] for _ in range(3)]
    for _ in range(3):
        seat(world, "tcp-lines").publish("a/b", b"1")
        assert ear.output() == [("message", "a/b", b"1")]
    assert not any(listener.context.links for listener in listeners)
    assert failures(logs) == ["a plugin's fault"]  # once, with its traceback
    assert world.hub.turn.counters.failed == 3
    assert still_served(world, ear)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_cannot_be_encoded_is_not_carried(world, logs, transport):
    """The link stays, and is told that it missed something."""
    ear = bystander(world)
    listener, client = subscriber(world, transport, "encode")
    mouth = seat(world, "tcp-lines")
    for _ in range(3):
        mouth.publish("a/b", b"1")
        assert ear.output() == [("message", "a/b", b"1")]
    assert len(listener.context.links) == 1
    assert world.hub.turn.counters.uncarried == world.hub.turn.counters.failed == 3
    assert failures(logs) == ["a plugin's fault"]
    assert b"GAP 1" in b"".join(one.encode() if isinstance(one, str) else one for one in _units(client.received()))


def _units(received):
    return [received] if isinstance(received, bytes) else received


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_is_retained_and_cannot_be_encoded(world, transport):
    seat(world, "tcp-lines").publish("a/b", b"1", retain=True)
    world.turn()
    listener = subscriber(world, transport, "encode")[0]
    assert len(listener.context.links) == 1
    assert world.hub.turn.counters.failed == 1


def test_an_encoding_that_is_no_bytes(world, logs):
    """Several at once are joined, which must not fail for those who come after."""
    listener = world.listen("tcp", type("Frail", (Lines,), {"encode": classmethod(lambda cls, message, form: "text")}))
    clients = [listener.connect() for _ in range(2)]
    for client in clients:
        client.send(b"SUB a/#\n")
    world.turn()
    ear, mouth = bystander(world), seat(world, "tcp-lines")
    for payload in (b"1", b"2"):
        mouth.publish("a/b", payload)
    assert ear.output() == [("message", "a/b", b"1"), ("message", "a/b", b"2")]
    assert still_served(world, ear)


@pytest.mark.parametrize("where", ["form", "encode", "frame_for_link"])
def test_a_reply_that_cannot_be_written_is_no_fault_of_the_handler(world, logs, where):
    class Echo(Handler):
        @on("echo")
        def echo(self, message):
            message.reply("x")

    echo = world.run(Echo)
    client = world.listen("tcp", frail(where)).connect()
    client.send(b"PUB echo x\n")
    assert gone(client) == (where != "encode")
    assert echo.runner.failed == 0
    assert failures(logs) == ["a plugin's fault"]


@pytest.mark.parametrize("transport", ["tcp", "websocket"])
def test_a_gap_that_cannot_be_encoded(world, logs, transport):
    ear = bystander(world)
    listener, client = subscriber(world, transport, "gap", queue=1000)
    client.taking = False
    mouth = seat(world, "tcp-lines")
    for _ in range(300):
        mouth.publish("a/b", b"x" * 1000)
        world.turn()
    client.taking = True
    world.turn()
    assert not listener.context.links
    assert failures(logs) == ["a plugin's fault"]
    assert len(ear.output()) == 300


def test_a_gap_amid_a_fan_out(world, logs):
    """What can't be carried is told before the next message, while others wait for theirs."""

    class Picky(frail("gap")):
        @classmethod
        def encode(cls, message, form):
            return None if message.payload == b"1" else super().encode(message, form)

    listener = world.listen("tcp", Picky)
    for _ in range(2):
        listener.connect().send(b"SUB a/#\n")
    world.turn()
    ear, mouth = bystander(world), seat(world, "tcp-lines")
    for payload in (b"1", b"2", b"3"):
        mouth.publish("a/b", payload)
    assert ear.output() == [("message", "a/b", payload) for payload in (b"1", b"2", b"3")]
    mouth.publish("a/b", b"1")
    mouth.client.move()
    world.hub.router.commit()
    mouth.publish("a/b", b"2")
    assert ear.output() == [("message", "a/b", b"1"), ("message", "a/b", b"2")]
    assert not listener.context.links


def test_an_answer_that_comes_later(world, logs):
    """The outcome of a request is worded in somebody else's turn."""

    class Slow(Handler):
        @on("slow")
        def slow(self, message):
            self.later(1, lambda: message.reply("at last"))

    world.run(Slow)
    ear, listener = bystander(world), world.listen("tcp", frail("outcome"))
    listener.connect().send(b"REQ slow x\n")
    world.turn()
    assert len(listener.context.links) == 1
    world.advance(1)
    assert not listener.context.links
    assert still_served(world, ear)


def test_the_end_of_input_and_a_deadline(world, logs):
    ear = bystander(world)
    listener = world.listen("tcp", frail("eof"))
    listener.connect().finish()
    world.turn()
    assert not listener.context.links

    class Late(frail("timeout")):
        def receive(self, data, now, text=None):
            self.deadline = now + 1
            return []

    listener = world.listen("tcp", Late)
    clients = [listener.connect() for _ in range(3)]
    for client in clients:
        client.send(b"x")
    world.turn()
    assert len(listener.context.links) == 3
    world.advance(1)
    assert not listener.context.links
    assert len(failures(logs)) == 1  # one place, though in two methods
    assert world.hub.turn.counters.failed == 4
    assert still_served(world, ear)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_last_word(world, transport):
    listener, client = subscriber(world, transport, "closing")
    (link,) = listener.context.links
    link.close("shutdown")
    assert gone(client)
    assert not listener.context.links


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_claim_is_lost_and_the_others_are_asked(world, logs, transport):
    auto = Auto.among([frail("claims")], Lines, world.hub.turn.fail)
    for _ in range(3):
        client = world.listen(transport, auto).connect()
        client.send("PING" if transport == "websocket" else b"PING\n")
        world.turn()
        assert b"PONG" in b"".join(one.encode() if isinstance(one, str) else one for one in _units(client.received()))
    assert failures(logs) == ["a plugin's fault"]
    assert world.hub.turn.counters.failed >= 3


# What is logged


def test_each_place_is_reported_once_until_the_files_change(logs):
    tell = Failures()

    def fail_at(divide: bool) -> Exception:
        try:
            if divide:
                divmod(1, 0)
            boom()
        except (ZeroDivisionError, RuntimeError) as error:
            return error

    for _ in range(3):
        for divide in (False, True):
            tell(fail_at(divide))
    assert failures(logs) == ["a plugin's fault", "integer division or modulo by zero"]
    assert all("Traceback" in event["log_failure"].getTraceback() for event in logs)
    tell.forget()
    tell(fail_at(False))
    assert len(logs) == 3


def test_the_log_is_bounded(logs, monkeypatch):
    monkeypatch.setattr(limits, "FAILURES_LOGGED", 2)
    tell = Failures()
    for kind in (ValueError, TypeError, KeyError):
        tell(kind("never raised"))
    assert failures(logs) == ["never raised", "never raised"]


def test_frail_is_frail():
    with pytest.raises(RuntimeError):
        frail("receive")(DialectContext(), None).receive(b"", 0)


def test_a_failure_names_its_link(logs):
    session = Session("192.0.2.7", 5000, "tcp", "plc")
    session.id = 7
    Failures()(RuntimeError("a plugin's fault"), session)
    assert logs[0]["link"] == 7
    assert "a dialect has failed for link 7, plc 192.0.2.7:5000 in " in formatEvent(logs[0])
