"""plugins/poll.py: it asks again and again, and never piles up."""

from __future__ import annotations

import pytest
from twisted.logger import LogLevel, capturedLogs

import hubbub_plugins.poll as module
from hubbub import ConfigError
from hubbub.option import configure
from hubbub.testing import HandlerContract, World
from hubbub_plugins.poll import Poll
from matrix.speakers import seat

COMMAND = "plant/7/down"


class Bench:
    """A world in which a device is polled every second; the first beat comes at once."""

    def __init__(self, monkeypatch, answer=2.0, device=True, **options):
        monkeypatch.setattr(module.random, "random", lambda: 0.0)
        self.world = World()
        self.device = None
        if device:
            self.connect(answer)
        self.ear = seat(self.world, "tcp-lines", subscribes="plant/7")
        options = {"topic": COMMAND, "payload": "READ", **options}
        self.poll = self.world.run(Poll, **options)
        self.world.advance(0)

    def connect(self, answer=2.0):
        self.device = seat(self.world, "tcp-raw", subscribes=COMMAND, publishes="plant/7", answer=answer)

    def commands(self):
        return [payload for _, _, payload in self.device.output()]

    def answers(self, payload):
        self.device.publish("plant/7", payload)
        self.world.turn()


class TestContract(HandlerContract):
    handler = Poll
    options = {"topic": COMMAND, "payload": "READ"}


def test_it_asks_at_each_beat_and_the_answer_is_published(monkeypatch):
    bench = Bench(monkeypatch)
    for n in range(5):
        assert bench.commands() == [b"READ"]
        bench.answers(b"%d" % n)
        assert bench.ear.output() == [("message", "plant/7", b"%d" % n)]
        bench.world.advance(1)


def test_bytes(monkeypatch):
    assert Bench(monkeypatch, payload="", hex="0103ff0a").commands() == [b"\x01\x03\xff\x0a"]


def test_the_first_beat_comes_after_a_part_of_the_time(monkeypatch):
    bench = Bench(monkeypatch)
    monkeypatch.setattr(module.random, "random", lambda: 0.25)
    bench.commands()
    bench.answers(b"1")
    bench.world.run(Poll, topic=COMMAND, payload="OTHER", every="2s")
    bench.world.advance(0.49)
    assert bench.commands() == []
    bench.world.advance(0.02)
    assert bench.commands() == [b"OTHER"]


def test_beats_are_skipped_while_one_waits(monkeypatch):
    bench = Bench(monkeypatch, answer=10.0)
    assert bench.commands() == [b"READ"]
    bench.world.advance(5)
    assert bench.commands() == []
    bench.answers(b"1")
    assert bench.commands() == [b"READ"]  # one waited in the line, not five
    bench.answers(b"2")
    assert bench.commands() == []
    bench.world.advance(1)
    assert bench.commands() == [b"READ"]


def test_a_link_without_answer_is_asked_at_each_beat_too(monkeypatch):
    bench = Bench(monkeypatch, answer=None)
    for _ in range(5):
        assert bench.commands() == [b"READ"]
        bench.answers(b"1")
        bench.world.advance(1)


def test_trouble_is_reported_when_it_begins_and_when_it_is_over(monkeypatch):
    with capturedLogs() as logs:
        bench = Bench(monkeypatch, device=False)
        bench.world.advance(10)
        bench.connect()
        bench.world.advance(1)
        bench.answers(b"1")
        bench.world.advance(1)
        bench.answers(b"2")
    reported = [(event["log_level"], event.get("reason")) for event in logs if event.get("topic") == COMMAND]
    assert reported == [(LogLevel.warn, "no client is subscribed to that topic"), (LogLevel.info, None)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "it needs topic="),
        ({"topic": "a/#"}, "topic=a/#"),
        ({"topic": "a", "payload": "x", "hex": "00"}, "a command is one of them"),
        ({"topic": "a", "hex": "0"}, "expected hexadecimal digits"),
        ({"topic": "a", "every": "0"}, "expected more than 0"),
    ],
)
def test_a_mistake_is_reported_at_the_start(options, says):
    with pytest.raises(ConfigError, match=says):
        configure(Poll, options)()
