"""Over UDP, an address that nobody vouches for: what needs a proof, how it is given, and what is never sent without."""

from __future__ import annotations

import json

import pytest

from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub_plugins.upper import Upper
from matrix.speakers import seat

NEED_PROOF = [
    (b"SUB a", {"op": "subscribe", "topic": "a"}),
    (b"UNSUB a", {"op": "unsubscribe", "topic": "a"}),
    (b"REQ echo/a x", {"op": "request", "topic": "echo/a", "data": "x"}),
]


class Stranger:
    """A UDP client from an address that isn't vouched for."""

    def __init__(self, world, dialect):
        self.client = world.listen("udp", dialect, peers=()).connect("203.0.113.9")

    def say(self, command, token=None):
        """Say a command, with the token where there is one, and return the answers."""
        if isinstance(command, bytes):
            return self.client.say(b"CONFIRM %b\n%b" % (token, command) if token else command)
        extra = {"confirm": token} if token else {}
        return [json.loads(said) for said in self.client.say(json.dumps({**command, **extra}).encode())]

    def ask(self, command):
        """Say a command without a token, and return the token that is asked for."""
        (answer,) = self.say(command)
        if isinstance(answer, bytes):
            word, token = answer.split(b" ")
            assert word == b"CONFIRM"
            return token
        assert answer["op"] == "confirm"
        return answer["token"]


@pytest.mark.parametrize("at", range(len(NEED_PROOF)))
@pytest.mark.parametrize("dialect", [Lines, Json])
def test_what_needs_a_proof(world, dialect, at):
    world.run(Upper)
    stranger, command = Stranger(world, dialect), NEED_PROOF[at][dialect is Json]
    token = stranger.ask(command)
    assert len(token) == 7
    assert world.hub.subscriptions.sessions == set()
    (answer,) = stranger.say(command, token)
    assert b"CONFIRM" not in answer if dialect is Lines else answer["op"] in ("subscribed", "unsubscribed", "reply")


@pytest.mark.parametrize("dialect", [Lines, Json])
def test_publishing_needs_no_proof_and_gets_no_answer(world, dialect):
    world.run(Upper)
    ear = seat(world, "tcp-lines", subscribes="#")
    stranger = Stranger(world, dialect)
    said = b"PUB a x" if dialect is Lines else {"op": "publish", "topic": "a", "data": "x"}
    assert stranger.say(said) == []
    assert ear.output() == [("message", "a", b"x")]


@pytest.mark.parametrize("dialect", [Lines, Json])
def test_a_subscription_is_a_lease_that_a_proof_renews(world, dialect):
    stranger = Stranger(world, dialect)
    subscribe = NEED_PROOF[0][dialect is Json]
    ping = b"PING\n" if dialect is Lines else {"op": "ping"}
    stranger.say(subscribe, stranger.ask(subscribe))
    mouth = seat(world, "tcp-lines")
    for _ in range(3):
        world.advance(50)
        stranger.say(ping, stranger.ask(ping))
        mouth.publish("a", b"1")
        world.turn()
        assert len(stranger.client.received()) == 1
    world.advance(61)
    mouth.publish("a", b"1")
    world.turn()
    assert stranger.client.received() == []


@pytest.mark.parametrize("dialect", [Lines, Json])
def test_a_wrong_token_is_no_proof(world, dialect):
    stranger = Stranger(world, dialect)
    command = NEED_PROOF[0][dialect is Json]
    token = stranger.ask(command)
    wrong = b"AAAAAAA" if dialect is Lines else "AAAAAAA"
    stranger.say(command, wrong)
    assert world.hub.subscriptions.sessions == set()
    other = Stranger(world, dialect)
    other.say(command, token)  # which is another address
    assert world.hub.subscriptions.sessions == set()


@pytest.mark.parametrize("dialect", [Lines, Json])
def test_no_datagram_is_answered_with_more_than_three_times_its_bytes(world, dialect):
    world.run(Upper)
    stranger = Stranger(world, dialect)
    for said in (b"", b"x", b"SUB a", b"HELP", b"PING\n" * 20, b"PUB echo/a x", b"QUIT", b"{}", b'{"op":"ping"}'):
        answers = stranger.client.say(said)
        assert sum(map(len, answers)) <= 3 * len(said)
