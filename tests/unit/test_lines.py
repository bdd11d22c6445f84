"""dialects/lines.py: its grammar, however the bytes are cut."""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.dialect import DialectContext
from hubbub.dialects.lines import Lines
from hubbub.errors import Refusal
from hubbub.events import Answer, Close, Confirm, Connect, Event, Fault, Ping, ReadPosition, Subscribe, Unsubscribe
from hubbub.framing import HTTP_400
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.publish import Publish, Request
from hubbub.topics import quote

PEER = Session("127.0.0.1", 1, "tcp", "test")
TOPICS = st.text(min_size=1, max_size=40).filter(lambda text: not set(text) & set("+#\0") and text.isprintable())


def lines(transport: str = "tcp", max_message: int = 1000) -> Lines:
    return Lines(DialectContext(transport, max_message), PEER)


def says(event: Event | Message) -> tuple[Any, ...]:
    """What an event comes to, comparable."""
    match event:
        case Request():
            return ("request", event.topic, event.payload)
        case Publish():
            return ("publish", event.topic, event.payload, event.retain)
        case Subscribe():
            return ("subscribe", event.filter)
        case Unsubscribe():
            return ("unsubscribe", event.filter)
        case Connect():
            return ("open", event.user, event.password, event.token)
        case Fault():
            return ("fault", event.refusal.code)
        case Confirm():
            return ("confirm", event.token)
        case Answer():
            return ("answer", event.data)
        case Close():
            return ("close", event.data, event.refusal.code if event.refusal else None)
        case Ping():
            return ("ping",)
        case ReadPosition():
            return ("position",)
    raise AssertionError(event)


TALK = [
    (b"PUB a/b hello  world ", ("publish", "a/b", b"hello  world ", False)),
    (b"pub! a/b x", ("publish", "a/b", b"x", True)),
    (b"PUB a/b", ("publish", "a/b", b"", False)),
    (b"PUB a/b ", ("publish", "a/b", b"", False)),
    (b"PUB a/b\r", ("publish", "a/b", b"", False)),
    ("PUB 主题/ß 你好".encode(), ("publish", "主题/ß", "你好".encode(), False)),
    (b"PUB a%20b%25 x", ("publish", "a b%", b"x", False)),
    (b"PUBB a AAH/", ("publish", "a", b"\0\x01\xff", False)),
    (b"PUBB! a ", ("publish", "a", b"", True)),
    (b"PUBB a AAH", ("fault", "bad-payload")),
    (b"PUBB a !!!!", ("fault", "bad-payload")),
    (b"REQ a what is it", ("request", "a", b"what is it")),
    (b"SUB a/+/#", ("subscribe", "a/+/#")),
    (b"UNSUB a/+/#", ("unsubscribe", "a/+/#")),
    (b"SUB a/#/b", ("fault", "bad-filter")),
    (b"SUB a+", ("fault", "bad-filter")),
    (b"SUB a b", ("fault", "bad-filter")),
    (b"SUB ", ("fault", "bad-filter")),
    (b"SUB", ("fault", "bad-command")),
    (b"PUB a/+ x", ("fault", "bad-topic")),
    (b"PUB  x", ("fault", "bad-topic")),
    (b"PUB a\0b x", ("fault", "bad-topic")),
    (b"PUB a%00b x", ("fault", "bad-topic")),
    (b"PUB a%zz x", ("fault", "bad-topic")),
    (b"PUB a\tb x", ("fault", "bad-topic")),
    (b"PUB a \xff", ("fault", "bad-utf8")),
    (b"PUB \xff x", ("fault", "bad-utf8")),
    (b"\xff\xfe", ("fault", "bad-utf8")),
    (b"", ("fault", "bad-command")),
    (b"NONSENSE a b", ("fault", "bad-command")),
    (b"AUTH ada pass word", ("open", "ada", "pass word", None)),
    (b"AUTH TOKEN t.o.k", ("open", None, None, "t.o.k")),
    (b"AUTH ada", ("fault", "bad-command")),
    (b"CONFIRM abc", ("confirm", "abc")),
    (b"PING", ("ping",)),
    (b"ping", ("ping",)),
]
STREAM = b"".join(line + b"\n" for line, _ in TALK)
EVENTS = [event for _, event in TALK]


