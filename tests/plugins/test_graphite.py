"""plugins/graphite.py: lines and pickles of data points, several together, cut, too long, and anything else."""

from __future__ import annotations

import json
import pickle
import socket
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Close, DialectContext, Fault, Message, Publish, Template
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub.testing import CUTTINGS
from hubbub_plugins.graphite import PICKLE_OPCODES, Graphite
from running import Daemon, LineClient

PEER = Session("192.0.2.9", 2003, "tcp", "metrics")
MAX = 5_000
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def graphite(transport="udp", max_message=MAX, topic=None, **options):
    return configure(Graphite, options)(DialectContext(transport, max_message, topic and Template(topic)), PEER)


def read(line, **more):
    (event,) = graphite(**more).receive(line.encode(), 0)
    assert isinstance(event, Publish), event
    return event


def framed(pickled):
    return len(pickled).to_bytes(4, "big") + pickled


def pickled(points, protocol=2):
    return framed(pickle.dumps(points, protocol))


def shown(events):
    return [
        f"{event.topic} {event.payload.decode()}" if isinstance(event, Publish) else type(event) for event in events
    ]


# line, topic, payload, properties, value and timestamp in JSON
GOOD = [
    ("a.b.c 1 1700000000", "a.b.c", "1", {"timestamp": "1700000000"}, 1, 1700000000),
    ("a.b -2.5 1700000000.25", "a.b", "-2.5", {"timestamp": "1700000000.25"}, -2.5, 1700000000.25),
    ("a 1e-07 1700000000\r", "a", "1e-07", {"timestamp": "1700000000"}, 1e-07, 1700000000),  # CR LF: collectd
    ("a nan 1", "a", "nan", {"timestamp": "1"}, "nan", 1),
    ("a -inf 1", "a", "-inf", {"timestamp": "1"}, "-inf", 1),
    ("a 1e999 1", "a", "1e999", {"timestamp": "1"}, "1e999", 1),
    ("a True 1", "a", "True", {"timestamp": "1"}, True, 1),
    ("a false 1", "a", "false", {"timestamp": "1"}, False, 1),
    ("a up 1", "a", "up", {"timestamp": "1"}, "up", 1),
    ("a 18446744073709551615 1", "a", "18446744073709551615", {"timestamp": "1"}, 18446744073709551615, 1),
    ("a 5 -1", "a", "5", {}, 5, None),
    ("a 5 -1.0", "a", "5", {}, 5, None),
    ("  a\t5   1 ", "a", "5", {"timestamp": "1"}, 5, 1),
    ("web 1.load avg 5 1", "web%201.load%20avg", "5", {"timestamp": "1"}, 5, 1),
    ("disk.used;host=web1;dev=/dev/sda 5 1", "disk.used", "5",
     {"tag.host": "web1", "tag.dev": "/dev/sda", "timestamp": "1"}, 5, 1),
    ("a;k=x=y;e= 5 1", "a", "5", {"tag.k": "x=y", "tag.e": "", "timestamp": "1"}, 5, 1),
    ("a/b+#.größe 5 1", "a%2Fb%2B%23.größe", "5", {"timestamp": "1"}, 5, 1),
]  # fmt: skip
BAD = [
    "a", "a 1", "1 2", "a 1 x", "a 1 nan", "a 1 now", "a 1 1_000", "a 1 \u0661", ";k=v 1 1", "a;k 1 1", "a;=v 1 1",
    "a;;k=v 1 1", "a\0b 1 1", "a \x1b[2J 1", "GET / HTTP/1.1", "n" * 2_049 + " 1 1", "a " + "9" * 2_049 + " 1",
    "a;" + ";".join(f"t{number}=1" for number in range(64)) + " 1 1",
]  # fmt: skip


@pytest.mark.parametrize(("line", "topic", "payload", "properties", "value", "timestamp"), GOOD)
def test_good_lines(line, topic, payload, properties, value, timestamp):
    event = read(line)
    assert (event.topic, event.payload.decode()) == (f"graphite/{topic}", payload)
    assert event.content_type == "text/plain; charset=utf-8"
    assert event.properties == properties
    raw = read(line, format="raw")
    assert (raw.payload.decode(), raw.content_type, raw.properties) == (line.removesuffix("\r"), None, properties)
    found = read(line, format="json")
    whole = json.loads(found.payload)
    assert (whole["value"], whole["timestamp"]) == (value, timestamp)
    assert type(whole["value"]) is type(value)
    assert found.content_type == "application/json"


def test_json_has_everything():
    assert json.loads(read("a.b;k=v;e= 4.5 1700000000", format="json").payload) == {
        "name": "a.b", "value": 4.5, "timestamp": 1700000000, "tags": {"k": "v", "e": ""},
    }  # fmt: skip


