"""A client that doesn't read: what each policy keeps, and how the client is told what it has lost."""

from __future__ import annotations

import pytest

from matrix.speakers import RAW, STREAMS, seat

QUEUE = 100_000  # bytes
FILLER = b"f" * 70_000  # more than a transport takes before it pauses
SIZE = 1_000  # bytes of each message after that, so that about 25 fit
COUNT = 100


def numbered(number):
    return b"%04d" % number + b"." * (SIZE - 4)


def starve(world, name, **keys):
    """Seat a client that has stopped reading, its transport full, and the one who talks to it."""
    ear = seat(world, name, subscribes="#", queue=QUEUE, **keys)
    ear.client.taking = False
    mouth = seat(world, "tcp-lines")
    mouth.publish("filler", FILLER)
    world.turn()
    return ear, mouth


def feed(world, ear):
    """Let the client read again, and return what it hears after the filler."""
    world.turn()
    ear.client.taking = True
    output = ear.output()
    assert output[0] == ("message", "filler", FILLER)
    return output[1:]


def numbers(output):
    return [int(unit[2][:4]) for unit in output if unit[0] == "message"]


@pytest.mark.parametrize("name", STREAMS)
def test_drop_oldest(world, name):
    ear, mouth = starve(world, name)
    for number in range(COUNT):
        mouth.publish("a", numbered(number))
    (gap, lost), *rest = feed(world, ear)
    assert gap == "gap"
    assert numbers(rest) == list(range(lost, COUNT))
    assert 10 < len(rest) < 40
    mouth.publish("a", numbered(COUNT))
    assert numbers(ear.output()) == [COUNT]


@pytest.mark.parametrize("name", STREAMS)
def test_drop_newest(world, name):
    ear, mouth = starve(world, name, full="drop-newest")
    for number in range(COUNT):
        mouth.publish("a", numbered(number))
    *kept, (gap, lost) = feed(world, ear)
    assert gap == "gap"
    assert numbers(kept) == list(range(COUNT - lost))
    assert 10 < len(kept) < 40


@pytest.mark.parametrize("name", STREAMS)
def test_latest(world, name):
    ear, mouth = starve(world, name, full="latest")
    for number in range(COUNT):
        mouth.publish(f"topic/{number % 7}", numbered(number))
    output = feed(world, ear)
    kept = {topic: int(payload[:4]) for what, topic, payload in (unit for unit in output if unit[0] == "message")}
    assert kept == {f"topic/{number % 7}": number for number in range(COUNT - 7, COUNT)}
    assert len(numbers(output)) + sum(unit[1] for unit in output if unit[0] == "gap") == COUNT
    assert numbers(output)[-7:] == list(range(COUNT - 7, COUNT))


@pytest.mark.parametrize("name", STREAMS)
def test_disconnect(world, name):
    ear, mouth = starve(world, name, full="disconnect")
    for number in range(COUNT):
        mouth.publish("a", numbered(number))
    assert mouth.output() == []
    assert ear.client.closed


@pytest.mark.parametrize("name", [name for name in RAW if not name.startswith("udp")])
def test_raw_disconnects_since_a_hole_would_corrupt_the_stream(world, name):
    ear, mouth = starve(world, name, publishes="ear")
    for number in range(COUNT):
        mouth.publish("a", numbered(number))
    assert mouth.output() == []
    assert ear.client.closed


@pytest.mark.parametrize("name", [name for name in STREAMS if "json" in name])
def test_a_subscription_has_its_own_policy(world, name):
    ear = seat(world, name, queue=QUEUE)
    ear.subscribe("filler")
    ear.subscribe("last/#", full="latest")
    ear.output()
    ear.client.taking = False
    mouth = seat(world, "tcp-lines")
    mouth.publish("filler", FILLER)
    world.turn()
    for number in range(COUNT):
        mouth.publish(f"last/{number % 3}", numbered(number))
    assert numbers(feed(world, ear))[-3:] == [COUNT - 3, COUNT - 2, COUNT - 1]


@pytest.mark.parametrize("name", STREAMS)
def test_a_slow_client_slows_no_other_and_is_cut_when_it_reads_nothing(world, name):
    ear, mouth = starve(world, name, stall=30.0)
    quick = seat(world, name, subscribes="a")
    for number in range(COUNT):
        mouth.publish("a", numbered(number))
        assert numbers(quick.output()) == [number]
    world.advance(29)
    assert not ear.client.closed
    world.advance(2)
    assert ear.client.closed
    assert not quick.client.closed


@pytest.mark.parametrize("name", STREAMS)
def test_answers_are_never_dropped_and_stop_the_reading(world, name):
    ear, mouth = starve(world, name)
    for _ in range(20_000):
        ear.ping()
    world.turn()
    assert 0 < ear.listener.context.received < 20_001
    for number in range(COUNT):
        mouth.publish("a", numbered(number))
    output = feed(world, ear)
    assert output.count(("pong",)) == 20_000


@pytest.mark.parametrize("name", ["udp-lines", "udp-json"])
def test_what_is_too_long_for_a_datagram_is_reported_as_a_gap(world, name):
    ear = seat(world, name, subscribes="a")
    mouth = seat(world, "tcp-lines")
    mouth.publish("a", b"x" * 65_507)
    mouth.publish("a", b"short")
    assert ear.output() == [("gap", 1), ("message", "a", b"short")]
    mouth.publish("a", b"x" * 65_507)
    mouth.publish("a", b"x" * 65_507)
    assert sum(lost for gap, lost in ear.output()) == 2
    mouth.publish("a", b"short")
    assert ear.output() == [("message", "a", b"short")]
