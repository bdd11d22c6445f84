"""dialects/lines_client.py and json_client.py: what a connector says and hears, however the bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.dialect import DialectContext
from hubbub.dialects.json import Json
from hubbub.dialects.json_client import JsonClient
from hubbub.dialects.lines import Lines
from hubbub.dialects.lines_client import LinesClient
from hubbub.events import Answer, Close, Fault, Subscribe
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.publish import Publish

PEER = Session("192.0.2.7", 4711, "tcp", "there")
WISH = Subscribe("#")


def says(event):
    match event:
        case Publish():
            return (event.topic, event.payload, event.retain, event.content_type)
        case Fault():
            return event.refusal.code
        case Close():
            return ("close", event.refusal.code if event.refusal else None)
        case Answer():
            return event.data
    raise AssertionError(event)


def client(kind, transport="tcp", pull=(), max_message=1000):
    return kind(DialectContext(transport, max_message, None, "client", pull), PEER)


LINES = [
    (b"OK SUB a/#", None),
    (b"MSG a/b hello  world ", ("a/b", b"hello  world ", False, None)),
    (b"MSG a/b ", ("a/b", b"", False, None)),
    (b"MSG a%20b x\r", ("a b", b"x", False, None)),
    (b"MSGB a/b AAEC", ("a/b", b"\0\1\2", False, None)),
    (b"MSGB a/b !", "bad-payload"),
    (b"MSG a/+ x", "bad-topic"),
    (b"MSG a/b \xff", "bad-utf8"),
    (b"MSG a", None),
    (b"ERR not-authorized no", "unavailable"),
    (b"GAP 3", None),
    (b"PONG", None),
    (b"# help", None),
    (b"", None),
    (b"\xff\xfe rubbish", None),
    (b"MSG a/b " + b"x" * 1001, "too-long"),
]
OBJECTS = [
    ('{"op":"subscribed","topic":"a/#"}', None),
    ('{"op":"message","topic":"a/b","data":"hello"}', ("a/b", b"hello", False, None)),
    ('{"op":"message","topic":"a/b","data":{"a": [1.50]}}', ("a/b", b'{"a":[1.50]}', False, "application/json")),
    ('{"op":"message","topic":"a","base64":"AAEC","retained":true}', ("a", b"\0\1\2", True, None)),
    ('{"op":"message","topic":"a","data":"x","content_type":"text/plain"}', ("a", b"x", False, "text/plain")),
    ('{"op":"message","topic":"a/+","data":1}', "bad-topic"),
    ('{"op":"message","topic":"a","data":1,"reply_to":"#"}', "bad-topic"),
    ('{"op":"message","topic":"a"}', "bad-payload"),
    ('{"op":"message","data":1}', "bad-command"),
    ('{"op":"error","code":"not-authorized","reason":"no"}', "unavailable"),
    ('{"op":"gap","count":3}', None),
    ('{"op":"tomorrow","more":[]}', None),
    ("[]", "bad-command"),
    ("{", "bad-command"),
    ("", None),
    ('{"op":"message","topic":"a","data":"%s"}' % ("x" * 1001), "too-long"),
]
TALKS = [(LinesClient, LINES), (JsonClient, [(text.encode(), wanted) for text, wanted in OBJECTS])]


@given(st.sampled_from(TALKS), st.lists(st.integers(0, 3000), max_size=6))
def test_what_a_server_says(talk, cuts):
    kind, said = talk
    stream = b"".join(line + b"\n" for line, _ in said)
    wanted = [event for _, event in said if event is not None]
    dialect = client(kind)
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert [says(one) for start, end in pairwise(ends) for one in dialect.receive(stream[start:end], 0.0)] == wanted


@pytest.mark.parametrize(("kind", "said"), TALKS, ids=["lines", "json"])
def test_units(kind, said):
    dialect = client(kind, "websocket")
    for line, wanted in said:
        assert [says(one) for one in dialect.receive(line, 0.0, True)] == ([] if wanted is None else [wanted])


@pytest.mark.parametrize(("kind", "bye"), [(LinesClient, b"BYE"), (JsonClient, b'{"op":"bye"}')])
def test_the_end(kind, bye):
    message = b"MSG a x" if kind is LinesClient else b'{"op":"message","topic":"a","data":"x"}'
    dialect = client(kind)
    assert dialect.receive(message, 0.0) == []
    assert [says(one) for one in dialect.eof(0.0)] == [("a", b"x", False, None)]
    assert says(client(kind).receive(bye + b"\n" + message + b"\n", 0.0)[-1]) == ("close", None)
    assert says(client(kind).receive(b"x" * 200_000, 0.0)[-1]) == ("close", "too-long")
    assert not dialect.write_after_eof


def test_what_is_asked_for():
    assert [says(one) for one in client(LinesClient, pull=("a/#", "b c")).opened(0.0)] == [b"SUB a/#\n", b"SUB b%20c\n"]
    asked = [json.loads(says(one)) for one in client(JsonClient, "websocket", ("a/#",)).opened(0.0)]
    assert asked == [{"op": "subscribe", "topic": "a/#", "echo": False, "meta": True}]
    assert client(LinesClient).opened(0.0) == []


PAYLOADS = st.binary(max_size=200) | st.text(max_size=200).map(str.encode)
TOPICS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="+#\0"), min_size=1, max_size=30)


@given(st.sampled_from([(Lines, LinesClient), (Json, JsonClient)]), TOPICS, PAYLOADS, st.booleans())
def test_what_one_side_says_the_other_understands(sides, topic, payload, retain):
    server, kind = sides
    there = server(DialectContext("tcp"), PEER)
    out = kind.encode(Message(topic, payload, retain), client(kind).form(WISH))
    assert [says(one)[:3] for one in there.receive(out, 0.0)] == [(topic, payload, retain)]
    back = server.encode(Message(topic, payload), there.form(WISH))
    assert [says(one)[:3] for one in client(kind).receive(back, 0.0)] == [(topic, payload, False)]


def test_roles():
    assert Lines.for_role("server") is Lines
    assert Lines.for_role("client") is LinesClient
    assert Json.for_role("client") is JsonClient
    assert LinesClient.name == "lines"
    assert JsonClient.name == "json"
