"""plugins/statsd.py: every kind of metric, several together, cut, too long, and anything else."""

from __future__ import annotations

import json
import socket
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Close, DialectContext, Fault, Message, Publish, Template
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub.testing import CUTTINGS
from hubbub_plugins.statsd import Statsd
from running import Daemon, LineClient

PEER = Session("192.0.2.9", 8125, "udp", "metrics")
MAX = 2000


def statsd(transport="udp", max_message=MAX, topic=None, **options):
    return configure(Statsd, options)(DialectContext(transport, max_message, topic and Template(topic)), PEER)


def read(metric, **more):
    (event,) = statsd(**more).receive(metric.encode(), 0)
    assert isinstance(event, Publish), event
    return event


def shown(events):
    return [
        f"{event.topic} {event.payload.decode()}" if isinstance(event, Publish) else type(event) for event in events
    ]


# metric, topic, properties, value in JSON
GOOD = [
    ("gorets:1|c", "gorets", {"type": "counter"}, 1),
    ("gorets:1|c|@0.1", "gorets", {"type": "counter", "rate": "0.1"}, 1),
    ("gorets:-2.5|c|@1", "gorets", {"type": "counter"}, -2.5),
    ("glork:320|ms|@0.1", "glork", {"type": "timer", "rate": "0.1"}, 320),
    ("gaugor:333|g", "gaugor", {"type": "gauge"}, 333),
    ("gaugor:-10|g", "gaugor", {"type": "gauge", "delta": "yes"}, -10),
    ("gaugor:+4|g", "gaugor", {"type": "gauge", "delta": "yes"}, 4),
    ("uniques:765|s", "uniques", {"type": "set"}, "765"),
    ("uniques:a:b|s", "uniques", {"type": "set"}, "a:b"),
    ("lat:.5|h", "lat", {"type": "histogram"}, 0.5),
    ("lat:5e-3|d", "lat", {"type": "distribution"}, 0.005),
    ("big:18446744073709551615|c", "big", {"type": "counter"}, 18446744073709551615),
    ("users.online:1|c|#country:china", "users.online", {"type": "counter", "tag.country": "china"}, 1),
    ("a:1|c|#e:x,e:y,z,u:h:1", "a", {"type": "counter", "tag.e": "x,y", "tag.z": "", "tag.u": "h:1"}, 1),
    ("a:1|c|#x:1|c:83c0a99c|T1656581400", "a", {"type": "counter", "tag.x": "1"}, 1),  # DogStatsD 1.2 and 1.3
    ("a b/+#:1|c", "a%20b%2F%2B%23", {"type": "counter"}, 1),
    ("größe:1|c", "größe", {"type": "counter"}, 1),
]  # fmt: skip
BAD = [
    "a", "a:1", ":1|c", "a:|c", "a:1|", "a:1|x", "a:x|c", "a:1|c|@0", "a:1|c|@2", "a:1|c|@x", "a:nan|g", "a:1e999|c",
    "a:1_000|c", "a:١|c", "a:1:2|c", "a\t:1|c", "a:\0|s", "_e{5,4}:title|text", "_sc|name|0", "n" * 1025 + ":1|c",
    "a:1|c|#" + ",".join(f"t{number}" for number in range(62)), "a:" + "9" * 65 + "|c",
]  # fmt: skip


@pytest.mark.parametrize(("metric", "topic", "properties", "value"), GOOD)
def test_good_metrics(metric, topic, properties, value):
    event = read(metric)
    text = metric.partition(":")[2].partition("|")[0]
    assert (event.topic, event.payload.decode()) == (f"statsd/{topic}", text)
    assert event.content_type == "text/plain; charset=utf-8"
    assert event.properties == properties
    raw = read(metric, format="raw")
    assert (raw.payload.decode(), raw.content_type, raw.properties) == (metric, None, properties)
    found = read(metric, format="json")
    whole = json.loads(found.payload)
    assert (whole["value"], whole["type"], found.content_type) == (value, properties["type"], "application/json")


def test_json_has_everything():
    assert json.loads(read("a.b:+4|g|@0.5|#e:x,e:y,z", format="json").payload) == {
        "name": "a.b", "value": 4, "type": "gauge", "rate": 0.5, "delta": True, "tags": {"e": ["x", "y"], "z": [""]},
    }  # fmt: skip


