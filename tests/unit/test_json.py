"""The json dialect: every op and answer, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.dialects.json import Json
from hubbub.errors import Refusal
from hubbub.events import Close, Confirm, Connect, Fault, Ping, Subscribe, Unsubscribe
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish, Request
from unit.json_help import JSON, PLAIN, feeds, link, read, refused, shown

SESSION = (
    b'{"op":"subscribe","topic":"a/#","id":1}\n'
    b'{"op":"publish","topic":"a/b","data":"h\xc3\xa9llo","id":"x"}\r\n'
    b"\n"
    b'{"op":"publish","topic":"a/b","data":{"t": 21.50, "s": "a\\nb"}}\n'
    b'{"op":"publish","topic":"a/b","base64":"AAEC/w==","retain":true}\n'
    b"nonsense\n"
    b'{"op":"ping"}\n'
    b'{"op":"unsubscribe","topic":"a/#"}\n'
)


@feeds
def test_a_stream_however_it_is_cut(feed: Callable[[bytes], Iterator[bytes]]):
    dialect = link()
    events = [event for piece in feed(SESSION) for event in dialect.receive(piece, 0.0)]
    assert shown(events) == [
        "Subscribe(filter='a/#', echo=True, full=None, options=(False, False), position='', tag=1)",
        repr(("Publish", "x", "a/b", "héllo".encode(), False, None, None, None)),
        repr(("Publish", None, "a/b", b'{"t":21.50,"s":"a\\nb"}', False, JSON, None, None)),
        repr(("Publish", None, "a/b", b"\x00\x01\x02\xff", True, None, None, None)),
        "Fault(refusal=Refusal('bad-command', 'a command is a JSON object'), tag=None)",
        "Ping(tag=None)",
        "Unsubscribe(filter='a/#', tag=None)",
    ]
    assert dialect.eof(0.0) == []


@feeds
def test_the_last_line_needs_no_end(feed: Callable[[bytes], Iterator[bytes]]):
    dialect = link()
    assert [e for piece in feed(b'{"op":"ping","id":1}') for e in dialect.receive(piece, 0.0)] == []
    assert shown(dialect.eof(0.0)) == ["Ping(tag=1)"]
    assert dialect.eof(0.0) == []


def test_an_incomplete_last_line_is_an_error():
    dialect = link()
    dialect.receive(b'{"op":"pi', 0.0)
    assert shown(dialect.eof(0.0)) == [
        "Fault(refusal=Refusal('bad-command', \"that isn't JSON: it ends too soon\"), tag=None)"
    ]


def test_one_object_is_one_websocket_message_on_however_many_lines():
    dialect = link("websocket")
    assert shown(dialect.receive(b'{\n  "op": "ping",\r\n  "id": 1\n}\n', 0.0, True)) == ["Ping(tag=1)"]
    assert shown(dialect.receive(b'{"op":"ping","id":2}', 0.0, False)) == ["Ping(tag=2)"]
    assert dialect.eof(0.0) == []
    (event,) = dialect.receive(b'{"op":"ping"}\n{"op":"ping"}', 0.0, True)
    assert event.refusal.code == "bad-command"


def test_a_datagram_may_hold_several_lines():
    dialect = link("udp")
    assert shown(dialect.receive(b'{"op":"ping","id":1}', 0.0)) == ["Ping(tag=1)"]
    assert shown(dialect.receive(b'{"op":"ping","id":1}\r\n{"op":"ping","id":2}\n', 0.0)) == [
        "Ping(tag=1)",
        "Ping(tag=2)",
    ]
    assert dialect.eof(0.0) == []


@pytest.mark.parametrize("transport", ["tcp", "udp", "websocket"])
@pytest.mark.parametrize("blank", [b"", b"\r", b"  \t", b"\r\r"])
def test_blank_lines_are_nothing(transport: str, blank: bytes):
    dialect = link(transport)
    assert dialect.receive(blank + b"\n" if transport == "tcp" else blank, 0.0) == []


# What is published


@pytest.mark.parametrize(
    ("data", "payload", "content_type"),
    [
        (b'""', b"", None),
        (b'"a b"', b"a b", None),
        (b'"\\u0000\\n\\"\\ud83d\\ude00"', '\0\n"😀'.encode(), None),
        ('"欢迎访问!"'.encode(), "欢迎访问!".encode(), None),
        (b"null", b"null", JSON),
        (b"true", b"true", JSON),
        (b"-0.10", b"-0.10", JSON),
        (b"1E+2", b"1E+2", JSON),
        (b"123456789012345678901234567890", b"123456789012345678901234567890", JSON),
        (b"0.1000000000000000000000000001", b"0.1000000000000000000000000001", JSON),
        (b' [ 1.0 , "a  b" , { } ] ', b'[1.0,"a  b",{}]', JSON),
        (b'{"a" : 1, "a" : 2}', b'{"a":1,"a":2}', JSON),
        (b'["\\u0041\\/", "\xe2\x80\xa8\x7f"]', b'["\\u0041\\/","\xe2\x80\xa8\x7f"]', JSON),
    ],
)
def test_data(data: bytes, payload: bytes, content_type: str | None):
    for command in (b'{"op":"publish","topic":"t","data":%b}' % data, b'{"data":%b,"topic":"t","op":"publish"}' % data):
        event = read(command)
        assert type(event) is Publish
        assert (event.topic, event.payload, event.content_type) == ("t", payload, content_type)


def test_a_pretty_printed_value_becomes_one_line():
    value = {"a": [1, {"b": None}], "c": "x\ny"}
    command = b'{"op":"publish","topic":"t","data":%b}' % json.dumps(value, indent=4).encode()
    (event,) = link("websocket").receive(command, 0.0, True)
    assert event.payload == b'{"a":[1,{"b":null}],"c":"x\\ny"}'


def test_everything_that_a_publish_may_say():
    event = read({"op": "publish", "topic": "t", "data": 5, "content_type": "text/plain", "reply_to": "r/1",
                  "properties": {"é": ""}, "retain": True, "id": 0, "unknown": [{"x": 1}]})  # fmt: skip
    assert shown([event]) == [repr(("Publish", 0, "t", b"5", True, "text/plain", "r/1", {"é": ""}))]


def test_what_few_messages_say():
    event = read({"op": "publish", "topic": "t", "data": "x", "qos": 2, "message_expiry": 60, "correlation": "AP8=",
                  "retain": True, "content_type": "t/x", "reply_to": "r",
                  "properties": {"k": "v"}, "id": 7})  # fmt: skip
    assert type(event) is QosPublish
    assert (event.qos, event.dedup_id, event.message_expiry, event.correlation) == (2, None, 60.0, b"\0\xff")
    assert (event.topic, event.payload, event.retain, event.tag) == ("t", b"x", True, 7)
    assert (event.content_type, event.reply_to, event.properties) == ("t/x", "r", {"k": "v"})
    for alone in ({"qos": 1}, {"message_expiry": 0.5}, {"correlation": ""}):
        assert type(read({"op": "publish", "topic": "t", "data": 1, **alone})) is QosPublish
    assert type(read({"op": "publish", "topic": "t", "data": 1, "qos": 0, "message_expiry": None})) is Publish


def test_a_qos_message_is_encoded_with_meta():
    letter = QosPublish("a", b"x", 1, message_expiry=59.5, correlation=b"\0\xff")
    head = b'{"op":"message","topic":"a","data":"x"'
    assert Json.encode(letter, (False, True, False)) == head + (
        b',"time":0.0,"retained":false,"qos":1,"message_expiry":59.5,"correlation":"AP8="}'
    )
    assert Json.encode(letter, (False, False, False)) == head + b"}"


def test_a_letter_passes_between_two_hubs():
    letter = QosPublish("a", b"x", 2, None, True, "t/x", None, {"k": "v"}, None, 60, b"\0\xff")
    client = Json.for_role("client")
    unit = client.encode(letter, b"")
    assert unit is not None
    event = read(unit)
    assert type(event) is QosPublish
    assert (event.qos, event.message_expiry, event.correlation, event.retain) == (2, 60.0, b"\0\xff", True)
    (back,) = client(DialectContext("websocket"), link().peer).receive(
        Json.encode(letter, (False, True, False)), 0.0, True
    )
    assert type(back) is QosPublish
    assert (back.qos, back.message_expiry, back.correlation, back.properties) == (2, 60.0, b"\0\xff", {"k": "v"})


def test_request():
    event = read({"op": "request", "topic": "t", "data": "?", "id": 7, "timeout": 60, "properties": {}})
    assert type(event) is Request
    assert (event.topic, event.payload, event.tag, event.timeout, event.blocking) == ("t", b"?", 7, 60.0, False)
    assert event.properties is None
    assert read({"op": "request", "topic": "t", "data": "?"}).timeout == limits.REQUEST_SECONDS
    assert read({"op": "request", "topic": "t", "data": {}, "timeout": 0.001}).content_type == JSON


@pytest.mark.parametrize("timeout", [0, -1, 60.001, 1e300])
def test_a_timeout_out_of_bounds(timeout: float):
    code, reason, tag = refused({"op": "request", "topic": "t", "data": "?", "id": 7, "timeout": timeout})
    assert (code, tag) == ("bad-command", 7)
    assert "60 seconds" in reason


def test_subscribe():
    event = read({"op": "subscribe", "topic": "+/b/#", "id": "s", "echo": False, "meta": True, "full": "latest"})
    assert shown([event]) == [
        "Subscribe(filter='+/b/#', echo=False, full='latest', options=(True, False), position='', tag='s')"
    ]
    assert link().form(event) == (True, True, False)
    event = read({"op": "subscribe", "topic": "a", "parse": True})
    assert link("websocket").form(event) == (False, False, True)
    assert link("udp").form(Subscribe("a")) == (False, False, False)


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "latest", "disconnect"])
def test_policies(policy: str):
    assert read({"op": "subscribe", "topic": "a", "full": policy}).full == policy


def test_auth():
    event = read({"op": "auth", "user": "me", "password": "", "id": 1})
    assert type(event) is Connect
    assert (event.user, event.password, event.token, event.tag) == ("me", "", None, 1)
    event = read({"op": "auth", "token": "t"})
    assert (event.user, event.password, event.token, event.tag) == (None, None, "t", None)


@pytest.mark.parametrize("given", [{}, {"user": "a"}, {"password": "a"}, {"user": "a", "password": "b", "token": "c"},
                                   {"user": "a", "token": "c"}])  # fmt: skip
def test_auth_by_halves(given: dict[str, str]):
    assert refused({"op": "auth", "id": 1, **given}) == (
        "bad-command",
        'auth takes "user" and "password", or "token"',
        1,
    )


@pytest.mark.parametrize(("transport", "last"), [("tcp", b'{"op":"bye"}\n'), ("websocket", b'{"op":"bye"}')])
def test_bye_ends_it(transport: str, last: bytes):
    dialect = link(transport)
    (event,) = dialect.receive(b'{"op":"bye"}\n', 0.0)
    assert type(event) is Close
    assert (event.data, event.refusal) == (last, None)
    assert dialect.eof(0.0) == []


def test_nothing_after_bye_is_read():
    events = link().receive(b'{"op":"ping"}\n{"op":"bye"}\n{"op":"ping"}\n', 0.0)
    assert [type(event) for event in events] == [Ping, Close]


def test_confirm_comes_before_its_command():
    dialect = link("udp")
    assert shown(dialect.receive(b'{"op":"subscribe","topic":"a","confirm":"7Zk_-aB"}', 0.0)) == [
        "Confirm(token='7Zk_-aB', tag=None)",
        "Subscribe(filter='a', echo=True, full=None, options=(False, False), position='', tag=None)",
    ]
    events = dialect.receive(b'{"op":"subscribe","topic":"a/#/b","confirm":"7Zk_-aB","id":1}', 0.0)
    assert [type(event) for event in events] == [Confirm, Fault]


# What the hub says


@pytest.mark.parametrize(
    ("event", "result", "answer"),
    [
        (Subscribe("a/#", tag=1), None, b'{"op":"subscribed","topic":"a/#","id":1}'),
        (Subscribe("a/#"), None, b'{"op":"subscribed","topic":"a/#"}'),
        (Unsubscribe("é"), None, '{"op":"unsubscribed","topic":"é"}'.encode()),
        (Unsubscribe("a", tag="x"), None, b'{"op":"unsubscribed","topic":"a","id":"x"}'),
        (Publish("a", b"", tag=0), 0, b'{"op":"published","id":0,"receivers":0}'),
        (Publish("a", b"", tag=""), 12, b'{"op":"published","id":"","receivers":12}'),
        (Connect(tag=2), "me", b'{"op":"authenticated","user":"me","id":2}'),
        (Connect(), "me", b'{"op":"authenticated","user":"me"}'),
        (Ping(), 3, b'{"op":"pong"}'),
        (Ping(9), 3, b'{"op":"pong","id":9}'),
        (Request("a", b"", tag=7), Message("r", b"yes"), b'{"op":"reply","id":7,"data":"yes"}'),
        (Request("a", b""), Message("r", b""), b'{"op":"reply","data":""}'),
        (Request("a", b"", tag=7), Message("r", b"[1 ]", content_type=JSON), b'{"op":"reply","id":7,"data":[1]}'),
        (Request("a", b"", tag=7), Message("r", b"[1 ]"), b'{"op":"reply","id":7,"data":"[1 ]"}'),
        (Request("a", b"", tag=7), Message("r", b"\xff"), b'{"op":"reply","id":7,"base64":"/w=="}'),
        (Request("a", b"", tag=7), Refusal("timeout", "late"),
         b'{"op":"error","code":"timeout","reason":"late","id":7}'),
        (Publish("a", b""), Refusal("quota", "a\nb"), b'{"op":"error","code":"quota","reason":"a\\nb"}'),
        (Confirm("x"), None, b""),
    ],
)  # fmt: skip
def test_answers(event: Any, result: Any, answer: bytes):
    assert link("websocket").outcome(event, result) == answer
    assert link("tcp").outcome(event, result) == (answer + b"\n" if answer else b"")


def test_words_of_the_hub():
    dialect = link("udp")
    assert dialect.outcome(Ping(), 3) == b'{"op":"pong","subscriptions":3}'
    assert dialect.outcome(Ping(1), 0) == b'{"op":"pong","subscriptions":0,"id":1}'
    assert dialect.confirm(Subscribe("a"), "7Zk_-aB") == b'{"op":"confirm","token":"7Zk_-aB"}'
    assert dialect.confirm(Subscribe("a", tag=1), "7Zk_-aB") == b'{"op":"confirm","token":"7Zk_-aB","id":1}'
    assert dialect.gap(3) == b'{"op":"gap","count":3}'
    assert dialect.encode_close("stall") == b'{"op":"bye"}'
    assert link().gap(1) == b'{"op":"gap","count":1}\n'
    assert link().encode_close("") == b'{"op":"bye"}\n'


@pytest.mark.parametrize(
    ("payload", "content_type", "reported"),
    [
        (b"", None, b'"data":""'),
        (b"21.5", None, b'"data":"21.5"'),
        (b'{"a": 1}', "text/plain", b'"data":"{\\"a\\": 1}"'),
        ("é\0\n\x7f\u2028".encode(), None, '"data":"é\\u0000\\n\x7f\u2028"'.encode()),
        (b"\xff\x00", None, b'"base64":"/wA="'),
        (b"\xed\xa0\x80", None, b'"base64":"7aCA"'),
        (b' {"a" : 1.50,\r\n"b":[]}\n', JSON, b'"data":{"a":1.50,"b":[]}'),
        (b"[1]", "application/JSON; charset=utf-8", b'"data":[1]'),
        (b"[1]", "application/geo+json", b'"data":[1]'),
        (b'"text"', JSON, b'"data":"text"'),
        (b"null", JSON, b'"data":null'),
        (b"", JSON, b'"data":""'),
        (b'1}\n{"op":"bye"', JSON, b'"data":"1}\\n{\\"op\\":\\"bye\\""'),
        (b"NaN", JSON, b'"data":"NaN"'),
        (b"1e999", JSON, b'"data":"1e999"'),
        (b'"\\ud800"', JSON, b'"data":"\\"\\\\ud800\\""'),
        (b'"\xff"', JSON, b'"base64":"Iv8i"'),
        (b"\xef\xbb\xbf1", JSON, '"data":"\ufeff1"'.encode()),
        (b"[" * 65 + b"]" * 65, JSON, b'"data":"' + b"[" * 65 + b"]" * 65 + b'"'),
        (b"[" * 64 + b"]" * 64, JSON, b'"data":' + b"[" * 64 + b"]" * 64),
    ],
)
def test_messages(payload: bytes, content_type: str | None, reported: bytes):
    message = Message("a/b", payload, content_type=content_type)
    unit = b'{"op":"message","topic":"a/b",' + reported + b"}"
    assert Json.encode(message, (False, False, False)) == unit
    assert Json.encode(message, PLAIN) == unit + b"\n"


@pytest.mark.parametrize(
    ("payload", "reported"),
    [
        (b"21.50", b"21.50"),
        (b' { "a":1}', b'{"a":1}'),
        (b'"x"', b'"x"'),
        (b"null", b"null"),
        (b"x", b'"x"'),
        (b"", b'""'),
    ],
)
def test_parse(payload: bytes, reported: bytes):
    unit = b'{"op":"message","topic":"a","data":' + reported + b"}\n"
    assert Json.encode(Message("a", payload), (True, False, True)) == unit


def test_meta():
    message = Message("a", b"x")
    message.time = 1700000000.25
    head = b'{"op":"message","topic":"a","data":"x","time":1700000000.25,'
    assert Json.encode(message, (True, True, False)) == head + b'"retained":false}\n'
    message.retained, message.content_type, message.reply_to, message.properties = True, "t/x", "r", {"k": "v"}
    assert Json.encode(message, (True, True, False)) == head + (
        b'"retained":true,"content_type":"t/x","properties":{"k":"v"},"reply_to":"r"}\n'
    )
    assert Json.encode(message, PLAIN) == b'{"op":"message","topic":"a","data":"x"}\n'
    message.properties = {"k": "\ud800"}
    assert Json.encode(message, (True, True, False)) is None


def test_equal_wishes_share_an_encoding():
    one, other = link(), link()
    assert one.form(Subscribe("a", options=(True, False))) == other.form(Subscribe("b/#", options=(True, False)))
    assert one.encode == other.encode
    assert hash(one.encode) == hash(other.encode)
