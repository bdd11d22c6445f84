"""kernel/connection/link.py: what a dialect may count on."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub import Answer, Close, Connect, Dialect, Event, Message, Publish, Request, Subscribe
from hubbub.testing import World


class Talk(Dialect):
    """A greeting, units with a number of the link's own, and a deadline that each unit moves."""

    full = "drop-oldest"
    number = 0

    def opened(self, now: float) -> list[Event | Message]:
        self.deadline = now + 5
        return [Answer(b"hello")]

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        self.deadline = now + 5
        if data.startswith(b"sub "):
            return [Subscribe(data[4:].decode())]
        if data.startswith(b"ask "):
            return [Request(data[4:].decode(), b"?")]
        if data.startswith(b"open"):
            return [Connect(client="me", user=data[5:].decode() or None, tag=True)]
        return [Publish("said", data)]

    def outcome(self, event: Event | Message, result: Any) -> bytes:
        return f"{type(event).__name__}:{getattr(result, 'code', result)}".encode()

    def timeout(self, now: float) -> list[Event | Message]:
        return [Close("too quiet")]

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes:
        return message.payload

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        self.number += 1
        return b"%d:%b" % (self.number, frame)


@pytest.fixture
def world() -> World:
    return World()


def test_it_may_greet_and_set_a_deadline(world: World) -> None:
    client = world.listen("tcp", Talk).connect()
    world.turn()
    assert client.received() == b"hello"
    world.advance(4)
    assert not client.closed
    world.advance(2)
    assert client.closed


def test_its_own_units_get_the_transports_frame_around_them(world: World) -> None:
    """A WebSocket's header counts the bytes of what the dialect has made of the shared unit."""
    one = world.listen("websocket", Talk).connect()
    two = world.listen("websocket", Talk).connect()
    for client in (one, two):
        client.send(b"sub said")
    world.turn()
    assert one.received() == two.received() == [b"hello", b"Subscribe:None"]
    two.send(b"x" * 124)
    world.turn()
    assert one.received() == two.received() == [b"1:" + b"x" * 124]
    one.send(b"again")
    world.turn()
    assert one.received() == [b"2:again"]


def test_time_that_nothing_is_read_in_does_not_count(world: World) -> None:
    """A request holds back what comes behind it; the client can't be blamed for the silence."""
    silent = world.listen("tcp", Talk).connect()
    silent.send(b"sub nobody/answers")
    asking = world.listen("tcp", Talk).connect()
    world.advance(4)
    asking.send(b"ask nobody/answers")
    world.advance(1.9)
    assert not asking.closed
    world.advance(4)
    assert b"Request:timeout" in asking.received()
    assert not asking.closed
    world.advance(3)
    assert asking.closed


def test_open_without_a_password_is_welcome_where_anybody_is(world: World) -> None:
    client = world.listen("tcp", Talk).connect()
    client.send(b"open")
    world.turn()
    assert client.received() == b"helloConnect:"
    client.send(b"open ada")
    world.turn()
    assert client.received() == b"Connect:not-authorized"
    closed = world.listen("tcp", Talk, anonymous=False).connect()
    closed.send(b"open")
    world.turn()
    assert closed.received() == b"helloConnect:not-authorized"
