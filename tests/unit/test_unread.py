"""Long units are decoded a piece at a time: others have their turns meanwhile, and nothing else is different."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.testing.trial import Trial
from hubbub_plugins.influx import Influx
from hubbub_plugins.mqtt.dialect import Mqtt
from hubbub_plugins.mqtt.packets import V311, Connect
from hubbub_plugins.nats.dialect import Nats
from hubbub_plugins.stomp.dialect import Stomp
from hubbub_plugins.wamp.dialect import Wamp
from unit.kernel_help import Tiny, World

COUNT = limits.LATE_BYTES // 5 + 1  # of b"ping\n": more than is decoded at once
PIECE = limits.PIECE_BYTES // 5 + 1  # of them in one piece


class Slow(Tiny):
    """Takes its share of a turn for each piece."""

    world: World

    def cut(self, data: bytes, most: int) -> int:
        return most

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Any]:
        self.world.clock += limits.JOB_SECONDS
        return super().receive(data, now, text)


@pytest.fixture
def world() -> World:
    Slow.world = World()
    return Slow.world


def test_one_piece_has_its_share_of_a_turn(world):
    link = world.link(Slow)
    link.receive(b"ping\n" * COUNT)
    assert not link.wire.is_reading
    world.wakes = 0
    world.hub.turn.flush()
    first = link.wire.output()
    assert 0 < first.count(b"pong") < PIECE
    world.turn(1000)
    assert first + link.wire.output() == b"pong 0\n" * COUNT
    assert link.wire.is_reading


def test_what_comes_meanwhile_comes_behind_it(world):
    link = world.link(Slow)
    link.receive(b"ping\n" * COUNT + b"say a 1\n")
    link.receive(b"say b 1\n")
    link.receive_units([(b"say c 1\n", None), (b"say d 1\n", None)])
    world.turn(1000)
    assert link.wire.output() == b"pong 0\n" * COUNT + b"a\nb\nc\nd\n"


def test_the_end_of_input_comes_behind_it_too(world):
    link = world.link(Slow)
    link.receive(b"ping\n" * COUNT + b"say last 1")
    link.ended()
    world.turn(1000)
    assert link.wire.output() == b"pong 0\n" * COUNT + b"last\n"
    assert link.wire.closed is not None


def test_nothing_of_it_is_decoded_once_the_link_has_closed(world):
    link = world.link(Slow)
    link.receive(b"quit\n" + b"ping\n" * COUNT)
    world.turn(1000)
    assert link.wire.output() == b"bye\n"
    gone = world.link(Slow)
    gone.receive(b"ping\n" * COUNT)
    gone.lost()
    world.turn(1000)
    assert gone.wire.output() == b""


def test_it_waits_for_an_answer_as_events_do(world):
    """A request holds back what is behind it, decoded or not."""
    service, link = world.link(), world.link(Slow)
    world.say(service, b"sub a\n")
    link.receive(b"req a x\n" + b"ping\n" * COUNT)
    world.turn(1000)
    reply = service.wire.output().decode().split("<")[1].split(">")[0]
    assert link.wire.output() == b""
    world.say(service, f"rep {reply} y\n".encode())
    world.turn(1000)
    assert link.wire.output() == b"reply y\n" + b"pong 0\n" * COUNT


def test_a_dialect_that_raises_in_a_later_piece_closes_its_link(world):
    link = world.link(Slow)
    link.receive(b"ping\n" * (COUNT - 1) + b"nonsense\n")
    world.turn(1000)
    assert link.wire.aborted


class Whole(bytes):
    """More than bytes."""


@pytest.mark.parametrize("units", [0, limits.UNITS_AT_ONCE + 1])
def test_a_unit_that_is_cut_nowhere_stays_what_it_is(world, units):
    found: list[bytes] = []

    class Taking(Tiny):
        def units(self, data: bytes) -> int:
            return units

        def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Any]:
            found.append(data)
            return []

    unit = Whole(limits.LATE_BYTES + 1)
    world.link(Taking).receive(unit)
    assert found[0] is unit


class Counting(Lines):
    """Notes how many lines it is given at once."""

    most = 0

    def read_lines(self, lines: list[bytes], now: float) -> list[Any]:
        Counting.most = max(Counting.most, len(lines))
        return super().read_lines(lines, now)


@pytest.mark.parametrize("size", [4_000, limits.LATE_BYTES, 200_000])
def test_very_short_units_are_decoded_some_at_a_time(world, size):
    """What they become takes many times their bytes."""
    Counting.most = 0
    link = world.link(Counting)
    link.receive(b"x\n" * (size // 2) + b"PING\n")
    world.turn(1000)
    assert link.wire.output() == b"ERR bad-command no such command; HELP lists them\n" * (size // 2) + b"PONG\n"
    assert 0 < Counting.most <= limits.UNITS_AT_ONCE + 1


LOGIN = b'[1,"realm1",{"roles":{"publisher":{}}}]'
UNITS: dict[str, tuple[type[Dialect], list[bytes], bytes]] = {
    "lines": (Lines, [], b"PUB a/b some words\r\nPING\n\nPUB c\n" * 900 + b"PING"),
    "json": (Json, [], b'{"op":"ping"}\n{"op":"publish","topic":"a","data":[1,\t2]}\n' * 500),
    "influx": (Influx, [], b'm,t=x f="a\nb",g=1\n' * 90),
    "mqtt": (Mqtt, [Connect(version=V311, client="x").encode(V311)], b"\xc0\0\x30\x04\0\x01ax" * 5_000 + b"\xc0"),
    "nats": (Nats, [], b"PING\r\nPUB a 3\r\nx\r\r\n" * 2_000 + b"PI"),
    "stomp": (Stomp, [b"CONNECT\naccept-version:1.2\nhost:x\n\n\0"], b"SEND\ndestination:a\n\nx\0\n" * 2_000),
    "wamp": (Wamp, [LOGIN + b"\x1e"], b'[16,1,{},"a.b",[1]]\x1e' * 2_000),
    "wamp without batches": (Wamp, [LOGIN], json.dumps([16, 1, {}, "a.b", ["x" * 50_000]]).encode()),
}


@pytest.mark.parametrize("name", UNITS)
def test_pieces_are_the_whole(name):
    dialect, before, unit = UNITS[name]
    whole, cut = (Trial(dialect, DialectContext("websocket")) for _ in range(2))
    for one in before:
        whole.feed(one)
        cut.feed(one)
    whole.feed(unit)
    pieces = 0
    while unit:
        end = cut.dialect.cut(unit, 1_000)
        assert end > 0
        cut.feed(unit[:end])
        unit, pieces = unit[end:], pieces + 1
    assert list(map(repr, cut.events)) == list(map(repr, whole.events))
    assert (pieces > 10) == (name not in ("json", "influx", "wamp without batches"))
    assert cut.dialect.held() == whole.dialect.held()


@pytest.mark.parametrize("dialect", [Lines, Json, Influx])
def test_a_datagram_of_very_many_lines_is_refused(dialect):
    trial = Trial(dialect, DialectContext("udp"))
    (fault,) = trial.feed(b"x\n" * (limits.UNIT_LINES + 1))
    assert fault.refusal.code == "too-long"
    assert len(trial.feed(b"x\n" * (limits.UNIT_LINES - 1))) == limits.UNIT_LINES - 1