@pytest.mark.parametrize("metric", BAD)
def test_bad_metrics(metric):
    (event,) = statsd().receive(metric.encode(), 0)
    assert isinstance(event, Fault)
    assert event.refusal.code == "bad-payload"


def test_what_is_not_utf8():
    (event,) = statsd().receive(b"caf\xe9:1|c", 0)
    assert event.refusal.code == "bad-utf8"


def test_topic_of_the_listener():
    assert read("a:1|ms", topic="{id}/{host}/{type}/{name}").topic == "metrics/192.0.2.9/timer/a"


UNITS = [b"\n", *(f"{good[0]}{end}".encode() for good in GOOD for end in ("\n", "\r\n")), b"bad\n"]
WANTED = [
    *(f"statsd/{topic} {metric.partition(':')[2].partition('|')[0]}" for metric, topic, *_ in GOOD for _ in "ab"),
    Fault,
]


@pytest.mark.parametrize("cutting", CUTTINGS.values(), ids=CUTTINGS)
def test_streams_however_they_are_cut(cutting):
    dialect = statsd("tcp")
    assert shown(event for piece in cutting(UNITS) for event in dialect.receive(piece, 0)) == WANTED
    assert dialect.eof(0) == []


def test_a_last_line_without_its_end():
    dialect = statsd("tcp")
    assert dialect.receive(b"a:1|c", 0) == []
    assert shown(dialect.eof(0)) == ["statsd/a 1"]


@pytest.mark.parametrize("transport", ["udp", "websocket"])
def test_units(transport):
    dialect = statsd(transport)
    assert shown(dialect.receive(b"".join(UNITS), 0)) == WANTED
    assert shown(dialect.receive(b"a:1|c", 0) + dialect.receive(b"a:1|c", 0)) == ["statsd/a 1"] * 2
    assert dialect.receive(b"", 0) == []
    assert shown(dialect.receive(b"a:1|c\nb:2|", 0)) == ["statsd/a 1", Fault]


def test_over_the_maximum():
    assert shown(statsd().receive(b"x" * (MAX + 1), 0)) == [Close]
    assert shown(statsd("tcp").receive(b"a:1|c\n" + b"x" * (MAX + 2), 0)) == ["statsd/a 1", Close]
    assert shown(statsd(max_message=20, format="json").receive(b"a:1|c", 0)) == [Fault]


PART = st.sampled_from(["a", ":", "|", "c", "g", "ms", "s", "@", "#", "0.5", "+1", "-", ",", "e", "\n", "é", "\0"])


@given(st.lists(PART).map("".join).map(str.encode) | st.binary(max_size=80), st.sampled_from(["text", "json", "raw"]))
def test_anything_may_come(data, form):
    for transport in ("tcp", "udp"):
        dialect = statsd(transport, 300, format=form)
        for event in dialect.receive(data, 0) + dialect.eof(0):
            assert isinstance(event, Message | Fault | Close)
            assert not isinstance(event, Message) or len(event.payload) <= 300


def test_memory_is_bounded():
    dialect = statsd("tcp")
    tracemalloc.start()
    assert shown(dialect.receive(b"x" * 1_000, 0) + dialect.receive(b"x" * 65_536, 0)) == [Close]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000


def test_over_real_sockets():
    spec = ":dialect=statsd"
    with Daemon("--udp", f"udp:0{spec}", "--tcp", f"tcp:0{spec}:id=metrics", "--tcp", "tcp:0") as daemon:
        with LineClient(daemon.tcp[-1]) as client, LineClient(daemon.tcp[-1]) as page:
            assert client.ask("SUB statsd/#") == "OK SUB statsd/#"
            page.ask('{"op":"subscribe","topic":"statsd/b","meta":true}')
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(daemon.udp[0])
                sender.send(b"a:1|c\nbad\nb:-2|g|#k:v\n")
                sender.send(b"\xff")
                sender.send(b"c:3|ms")
            assert [client.line() for _ in "abc"] == ["MSG statsd/a 1", "MSG statsd/b -2", "MSG statsd/c 3"]
            assert json.loads(page.line())["properties"] == {"tag.k": "v", "type": "gauge", "delta": "yes"}
            with socket.create_connection(daemon.tcp[0]) as sender:
                sender.sendall(b"d:4|c\nbad\ne:5|c")
            assert [client.line() for _ in "de"] == ["MSG statsd/d 4", "MSG statsd/e 5"]
