"""plugins/nats against clients that mean harm: what they send is refused, bounded, and nobody else's."""

from __future__ import annotations

import time

import pytest

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.dialect import DialectContext
from hubbub.nats_protocol.wire import MAX_LINE
from hubbub.testing import World
from hubbub_plugins.nats import Nats
from matrix.speakers import seat
from nats_operations import Operations

QUIET = b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'


@pytest.fixture
def world():
    return World(bounds=Bounds(message_rate=0, byte_rate=0))


@pytest.fixture
def client(world):
    end = world.listen("tcp", Nats).connect()
    end.send(QUIET)
    world.turn()
    end.received()
    return end


def say(world, end, data):
    end.send(data)
    world.turn()
    return end.received()


def test_a_payload_byte_by_byte_costs_no_more_than_its_bytes():
    """A megabyte in single bytes: a copy of all that is held for each of them would take minutes."""
    reader = Operations((b"PUB",), limits.MESSAGE_BYTES)
    payload = bytes(200_000)
    begun = time.process_time()
    reader.feed(b"PUB a %d\r\n" % len(payload))
    for at in range(len(payload)):
        reader.feed(payload[at : at + 1])
    assert reader.feed(b"\r\n") == ([([b"PUB", b"a", b"%d" % len(payload)], payload)], None)
    line = b"SUB " + b"a" * (MAX_LINE - 10)
    for at in range(len(line)):
        reader.feed(line[at : at + 1])
    assert len(reader.feed(b" 1\r\n")[0]) == 1
    assert time.process_time() - begun < 5


def test_a_line_without_an_end():
    reader = Operations((b"PUB",), 100)
    for _ in range(2 * MAX_LINE):
        _, error = reader.feed(b"x")
        if error is not None:
            break
    assert error.text == "maximum control line exceeded"
    assert reader.held() == ""


def test_requests_of_the_old_style_leave_nothing(world, client):
    """Each is a subscription that ends after one message; half of them are answered by nobody."""
    dialect = next(iter(world.listeners[0].context.links)).dialect
    for number in range(500):
        request = b"SUB r.%d %d\r\nUNSUB %d 1\r\nPUB r.%d 0\r\n\r\n" % (number, number, number, number)
        assert say(world, client, request) == b"MSG r.%d %d 0\r\n\r\n" % (number, number)
    assert world.hub.subscriptions.count == 0
    assert not dialect._inboxes._filters
    assert not dialect._inboxes._ids


def test_topics_of_the_hub_are_not_a_clients(world, client):
    for subject in (b"$SYS.x", b"$hubbub.x"):
        said = say(world, client, b"PUB %b 0\r\n\r\n" % subject)
        assert said == b"-ERR 'Permissions Violation for Publish to \"%b\"'\r\n" % subject
    assert b"Permissions Violation" in say(world, client, b"SUB $reply.> 1\r\n")


def test_no_client_subscribes_to_the_replies_of_others(world, client):
    say(world, client, b"SUB > 1\r\n")
    asker = seat(world, "tcp-lines")
    asker.request("ask", b"what?")
    world.turn()
    (line, _) = client.received().split(b"\r\n")[:2]
    assert line.split()[3].startswith(b"$reply.")
    assert b"Permissions" in say(world, client, b"SUB %b 2\r\n" % line.split()[3])


def test_nothing_of_a_client_becomes_an_operation(world, client):
    """A quote in a subject ends no text, and no property ends a line of headers."""
    said = say(world, client, b"PUB a'+OK/b 0\r\n\r\n")
    assert said.count(b"\r\n") == 1
    say(world, client, b"SUB a 1\r\n")
    seat(world, "websocket-json").publish("a", b"1", properties={"k": "v\r\nMSG a 1 0", "k\r\nX": "", "ok": "1"})
    world.turn()
    assert client.received() == b"HMSG a 1 19 20\r\nNATS/1.0\r\nok: 1\r\n\r\n1\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"CONNECT " + b'{"a":' * 10_000 + b"\r\n", b"CONNECT " + b"[" * 60_000 + b"\r\n", b"CONNECT \r\n",
        b'CONNECT {"name":"\xff"}\r\n', b'CONNECT {"protocol":1e400}\r\n', b'CONNECT {"user":{}}\r\n',
    ],
)  # fmt: skip
def test_a_connect_that_is_none(data):
    dialect = Nats(DialectContext(), World().listen("tcp", Nats).connect())
    (close,) = dialect.receive(data, 0.0)
    assert close.data == b"-ERR 'Parser Error'\r\n"
    assert dialect.receive(b"PUB a 0\r\n\r\n", 0.0) == []


def test_ids_are_short():
    """One stands in each message, and in memory for each subscription."""
    dialect = Nats(DialectContext(), World().listen("tcp", Nats).connect())
    (close,) = dialect.receive(b"SUB a " + b"1" * (limits.NAME_CHARACTERS + 1) + b"\r\n", 0.0)
    assert close.data == b"-ERR 'Parser Error'\r\n"


def test_what_a_link_remembers_is_bounded():
    dialect = Nats(DialectContext(), World().listen("tcp", Nats).connect())
    for number in range(10_000):
        dialect.receive(b"PUB a.%d 0\r\n\r\n" % number, 0.0)
    assert len(dialect._topics) <= limits.TOPIC_TABLE


def test_an_http_request_is_no_command(world):
    """A web page can send any text to a port; its first line ends the connection."""
    end = world.listen("tcp", Nats).connect()
    world.turn()
    end.received()
    assert say(world, end, b"POST / HTTP/1.1\r\n\r\nPUB a 1\r\nx\r\n") == b"-ERR 'Unknown Protocol Operation'\r\n"
    assert end.closed
