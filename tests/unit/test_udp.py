"""UDP in memory: any source address, a clock of our own, and every datagram that leaves is counted."""

from __future__ import annotations

import gc
import json
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from hubbub import limits
from hubbub.dialects.raw import Raw
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.message import Message
from hubbub.transports.udp import plain
from unit.udp_help import ANN, BOB, HERE, UdpHub

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
    hub = UdpHub()
    receiver = hub.handler()
    for n in range(20):
        hub.world.publish(f"a/{n}", b"r" * 200, retain=True)
    hub.world.publish("echo/x", b"r" * 2_000, retain=True)
    for commands in datagrams:
        datagram = b"\n".join(commands)
        got = hub.say(datagram)
        for batch in receiver.batches:
            for message in batch.messages:
                if message.sender is not None and message.sender.link is not None:
                    message.sender.link.send(Message("echo/x", b"back " * 20))
        receiver.batches.clear()
        got += hub.receive(ANN)
        assert sum(map(len, got)) <= 3 * len(datagram)
        assert sum(len(one) + 28 for one in got) <= 3 * (len(datagram) + 28)
        assert hub.known == 0


def test_publishing_needs_no_proof():
    hub = UdpHub()
    receiver = hub.handler()
    assert hub.say(b"PUB echo/a 1\nPUB echo/a 2") == []
    assert hub.say(b'{"op":"publish","topic":"echo/a","data":"3"}', BOB) == []
    assert receiver.payloads == [b"1", b"2", b"3"]


def test_what_does_not_fit_is_not_sent_and_counted():
    hub = UdpHub()
    answers = hub.say(b"HELP")
    assert sum(map(len, answers)) <= 12
    assert hub.protocol.withheld > 5
    assert hub.prove(b"HELP")[1:]


def test_a_handler_answers_a_stranger_within_its_bound():
    hub = UdpHub()
    receiver = hub.handler()
    hub.say(b"PUB echo/a " + b"x" * 30)  # 41 bytes
    session = receiver.batches[0].messages[0].sender
    assert session.link.send(Message("echo/a", b"y" * 100))
    assert len(hub.receive(ANN)) == 1
    assert session.link.send(Message("echo/a", b"y" * 100))
    assert hub.receive(ANN) == []
    assert hub.protocol.withheld == 1


def test_ten_thousand_forged_addresses_leave_nothing():
    hub = UdpHub()
    said = [b"SUB a/#", b"QUIT", b"CONFIRM abcdefg\nSUB a", b"PING", b"PUB x y", b"nonsense", b'{"op":"bye"}', b"{"]
    for n in range(10_000):
        hub.protocol.datagramReceived(said[n % len(said)], (f"192.0.{n % 250}.{n // 250}", 1024 + n))
        if n % 500 == 0:
            hub.world.turn()
    hub.world.turn()
    hub.sent.clear()
    assert hub.known == 0
    assert not hub.protocol._idle
    assert not hub.context.links
    assert not hub.world.hub.subscriptions.sessions
    assert not hub.world.hub.turn.alarms._heap
    gc.collect()
    links = [one for one in gc.get_objects() if isinstance(one, DatagramLink) and one.hub is hub.world.hub]
    assert len(links) <= 1  # the hub knows who published last
    assert len(hub.protocol.tokens._failures._rows) == limits.TOKEN_FAILURE_TABLE


def test_two_hubs_do_not_complain_to_each_other_for_ever():
    one, other = UdpHub(), UdpHub()
    forged = one.say(b"nonsense that is long enough for an answer", BOB)
    turns = 0
    while forged and turns < 1_000:
        turns += 1
        forged = [answer for data in forged for answer in other.say(data, ANN)]
        forged = [answer for data in forged for answer in one.say(data, BOB)]
    assert turns <= limits.UDP_ERRORS


def test_vouched_clients_get_errors_for_their_mistakes():
    hub = UdpHub()
    for _ in range(100):
        assert hub.say(b"nonsense", HERE) == [b"ERR bad-command no such command; HELP lists them"]
        assert hub.say(b"PING", HERE) == [b"PONG 0"]
        assert json.loads(hub.say(b"{", HERE)[0])["op"] == "error"


# Proof


