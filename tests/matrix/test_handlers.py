"""The shipped handlers, and what a handler can do, from every transport and dialect."""

from __future__ import annotations

import pytest

from hubbub import Handler, on
from hubbub_plugins.clock import Clock
from hubbub_plugins.upper import Upper
from matrix.speakers import COMMANDING, EVERY, WAMP, seat

ADDRESSED = [name for name in EVERY if name not in WAMP]  # an EVENT belongs to a subscription


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("straße café".encode(), "STRASSE CAFÉ".encode()),
        ("欢迎访问!".encode(), "欢迎访问!".encode()),
        (b"\xff\x00abc", b"\xff\x00abc"),
        (b"two\nlines", b"TWO\nLINES"),
        (b"", b""),
    ],
)
@pytest.mark.parametrize("name", ADDRESSED)
def test_upper_answers_the_sender_alone(world, name, said, answered):
    world.run(Upper)
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, publishes="echo/x")
    one.publish("echo/x", said)
    assert one.output() == [one.message("echo/x", answered)]
    assert ear.output() == [("message", "echo/x", said)]


@pytest.mark.parametrize("name", ADDRESSED)
def test_each_sender_gets_its_own_answer(world, name):
    world.run(Upper)
    clients = [seat(world, name, publishes="echo") for _ in range(3)]
    for number, client in enumerate(clients):
        client.publish("echo", b"client %d" % number)
    assert [client.output() for client in clients] == [
        [client.message("echo", b"CLIENT %d" % number)] for number, client in enumerate(clients)
    ]
    clients[0].publish("echo", b"again")
    clients[0].client.move()
    clients[0].client.vanish()
    clients[1].publish("echo", b"still here")
    assert clients[1].output() == [clients[1].message("echo", b"STILL HERE")]


@pytest.mark.parametrize("name", COMMANDING)
def test_upper_replies_to_a_request(world, name):
    world.run(Upper)
    one = seat(world, name, subscribes="echo/#")
    one.request("echo/x", b"abc")
    assert one.output() == [("message", "echo/x", b"abc"), ("reply", b"ABC")]


@pytest.mark.parametrize("name", EVERY)
def test_clock(world, name):
    ear = seat(world, name, subscribes="clock/utc", publishes="ear")
    world.run(Clock)
    world.advance(3)
    output = ear.output()
    assert len(output) == 3
    assert all(payload.endswith(b"+00:00") for *_, payload in output)


class Doorkeeper(Handler):
    """Say who comes and goes, and what came of an own request."""

    def peer_joined(self, peer):
        self.publish("listener/in", {"transport": peer.transport, "host": peer.host})

    def peer_left(self, peer):
        self.publish("listener/out", peer.transport)

    @on("ask")
    async def ask(self, message):
        answer = await self.request("echo", message.payload)
        self.publish("answer", answer.payload + b"!")


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("udp")])
def test_a_handler_sees_clients_come_and_go(world, name):
    world.run(Doorkeeper)
    ear = seat(world, "tcp-lines", subscribes="listener/#")
    ear.output()
    one = seat(world, name, publishes="x")
    one.client.vanish()
    transport = name.partition("-")[0].encode()
    assert ear.output() == [
        ("message", "listener/in", b'{"transport":"%b","host":"192.0.2.7"}' % transport),
        ("message", "listener/out", transport),
    ]


@pytest.mark.parametrize("name", EVERY)
def test_a_handler_asks_another(world, name):
    world.run(Upper)
    world.run(Doorkeeper)
    ear = seat(world, name, subscribes="answer", publishes="ear")
    seat(world, "udp-json").publish("ask", b"well")
    assert ear.output() == [ear.message("answer", b"WELL!")]


@pytest.mark.parametrize("name", EVERY)
def test_handlers_that_feed_each_other_are_stopped(world, name):
    class Ping(Handler):
        """Answer pong with ping."""

        @on("pong")
        def pong(self, message):
            self.publish("ping", message.payload)

    class Pong(Handler):
        """Answer ping with pong."""

        @on("ping")
        def ping(self, message):
            self.publish("pong", message.payload)

    world.run(Ping)
    world.run(Pong)
    ear = seat(world, name, subscribes="+", publishes="ear")
    seat(world, "tcp-lines").publish("ping", b"1")
    assert 1 < len(ear.output()) < 20
    assert ear.output() == []
