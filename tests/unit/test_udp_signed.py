"""Signed datagrams at a port: whose rights count, and that a signature is no proof of where somebody is."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.identity import Identity
from hubbub.message import Message
from hubbub.transports.signed import Signatures
from unit.udp_help import ANN, BOB, EVE, HERE, UdpHub

KEYS = {"ann": b"a" * 32, "ben": b"b" * 32}


class SignedHub(UdpHub):
    """One whose port wants a signature."""

    def __init__(self, **more):
        super().__init__(anonymous=False, login=lambda *_: None, **more)
        hub = self.world.hub
        self.protocol.signatures = Signatures(
            lambda user: (KEYS[user], Identity(user)) if user in KEYS else None, hub.turn.wall
        )
        self.time = int(hub.turn.wall() * 1e6)

    def sign(self, content, user="ann", key=None):
        self.time += 1
        signed = b"SIGN %b %d\n%b" % (user.encode(), self.time, content)
        mac = hmac.new(key or KEYS[user], signed, "sha256").hexdigest()[:32].encode()
        return signed.replace(b"\n", b" " + mac + b"\n", 1)

    def believe(self, content, address=ANN, user="ann"):
        """Subscribe or the like: asked to confirm, and confirming, each signed."""
        (asked,) = self.say(self.sign(content, user), address)
        assert asked.startswith(b"CONFIRM ")
        return self.say(self.sign(asked + b"\n" + content, user), address)


def test_a_signature_does_not_validate_the_address():
    hub = SignedHub()
    assert hub.say(hub.sign(b"SUB a/#"))[0].startswith(b"CONFIRM ")
    assert hub.known == 0
    assert hub.believe(b"SUB a/#") == [b"OK SUB a/#"]


def test_a_signed_link_belongs_to_its_signer_alone():
    """What is sent in Ann's address, by whomever, has none of her rights, and can't end what she has."""
    hub = SignedHub()
    receiver = hub.handler()
    assert hub.believe(b"SUB a/#") == [b"OK SUB a/#"]
    for forged in (b"PUB echo/x 1", b"UNSUB a/#", b"QUIT"):
        said = hub.say(forged)
        assert not said or said[0].startswith((b"ERR not-authorized", b"CONFIRM", b"BYE"))
    assert receiver.batches == []
    hub.world.publish("a/b", b"still here")
    assert hub.receive(ANN) == [b"MSG a/b still here"]
    assert hub.say(hub.sign(b"PUB echo/x 2")) == []
    assert receiver.payloads == [b"2"]
    assert receiver.batches[0].messages[0].sender.user == "ann"


def test_two_users_at_one_address():
    hub = SignedHub()
    assert hub.believe(b"SUB a", user="ann") == [b"OK SUB a"]
    assert hub.believe(b"SUB b", user="ben") == [b"OK SUB b"]
    assert hub.known == 2
    assert {str(session).split("(")[1] for session in hub.world.hub.subscriptions.sessions} == {"ann)", "ben)"}


@pytest.mark.parametrize("address", [ANN, HERE])
def test_what_is_forged_or_replayed_does_nothing(address):
    hub = SignedHub()
    receiver = hub.handler()
    good = hub.sign(b"PUB echo/x 1")
    hub.say(good, address)
    assert receiver.payloads == [b"1"]
    for bad in (good, good.replace(b" 1", b" 2"), hub.sign(b"PUB echo/x 3", key=b"x" * 32)):
        (said,) = hub.say(bad, address)
        assert said.startswith(b"ERR not-authorized")
    said = hub.say(hub.sign(b'{"op":"publish","topic":"echo/x","data":"4"}', key=b"x" * 32), address)
    assert b'"not-authorized"' in said[0]
    assert receiver.payloads == [b"1"]


def test_a_password_is_not_taken():
    hub = SignedHub()
    (said,) = hub.say(b"AUTH ann secret", HERE)
    assert said.startswith(b"ERR not-authorized over UDP each datagram must be signed")


def test_what_only_looks_signed_is_data_without_keys():
    hub = UdpHub()
    receiver = hub.handler()
    assert hub.say(b"PUB echo/x SIGN ann 1 2\nPUB echo/x 2") == []
    assert receiver.payloads == [b"SIGN ann 1 2", b"2"]


def test_datagrams_in_a_row_may_be_signed_by_several():
    hub = SignedHub()
    receiver = hub.handler()
    row = [hub.sign(b"PUB echo/x 1"), b"PUB echo/x 2", hub.sign(b"PUB echo/x 3", "ben"), hub.sign(b"PUB echo/x 4")]
    for address in (HERE, ANN):
        hub.protocol.datagrams_received(list(row), address)
        hub.world.turn()
    assert receiver.payloads == [b"1", b"3", b"4"]
    assert [m.sender.user for batch in receiver.batches for m in batch.messages] == ["ann", "ben", "ann"]


COMMANDS = [
    b"SUB a/#",
    b"PING",
    b"HELP",
    b"REQ echo/x 1",
    b"PUB echo/x 1",
    b"QUIT",
    b"AUTH ann x",
    b"nonsense",
    b"UNSUB a",
]


@given(st.lists(st.tuples(st.sampled_from(COMMANDS), st.sampled_from(["", "good", "bad", "again"])), max_size=30))
def test_never_more_than_three_times_what_came(steps):
    """Before proof, and for datagrams that bring none, also where the address was once proven."""
    hub = SignedHub()
    receiver = hub.handler()
    last = hub.sign(b"PING")
    for proven in (False, True):
        if proven:
            hub.believe(b"SUB b")
        for command, how in steps:
            datagram = command
            if how == "again":
                datagram = last
            elif how:
                datagram = last = hub.sign(command, key=None if how == "good" else b"x" * 32)
            got = hub.say(datagram)
            for batch in receiver.batches:  # a handler that answers at length, and later
                for message in batch.messages:
                    message.sender.link.send(Message("echo/x", b"back " * 100))
            receiver.batches.clear()
            got += hub.receive(ANN)
            assert sum(map(len, got)) <= 3 * len(datagram)


def test_the_refusal_names_no_reason_that_helps_a_stranger():
    hub = SignedHub()
    unknown = hub.say(hub.sign(b"PING", key=b"x" * 32), EVE)
    wrong = hub.say(b"SIGN eve" + hub.sign(b"PING").removeprefix(b"SIGN ann"), BOB)
    assert unknown == wrong