@pytest.mark.parametrize("line", BAD)
def test_bad_lines(line):
    (event,) = graphite().receive(line.encode(), 0)
    assert isinstance(event, Fault)
    assert event.refusal.code == "bad-payload"


def test_what_is_not_utf8():
    (event,) = graphite().receive(b"caf\xe9 1 1", 0)
    assert event.refusal.code == "bad-utf8"


def test_topic_of_the_listener():
    assert read("a.b 1 1", topic="{id}/{host}/{name}").topic == "metrics/192.0.2.9/a.b"


UNITS = [b"\n", b" \r\n", *(good[0].encode() + b"\n" for good in GOOD), b"bad\n"]
WANTED = [*(f"graphite/{topic} {payload}" for _, topic, payload, *_ in GOOD), Fault]


@pytest.mark.parametrize("cutting", CUTTINGS.values(), ids=CUTTINGS)
def test_streams_however_they_are_cut(cutting):
    dialect = graphite("tcp")
    assert shown(event for piece in cutting(UNITS) for event in dialect.receive(piece, 0)) == WANTED
    assert dialect.eof(0) == []


def test_a_last_line_without_its_end():
    dialect = graphite("tcp")
    assert dialect.eof(0) == []
    assert dialect.receive(b"a 5 1", 0) == []
    assert dialect.held() == "5 bytes held, no end mark"
    assert shown(dialect.eof(0)) == ["graphite/a 5"]


@pytest.mark.parametrize("transport", ["udp", "websocket"])
def test_units(transport):
    dialect = graphite(transport)
    assert shown(dialect.receive(b"".join(UNITS), 0)) == WANTED
    assert shown(dialect.receive(b"a 5 1", 0) + dialect.receive(b"a 5 1", 0)) == ["graphite/a 5"] * 2
    assert dialect.receive(b"", 0) == []
    assert shown(dialect.receive(b"a 5 1\nb 2", 0)) == ["graphite/a 5", Fault]


def test_over_the_maximum():
    assert shown(graphite().receive(b"x" * (MAX + 1), 0)) == [Close]
    assert shown(graphite("tcp").receive(b"a 5 1\n" + b"x" * (MAX + 2), 0)) == ["graphite/a 5", Close]
    assert shown(graphite("tcp").receive(framed(b"x" * (MAX + 1)), 0)) == [Close]
    assert shown(graphite(max_message=20, format="json").receive(b"a 5 1", 0)) == [Fault]


# The pickle protocol: the points, and of each its topic, payload and line
PICKLED = [
    ([("a.b", (1700000000, 2.5))], ["a.b 2.5"], ["a.b 2.5 1700000000"]),
    ([("a", (1.5, "7")), ("b", (-1, 1e-07))], ["a 7", "b 1e-07"], ["a 7 1.5", "b 1e-07 -1"]),
    ([("a", (1, True)), ("a", (2, float("nan")))], ["a True", "a nan"], ["a True 1", "a nan 2"]),
    ([["größe", [1, 2**63]]], ["größe 9223372036854775808"], ["größe 9223372036854775808 1"]),
    ([("a b;k=v", (1, 5))], ["a%20b 5"], ["a b;k=v 5 1"]),
    ([("a", (1, 5))] * 50, ["a 5"] * 50, ["a 5 1"] * 50),  # the same object again: a reference in the pickle
    ([], [], []),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("points", "wanted", "lines"), PICKLED)
def test_good_pickles(protocol, points, wanted, lines):
    stream = pickled(points, protocol)
    assert shown(graphite("tcp").receive(stream, 0)) == [f"graphite/{one}" for one in wanted]
    raw = graphite("tcp", format="raw").receive(stream, 0)
    assert [event.payload.decode() for event in raw] == lines
    whole, cut = graphite("tcp", format="json"), graphite("tcp", format="json")
    pieces = [event for at in range(len(stream)) for event in cut.receive(stream[at : at + 1], 0)]
    assert shown(whole.receive(stream, 0)) == shown(pieces)


@pytest.mark.parametrize(
    "python_2", [b"(lp0\n(S'a'\n(I1\nF2.5\ntta.", b"\x80\x02]U\x01aK\x01G@\x04" + b"\0" * 6 + b"\x86\x86a."]
)
def test_pickles_of_python_2(python_2):
    assert pickle.loads(python_2) == [("a", (1, 2.5))]
    assert shown(graphite("tcp").receive(framed(python_2), 0)) == ["graphite/a 2.5"]


def test_a_name_in_bytes_of_python_2():
    assert shown(graphite("tcp").receive(framed(b"]U\x02\xc3\xa9K\x01K\x05\x86\x86a."), 0)) == ["graphite/é 5"]
    assert shown(graphite("tcp").receive(framed(b"]U\x01\xe9K\x01K\x05\x86\x86a."), 0)) == [Fault]


