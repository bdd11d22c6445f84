"""UDP in memory: any source address, a clock of our own, and every datagram that leaves is counted."""

from __future__ import annotations

import errno
import gc
import json
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import MessageLengthError
from twisted.logger import capturedLogs

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.dialects.raw import Raw
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.message import Message
from hubbub.transports.udp import UDPProtocol, plain
from unit.kernel_help import Receiver, World

ANN, BOB, EVE = ("192.0.2.1", 4001), ("192.0.2.2", 4002), ("198.51.100.9", 4009)
HERE = ("127.0.0.1", 5001)
AUTO = Auto.among([Json, Lines], Lines)


class Town:
    """A hub with one UDP port; its streets are lists."""

    def __init__(self, dialect: type[Dialect] = AUTO, peers: Any = (), answers: bool = True, **context: Any) -> None:
        self.world = World()
        self.context = ListenerContext("udp-1", DialectContext("udp"), **context)
        self.sent: list[tuple[bytes, Any]] = []
        self.broken: set[Any] = set()
        self.protocol = UDPProtocol(
            new_link=lambda wire, dialect, host, port: DatagramLink(
                self.world.hub, self.context, wire, dialect, host, port
            ),
            choose=dialect.choose if issubclass(dialect, Auto) else lambda data: dialect,
            now=self.world.hub.turn.now,
            peers=[ip_network(peer) for peer in peers],
            secret=b"not so secret",
            answers=answers,
        )
        self.protocol.makeConnection(self)

    def write(self, data: bytes, address: Any) -> None:
        """Be the socket."""
        if address in self.broken:
            raise OSError(errno.ENETUNREACH, "unreachable")
        if len(data) > limits.DATAGRAM_BYTES:
            raise MessageLengthError("too long")
        self.sent.append((data, address))

    def say(self, data: bytes, address: Any = ANN) -> list[bytes]:
        """Let `address` send a datagram, and return what it gets by the end of the turn."""
        self.protocol.datagramReceived(data, address)
        return self.hear(address)

    def hear(self, address: Any) -> list[bytes]:
        self.world.turn()
        got = [data for data, to in self.sent if to == address]
        self.sent = [(data, to) for data, to in self.sent if to != address]
        return got

    def token(self, address: Any = ANN) -> str:
        (answer,) = self.say(b"SUB a/b/c", address)
        assert answer.startswith(b"CONFIRM ")
        return answer.removeprefix(b"CONFIRM ").decode()

    def prove(self, data: bytes, address: Any = ANN) -> list[bytes]:
        return self.say(f"CONFIRM {self.token(address)}\n".encode() + data, address)

    def handler(self, filter: str = "echo/#") -> Receiver:
        receiver = Receiver()
        self.world.subscribe(self.world.session(), filter, receiver)
        return receiver

    @property
    def known(self) -> int:
        return len(self.protocol._known)


# What nobody has proved


COMMANDS = [
    b"SUB a/#", b"UNSUB a/#", b"REQ echo/x hello", b"PING", b"HELP", b"QUIT", b"AUTH me secret", b"CONFIRM abcdefg",
    b"PUB echo/x hello", b"PUB! a/kept " + b"k" * 50, b"PUB $SYS/x y", b"PUB a+ b", b"PUBB a ?", b"CONFIRM ", b"SUB",
    b"\xff\xfe", b"", b"nonsense", b"\0", b"A" * 300,
    b'{"op":"subscribe","topic":"#","id":1}', b'{"op":"unsubscribe","topic":"#"}', b'{"op":"ping","id":"x"}',
    b'{"op":"request","topic":"echo/x","data":1,"id":7}', b'{"op":"publish","topic":"echo/y","data":"z","id":2}',
    b'{"op":"auth","user":"me","password":"x"}', b'{"op":"bye"}', b'{"op":"?"}', b"{",
    b'{"op":"ping","confirm":"abcdefg"}',
]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(COMMANDS) | st.binary(max_size=60), max_size=30), max_size=8))
def test_an_unproven_address_gets_at_most_three_times_its_bytes(datagrams):
    town = Town()
    receiver = town.handler()
    for n in range(20):
        town.world.publish(f"a/{n}", b"r" * 200, retain=True)
    town.world.publish("echo/x", b"r" * 2_000, retain=True)
    for commands in datagrams:
        datagram = b"\n".join(commands)
        got = town.say(datagram)
        for batch in receiver.batches:
            for message in batch.messages:
                if message.sender is not None and message.sender.link is not None:
                    message.sender.link.send(Message("echo/x", b"back " * 20))
        receiver.batches.clear()
        got += town.hear(ANN)
        assert sum(map(len, got)) <= 3 * len(datagram)
        assert sum(len(one) + 28 for one in got) <= 3 * (len(datagram) + 28)
        assert town.known == 0


