"""The json dialect and bad input: one answer each, in time, and nothing else happens."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hubbub import limits
from hubbub.dialects.json import Json
from hubbub.dialects.json_text import claims_json, compact
from hubbub.errors import Refusal
from hubbub.events import Close, Fault, Ping
from hubbub.framing import HTTP_400
from hubbub.limits import NAME_CHARACTERS
from unit.json_help import JSON, brief, feeds, link, read, refused


def publish(**more: Any) -> dict[str, Any]:
    return {"op": "publish", "topic": "t", "id": 1, **({"data": 1} | more)}


@pytest.mark.parametrize(
    ("command", "code", "reason", "tag"),
    [
        (b"[]", "bad-command", "a command is a JSON object", None),
        (b"5", "bad-command", "a command is a JSON object", None),
        (b'"x"', "bad-command", "a command is a JSON object", None),
        (b"PUB a b", "bad-command", "a command is a JSON object", None),
        (b"\x00", "bad-command", "a command is a JSON object", None),
        (b"{", "bad-command", "that isn't JSON: it ends too soon", None),
        (b"{'op':1}", "bad-command", "that isn't JSON: object keys must be strings (byte 1)", None),
        (b'{"op":"ping"} x', "bad-command", "that isn't JSON: trailing characters (byte 15)", None),
        (b"{}", "bad-command", '"op" is missing', None),
        (b'{"id":4}', "bad-command", '"op" is missing', 4),
        (b'{"op":"publish","id":"x"}', "bad-command", '"topic" is missing', "x"),
        ({"op": "nope", "id": 1}, "bad-command",
         "no such op; there are publish, subscribe, unsubscribe, request, auth, ping, bye", 1),
        ({"op": "x" * 100_000, "id": 1}, "bad-command",
         "no such op; there are publish, subscribe, unsubscribe, request, auth, ping, bye", 1),
        ({"op": 5, "id": 1}, "bad-command",
         "no such op; there are publish, subscribe, unsubscribe, request, auth, ping, bye", 1),
        ({"op": "ping", "id": None}, "bad-command", '"id": expected an integer or a string, got null', None),
        ({"op": "ping", "id": 1.5}, "bad-command", '"id": expected an integer or a string, got a number', None),
        ({"op": "ping", "id": True}, "bad-command", '"id": expected an integer or a string, got true or false', None),
        ({"op": "ping", "id": [1]}, "bad-command", '"id": expected an integer or a string, got an array', None),
        ({"op": "ping", "id": 2**63}, "bad-command", '"id": expected an integer <= 9223372036854775807', None),
        ({"op": "ping", "id": "x" * 257}, "bad-command", '"id": expected a string of length <= 256', None),
        (publish(topic=5), "bad-command", '"topic": expected a string, got an integer', 1),
        (publish(retain="yes"), "bad-command", '"retain": expected true or false, got a string', 1),
        (publish(properties=[]), "bad-command", '"properties": expected an object or null, got an array', 1),
        (publish(properties={"a": 1}), "bad-command", '"properties": expected a string, got an integer', 1),
        (publish(properties={str(n): "" for n in range(65)}), "bad-command",
         '"properties": expected an object of length <= 64', 1),
        (publish(properties={"a": "x" * 65536}), "bad-command", '"properties": more than 65536 characters', 1),
        (publish(qos=3), "bad-command", '"qos": expected an integer <= 2', 1),
        (publish(qos="1"), "bad-command", '"qos": expected an integer, got a string', 1),
        (publish(message_expiry=0), "bad-command", '"message_expiry": expected a number > 0.0', 1),
        (publish(message_expiry=2**32), "bad-command", '"message_expiry": expected a number <= 4294967295.0', 1),
        (publish(correlation="x"), "bad-command",
         '"correlation": padded base64 without spaces (RFC 4648 section 4)', 1),
        (publish(content_type="x" * 257), "bad-command", '"content_type": expected a string of length <= 256', 1),
        ({"op": "subscribe", "topic": "a", "full": "never", "id": 1}, "bad-command",
         '"full": one of drop-oldest, drop-newest, latest, disconnect', 1),
        ({"op": "subscribe", "topic": "a/#/b", "id": 1}, "bad-filter",
         "# is only allowed as the last level, as in a/#", 1),
        ({"op": "subscribe", "topic": "a+", "id": 1}, "bad-filter",
         "+ and # stand alone in their level, as in a/+/b or a/#", 1),
        ({"op": "unsubscribe", "topic": "", "id": 1}, "bad-filter", "it is empty", 1),
        (publish(topic=""), "bad-topic", "it is empty", 1),
        (publish(topic="a/#"), "bad-topic", "a topic has no wildcards; + and # are for filters", 1),
        (publish(topic="a\0"), "bad-topic", "it contains NUL (U+0000)", 1),
        (publish(topic="x" * 65_536), "bad-topic", "it is longer than 65535 bytes", 1),
        (publish(reply_to="a/+"), "bad-topic",
         '"reply_to": a topic has no wildcards; + and # are for filters', 1),
        ({"op": "publish", "topic": "t", "id": 1}, "bad-payload", 'a payload is "data" or "base64", one of them', 1),
        (publish(base64=""), "bad-payload", 'a payload is "data" or "base64", one of them', 1),
        ({"op": "request", "topic": "t", "id": 1}, "bad-payload", 'a payload is "data" or "base64", one of them', 1),
        (b'{"op":"publish","topic":"\xff","data":1,"id":1}', "bad-utf8", "a command is UTF-8", 1),
        (b'{"op":"publish","topic":"t","data":"\xff","id":1}', "bad-utf8", "a command is UTF-8", 1),
        (b'{"op":"publish","topic":"t","data":["\xc3"],"id":1}', "bad-utf8", "the JSON isn't UTF-8", 1),
        (b'{"op":"publish","topic":"t","data":{"\xed\xa0\x80":1},"id":1}', "bad-utf8", "the JSON isn't UTF-8", 1),
        (b'{"op":"publish","topic":"t","data":1e999,"id":1}', "bad-payload",
         "a number is out of range: the largest is about 1.8e308", 1),
        (b'{"op":"publish","topic":"t","data":[-1E+0999],"id":1}', "bad-payload",
         "a number is out of range: the largest is about 1.8e308", 1),
        (b'{"op":"publish","topic":"t","data":{"e":%b},"id":1}' % (b"9" * 309), "bad-payload",
         "a number is out of range: the largest is about 1.8e308", 1),
        (b'{"op":"publish","topic":"t","data":%b,"id":1}' % (b"[" * 65 + b"]" * 65), "bad-payload",
         "it is nested deeper than 64 levels", 1),
        (b'{"op":"publish","topic":"t","data":%b,"id":1}' % (b'{"":[' * 33 + b"]}" * 33), "bad-payload",
         "it is nested deeper than 64 levels", 1),
        (b'{"op":"publish","topic":"t","data":%b}' % (b"[" * 100_000 + b"]" * 100_000), "bad-payload",
         "it is nested deeper than 64 levels", None),
        (b'{"op":"publish","topic":"t","data":%b}' % (b"[" * 100_000), "bad-payload",
         "it is nested deeper than 64 levels", None),
        (b'{"x":' * 100_000, "bad-payload", "it is nested deeper than 64 levels", None),
        (b'{"x":' * 100, "bad-payload", "it is nested deeper than 64 levels", None),
        (b"[" * 100_000, "bad-command", "a command is a JSON object", None),
    ],
    ids=brief,
)  # fmt: skip
def test_faults(command: object, code: str, reason: str, tag: Any):
    for transport in ("tcp", "websocket", "udp"):
        assert refused(command, transport) == (code, reason, tag)


@pytest.mark.parametrize(
    "data",
    [b"NaN", b"-Infinity", b"Infinity", b'"\\ud800"', b'"\\udc00\\ud800"', b'["\\ud83d"]', b"01", b"+1", b"1.",
     b".5", b"1e", b"[1,]", b'{"a":1,}', b"{1:2}", b"'a'", b"True", b'"\\x41"', b'"\t"', b"[1\x0b]",
     b"\xef\xbb\xbf1", b"/**/1", b"-"],
)  # fmt: skip
def test_what_is_not_json(data: bytes):
    code, reason, tag = refused(b'{"op":"publish","topic":"t","id":1,"data":%b}' % data)
    assert (code, tag) == ("bad-command", None)
    assert reason.startswith("that isn't JSON: ")
    with pytest.raises(Refusal) as caught:
        compact(data)
    assert caught.value.code == "bad-payload"


@pytest.mark.parametrize("text", ['"', '\\"', "\\", '\\\\"', '"["', "e999", "\\[", ""])
def test_what_stands_in_strings_neither_counts_nor_hides(text: str):
    deep: list[Any] = []
    for _ in range(limits.JSON_DEPTH - 2):
        deep = [deep]
    assert compact(json.dumps([text, deep, text + "[" * 99, "e999"]).encode())
    for bad in (
        json.dumps([text, [deep], text]),
        json.dumps([text, 10**309, text]),
        json.dumps([text, 0])[:-2] + "1e999]",
    ):
        with pytest.raises(Refusal):
            compact(bad.encode())


@pytest.mark.parametrize("text", ["QQ", "QQ=", "Q Q==", "QQ==\n", "=", "====", "QQ==QQ==", "Q-_=", "é"])
def test_bad_base64(text: str):
    code, reason, tag = refused({"op": "publish", "topic": "t", "id": 1, "base64": text})
    assert (code, reason, tag) == ("bad-payload", '"base64": padded base64 without spaces (RFC 4648 section 4)', 1)


def test_what_is_large_and_allowed():
    assert read(publish(properties={f"{n:02}": "x" * 1022 for n in range(64)})).properties["63"] == "x" * 1022
    assert read(publish(content_type="x" * NAME_CHARACTERS)).content_type == "x" * NAME_CHARACTERS
    for id in ("", "x" * NAME_CHARACTERS, 2**63 - 1, -(2**63)):
        assert read({"op": "ping", "id": id}).tag == id
    for number in (repr(sys.float_info.max), "1" + "0" * 308, "0." + "1" * 5000, "1e-5000", "0e5000"):
        assert read(b'{"op":"publish","topic":"t","data":[%b]}' % number.encode()).payload[1:-1] == number.encode()
    assert read(publish(data=["e9999", "9" * 400])).payload == b'["e9999","' + b"9" * 400 + b'"]'
    assert read(publish(data=["[{" * 100, '"\\"' * 9, "\\"])).payload == compact(
        json.dumps(["[{" * 100, '"\\"' * 9, "\\"]).encode()
    )


@pytest.mark.parametrize("transport", ["tcp", "websocket", "udp"])
@pytest.mark.parametrize("member", [b'"data":"xxxxxxxxx"', b'"base64":"eHh4eHh4eHh4"', b'"data":[1,2,3,45]'])
def test_a_payload_over_the_maximum_closes(transport: str, member: bytes):
    dialect = link(transport, max_message=8)
    end = b"\n" if transport == "tcp" else b""
    events = dialect.receive(b'{"op":"publish","topic":"t",%b,"id":1}%b' % (member, end), 0.0)
    (event,) = events
    assert type(event) is Close
    assert event.data == b'{"op":"error","code":"too-long","reason":"the payload is longer than 8 bytes","id":1}' + end
    assert event.refusal is not None
    assert event.refusal.code == "too-long"
    assert dialect.eof(0.0) == []


def test_a_payload_of_the_maximum_fits_in_its_longest_spelling():
    for text, payload in (("\0" * 1000, b"\0" * 1000), ("é" * 500, "é".encode() * 500)):
        line = json.dumps({"op": "publish", "topic": "t", "data": text}).encode() + b"\n"
        (event,) = link(max_message=1000).receive(line, 0.0)
        assert event.payload == payload
    (event,) = link(max_message=4).receive(b'{"op":"publish","topic":"t","data":[ 10 ]}\n', 0.0)
    assert event.payload == b"[10]"


def until_close(dialect: Json, pieces: Iterator[bytes]) -> list[Any]:
    """Feed a dialect as a link does, which reads nothing behind a Close."""
    events: list[Any] = []
    for piece in pieces:
        events += dialect.receive(piece, 0.0)
        if events and type(events[-1]) is Close:
            break
    return events


@feeds
def test_an_endless_line_closes(feed: Callable[[bytes], Iterator[bytes]]):
    dialect = link(max_message=10)
    bound = Json.max_unit(dialect.context)
    assert bound == 60 + 64 * 1024
    events = until_close(dialect, feed(b'{"op":"ping"}\n' + b"x" * (bound + 2)))
    assert [type(event) for event in events] == [Ping, Close]
    assert json.loads(events[1].data)["code"] == "too-long"
    assert events[1].data.endswith(b"\n")


def test_what_follows_the_end_is_not_looked_at():
    dialect = link(max_message=10)
    events = dialect.receive(b'{"op":"bye"}\n' + b"x" * (Json.max_unit(dialect.context) + 2), 0.0)
    assert [type(event) for event in events] == [Close]
    assert events[0].refusal is None


def test_a_unit_over_the_bound_closes():
    dialect = link("websocket", max_message=10)
    (event,) = dialect.receive(b" " * (Json.max_unit(dialect.context) + 1), 0.0, True)
    assert type(event) is Close
    assert event.refusal is not None
    assert event.refusal.code == "too-long"


@feeds
def test_an_http_request_gets_400(feed: Callable[[bytes], Iterator[bytes]]):
    dialect = link()
    request = b'POST / HTTP/1.1\r\nHost: localhost\r\n\r\n{"op":"publish","topic":"t","data":1}\n'
    (event,) = until_close(dialect, feed(request))
    assert type(event) is Close
    assert event.data == HTTP_400


def test_http_is_only_recognized_by_the_first_line_of_a_stream():
    dialect = link()
    events = dialect.receive(b'{"op":"ping"}\nGET / HTTP/1.1\r\n', 0.0)
    assert [type(event) for event in events] == [Ping, Fault]
    assert [type(event) for event in dialect.receive(b"GET / HTTP/1.1\r\n", 0.0)] == [Fault]
    assert type(read(b"GET / HTTP/1.1", "udp")) is Fault


@pytest.mark.parametrize(
    ("head", "claim"),
    [
        (b"", None),
        (b" \r\n", None),
        (b"{", True),
        (b'\n {"op', True),
        (b"[", False),
        (b"PUB a b", False),
        (b"\x00{", False),
    ],
)
def test_claims(head: bytes, claim: bool | None):
    assert Json.claims(head) is claim


def test_what_claims_to_be_json():
    assert all(map(claims_json, [JSON, " Application/Json ;charset=utf-8", "application/ld+json"]))
    assert not any(map(claims_json, ["", "text/plain", "application/jsonl", "json"]))


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 32_000,
        b"[" * 32_000 + b"]" * 32_000,
        b"[" + b"[" * 60 + b"]" * 60 + b",[]" * 21_000 + b"]",
        b"[" + b"1e300," * 10_000 + b"1]",
        b"[" + b"1.2345678901234567e-300," * 2_700 + b"1]",
        b"[1e300" + b",1" * 32_000 + b"]",
        b"1" * 65_000,
        b'["' + b"\\\\" * 32_000 + b'"]',
        b"{" + b",".join(b'"%05d":1' % n for n in range(6_500)) + b"}",
    ],
    ids=brief,
)
def test_64_kib_of_anything_are_read_in_no_time(data: bytes):
    """50 ms of processor time are the bound; the best of three, since a garbage collection may fall into one."""

    def once() -> float:
        dialect, line = link(), b'{"op":"publish","topic":"t","data":' + data + b"}\n"
        begin = time.process_time()
        dialect.receive(line, 0.0)
        return time.process_time() - begin

    assert min(once() for _ in range(3)) < 0.05


@pytest.mark.parametrize("line", [b"{", b"a", b"{}", b"[]", b'{"op":1}'])
def test_each_of_many_bad_lines_gets_its_answer(line: bytes):
    events = link().receive((line + b"\n") * 5_000, 0.0)
    assert [type(event) for event in events] == [Fault] * 5_000
