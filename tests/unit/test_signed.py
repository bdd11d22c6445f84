"""Signed datagrams: what is believed, and that nothing counts twice."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.identity import Identity
from hubbub.transports.signed import Signatures

KEY = bytes(range(32))
START = 1_700_000_000.0


def sign(user, time, content, key=KEY):
    """As the grammar says it."""
    signed = b"SIGN %b %d\n%b" % (user, time, content)
    mac = hmac.new(key, signed, "sha256").hexdigest()[:32].encode()
    return signed.replace(b"\n", b" " + mac + b"\n", 1)


class Hub:
    """Signatures whose clock is in the test's hands; sensor has a key."""

    def __init__(self):
        self.now = START
        self.signatures = Signatures(self.key, lambda: self.now)

    def key(self, user):
        return (KEY, Identity(user)) if user in ("sensor", "ünï") else None

    def open(self, datagram):
        return self.signatures.open(datagram)

    def receive(self, ahead, user=b"sensor", content=b"PING", key=KEY):
        """Open a datagram signed `ahead` seconds after the start; tell whether it is believed."""
        found = self.open(sign(user, int((START + ahead) * 1e6), content, key))
        assert found.content == content
        return isinstance(found.sender, Identity)


def test_a_signed_datagram_identifies_its_sender():
    hub = Hub()
    content = b'{"op":"ping"}\nmore\n'
    assert hub.open(sign("ünï".encode(), int(START * 1e6) + 1, content)) == (Identity("ünï"), content)
    assert hub.open(sign(b"sensor", int(START * 1e6) + 1, b"")) == (Identity("sensor"), b"")


def test_stable_for_clients():
    """Made with openssl."""
    hub = Hub()
    datagram = b"SIGN sensor 1700000001000000 6e41bc2c767a06c64124ae9ef7afb13b\nPUB a 1"
    assert hub.open(datagram) == (Identity("sensor"), b"PUB a 1")


@pytest.mark.parametrize("datagram", [b"", b"PUB a 1", b"SIGN", b"SIGN sensor 1 2\nPING", b"sign sensor 1 2\n"])
def test_what_has_no_such_head_is_no_signed_datagram(datagram):
    assert Hub().open(datagram) is None


@given(st.data())
def test_a_changed_byte_is_found(data):
    hub = Hub()
    datagram = bytearray(sign(b"sensor", int(START * 1e6) + 1, b"PUB a 1"))
    at = data.draw(st.integers(0, len(datagram) - 1))
    was = datagram[at]
    datagram[at] = data.draw(st.integers(0, 255).filter(lambda other: other != was))
    found = hub.open(bytes(datagram))
    hexadecimal = bytes([was]).lower() == bytes([datagram[at]]).lower() and at in range(29, 61)
    assert hexadecimal or found is None or isinstance(found.sender, Refusal)


def test_unknown_users_and_wrong_keys_sound_alike():
    hub = Hub()
    stamp = int(START * 1e6) + 1
    answers = [hub.open(sign(b"nobody", stamp, b"x")).sender, hub.open(sign(b"sensor", stamp, b"x", b"k" * 32)).sender]
    assert str(answers[0]) == str(answers[1])
    assert answers[0].code == "not-authorized"
    assert hub.receive(0.5)  # and neither has used up anything


def test_a_datagram_counts_once():
    hub = Hub()
    assert [hub.receive(1), hub.receive(1), hub.receive(2), hub.receive(1), hub.receive(2)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert hub.receive(1, user="ünï".encode())


def test_some_may_overtake_each_other():
    hub = Hub()
    late = limits.SIGNED_WINDOW
    assert all(hub.receive(1 + at / 1000) for at in range(late, 0, -1))
    assert hub.receive(2)
    assert not hub.receive(1 + 0.5 / 1000)  # before the oldest that is remembered
    assert not any(hub.receive(1 + at / 1000) for at in range(late + 1))


def test_the_time_has_to_be_right():
    hub = Hub()
    hub.now += 1_000
    for ahead, good in ((1_061, False), (1_059, True), (939, False), (941, True)):
        assert hub.receive(ahead) is good, ahead
    found = hub.open(sign(b"sensor", int(START * 1e6), b"x"))
    assert str(int(hub.now * 1e6)) in found.sender.reason  # so that a device without a clock can set one


def test_what_was_signed_before_the_hub_began_does_not_count():
    hub = Hub()
    assert not hub.receive(-0.1)
    assert hub.receive(0.1)


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 30)), max_size=200))
def test_nothing_ever_counts_twice(steps):
    hub, output = Hub(), set()
    for at, passing in steps:
        hub.now += passing
        if hub.receive(at):
            assert at not in output
            output.add(at)


def test_a_hundred_thousand_users_leave_little():
    hub = Hub()
    hub.key = lambda user: (KEY, Identity(user))
    hub.signatures = Signatures(hub.key, lambda: hub.now)
    for at in range(3_000):
        hub.now += 1
        assert hub.receive(hub.now - START, user=b"u%d" % at)
    assert len(hub.signatures._windows) <= limits.SIGNED_SECONDS + 1
    for at in range(500):
        assert hub.receive(hub.now - START + at / 1_000, user=b"one")
    assert len(hub.signatures._windows["one"]._times) == limits.SIGNED_WINDOW


def test_a_clock_that_is_set_back_lets_nothing_count_twice():
    """What a user said is forgotten once it is too old; set back by an hour the clock makes it young again."""
    hub = Hub()
    hub.now = START + 3_600
    assert hub.receive(3_600)
    hub.now = START + 7_200
    assert hub.receive(7_200, "ünï".encode())
    hub.now = START + 3_600
    assert not hub.receive(3_600)
