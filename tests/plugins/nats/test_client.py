"""plugins/nats/client.py: what a link to a NATS server says and hears, operation by operation."""

from __future__ import annotations

import json

import pytest

from hubbub import Answer, Close, DialectContext, Fault, Message, Notice, Publish, Refusal, Subscribe
from hubbub.kernel.sessions.session import Session
from hubbub.loop_prevention import path_of
from hubbub.option import Secret, configure
from hubbub.testing import DialectContract
from hubbub_plugins.nats import Nats
from nats_operations import Operations

NatsClient = Nats.for_role("client")
NOW = 1_000.0
INFO = b'INFO {"server_id":"N1","headers":true,"max_payload":1000,"version":"2.15.1"} \r\n'


class Bridge:
    def __init__(self, pull=("a/#",), push=("b/#",), secure=False, max_message=1000, **options):
        kind = configure(NatsClient, {"client": "here", **options})
        context = DialectContext("tcp", max_message, None, "client", pull, push=push, node="n0", secure=secure)
        self.dialect = kind(context, Session("192.0.2.7", 4222, "tcp", "b"))
        assert self.dialect.opened(NOW) == []

    def receive(self, data):
        return self.dialect.receive(data, NOW)

    def begin(self, info=INFO):
        """Return what it says once the server has accepted it."""
        self.receive(info)
        return self.receive(b"PONG\r\n")


def said(event):
    assert isinstance(event, Answer)
    return event.data


class TestContract(DialectContract):
    dialect = NatsClient
    greeting = INFO + b"PONG\r\n"
    samples = [
        (b"PING\r\n", ["Answer 'PONG\\r\\n'"]),
        (b"MSG a.b 1 1\r\nx\r\n", ["Fault not-authorized: it sends what no filter of pull= matches"]),
        (b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n", ["Notice", "Fault unavailable"]),
        (b"-ERR 'Stale Connection'\r\n", ["Close unavailable: it closes: Stale Connection"]),
    ]


def test_the_handshake():
    bridge = Bridge()
    (answer,) = bridge.receive(INFO)
    connect, ping, _ = said(answer).split(b"\r\n")
    options = json.loads(connect.removeprefix(b"CONNECT "))
    assert (options["name"], options["echo"], options["verbose"], options["headers"]) == ("here", False, False, True)
    assert ping == b"PING"
    wishes = bridge.receive(b"PONG\r\n")
    assert isinstance(wishes[0], Subscribe)
    assert (wishes[0].filter, wishes[0].echo, wishes[0].retained) == ("b/#", False, "never")
    assert [said(one) for one in wishes[1:]] == [b"SUB a 1\r\n", b"SUB a.> 2\r\n"]
    assert bridge.receive(b"PONG\r\n") == []


def test_a_queue_group():
    wishes = Bridge(pull=("a/+",), push=(), queue_group="hubs").begin()
    assert [said(one) for one in wishes] == [b"SUB a.* hubs 1\r\n"]


@pytest.mark.parametrize(
    ("options", "login"),
    [
        ({}, {}),
        ({"user": "ann", "password_file": "f"}, {"user": "ann", "pass": "secret"}),
        ({"password_file": "f"}, {"auth_token": "secret"}),
        ({"user": "ann"}, {"user": "ann", "pass": ""}),
    ],
)
def test_logins(tmp_path, options, login):
    (tmp_path / "f").write_text("secret\n")
    if "password_file" in options:
        options = {**options, "password_file": str(tmp_path / "f")}
    bridge = Bridge(**options)
    (answer,) = bridge.receive(INFO)
    found = json.loads(said(answer).split(b"\r\n")[0].removeprefix(b"CONNECT "))
    assert {name: found[name] for name in ("user", "pass", "auth_token") if name in found} == login
    assert bridge.dialect.secrets == ((b"secret",) if "secret" in login.values() else ())
    assert isinstance(bridge.dialect.password_file, Secret | str)


def test_what_arrives_is_published():
    bridge = Bridge()
    bridge.begin()
    block = b"NATS/1.0\r\nk: 1\r\nContent-Type: text/csv\r\n\r\n"
    data = b"HMSG a.b 2 r.1 %d %d\r\n%bx\r\n" % (len(block), len(block) + 1, block)
    first, second = bridge.receive(b"MSG a 1 1\r\nx\r\n" + data)
    assert (first.topic, first.payload, first.reply_to) == ("a", b"x", None)
    assert (second.topic, second.payload, second.reply_to, second.content_type) == ("a/b", b"x", "r/1", "text/csv")
    assert second.properties["k"] == "1"
    assert path_of(second) == ["N1"]


def test_a_message_that_two_filters_match_is_published_once():
    bridge = Bridge(pull=("a/+", "a/#"))
    assert len(bridge.begin()) == 4
    events = bridge.receive(b"MSG a.b 1 1\r\nx\r\nMSG a.b 3 1\r\nx\r\nMSG a.b.c 3 1\r\ny\r\nMSG a 2 1\r\nz\r\n")
    assert [(one.topic, one.payload) for one in events] == [("a/b", b"x"), ("a/b/c", b"y"), ("a", b"z")]


def test_what_hash_does_not_match_is_left_out():
    bridge = Bridge(pull=("#",))
    bridge.begin()
    assert [one.topic for one in bridge.receive(b"MSG $JS.API 1 1\r\nx\r\nMSG a 1 1\r\nx\r\n")] == ["a"]


def test_a_subject_that_no_topic_has_is_counted():
    bridge = Bridge()
    bridge.begin()
    (fault,) = bridge.receive(b"MSG a.b/c 2 1\r\nx\r\n")
    assert isinstance(fault, Fault)


def test_what_is_pushed():
    bridge = Bridge()
    (wish, *_) = bridge.begin()
    form = bridge.dialect.form(wish)
    unit = NatsClient.encode(Message("b/c", b"x", reply_to="r/1", properties={"k": "1"}), form)
    ((words, data),) = Operations((b"HPUB", b"PUB")).feed(unit)[0]
    assert words[:3] == [b"HPUB", b"b.c", b"r.1"]
    assert data == b"NATS/1.0\r\nk: 1\r\nhubbub-path: n0\r\n\r\nx"
    assert NatsClient.encode(Message("b/c", b"x", properties={"hubbub-path": "N1"}), form) is None
    assert NatsClient.encode(Message("b/c", b"x" * 1_000), form) is None
    assert NatsClient.encode(Message("b/" + "c" * 5_000, b""), form) is None


def test_a_server_without_headers():
    bridge = Bridge()
    (wish, *_) = bridge.begin(b"INFO {}\r\n")
    assert (
        NatsClient.encode(Message("b/c", b"x", properties={"k": "1"}), bridge.dialect.form(wish))
        == b"PUB b.c 1\r\nx\r\n"
    )


def test_what_has_passed_this_hub_is_dropped():
    bridge = Bridge()
    bridge.begin()
    block = b"NATS/1.0\r\nhubbub-path: n0 N1\r\n\r\n"
    assert bridge.receive(b"HMSG a 1 %d %d\r\n%b\r\n" % (len(block), len(block), block)) == []


# What ends the link, and what doesn't


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "it isn't a NATS server: it sends no INFO"),
        (b"-ERR 'maximum connections exceeded'\r\n", "it closes: maximum connections exceeded"),
        (b'INFO {"tls_required":true}\r\n', "it requires TLS: dial tls:HOST:PORT:dialect=nats"),
        (b"INFO {\r\n", "INFO is followed by a JSON object with fields of the known types"),
        (INFO + b"-ERR 'Authorization Violation'\r\n", "it closes: Authorization Violation"),
        (INFO + b"WHAT\r\n", "it sends an unknown operation"),
        (INFO + b"MSG a 1 x\r\n", "a number is expected: the bytes of a payload or of its headers, or a maximum"),
        (INFO + b"MSG a 1 2000\r\n", "a message with its headers is longer than 1000 bytes"),
    ],
)
def test_what_ends_the_link(data, reason):
    *_, close = Bridge().receive(data)
    assert isinstance(close, Close)
    assert close.refusal.reason == reason