def test_publishing_needs_no_proof():
    town = Town()
    receiver = town.handler()
    assert town.say(b"PUB echo/a 1\nPUB echo/a 2") == []
    assert town.say(b'{"op":"publish","topic":"echo/a","data":"3"}', BOB) == []
    assert receiver.payloads == [b"1", b"2", b"3"]


def test_what_does_not_fit_is_not_sent_and_counted():
    town = Town()
    answers = town.say(b"HELP")
    assert sum(map(len, answers)) <= 12
    assert town.protocol.withheld > 5
    assert town.prove(b"HELP")[1:]


def test_a_handler_answers_a_stranger_within_its_bound():
    town = Town()
    receiver = town.handler()
    town.say(b"PUB echo/a " + b"x" * 30)  # 41 bytes
    session = receiver.batches[0].messages[0].sender
    assert session.link.send(Message("echo/a", b"y" * 100))
    assert len(town.hear(ANN)) == 1
    assert session.link.send(Message("echo/a", b"y" * 100))
    assert town.hear(ANN) == []
    assert town.protocol.withheld == 1


def test_ten_thousand_forged_addresses_leave_nothing():
    town = Town()
    said = [b"SUB a/#", b"QUIT", b"CONFIRM abcdefg\nSUB a", b"PING", b"PUB x y", b"nonsense", b'{"op":"bye"}', b"{"]
    for n in range(10_000):
        town.protocol.datagramReceived(said[n % len(said)], (f"192.0.{n % 250}.{n // 250}", 1024 + n))
        if n % 500 == 0:
            town.world.turn()
    town.world.turn()
    town.sent.clear()
    assert town.known == 0
    assert not town.protocol._strangers
    assert not town.context.links
    assert not town.world.hub.subscriptions.sessions
    assert not town.world.hub.turn.alarms._heap
    gc.collect()
    links = [one for one in gc.get_objects() if isinstance(one, DatagramLink) and one.hub is town.world.hub]
    assert len(links) <= 1  # the hub knows who published last
    assert len(town.protocol.tokens._failures._rows) == limits.TOKEN_FAILURE_TABLE


def test_two_hubs_do_not_complain_to_each_other_for_ever():
    one, other = Town(), Town()
    forged = one.say(b"nonsense that is long enough for an answer", BOB)
    turns = 0
    while forged and turns < 1_000:
        turns += 1
        forged = [answer for data in forged for answer in other.say(data, ANN)]
        forged = [answer for data in forged for answer in one.say(data, BOB)]
    assert turns <= limits.COMPLAINTS


def test_vouched_clients_are_told_of_their_mistakes():
    town = Town()
    for _ in range(100):
        assert town.say(b"nonsense", HERE) == [b"ERR bad-command no such command; HELP lists them"]
        assert town.say(b"PING", HERE) == [b"PONG 0"]
        assert json.loads(town.say(b"{", HERE)[0])["op"] == "error"


# Proof


