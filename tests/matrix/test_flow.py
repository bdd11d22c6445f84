"""What a listener says of how much comes in, and of who is there, for each dialect on each transport."""

from __future__ import annotations

import pytest

from hubbub.kernel.ingress.rate_limiter import Rate
from matrix.speakers import ANSWERED, COMMANDING, EVERY, MQTT, RAW, STOMP, STREAMS, seat

ONES = [name for name in EVERY if not name.startswith("udp")]


def ear(world):
    return seat(world, "tcp-lines", subscribes="#")


def payloads(one):
    return [payload for _, _, payload in one.output()]


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("asks", COMMANDING)
def test_a_half_duplex_device_is_asked(world, name, asks):
    device = seat(world, name, subscribes="down", publishes="up", answer=2.0)
    first, second = seat(world, asks), seat(world, asks)
    world.turn()
    for one, payload in ((first, b"1"), (second, b"2")):
        one.request("down", payload)
        world.turn()
    for one, payload in ((first, b"1"), (second, b"2")):
        assert payloads(device) == [payload]
        device.publish("up", b"answer " + payload)
        assert one.output() == [("reply", b"answer " + payload)]


@pytest.mark.parametrize("name", EVERY)
def test_drop(world, name):
    watcher, one = ear(world), seat(world, name, publishes="t", rate=Rate(10, 3))
    for n in range(5):
        one.publish("t", b"%d" % n)
        world.turn()
    assert payloads(watcher) == [b"0", b"1", b"2"]
    reported = ("error", "quota" if name in MQTT else "rate-limited")  # PUBACK has no other word
    reported = [] if name in STOMP else [reported] * 2  # an ERROR would end the connection
    assert one.output() == (reported if name in ANSWERED else [])
    assert one.listener.context.refused == {"rate-limited": 2}
    world.advance(0.1)
    one.publish("t", b"5")
    assert payloads(watcher) == [b"5"]


@pytest.mark.parametrize("name", EVERY)
def test_latest(world, name):
    watcher, one = ear(world), seat(world, name, publishes="t", rate=Rate(10, 1, "latest"))
    for n in range(5):
        one.publish("t", b"%d" % n)
        world.turn()
    assert payloads(watcher) == [b"0"]
    world.advance(0.1)
    assert payloads(watcher) == [b"4"]
    world.advance(10)
    assert (payloads(watcher), one.output()) == ([], [])


@pytest.mark.parametrize("name", ONES)
def test_pause(world, name):
    watcher, one = ear(world), seat(world, name, publishes="t", rate=Rate(10, 1, "pause"))
    for n in range(5):
        one.publish("t", b"%d" % n)
    assert payloads(watcher) == [b"0"]
    world.advance(0.2)
    assert payloads(watcher) == [b"1", b"2"]
    world.advance(1)
    assert (payloads(watcher), one.output()) == ([b"3", b"4"], [])


@pytest.mark.parametrize("name", STREAMS)
def test_close(world, name):
    watcher, one = ear(world), seat(world, name, rate=Rate(10, 1, "close"))
    one.publish("t", b"0")
    one.publish("t", b"1")
    assert payloads(watcher) == [b"0"]
    assert one.output()[0] == ("error", "rate-limited")
    assert one.client.closed


@pytest.mark.parametrize("name", [name for name in RAW if name not in ("udp-raw",)])
def test_raw_is_closed_without_a_word(world, name):
    one = seat(world, name, publishes="t", rate=Rate(10, 1, "close"))
    one.publish("t", b"0")
    one.publish("t", b"1")
    assert one.output() == []
    assert one.client.closed


@pytest.mark.parametrize("name", EVERY)
def test_changed(world, name):
    watcher, one = ear(world), seat(world, name, publishes="t", changed=True)
    for payload in (b"1", b"1", b"2", b"2", b"1"):
        one.publish("t", payload)
        world.turn()
    assert payloads(watcher) == [b"1", b"2", b"1"]
    assert one.output() == []


@pytest.mark.parametrize("name", ONES)
def test_presence(world, name):
    watcher = ear(world)
    one = seat(world, name, publishes="t", presence="on/{host}")
    assert watcher.output() == [watcher.message("on/192.0.2.7", b"1")]
    one.client.vanish()
    world.turn()
    assert watcher.output() == [watcher.message("on/192.0.2.7", b"0")]
    assert world.hub.retained.get("on/192.0.2.7").payload == b"0"


@pytest.mark.parametrize("name", EVERY)
def test_silence(world, name):
    watcher = ear(world)
    one = seat(world, name, publishes="t", presence="on/{host}", silent=10)
    one.publish("t", b"x")
    world.advance(11)
    one.publish("t", b"x")
    assert sorted(payloads(watcher)) == [b"0", b"1", b"1", b"x", b"x"]