@pytest.mark.parametrize("command", [b"SUB a/#", b"UNSUB a/#", b"REQ echo/x 1"])
def test_lines_asks_for_proof(command):
    hub = UdpHub()
    (answer,) = hub.say(command)
    assert answer.startswith(b"CONFIRM ")
    assert len(answer) == len("CONFIRM 1234567")
    (done,) = hub.say(answer + b"\n" + command)
    assert done in (b"OK " + command, b"ERR no-responders no client is subscribed to that topic")


def test_json_asks_for_proof():
    hub = UdpHub()
    wish = {"op": "subscribe", "topic": "a/#", "id": 1}
    asked = json.loads(hub.say(json.dumps(wish).encode())[0])
    assert asked["op"] == "confirm"
    assert asked["id"] == 1
    answer = hub.say(json.dumps({**wish, "confirm": asked["token"]}).encode())
    assert json.loads(answer[0]) == {"op": "subscribed", "topic": "a/#", "id": 1}
    hub.say(b"PUB a/b hello", BOB)
    assert json.loads(hub.receive(ANN)[0]) == {"op": "message", "topic": "a/b", "data": "hello"}


def test_each_datagram_needs_its_own_proof():
    hub = UdpHub()
    assert hub.prove(b"SUB a/#") == [b"OK SUB a/#"]
    assert hub.say(b"SUB b/#")[0].startswith(b"CONFIRM ")
    assert hub.say(b"UNSUB a/#")[0].startswith(b"CONFIRM ")
    assert hub.say(b"PING\n")[0].startswith(b"CONFIRM ")
    assert hub.say(b"PING") == []  # three times its four bytes are too few for a token
    assert hub.prove(b"PING") == [b"PONG 1"]


def test_a_proof_does_not_leak_through_what_is_held_back():
    hub = UdpHub()
    receiver = hub.handler()
    assert hub.prove(b"REQ echo/x 1") == []
    (peer,) = hub.protocol._known.values()
    hub.say(f"CONFIRM {peer.token()}\nPUB b c".encode())  # waits for the reply
    hub.say(b"SUB evil/#")
    request = receiver.batches[0].messages[0]
    hub.world.publish(request.reply_to, b"done")
    output = hub.receive(ANN)
    assert output[0] == b"REP done"
    assert output[1].startswith(b"CONFIRM ")
    assert not hub.world.publish("evil/1")


def test_all_of_a_datagram_is_acted_on_at_once():
    """However long that takes: the next datagram has another proof, or none."""
    hub = UdpHub()
    hub.prove(b"SUB a")
    proof = f"CONFIRM {hub.token()}\n".encode()
    (peer,) = hub.protocol._known.values()
    with patch.object(limits, "JOB_SECONDS", -1.0):  # each check finds the share of the link over
        hub.protocol.datagramReceived(proof + b"".join(b"SUB a/%d\n" % number for number in range(100)), ANN)
    assert not peer.link.holding
    assert len(peer.link.session.subscriptions) == 101


def test_a_token_is_for_one_address_and_two_epochs():
    hub = UdpHub()
    token = hub.token()
    assert len(token) == 7
    say = f"CONFIRM {token}\nSUB a/#".encode()
    for other in (BOB, (ANN[0], ANN[1] + 1), ("192.0.2.11", ANN[1])):
        assert hub.say(say, other)[0].startswith(b"CONFIRM ")
    hub.world.clock += limits.TOKEN_SECONDS
    assert hub.say(say) == [b"OK SUB a/#"]
    hub.world.clock += limits.TOKEN_SECONDS
    assert hub.say(say)[0].startswith(b"CONFIRM ")


def test_an_address_that_guesses_is_ignored():
    hub = UdpHub()
    good = hub.token()
    for n in range(limits.TOKEN_FAILURES):
        assert hub.say(b"CONFIRM guess%02d\nSUB a/#" % n)[0].startswith(b"CONFIRM ")
    assert hub.say(f"CONFIRM {good}\nSUB a/#".encode()) == []
    assert hub.say("CONFIRM é\nSUB a/#".encode()) == []
    assert hub.prove(b"SUB a/#", (ANN[0], ANN[1] + 1)) == [b"OK SUB a/#"]
    assert hub.prove(b"SUB a/#", BOB) == [b"OK SUB a/#"]
    hub.world.clock += limits.TOKEN_SECONDS
    assert hub.prove(b"SUB a/#") == [b"OK SUB a/#"]