@pytest.mark.parametrize("command", [b"SUB a/#", b"UNSUB a/#", b"REQ echo/x 1"])
def test_lines_asks_for_proof(command):
    town = Town()
    (answer,) = town.say(command)
    assert answer.startswith(b"CONFIRM ")
    assert len(answer) == len("CONFIRM 1234567")
    (done,) = town.say(answer + b"\n" + command)
    assert done in (b"OK " + command, b"ERR nobody nobody is subscribed to that topic")


def test_json_asks_for_proof():
    town = Town()
    wish = {"op": "subscribe", "topic": "a/#", "id": 1}
    asked = json.loads(town.say(json.dumps(wish).encode())[0])
    assert asked["op"] == "confirm"
    assert asked["id"] == 1
    answer = town.say(json.dumps({**wish, "confirm": asked["token"]}).encode())
    assert json.loads(answer[0]) == {"op": "subscribed", "topic": "a/#", "id": 1}
    town.say(b"PUB a/b hello", BOB)
    assert json.loads(town.hear(ANN)[0]) == {"op": "message", "topic": "a/b", "data": "hello"}


def test_each_datagram_needs_its_own_proof():
    town = Town()
    assert town.prove(b"SUB a/#") == [b"OK SUB a/#"]
    assert town.say(b"SUB b/#")[0].startswith(b"CONFIRM ")
    assert town.say(b"UNSUB a/#")[0].startswith(b"CONFIRM ")
    assert town.say(b"PING\n")[0].startswith(b"CONFIRM ")
    assert town.say(b"PING") == []  # three times its four bytes are too few for a token
    assert town.prove(b"PING") == [b"PONG 1"]


def test_a_proof_does_not_leak_through_what_is_held_back():
    town = Town()
    receiver = town.handler()
    assert town.prove(b"REQ echo/x 1") == []
    (peer,) = town.protocol._known.values()
    town.say(f"CONFIRM {peer.token()}\nPUB b c".encode())  # waits for the reply
    town.say(b"SUB evil/#")
    request = receiver.batches[0].messages[0]
    town.world.publish(request.reply_to, b"done")
    heard = town.hear(ANN)
    assert heard[0] == b"REP done"
    assert heard[1].startswith(b"CONFIRM ")
    assert not town.world.publish("evil/1")


def test_a_token_is_for_one_address_and_two_epochs():
    town = Town()
    token = town.token()
    assert len(token) == 7
    say = f"CONFIRM {token}\nSUB a/#".encode()
    for other in (BOB, (ANN[0], ANN[1] + 1), ("192.0.2.11", ANN[1])):
        assert town.say(say, other)[0].startswith(b"CONFIRM ")
    town.world.clock += limits.TOKEN_SECONDS
    assert town.say(say) == [b"OK SUB a/#"]
    town.world.clock += limits.TOKEN_SECONDS
    assert town.say(say)[0].startswith(b"CONFIRM ")


def test_an_address_that_guesses_is_not_heard_any_more():
    town = Town()
    good = town.token()
    for n in range(limits.TOKEN_FAILURES):
        assert town.say(b"CONFIRM guess%02d\nSUB a/#" % n)[0].startswith(b"CONFIRM ")
    assert town.say(f"CONFIRM {good}\nSUB a/#".encode()) == []
    assert town.say("CONFIRM é\nSUB a/#".encode()) == []
    assert town.prove(b"SUB a/#", (ANN[0], ANN[1] + 1)) == [b"OK SUB a/#"]
    assert town.prove(b"SUB a/#", BOB) == [b"OK SUB a/#"]
    town.world.clock += limits.TOKEN_SECONDS
    assert town.prove(b"SUB a/#") == [b"OK SUB a/#"]


def test_guesses_in_somebodys_name_do_not_silence_its_subscription():
    town = Town()
    town.prove(b"SUB a/#")
    for _ in range(2 * limits.TOKEN_FAILURES):
        town.say(b"CONFIRM wrong00\nPING")
    town.say(b"PUB a/b 1", BOB)
    assert town.hear(ANN) == [b"MSG a/b 1"]
    assert town.prove(b"PING") == [b"PONG 1"], "its own proof still counts, and renews the lease"


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
    monkeypatch.setattr(limits, "UDP_STRANGERS", 10)
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


