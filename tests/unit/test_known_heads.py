"""A request whose head has come before isn't parsed again, and means the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.http import HttpRequest
from hubbub.transports.http.channel import BoundedRequest
from hubbub.transports.http.known_heads import KnownHeads
from unit.test_http_channel import HEAD, Door

ONE = HEAD % 1 + b"x"
OTHER = ONE.replace(b"POST /topics/a", b"PUT /topics/b?qos=1")
REQUESTS = st.sampled_from([
    ONE, ONE, OTHER, HEAD % 3 + b"xyz", HEAD % 0, b"GET /topics/b HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
    ONE.replace(b"/topics/a", b"/topics/a/+"), ONE.replace(b"Host", b"Origin: http://else.example\r\nHost"),
    b"POST /topics/a HTTP/1.1\r\nHost: 192.0.2.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
])  # fmt: skip


@pytest.fixture
def parsed(monkeypatch) -> list[bytes]:
    """The paths of requests that are parsed."""
    found = []
    process = BoundedRequest.process
    monkeypatch.setattr(BoundedRequest, "process", lambda self: (found.append(self.path), process(self)))
    return found


def statuses(answer: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+)", answer)


def test_the_third_request_is_not_parsed(parsed):
    door = Door()
    other = door.listener.connect()
    other.say("SUB a")
    parsed.clear()
    answers = [door.client.say(ONE) for _ in range(5)]
    assert {re.sub(rb"Date: .*", b"", answer) for answer in answers} == {re.sub(rb"Date: .*", b"", answers[0])}
    assert door.world.hub.turn.counters.delivered == 5
    assert len(parsed) == 2


def test_each_publishes_its_own_body(parsed):
    door = Door()
    other = door.listener.connect()
    other.say("SUB a")
    parsed.clear()
    head = (
        (HEAD % 1).replace(b"POST /topics/a", b"PUT /topics/a?qos=1").replace(b"Host", b"Content-Type: text/x\r\nHost")
    )
    for body in (b"1", b"2", b"3", b"4"):
        door.client.say(head + body)
        retained = door.world.hub.retained.get("a")
        assert (retained.payload, retained.content_type, retained.qos) == (body, "text/x", 1)
    assert other.received() == ["MSG a 1", "MSG a 2", "MSG a 3", "MSG a 4"]
    assert len(parsed) == 2


@given(st.lists(REQUESTS, max_size=12), st.lists(st.integers(1, 300), max_size=40))
def test_however_they_are_cut_the_answers_are_the_same(requests, cuts):
    whole, pieces = Door(), Door()
    wanted = b"".join(whole.client.say(request) for request in requests)
    data, found = b"".join(requests), b""
    for size in [*cuts, len(data)]:
        found += pieces.client.say(data[:size]) if data[:size] else b""
        data = data[size:]
    assert statuses(found) == statuses(wanted)
    assert len(statuses(found)) == len(requests)
    counters = [door.world.hub.turn.counters.published for door in (whole, pieces)]
    assert counters[0] == counters[1]


def test_what_comes_before_the_answer_waits():
    door = Door()
    door.client.say(ONE)
    door.client.say(ONE)
    channel = door.client.transport.protocol
    channel.dataReceived(ONE)
    channel.dataReceived(ONE + OTHER)
    door.world.turn()
    assert statuses(door.client.received()) == [b"202", b"202", b"200"]


@pytest.mark.parametrize(
    "piece", [
        ONE[:-1], ONE + b"P", ONE.replace(b"POST", b"DELETE"), ONE.replace(b"/topics", b"/requests"), ONE[:-1] + b"y",
        ONE.replace(b"Host", b"Expect: 100-continue\r\nHost"),
        ONE.replace(b"Host", b"X: " + b"x" * limits.KNOWN_HEAD_BYTES + b"\r\nHost"),
    ],
)  # fmt: skip
def test_what_is_not_remembered(piece):
    heads, resource = KnownHeads(), object()
    method, path = piece.split(b" ")[:2]
    heads.learn(piece, HttpRequest.made(method.decode(), path, body=b"x"), resource)
    assert heads.read(piece, resource) is None


def test_a_reload_and_another_user_forget():
    heads, resource = KnownHeads(), object()
    unit = HttpRequest.made("POST", b"/topics/a", body=b"x")
    heads.learn(ONE, unit, resource)
    assert heads.read(ONE[:-1] + b"y", resource) == b"y"
    assert heads.read(ONE, object()) is None
    heads.forget()
    assert heads.read(ONE, resource) is None


def test_a_connection_remembers_few():
    heads, resource = KnownHeads(), object()
    for n in range(3 * limits.KNOWN_HEADS):
        heads.learn(ONE.replace(b"/a", b"/%d" % n), HttpRequest.made("POST", b"/topics/%d" % n, body=b"x"), resource)
        assert len(heads._known) <= limits.KNOWN_HEADS
