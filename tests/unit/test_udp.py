"""UDP in memory: any source address, a clock of our own, and every datagram that leaves is counted."""

from __future__ import annotations

import gc
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from hubbub import limits
from hubbub.dialects.raw import Raw
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.message import Message
from hubbub.transports.udp import plain
from unit.udp_help import ANN, BOB, HERE, Town

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
    assert turns <= limits.UDP_ERRORS


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
    assert done in (b"OK " + command, b"ERR nobody no client is subscribed to that topic")


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