def test_one_peer_that_cannot_be_reached_breaks_nobody():
    town = Town()
    addresses = [("127.0.0.1", 7000 + n) for n in range(5)]
    for address in addresses:
        town.say(b"SUB a/#", address)
    town.broken.add(addresses[2])
    town.say(b"PUB a/b 1", HERE)
    assert [bool(town.hear(address)) for address in addresses] == [True, True, False, True, True]
    assert town.protocol.unsent >= 1
    town.broken.clear()
    town.say(b"PUB a/b 2", HERE)
    assert town.hear(addresses[2])[-1] == b"MSG a/b 2"
    assert town.world.hub.turn.counters.dropped == 1


def test_sizes():
    town = Town(Raw)
    receiver = town.handler("raw/#")
    longest = bytes(limits.DATAGRAM_BYTES)
    for data in (b"", longest, b"x"):
        town.say(data, HERE)
        town.say(data, ANN)
    assert receiver.payloads == [b"", b"", longest, longest, b"x", b"x"]
    town = Town()
    assert town.say(b"", HERE) == town.say(b"", ANN) == []
    town.say(b"SUB a/#", HERE)
    town.world.publish("a/b", b"y" * (limits.DATAGRAM_BYTES - len("MSG a/b ")))
    assert len(town.hear(HERE)[0]) == limits.DATAGRAM_BYTES
    town.world.publish("a/b", b"y" * limits.DATAGRAM_BYTES)
    assert town.hear(HERE) == [b"GAP 1"]


def test_an_exception_is_counted_and_logged_once():
    town = Town()
    choose, town.protocol._choose = town.protocol._choose, lambda data: 1 // 0
    with capturedLogs() as events:
        for _ in range(100):
            town.say(b"PING", HERE)
    assert town.protocol.failed == 100
    assert len([event for event in events if "log_failure" in event]) == 1
    assert len(events) < 10
    town.protocol._choose = choose
    assert town.say(b"PING", HERE) == [b"PONG 0"]


# Addresses, groups, the end


def test_mapped_addresses():
    assert plain("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain("::ffff:1:2") == "::ffff:1:2"
    assert plain("2001:db8::1") == "2001:db8::1"
    town = Town()
    mapped = ("::ffff:127.0.0.1", 5001, 0, 0)
    assert town.say(b"SUB a/#", mapped) == [b"OK SUB a/#"]
    assert town.say(b"SUB a/#", ("::1", 5001, 0, 0)) == [b"OK SUB a/#"]
    assert town.say(b"SUB a/#", ("fe80::1%lo", 5001, 0, 1))[0].startswith(b"CONFIRM ")
    assert {link.session.host for link in town.context.links} == {"127.0.0.1", "::1"}


def test_a_group_is_never_answered():
    town = Town(answers=False)
    receiver = town.handler()
    for address in (ANN, HERE):
        for command in (b"PING", b"HELP", b"SUB a/#", b"REQ echo/x 1", b"nonsense", b"{", b"QUIT"):
            assert town.say(command, address) == []
        token = town.protocol.tokens.token(*address, town.world.clock)
        assert town.say(f"CONFIRM {token}\nSUB a/#".encode(), address) == []
        town.say(b"PUB echo/x 1", address)
    assert receiver.payloads == [b"1", b"1"]
    assert not town.world.publish("a/b")


def test_nothing_is_left_when_the_port_closes():
    town = Town()
    town.prove(b"SUB a/#")
    town.say(b"SUB a/#", HERE)
    receiver = town.handler()
    town.say(b"PUB echo/x 1", BOB)
    town.protocol.doStop()
    assert not town.context.links
    assert not town.world.publish("a/b")
    assert receiver.batches[0].messages[0].sender.link.send(Message("echo/x", b"late"))
    town.world.turn()
    assert town.sent == []
