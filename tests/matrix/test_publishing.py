"""A message published on any transport, in any dialect, reaches subscribers on all of them, byte for byte, in order."""

from __future__ import annotations

import pytest

from matrix.speakers import COMMANDING, EVERY, seat

PAYLOADS = [
    b"21.5",
    "欢迎访问! Grüße, नमस्ते, שלום 🛰️ e\u0301".encode(),
    b"  spaces\tand a tab  ",
    b'{"json": [1, 2]}',
    b"two\r\nlines\x00",
    bytes(range(256)),
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("hearing", EVERY)
@pytest.mark.parametrize("talking", EVERY)
def test_byte_for_byte(world, talking, hearing):
    ear = seat(world, hearing, subscribes="plant/#", publishes="ear")
    mouth = seat(world, talking, publishes="plant/7")
    size = 40_000 if "udp" in talking + hearing else 2**20 - 1
    payloads = [*PAYLOADS, b"\xe2\x82\xac" * (size // 3), bytes(range(256)) * (size // 256)]
    for payload in payloads:
        mouth.publish("plant/7", payload)
        assert ear.output() == [ear.message("plant/7", payload)]
    assert mouth.output() == []


@pytest.mark.parametrize("talking", EVERY)
def test_one_message_reaches_all_subscribers(world, talking):
    ears = [seat(world, name, subscribes="a/+", publishes=f"ear/{name}") for name in EVERY]
    mouth = seat(world, talking, publishes="a/b")
    mouth.publish("a/b", b"\x00 and more")
    assert [ear.output() for ear in ears] == [[ear.message("a/b", b"\x00 and more")] for ear in ears]


@pytest.mark.parametrize("hearing", EVERY)
@pytest.mark.parametrize("talking", EVERY)
def test_order_is_kept_for_each_publisher_and_topic(world, talking, hearing):
    ear = seat(world, hearing, subscribes="#", publishes="ear")
    first, second = (seat(world, talking, publishes=topic) for topic in ("a", "b"))
    for turn in range(10):
        for number in range(turn):
            first.publish("a", b"a %d %d" % (turn, number))
            if talking in COMMANDING:
                first.publish("c", b"c %d %d" % (turn, number))
            second.publish("b", b"b %d %d" % (turn, number))
        if turn % 3:
            world.turn()
    output = [payload for _, _, payload in ear.output()]
    for name in (b"a", b"b", b"c") if talking in COMMANDING else (b"a", b"b"):
        expected = [b"%b %d %d" % (name, turn, number) for turn in range(10) for number in range(turn)]
        assert [payload for payload in output if payload[:1] == name] == expected


@pytest.mark.parametrize("name", COMMANDING)
@pytest.mark.parametrize("topic", ["/", "a//b", " x", "100%", "naïve/温度", "a\tb", "$own/x", "a\u2028b", "x" * 500])
def test_topics_arrive_as_they_are(world, name, topic):
    ears = [seat(world, other, subscribes=topic) for other in COMMANDING]
    mouth = seat(world, name)
    mouth.publish(topic, b"1")
    assert [ear.output() for ear in ears] == [[("message", topic, b"1")]] * len(ears)


@pytest.mark.parametrize("name", [name for name in COMMANDING if "json" in name])
def test_a_publisher_that_asks_gets_the_number_of_receivers(world, name):
    seat(world, "tcp-lines", subscribes="a")
    mouth = seat(world, name, subscribes="#")
    mouth.publish("a", b"1", id="x")
    mouth.publish("b", b"2", id=7)
    mouth.publish("c", b"3")
    reported = {said["id"]: said["receivers"] for said in mouth.reported() if said["op"] == "published"}
    assert reported == {"x": 2, 7: 1}


@pytest.mark.parametrize("hearing", EVERY)
def test_what_is_sent_before_a_client_vanishes_arrives(world, hearing):
    ear = seat(world, hearing, subscribes="a", publishes="ear")
    mouth = seat(world, "tcp-lines")
    mouth.publish("a", b"last words")
    mouth.client.move()
    mouth.client.vanish()
    assert ear.output() == [ear.message("a", b"last words")]