def test_a_refusal_is_sent_and_the_link_stays():
    bridge = Bridge()
    bridge.begin()
    notice, fault = bridge.receive(b"-ERR 'Permissions Violation for Subscription to \"a.>\"'\r\n")
    assert isinstance(notice, Notice)
    assert isinstance(fault, Fault)
    assert "a.>" in notice.text
    assert isinstance(bridge.receive(b"MSG a 1 1\r\nx\r\n")[0], Publish)


def test_a_server_whose_messages_may_be_too_long_is_reported():
    notice, _ = Bridge(max_message=100).receive(INFO)
    assert "raise max-message=" in notice.text


def test_a_push_that_this_hub_refuses_ends_the_link():
    bridge = Bridge()
    (wish, *_) = bridge.begin()
    close = bridge.dialect.outcome(wish, Refusal("not-authorized", "no"))
    assert close.refusal.reason == "push=b/#: no"


def test_clocks():
    bridge = Bridge()
    assert bridge.dialect.deadline == NOW + 10
    (close,) = bridge.dialect.timeout(NOW + 10)
    assert close.refusal.reason == "no login in time"
    bridge = Bridge()
    bridge.begin()
    assert bridge.dialect.deadline == NOW + 100
    assert said(bridge.dialect.timeout(NOW + 100)[0]) == b"PING\r\n"
    assert said(bridge.dialect.timeout(NOW + 200)[0]) == b"PING\r\n"
    (close,) = bridge.dialect.timeout(NOW + 300)
    assert close.refusal.reason == "no answer to two pings"


def test_lame_duck_mode():
    bridge = Bridge()
    bridge.begin()
    (notice,) = bridge.receive(b'INFO {"ldm":true,"headers":true,"max_payload":1000}\r\n')
    assert "lame duck" in notice.text