def test_guesses_in_the_name_of_a_user_do_not_silence_its_subscription():
    hub = UdpHub()
    hub.prove(b"SUB a/#")
    for _ in range(2 * limits.TOKEN_FAILURES):
        hub.say(b"CONFIRM wrong00\nPING")
    hub.say(b"PUB a/b 1", BOB)
    assert hub.receive(ANN) == [b"MSG a/b 1"]
    assert hub.prove(b"PING") == [b"PONG 1"], "its own proof still counts, and renews the lease"


def test_one_unreachable_peer_affects_no_other():
    hub = UdpHub()
    addresses = [("127.0.0.1", 7000 + n) for n in range(5)]
    for address in addresses:
        hub.say(b"SUB a/#", address)
    hub.broken.add(addresses[2])
    hub.say(b"PUB a/b 1", HERE)
    assert [bool(hub.receive(address)) for address in addresses] == [True, True, False, True, True]
    assert hub.protocol.unsent >= 1
    hub.broken.clear()
    hub.say(b"PUB a/b 2", HERE)
    assert hub.receive(addresses[2])[-1] == b"MSG a/b 2"
    assert hub.world.hub.turn.counters.dropped == 1


def test_sizes():
    hub = UdpHub(Raw)
    receiver = hub.handler("raw/#")
    longest = bytes(limits.DATAGRAM_BYTES)
    for data in (b"", longest, b"x"):
        hub.say(data, HERE)
        hub.say(data, ANN)
    assert receiver.payloads == [b"", b"", longest, longest, b"x", b"x"]
    hub = UdpHub()
    assert hub.say(b"", HERE) == hub.say(b"", ANN) == []
    hub.say(b"SUB a/#", HERE)
    hub.world.publish("a/b", b"y" * (limits.DATAGRAM_BYTES - len("MSG a/b ")))
    assert len(hub.receive(HERE)[0]) == limits.DATAGRAM_BYTES
    hub.world.publish("a/b", b"y" * limits.DATAGRAM_BYTES)
    assert hub.receive(HERE) == [b"GAP 1"]


def test_an_exception_is_counted_and_logged_once():
    hub = UdpHub()
    choose, hub.protocol._choose = hub.protocol._choose, lambda data: 1 // 0
    with capturedLogs() as events:
        for _ in range(100):
            hub.say(b"PING", HERE)
    assert hub.protocol.failed == 100
    assert len([event for event in events if "log_failure" in event]) == 1
    assert len(events) < 10
    hub.protocol._choose = choose
    assert hub.say(b"PING", HERE) == [b"PONG 0"]


# Addresses, groups, the end


def test_mapped_addresses():
    assert plain("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain("::ffff:1:2") == "::ffff:1:2"
    assert plain("2001:db8::1") == "2001:db8::1"
    hub = UdpHub()
    mapped = ("::ffff:127.0.0.1", 5001, 0, 0)
    assert hub.say(b"SUB a/#", mapped) == [b"OK SUB a/#"]
    assert hub.say(b"SUB a/#", ("::1", 5001, 0, 0)) == [b"OK SUB a/#"]
    assert hub.say(b"SUB a/#", ("fe80::1%lo", 5001, 0, 1))[0].startswith(b"CONFIRM ")
    assert {link.session.host for link in hub.context.links} == {"127.0.0.1", "::1"}


def test_a_group_is_never_answered():
    hub = UdpHub(answers=False)
    receiver = hub.handler()
    for address in (ANN, HERE):
        for command in (b"PING", b"HELP", b"SUB a/#", b"REQ echo/x 1", b"nonsense", b"{", b"QUIT"):
            assert hub.say(command, address) == []
        token = hub.protocol.tokens.token(*address, hub.world.clock)
        assert hub.say(f"CONFIRM {token}\nSUB a/#".encode(), address) == []
        hub.say(b"PUB echo/x 1", address)
    assert receiver.payloads == [b"1", b"1"]
    assert not hub.world.publish("a/b")


def test_nothing_is_left_when_the_port_closes():
    hub = UdpHub()
    hub.prove(b"SUB a/#")
    hub.say(b"SUB a/#", HERE)
    receiver = hub.handler()
    hub.say(b"PUB echo/x 1", BOB)
    hub.protocol.doStop()
    assert not hub.context.links
    assert not hub.world.publish("a/b")
    assert receiver.batches[0].messages[0].sender.link.send(Message("echo/x", b"late"))
    hub.world.turn()
    assert hub.sent == []
