"""plugins/nats, the server's side: what clients are told, and when a connection ends."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub import Handler, Refusal, Subscribe, on
from hubbub.bounds import Bounds
from hubbub.dialect import DialectContext
from hubbub.joined_frames import JoinedFrames
from hubbub.kernel.authorization.permissions import Audience, Clause, Permissions, Rule
from hubbub.message import Message
from hubbub.nats_protocol.messages import encode_message
from hubbub.template import Template
from hubbub.testing import World
from hubbub.user_properties import UserProperties
from hubbub_plugins.nats import Nats
from matrix.speakers import seat

QUIET = b'CONNECT {"verbose":false,"headers":true,"no_responders":true,"protocol":1}\r\n'


class Peer:
    host = "192.0.2.7"


class Client:
    """One on a listener of its own."""

    def __init__(self, world, hello=QUIET, **keys):
        self.world = world
        self.end = world.listen("tcp", Nats, **keys).connect()
        self.info = json.loads(self.output().removeprefix(b"INFO "))
        self.say(hello)

    def say(self, data):
        self.end.send(data)
        return self.output()

    def output(self):
        self.world.turn()
        return self.end.received()


@pytest.fixture
def world():
    return World()


def permissions(*said):
    clauses = [Clause(True, action, Template(filter, "filter"), "") for action, filter in map(str.split, said)]
    return Permissions([Rule(Audience(), tuple(clauses))]).of


# INFO and CONNECT


def test_info_says_what_clients_need(world):
    info = Client(world, max_message=500).info
    assert info["max_payload"] == 500
    assert info["headers"] is True
    assert [part.isdigit() for part in info["version"].split(".")] == [True] * 3
    assert "auth_required" not in info


def test_a_login_is_asked_for_where_there_are_logins():
    dialect = Nats(DialectContext(login=True), Peer())
    assert b'"auth_required":true' in dialect.opened(0.0)[0].data


@pytest.mark.parametrize("said", [b"SUB a 1\r\n", b'CONNECT {"user":"ann","pass":"no"}\r\n', QUIET])
def test_a_client_without_a_login_gets_an_error_and_ends(said):
    dialect = Nats(DialectContext(login=True), Peer())
    dialect.opened(0.0)
    (event,) = dialect.receive(said, 0.0)
    close = dialect.outcome(event, Refusal("not-authorized", "this listener wants a login"))
    assert close.data == b"-ERR 'Authorization Violation'\r\n"


def test_connect_names_the_client(world):
    seen = []

    def login(event, session, done):
        seen.append((event.client, event.user, event.password, event.token))
        done("ann")

    Client(world, b'CONNECT {"name":"lab","user":"ann","pass":"right","lang":"go","version":"1"}\r\n', login=login)
    Client(world, b'CONNECT {"auth_token":"t","sig":null,"tls_required":false}\r\n', login=login)
    assert seen == [("lab", "ann", "right", None), ("", None, None, "t")]


def test_the_first_line_after_connect_and_ping_is_pong(world):
    assert Client(world, QUIET + b"PING\r\n").output() == b""
    client = Client(world, b"")
    assert client.say(QUIET + b"PING\r\nSUB a 1\r\n") == b"PONG\r\n"


# What is refused


def test_permissions(world):
    client = Client(world, rights=permissions("publish a/#", "subscribe b"))
    assert client.say(b"PUB b.c 1\r\nx\r\n") == b"-ERR 'Permissions Violation for Publish to \"b.c\"'\r\n"
    assert client.say(b"SUB a.* 1\r\n") == b"-ERR 'Permissions Violation for Subscription to \"a.*\"'\r\n"
    wanted = b'-ERR \'Permissions Violation for Subscription to "a" using queue "q"\'\r\n'
    assert client.say(b"SUB a q 1\r\n") == wanted
    assert client.say(b"SUB b 1\r\nPING\r\n") == b"PONG\r\n"


def test_a_subscription_that_ends_with_its_right_is_reported(world):
    client = Client(world, rights=permissions("subscribe b"))
    client.say(b"SUB b 1\r\n")
    (link,) = world.listeners[-1].context.links
    link.context.rights = permissions("publish b")
    link.reconsider()
    assert client.output().startswith(b"-ERR 'Permissions Violation: you may no longer receive b")
    assert not client.end.closed


def test_too_many_subscriptions():
    world = World(bounds=Bounds(subscriptions=1))
    client = Client(world)
    assert client.say(b"SUB a 1\r\nSUB b 2\r\nPING\r\n") == b"-ERR 'maximum subscriptions exceeded'\r\nPONG\r\n"


def test_what_is_too_long_ends_the_connection(world):
    client = Client(world, max_message=10)
    assert client.say(b"PUB a 11\r\n") == b"-ERR 'Maximum Payload Violation'\r\n"
    assert client.end.closed


# Clocks


def test_a_silent_client_is_pinged_and_then_cut(world):
    client = Client(world, idle=300.0)
    world.advance(101)
    assert client.output() == b"PING\r\n"
    client.say(b"PONG\r\n")
    world.advance(99)
    assert client.output() == b""
    world.advance(2)
    assert client.output() == b"PING\r\n"
    world.advance(100)
    assert client.output() == b"PING\r\n"
    world.advance(100)
    assert client.output() == b"-ERR 'Stale Connection'\r\n"
    assert client.end.closed


def test_a_client_that_does_not_log_in_in_time():
    dialect = Nats(DialectContext(login=True, handshake=10.0), Peer())
    dialect.opened(100.0)
    assert dialect.deadline == 110.0
    dialect.receive(b"PING\r\n", 105.0)
    assert dialect.deadline == 110.0
    (close,) = dialect.timeout(110.0)
    assert close.data == b"-ERR 'Authentication Timeout'\r\n"


def test_a_client_of_protocol_1_gets_a_notice_of_the_end(world):
    client, old = Client(world), Client(world, b'CONNECT {"verbose":false}\r\n')
    for listener in world.listeners:
        for link in list(listener.context.links):
            link.close("shutdown")
    assert b'"ldm":true' in client.output()
    assert old.output() == b""


def test_a_login_that_has_expired(world):
    client = Client(world)
    (link,) = world.listeners[-1].context.links
    refusal = Refusal("not-authorized", "the login has expired")
    link.revoke(refusal.reason, refusal)
    assert client.output().endswith(b"-ERR 'User Authentication Expired'\r\n")


def test_a_slow_consumer_is_cut(world):
    client = Client(world, queue=100)
    client.say(b"SUB a 1\r\n")
    mouth = seat(world, "tcp-lines")
    client.end.taking = False
    for _ in range(100):
        mouth.publish("a", b"x" * 50_000)
        world.turn()
    assert world.listeners[0].context.cut == {"full": 1}


# Messages


def test_a_request_without_a_subscriber(world):
    client = Client(world)
    client.say(b"SUB _INBOX.x.* 9\r\n")
    said = client.say(b"PUB ask _INBOX.x.1 0\r\n\r\n")
    assert said == b"HMSG _INBOX.x.1 9 35 35\r\nNATS/1.0 503\r\nNats-Subject: ask\r\n\r\n\r\n"
    client.say(b"UNSUB 9\r\n")
    assert client.say(b"PUB ask _INBOX.x.1 0\r\n\r\n") == b""


def test_jetstream_is_not_here(world):
    client = Client(world)
    client.say(b"SUB r 1\r\n")
    head, body, _ = client.say(b"PUB $JS.API.STREAM.NAMES r 2\r\n{}\r\n").split(b"\r\n")
    assert head == b"MSG r 1 %d" % len(body)
    error = json.loads(body)["error"]
    assert (error["code"], error["err_code"]) == (503, 10076)
    assert "nats-server" in error["description"]


def test_retained_messages_come_after_a_subscription(world):
    seat(world, "tcp-lines").publish("a/b", b"kept", retain=True)
    client = Client(world)
    assert client.say(b"SUB a.> 1\r\nPING\r\n") == b"MSG a.b 1 4\r\nkept\r\nPONG\r\n"


def test_headers_pass_as_they_are(world):
    client, other = Client(world), Client(world)
    other.say(b"SUB > 7\r\n")
    block = b"NATS/1.0\r\nA:1\r\nA: 2\r\nContent-Type:  text/csv\r\n\r\n"
    client.say(b"HPUB a r %d %d\r\n%bx\r\n" % (len(block), len(block) + 1, block))
    assert other.output() == b"HMSG a 7 r %d %d\r\n%bx\r\n" % (len(block), len(block) + 1, block)


def test_headers_become_properties(world):
    output = []

    class Hears(Handler):
        @on("#")
        def receive(self, message):
            output.append((dict(message.properties), message.content_type))

    world.run(Hears)
    client = Client(world)
    block = b"NATS/1.0 404 No Messages\r\nA: 1\r\ncontent-type: text/csv\r\nB:\r\n\r\n"
    client.say(b"HPUB a %d %d\r\n%b\r\n" % (len(block), len(block), block))
    assert output == [({"Status": "404", "Description": "No Messages", "A": "1", "B": ""}, "text/csv")]


def test_properties_become_headers():
    message = Message("a", b"x", content_type="text/csv", properties=UserProperties([("k", "1"), ("k", "ü"), ("", "")]))
    block = "NATS/1.0\r\nContent-Type: text/csv\r\nk: 1\r\nk: ü\r\n\r\n".encode()
    assert encode_message(message, b" 1", True) == b"HMSG a 1 %d %d\r\n%bx\r\n" % (len(block), len(block) + 1, block)
    assert encode_message(message, b" 1", False) == b"MSG a 1 1\r\nx\r\n"
    for properties in ({"a b": "1"}, {"k": "1\r\nX: 2"}, {"k:": "1"}, {"k": "\ud800"}, {"ü": "1"}):
        assert encode_message(Message("a", b"x", properties=properties), b" 1", True) == b"MSG a 1 1\r\nx\r\n"


def test_of_two_message_ids_the_first_counts(world):
    """As at nats-server."""
    client, other = Client(world), Client(world)
    other.say(b"SUB a 1\r\n")
    for payload, ids in ((b"A", ("one", "two")), (b"B", ("one",)), (b"C", ("two",))):
        block = b"NATS/1.0\r\n%b\r\n" % b"".join(b"Nats-Msg-Id: %b\r\n" % id.encode() for id in ids)
        client.say(b"HPUB a %d %d\r\n%b%b\r\n" % (len(block), len(block) + 1, block, payload))
    assert [line for line in other.output().split(b"\r\n") if len(line) == 1] == [b"A", b"C"]


def test_too_many_headers_are_refused(world):
    client = Client(world)
    block = b"NATS/1.0\r\n" + b"A: 1\r\n" * 65 + b"\r\n"
    assert b"64 headers" in client.say(b"HPUB a %d %d\r\n%b\r\n" % (len(block), len(block), block))
    assert not client.end.closed


def test_ids_are_found_by_what_they_match(world):
    client = Client(world)
    client.say(b"SUB r.* 1\r\nSUB r.> 2\r\nSUB r.a.b 3\r\nSUB * 4\r\n")
    for reply, id in ((b"r.a.b", b"3"), (b"r.a", b"1"), (b"r.a.c", b"2"), (b"x", b"4")):
        assert client.say(b"PUB ask.it %b 0\r\n\r\n" % reply).split()[:3] == [b"HMSG", reply, id]
    assert client.say(b"PUB ask.it y.z 0\r\n\r\n") == b""


def test_a_web_client_that_is_refused_closes_at_once(world):
    """Its later operations were held back, and with them reading; its close frame is to be read all the same."""
    waiting = []
    listener = world.listen("websocket", Nats, login=lambda event, session, done: waiting.append(done))
    end = listener.connect()
    end.send(b'CONNECT {"user":"ann","pass":"no"}\r\n')
    world.turn()
    end.send(b"PING\r\n")
    world.turn()
    waiting[0](Refusal("not-authorized", "wrong user or password"))
    world.turn()
    assert end.received()[1:] == [b"-ERR 'Authorization Violation'\r\n"]
    assert end.close_code == 1000
    assert not listener.context.links
    assert listener.context.refused == {"not-authorized": 1}


def test_lines_that_come_again_mean_the_same(world):
    """They are read at once; not when the client has become verbose, or what follows is longer."""
    client, other = Client(world), Client(world)
    other.say(b"SUB a 1\r\n")
    client.say(b"PUB a 1\r\nx\r\nPUB a 1\r\ny\r\n")
    assert other.output() == b"MSG a 1 1\r\nx\r\nMSG a 1 1\r\ny\r\n"
    assert client.say(b'CONNECT {"verbose":true}\r\nPUB a 1\r\nz\r\n') == b"+OK\r\n+OK\r\n"
    assert client.say(QUIET + b"PUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n34\r\n") == b"-ERR 'Parser Error'\r\n"
    assert client.end.closed
    assert other.output().split(b"\r\n")[1::2] == [b"z", b"1", b"2"]


OPERATIONS = [b"PUB a 1\r\nx\r\n", b"PUB a 1\r\ny\r\n", b"PUB b 1\r\nz\r\n", b"PUB a 9\r\nPUB a 1\r\n\r\n", b"PING\r\n"]
ODD = [b"PUB a 1\r\n34\r\n", b"PUB a 1\r\n\r\r\n", b"PUB a 1\r\n", b"PUB", b"pub a 1\r\nx\r\n", b"PUB a 0\r\n\r\n"]


@example([OPERATIONS[2], OPERATIONS[0]], b"", [])
@example([OPERATIONS[3], OPERATIONS[0]], b"", [])
@given(st.lists(st.sampled_from(OPERATIONS), max_size=6), st.sampled_from([b"", *ODD]), st.lists(st.sampled_from(ODD)))
def test_operations_that_come_together_are_read_as_each_alone(some, odd, more):
    def read(pieces):
        dialect = Nats(DialectContext(), Peer())
        dialect.receive(QUIET + b"PUB a 1\r\n0\r\n", 0.0)
        events = [event for piece in pieces for event in dialect.receive(piece, 0.0)]
        return [(type(one), getattr(one, "topic", ""), getattr(one, "payload", b"")) for one in events]

    sent = OPERATIONS[:1] * 2 + some + [odd] + more
    assert read([b"".join(sent)]) == read(sent) == read([bytes([byte]) for byte in b"".join(sent)])


PAYLOADS = st.sampled_from([b"x", b"\n", b"\r\nMSG a/b 7 1\r\n", b"x" * 2_000, b""])


@example([(b"x", "a/b", None)] * 3, "tcp")
@example([(b"x", "a/b", None), (b"x", "a", None)] * 2, "tcp")
@example([(b"x", "a/b", None), (b"xy", "a/b", None), (b"z", "a/b", None)], "tcp")
@example([(b"x", "a/b", None), (b"y", "a/b", "b"), (b"z", "a/b", None)], "tcp")
@given(
    st.lists(st.tuples(PAYLOADS, st.sampled_from(["a/b", "a"]), st.sampled_from([None, "b"]))),
    st.sampled_from(["tcp", "websocket"]),
)
def test_messages_that_leave_together_are_encoded_as_each_alone(some, transport):
    messages = [Message(topic, payload, reply_to=reply) for payload, topic, reply in some]
    form = Nats(DialectContext(transport), Peer()).form(Subscribe("a/b", id="7"))
    assert list(Nats.encode_all(messages, form)) == [Nats.encode(message, form) for message in messages]


def test_messages_of_one_topic_and_size_are_one_piece_of_a_stream():
    messages = [Message("a/b", payload) for payload in (b"x", b"y", b"z")]
    stream, units = (Nats(DialectContext(one), Peer()).form(Subscribe("#", id="7")) for one in ("tcp", "websocket"))
    frames = Nats.encode_all(messages, stream)
    assert type(frames) is JoinedFrames
    assert frames.data == b"MSG a.b 7 1\r\nx\r\nMSG a.b 7 1\r\ny\r\nMSG a.b 7 1\r\nz\r\n"
    assert list(frames.ends) == [16, 32, 48]
    assert type(Nats.encode_all(messages, units)) is list


def test_what_a_link_remembers_of_lines_is_bounded(world):
    client = Client(world)
    (link,) = world.listeners[0].context.links
    for number in range(1_000):
        client.say(b"PUB a.%d 1\r\nx\r\n" % number)
    client.say(b"PUB " + b"a" * 1_000 + b" 1\r\nx\r\n")
    assert len(link.dialect._reader.known) <= 256
    assert max(map(len, link.dialect._reader.known)) <= 256