class Evil:
    def __reduce__(self):
        return (exit, ("a pickle was loaded",))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "points",
    [[("a", (1, Evil()))], Evil(), [("a", (1, 1j))], {"a": 1}, "a", 7, None, (("a", (1, 2)),), {("a", (1, 2))}],
)
def test_a_pickle_of_anything_else_is_refused(protocol, points):
    (event,) = graphite("tcp").receive(pickled(points, protocol), 0)
    assert event.refusal.code == "bad-payload"
    assert "a pickle is " in event.refusal.reason


@pytest.mark.parametrize(
    "bad",
    [
        ("a", 1, 5), ("a", (1,)), ("a", (1, 2, 3)), ("a", (1, None)), (7, (1, 5)), "a", 5, ("a", (1, 2**65)),
        ("a", ("now", 5)), ("", (1, 5)), ("a\n", (1, 5)), ("a", (1, "x" * 2_049)), ("\ud800", (1, 5)), ("a", (1, [5])),
    ],
)  # fmt: skip
def test_a_bad_data_point_costs_no_other(bad):
    assert shown(graphite("tcp").receive(pickled([("a", (1, 5)), bad, ("b", (1, 6))]), 0)) == [
        "graphite/a 5", Fault, "graphite/b 6",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [b"", b".", b"\x80", b"hello", b"]", b"a.", b"e.", b"](", b"h\x05.", b"t.", b"\x86.", b"K\x01K\x02a.", b"l."],
)
def test_what_is_no_pickle(bad):
    assert shown(graphite("tcp").receive(framed(bad) + pickled([("a", (1, 5))]), 0)) == [Fault, "graphite/a 5"]


def test_a_pickle_has_a_bound_of_opcodes():
    more = framed(b"]" + b"K\x01" * (PICKLE_OPCODES - 1) + b".")
    (event,) = graphite("tcp", 100_000).receive(more, 0)
    assert event.refusal.code == "too-long"
    assert len(graphite("tcp", 100_000).receive(pickled([(f"web{n}.load", (n, n / 8)) for n in range(900)]), 0)) == 900


def test_a_pickle_that_ends_too_soon():
    dialect = graphite("tcp")
    assert dialect.receive(pickled([("a", (1, 5))])[:-1], 0) == []
    assert "bytes held" in dialect.held()
    assert shown(dialect.eof(0)) == [Fault]
    assert dialect.eof(0) == []


PART = st.sampled_from(["a", ".", " ", ";", "=", "1", "-1", "nan", "e", "\t", "\n", "\r\n", "é", "\0"])
POINTS = st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=3), st.lists, max_leaves=8)


@given(
    st.lists(PART).map("".join).map(str.encode) | st.binary(max_size=80) | POINTS.map(pickled),
    st.sampled_from(["text", "json", "raw"]),
)
def test_anything_may_come(data, form):
    for transport in ("tcp", "udp"):
        dialect = graphite(transport, 300, format=form)
        for event in dialect.receive(data, 0) + dialect.eof(0):
            assert isinstance(event, Message | Fault | Close)
            assert not isinstance(event, Message) or len(event.payload) <= 300


@pytest.mark.parametrize("head", [b"", (MAX).to_bytes(4, "big")])
def test_memory_is_bounded(head):
    dialect = graphite("tcp")
    tracemalloc.start()
    events = shown(dialect.receive(head + b"x" * (MAX - 1), 0) + dialect.receive(b"x" * 65_536, 0))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert events[-1] is Close
    assert kept < 200_000


def test_over_real_sockets():
    spec = ":dialect=graphite"
    with Daemon("--udp", f"udp:0{spec}", "--tcp", f"tcp:0{spec}:id=metrics", "--tcp", "tcp:0") as daemon:
        with LineClient(daemon.tcp[-1]) as client, LineClient(daemon.tcp[-1]) as page:
            assert client.ask("SUB graphite/#") == "OK SUB graphite/#"
            page.ask('{"op":"subscribe","topic":"graphite/b","meta":true}')
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(daemon.udp[0])
                sender.send(b"a 1 1700000000\nbad\nb;k=v -2 -1\n")
                sender.send(b"\xff")
                sender.send(b"c 3 1700000000")
            assert [client.line() for _ in "abc"] == ["MSG graphite/a 1", "MSG graphite/b -2", "MSG graphite/c 3"]
            assert json.loads(page.line())["properties"] == {"tag.k": "v"}
            for stream in (b"d 4 1\r\nbad\r\ne 5 1", pickled([("d", (1, 4)), (), ("e", (1, 5))])):
                with socket.create_connection(daemon.tcp[0]) as sender:
                    sender.sendall(stream)
                assert [client.line() for _ in "de"] == ["MSG graphite/d 4", "MSG graphite/e 5"]
