"""UDP in memory: subscriptions that end, and tables that are bounded."""

from __future__ import annotations

import json

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.dialects.raw import Raw
from unit.udp_help import ANN, BOB, HERE, Town

# Leases


def test_a_subscription_ends_with_its_lease():
    town = Town()
    town.prove(b"SUB a/#")
    assert town.known == 1
    town.world.sleep(limits.LEASE_SECONDS - 1)
    town.say(b"PUB a/b 1", BOB)
    assert town.hear(ANN) == [b"MSG a/b 1"]
    town.world.sleep(2)
    assert town.known == 0
    assert not town.world.publish("a/b")
    assert not town.world.hub.subscriptions.sessions
    assert not town.context.links


def test_a_proof_renews_the_lease_and_nothing_else_does():
    town = Town()
    town.prove(b"SUB a/#")
    for _ in range(5):
        town.world.sleep(limits.LEASE_SECONDS - 5)
        assert town.prove(b"PING") == [b"PONG 1"]
    for _ in range(7):
        town.world.sleep(limits.LEASE_SECONDS / 7)
        town.say(b"PUB x y")
    town.world.sleep(1)
    assert town.known == 0


def test_a_vouched_client_subscribes_at_once_and_renews_with_anything():
    town = Town(peers=["192.0.2.0/31"])
    assert town.say(b"SUB a/#") == [b"OK SUB a/#"]
    assert town.say(b"SUB a/#", HERE) == [b"OK SUB a/#"]
    assert town.say(b"SUB a/#", BOB)[0].startswith(b"CONFIRM ")
    for _ in range(5):
        town.world.sleep(limits.LEASE_SECONDS - 5)
        town.say(b"PUB x y")
    assert town.say(b"PING") == [b"PONG 1"]
    assert town.say(b"PING", HERE) == [b"PONG 0"]
    assert town.world.publish("a/b") == 1


def test_quit_ends_a_subscription_and_a_forged_one_does_not():
    town = Town()
    town.prove(b"SUB a/#")
    assert town.say(b"QUIT\n")[0].startswith(b"CONFIRM ")
    assert town.say(b'{"op":"bye"}') == [b'{"op":"bye"}']  # another dialect, another link
    assert town.world.publish("a/b") == 1
    town.hear(ANN)
    assert town.prove(b"QUIT") == [b"BYE"]
    assert town.known == 0
    assert not town.world.publish("a/b")


def test_a_bad_datagram_ends_nothing():
    town = Town()
    town.context.dialect_context = DialectContext("udp", max_message=100)
    for address in (ANN, HERE):
        town.prove(b"SUB a/#") if address is ANN else town.say(b"SUB a/#", address)
        town.say(b"PUB x " + b"y" * 200, address)
        town.say(b'{"op":"publish","topic":"x","data":"' + b"y" * 200 + b'"}', address)
        town.say(b'{"op":"bye"}', address)
    assert town.world.publish("a/b") == 2
    town.world.turn()
    assert json.loads(town.say(b'{"op":"ping"}', HERE)[-1])["op"] == "pong"


def test_the_listeners_own_subscription():
    from hubbub.template import Template

    town = Town(Raw, subscribe=Template("down/{port}", "filter"))
    assert town.say(b"hello", HERE) == []
    town.world.publish("down/5001", b"do it")
    assert town.hear(HERE) == [b"do it"]
    town.say(b"hello")  # nobody vouches for that one, and raw can't prove anything
    assert not town.world.publish("down/4001")


# Bounds


def test_the_table_of_peers_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "UDP_PEERS", 3)
    town = Town()
    for n in range(3):
        assert town.prove(b"SUB a/#", ("192.0.2.1", n)) == [b"OK SUB a/#"]
    assert town.prove(b"SUB a/#", BOB) == [b"ERR unavailable 3 UDP clients are subscribed here already"]
    assert town.say(b"SUB a/#", HERE) == [b"ERR unavailable 3 UDP clients are subscribed here already"]
    assert town.prove(b"REQ a/b c", BOB)[0].startswith(b"ERR unavailable")
    assert town.prove(b"SUB b/#", ("192.0.2.1", 0)) == [b"OK SUB b/#"]
    assert town.world.publish("a/b") == 3
    town.world.sleep(limits.LEASE_SECONDS + 1)
    assert town.prove(b"SUB a/#", BOB) == [b"OK SUB a/#"]


def test_the_table_of_strangers_is_bounded_and_keeps_who_talks(monkeypatch):
    monkeypatch.setattr(limits, "UDP_IDLE_PEERS", 10)
    town = Town()
    town.say(b"PUB a b", HERE)
    links = town.world.hub.turn.counters
    for n in range(100):
        town.world.clock += 0.01
        town.say(b"PUB a b", ("127.0.0.1", 6000 + n))
        town.say(b"PUB a b", HERE)
        assert town.known <= 10
    assert links.links == 101
    assert len(town.world.hub.subscriptions.sessions) == 10


def test_what_waits_for_a_reply_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "PENDING_EVENTS", 5)
    town = Town()
    town.handler()
    town.say(b"REQ echo/x 1", HERE)
    for _ in range(20):
        town.say(b"PUB a b\nPUB a b", HERE)
    assert town.protocol.dropped == 17
    town.world.sleep(limits.REQUEST_SECONDS + 1)
    assert town.say(b"PING", HERE)[-1] == b"PONG 0"
