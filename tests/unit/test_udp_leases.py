"""UDP in memory: subscriptions that end, and tables that are bounded."""

from __future__ import annotations

import json

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.dialects.raw import Raw
from unit.udp_help import ANN, BOB, HERE, UdpHub

# Leases


def test_a_subscription_ends_with_its_lease():
    hub = UdpHub()
    hub.prove(b"SUB a/#")
    assert hub.known == 1
    hub.world.sleep(limits.LEASE_SECONDS - 1)
    hub.say(b"PUB a/b 1", BOB)
    assert hub.receive(ANN) == [b"MSG a/b 1"]
    hub.world.sleep(2)
    assert hub.known == 0
    assert not hub.world.publish("a/b")
    assert not hub.world.hub.subscriptions.sessions
    assert not hub.context.links


def test_a_proof_renews_the_lease_and_nothing_else_does():
    hub = UdpHub()
    hub.prove(b"SUB a/#")
    for _ in range(5):
        hub.world.sleep(limits.LEASE_SECONDS - 5)
        assert hub.prove(b"PING") == [b"PONG 1"]
    for _ in range(7):
        hub.world.sleep(limits.LEASE_SECONDS / 7)
        hub.say(b"PUB x y")
    hub.world.sleep(1)
    assert hub.known == 0


def test_a_vouched_client_subscribes_at_once_and_renews_with_anything():
    hub = UdpHub(peers=["192.0.2.0/31"])
    assert hub.say(b"SUB a/#") == [b"OK SUB a/#"]
    assert hub.say(b"SUB a/#", HERE) == [b"OK SUB a/#"]
    assert hub.say(b"SUB a/#", BOB)[0].startswith(b"CONFIRM ")
    for _ in range(5):
        hub.world.sleep(limits.LEASE_SECONDS - 5)
        hub.say(b"PUB x y")
    assert hub.say(b"PING") == [b"PONG 1"]
    assert hub.say(b"PING", HERE) == [b"PONG 0"]
    assert hub.world.publish("a/b") == 1


def test_quit_ends_a_subscription_and_a_forged_one_does_not():
    hub = UdpHub()
    hub.prove(b"SUB a/#")
    assert hub.say(b"QUIT\n")[0].startswith(b"CONFIRM ")
    assert hub.say(b'{"op":"bye"}') == [b'{"op":"bye"}']  # another dialect, another link
    assert hub.world.publish("a/b") == 1
    hub.receive(ANN)
    assert hub.prove(b"QUIT") == [b"BYE"]
    assert hub.known == 0
    assert not hub.world.publish("a/b")


def test_a_bad_datagram_ends_nothing():
    hub = UdpHub()
    hub.context.dialect_context = DialectContext("udp", max_message=100)
    for address in (ANN, HERE):
        hub.prove(b"SUB a/#") if address is ANN else hub.say(b"SUB a/#", address)
        hub.say(b"PUB x " + b"y" * 200, address)
        hub.say(b'{"op":"publish","topic":"x","data":"' + b"y" * 200 + b'"}', address)
        hub.say(b'{"op":"bye"}', address)
    assert hub.world.publish("a/b") == 2
    hub.world.turn()
    assert json.loads(hub.say(b'{"op":"ping"}', HERE)[-1])["op"] == "pong"


def test_the_listeners_own_subscription():
    from hubbub.template import Template

    hub = UdpHub(Raw, subscribe=Template("down/{port}", "filter"))
    assert hub.say(b"hello", HERE) == []
    hub.world.publish("down/5001", b"do it")
    assert hub.receive(HERE) == [b"do it"]
    hub.say(b"hello")  # nobody vouches for that one, and raw can't prove anything
    assert not hub.world.publish("down/4001")


# Bounds


def test_the_table_of_peers_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "UDP_PEERS", 3)
    hub = UdpHub()
    for n in range(3):
        assert hub.prove(b"SUB a/#", ("192.0.2.1", n)) == [b"OK SUB a/#"]
    assert hub.prove(b"SUB a/#", BOB) == [b"ERR unavailable 3 UDP clients are subscribed here already"]
    assert hub.say(b"SUB a/#", HERE) == [b"ERR unavailable 3 UDP clients are subscribed here already"]
    assert hub.prove(b"REQ a/b c", BOB)[0].startswith(b"ERR unavailable")
    assert hub.prove(b"SUB b/#", ("192.0.2.1", 0)) == [b"OK SUB b/#"]
    assert hub.world.publish("a/b") == 3
    hub.world.sleep(limits.LEASE_SECONDS + 1)
    assert hub.prove(b"SUB a/#", BOB) == [b"OK SUB a/#"]


def test_the_table_of_strangers_is_bounded_and_keeps_active_ones(monkeypatch):
    monkeypatch.setattr(limits, "UDP_IDLE_PEERS", 10)
    hub = UdpHub()
    hub.say(b"PUB a b", HERE)
    links = hub.world.hub.turn.counters
    for n in range(100):
        hub.world.clock += 0.01
        hub.say(b"PUB a b", ("127.0.0.1", 6000 + n))
        hub.say(b"PUB a b", HERE)
        assert hub.known <= 10
    assert links.links == 101
    assert len(hub.world.hub.subscriptions.sessions) == 10


def test_what_waits_for_a_reply_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "PENDING_EVENTS", 5)
    hub = UdpHub()
    hub.handler()
    hub.say(b"REQ echo/x 1", HERE)
    for _ in range(20):
        hub.say(b"PUB a b\nPUB a b", HERE)
    assert hub.protocol.dropped == 17
    hub.world.sleep(limits.REQUEST_SECONDS + 1)
    assert hub.say(b"PING", HERE)[-1] == b"PONG 0"