@pytest.mark.parametrize(("line", "event"), TALK)
def test_each_command(line: bytes, event: tuple[Any, ...]) -> None:
    assert [says(one) for one in lines().receive(line + b"\n", 0)] == [event]
    if line:
        assert [says(one) for one in lines("websocket").receive(line, 0, True)] == [event]
        assert [says(one) for one in lines("udp").receive(line + b"\n", 0)] == [event]


def feed(*pieces: bytes) -> list[tuple[Any, ...]]:
    dialect = lines()
    found = [says(event) for piece in pieces for event in dialect.receive(piece, 0)]
    return found + [says(event) for event in dialect.eof(0)]


def test_whole() -> None:
    assert feed(STREAM) == EVENTS


def test_byte_by_byte() -> None:
    assert feed(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_cut(cuts: list[int]) -> None:
    contexts = [0, *sorted(cuts), len(STREAM)]
    assert feed(*(STREAM[a:b] for a, b in pairwise(contexts))) == EVENTS


def test_a_tail_is_a_command_too() -> None:
    assert feed(STREAM, b"PUB a t", b"ail") == [*EVENTS, ("publish", "a", b"tail", False)]


def test_quit_ends_it() -> None:
    assert feed(b"QUIT\nPUB a x\n") == [("close", b"BYE\n", None)]


def test_help_is_lines_of_comment() -> None:
    (first, *_) = shown = lines().receive(b"HELP\n", 0)
    assert len(shown) > 8
    assert says(first)[1].startswith(b"# SUB <filter>")
    assert all(says(one)[1].endswith(b"\n") for one in shown)
    assert not any(b"\n" in says(one)[1] for one in lines("websocket").receive(b"HELP", 0))


REQUEST_LINES = [b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"PUB /a HTTP/1.0", b"PRI * HTTP/2.0"]


@pytest.mark.parametrize("request_line", REQUEST_LINES)
def test_http_is_turned_away(request_line: bytes) -> None:
    assert feed(request_line + b"\r\nHost: x\r\n\r\nPUB a x\n") == [("close", HTTP_400, "bad-command")]
    assert feed(b"PING\n" + request_line + b"\n")[0] == ("ping",)


def test_a_payload_may_speak_of_http() -> None:
    assert feed(b"PUB a HTTP/1.1\n") == [("publish", "a", b"HTTP/1.1", False)]


@pytest.mark.parametrize("command", [b"PUB a ", b"REQ a ", b"pub a "])
def test_too_long_a_payload_closes(command: bytes) -> None:
    assert says(lines().receive(command + b"x" * 1000 + b"\n", 0)[0])[0] in ("publish", "request")
    (close,) = lines().receive(command + b"x" * 1001 + b"\nPING\n", 0)
    assert says(close)[2] == "too-long"
    assert says(close)[1].startswith(b"ERR too-long ")


def test_base64_counts_as_what_it_stands_for() -> None:
    fits, too_long = b64encode(b"\0" * 1000), b64encode(b"\0" * 1001)
    assert says(lines().receive(b"PUBB a " + fits + b"\n", 0)[0])[0] == "publish"
    assert says(lines().receive(b"PUBB a " + too_long + b"\n", 0)[0])[2] == "too-long"


def test_an_endless_line_closes() -> None:
    dialect, events = lines(), []
    for _ in range(100):
        events += dialect.receive(b"x" * 1000, 0)
    assert says(events[0])[2] == "too-long"


def outcome(event: Event | Message, result: Any, transport: str = "tcp") -> bytes:
    return lines(transport).outcome(event, result)


def test_answers() -> None:
    assert outcome(Subscribe("a b/#"), None) == b"OK SUB a%20b/#\n"
    assert outcome(Unsubscribe("a"), None) == b"OK UNSUB a\n"
    assert outcome(Subscribe("a"), None, "websocket") == b"OK SUB a"
    assert outcome(Publish("a", b""), 3) == b""
    assert outcome(Request("a", b""), Message("a", b"ja\t")) == b"REP ja\t\n"
    assert outcome(Request("a", b""), Message("a", b"\0")) == b"REPB AA==\n"
    assert outcome(Request("a", b""), Refusal("timeout", "late")) == b"ERR timeout late\n"
    assert outcome(Ping(), 2) == b"PONG\n"
    assert outcome(Ping(), 2, "udp") == b"PONG 2"
    assert outcome(Connect(), "ada") == b"OK AUTH ada\n"
    assert lines().gap(7) == b"GAP 7\n"


@pytest.mark.parametrize(
    ("payload", "line"),
    [
        (b"", b"MSG t \n"),
        (b" a  b ", b"MSG t  a  b \n"),
        ("\t é\u2028".encode(), "MSG t \t é\u2028\n".encode()),
        (b"two\nlines", b"MSGB t dHdvCmxpbmVz\n"),
        (b"\x7f", b"MSGB t fw==\n"),
        (b"\xc3\x28", b"MSGB t wyg=\n"),
    ],
)
def test_messages(payload: bytes, line: bytes) -> None:
    assert Lines.encode(Message("t", payload), b"\n") == line


@given(TOPICS, st.binary(max_size=200))
def test_round_trip(topic: str, payload: bytes) -> None:
    """What goes out as MSG or MSGB comes back in as PUB or PUBB, on the same topic, byte for byte, in one line."""
    line = Lines.encode(Message(topic, payload), b"\n")
    assert line.count(b"\n") == 1
    assert feed(line.replace(b"MSG", b"PUB", 1)) == [("publish", topic, payload, False)]
    assert quote(topic).encode() == line.split(b" ")[1]


@given(st.binary(max_size=500))
def test_any_bytes_make_events(data: bytes) -> None:
    feed(data)
    lines("websocket").receive(data, 0, False)


texts = st.one_of(st.binary(max_size=4), st.sampled_from([b"\t", b"ok", b"\x7f", "ü".encode(), b"\xc3", b"\xbc"]))


@given(st.lists(st.tuples(st.sampled_from(["a b", "a/b"]), texts), max_size=4))
def test_messages_in_company_are_encoded_as_each_alone(pairs):
    messages = [Message(topic, payload) for topic, payload in pairs]
    assert list(Lines.encode_all(messages, b"\n")) == [Lines.encode(message, b"\n") for message in messages]


HEADS = [b"PUB a ", b"PUB a ", b"PUB a/b ", b"PUB a", b"PUB ", b"pub a ", b"PUB! a ", b"PUBB a ", b"PING", b"PUB +/a "]


@given(st.lists(st.tuples(st.sampled_from(HEADS), texts.map(lambda text: text.replace(b"\n", b"")))))
def test_lines_in_company_are_read_as_each_alone(pairs):
    whole, single = lines(max_message=40), lines(max_message=40)
    sent = [head + payload + b"\n" for head, payload in [(b"PUB a ", b"known"), *pairs]]
    whole.receive(sent[0], 0)
    together = [says(event) for event in whole.receive(b"".join(sent), 0)]
    assert together == [says(event) for line in sent for event in single.receive(line, 0)]


def test_a_long_or_odd_line_of_many_on_one_topic_is_read_as_ever():
    for line in (b"PUB a 123456\n", b"PUB a \xff\n", b"PUB a 1\r\n", "PUB a ü\n".encode(), b"PUB a\n"):
        some = [b"PUB a 1\n", line, b"PUB a 2\n"]
        whole, single = lines(max_message=5), lines(max_message=5)
        whole.receive(b"PUB a 0\n", 0)
        found = [says(event) for event in whole.receive(b"".join(some), 0)]
        assert found == [says(event) for one in some for event in single.receive(one, 0)][: len(found)]
