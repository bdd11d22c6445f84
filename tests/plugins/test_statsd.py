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
    ("glork:0.250000|ms", "glork", {"type": "timer"}, 0.25),  # PyPI statsd
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
    ("a:1|c|#e:x,#f:y,,#", "a", {"type": "counter", "tag.e": "x", "tag.f": "y"}, 1),
    ("a:1|c|#e:x|@0.5", "a", {"type": "counter", "tag.e": "x", "rate": "0.5"}, 1),
    ("a:1|c|#x:1|c:83c0a99c|T1656581400", "a",  # DogStatsD 1.2 and 1.3
     {"type": "counter", "tag.x": "1", "container": "83c0a99c", "timestamp": "1656581400"}, 1),
    ("a:1|g|c:in-4711|e:it-false,cn-x", "a", {"type": "gauge", "container": "in-4711", "external": "it-false,cn-x"}, 1),
    ("a:1|c|#x:1|card:low|Tnow|z", "a", {"type": "counter", "tag.x": "1"}, 1),
    ("cpu,host=web1,mode=a=b:1|c", "cpu", {"type": "counter", "tag.host": "web1", "tag.mode": "a=b"}, 1),  # Telegraf
    ("cpu,host=web1:1|c|#host:web2", "cpu", {"type": "counter", "tag.host": "web1,web2"}, 1),
    ("a,b:1|c", "a,b", {"type": "counter"}, 1),
    ("a b/+#:1|c", "a%20b%2F%2B%23", {"type": "counter"}, 1),
    ("größe:1|c", "größe", {"type": "counter"}, 1),
]  # fmt: skip
BAD = [
    "a", "a:1", ":1|c", "a:|c", "a:1|", "a:1|x", "a:x|c", "a:1|c|@0", "a:1|c|@2", "a:1|c|@x", "a:nan|g", "a:1e999|c",
    "a:1_000|c", "a:١|c", "a\t:1|c", "a:\0|s", "n" * 1025 + ":1|c", "a:1|c:", "a:1|c:x|c", "a:1:|c", "a:1:x|c",
    "a:1|c:2", "a:1|c|#" + ",".join(f"t{number}" for number in range(64)), "a:" + "9" * 65 + "|c", ",a=b:1|c",
    "_e{5,4}:titles|text", "_e{5,4}:title|texts", "_e{5,4}:title", "_e{5}:title|text", "_e{,}:|", "_e{9999999,1}:a|b",
    "_e{x,4}:title|text", "_e:1|x", "_sc", "_sc|", "_sc|name", "_sc|name|4", "_sc|name|ok", "_sc||0", "_sc|a\tb|0",
    "_sc|" + "n" * 1025 + "|0",
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


# What one line has of several values: value, type and rate of each
SEVERAL = [
    ("a:1:2:3|d", [("1", "distribution", 1), ("2", "distribution", 1), ("3", "distribution", 1)]),
    ("a:1:-2.5|h|@0.5|#k:v", [("1", "histogram", 0.5), ("-2.5", "histogram", 0.5)]),
    ("a:1|ms:2|ms", [("1", "timer", 1), ("2", "timer", 1)]),
    ("a:1|ms|@0.1:2|c:3|g", [("1", "timer", 0.1), ("2", "counter", 1), ("3", "gauge", 1)]),
    ("a:1|c|c:2", [("1", "counter", 1)]),  # a container, no sample
    ("a:1:2|ms:x:y|s", [("1", "timer", 1), ("2", "timer", 1), ("x:y", "set", 1)]),
]


@pytest.mark.parametrize(("line", "wanted"), SEVERAL)
def test_several_values(line, wanted):
    events = statsd(topic="{type}/{name}").receive(line.encode(), 0)
    found = [(event.payload.decode(), event.topic, float(event.properties.get("rate", 1))) for event in events]
    assert found == [(value, f"{kind}/a", rate) for value, kind, rate in wanted]
    (raw,) = statsd(format="raw").receive(line.encode(), 0)
    assert raw.payload.decode() == line


def test_values_have_a_bound():
    assert len(statsd(max_message=100_000).receive(b"a" + b":1" * 4_096 + b"|c", 0)) == 4_096
    too_many = b"a" + b":1" * 4_097 + b"|c", b"a" + b":1" * 4_000 + b"|c|#" + b"t" * 300
    for line in (*too_many, b"a:" + b"x" * 65_536 + b"|s"):
        (event,) = statsd(max_message=100_000).receive(line, 0)
        assert event.refusal.code == "too-long"


def test_gauges_with_a_sign():
    for line, delta, value in (("a:-5|g", -5, -5), ("a:+5|g", 5, 5), ("a:0|g", 0, 0)):
        assert ("delta" in read(line).properties) == (delta != 0)
        event = read(line, gauges="value")
        assert event.properties == {"type": "gauge"}
        assert json.loads(read(line, gauges="value", format="json").payload)["value"] == value
    assert read("a:-5|c").properties == {"type": "counter"}


def test_json_has_everything():
    assert json.loads(read("a.b,t=1:+4|g|@0.5|#e:x,e:y,z|T1656581400|c:in-7|e:x", format="json").payload) == {
        "name": "a.b", "value": 4, "type": "gauge", "rate": 0.5, "delta": True,
        "tags": {"t": ["1"], "e": ["x", "y"], "z": [""]}, "timestamp": 1656581400, "container": "in-7", "external": "x",
    }  # fmt: skip


# an event or a check, its topic, its payload, its properties besides its type
EVENTS = [
    ("_e{5,4}:title|text", "text", {"title": "title"}),
    ("_e{0,0}:|", "", {"title": ""}),
    ("_e{2,3}:ti|a|b", "a|b", {"title": "ti"}),
    ("_e{3,1}:a|b|c", "c", {"title": "a|b"}),
    ("_e{5,13}:a\\nb!|two\\nlines!!!", "two\nlines!!!", {"title": "a\nb!"}),
    ("_e{7,3}:größe|öl", "öl", {"title": "größe"}),  # bytes of UTF-8: datadog
    ("_e{5,4}:größe|öl 🛢", "öl 🛢", {"title": "größe"}),  # characters
    ("_e{5,5}:größe|öl 🛢", "öl 🛢", {"title": "größe"}),  # units of UTF-16: hot-shots
    ("_e{1,1}:é|b|#x:1", "b", {"title": "é", "tag.x": "1"}),
    ("_e{1,1}:a|b|d:1656581400|h:web1|k:key|p:low|s:my app|t:error|#e:x,#y|c:in-7|e:x|card:low", "b",
     {"title": "a", "timestamp": "1656581400", "hostname": "web1", "aggregation_key": "key", "priority": "low",
      "source_type": "my app", "alert_type": "error", "tag.e": "x", "tag.y": "", "container": "in-7", "external": "x"}),
]  # fmt: skip
CHECKS = [
    ("_sc|app.db|0", "0", {"status": "ok"}),
    ("_sc|app.db|1|m:", "1", {"status": "warning", "message": ""}),
    ("_sc|app.db|2|d:1656581400|h:web1|#e:x|m:it is | down: \\nm\\:x", "2",
     {"status": "critical", "timestamp": "1656581400", "hostname": "web1", "tag.e": "x",
      "message": "it is | down: \nm:x"}),
    ("_sc|app.db|3|m:lost|c:in-7|e:x|card:low", "3",  # datadog puts them behind the message
     {"status": "unknown", "message": "lost", "container": "in-7", "external": "x"}),
    ("_sc|app.db|0|c:in-7|m:fine", "0", {"status": "ok", "message": "fine", "container": "in-7"}),
    ("_sc|app.db|0|m:two\nlines", "0", {"status": "ok", "message": "two\nlines"}),  # hot-shots
]  # fmt: skip


@pytest.mark.parametrize(("line", "text", "properties"), EVENTS)
def test_events(line, text, properties):
    event = read(line)
    assert (event.topic, event.payload.decode(), event.properties) == (
        "statsd/_e", text, {"type": "event", **properties},
    )  # fmt: skip
    whole = json.loads(read(line, format="json").payload)
    assert (whole["value"], whole["type"], whole["title"]) == (text, "event", properties["title"])
    assert read(line, format="raw").payload.decode() == line


@pytest.mark.parametrize(("line", "status", "properties"), CHECKS)
def test_service_checks(line, status, properties):
    event = read(line)
    assert (event.topic, event.payload.decode(), event.properties) == (
        "statsd/app.db", status, {"type": "check", **properties},
    )  # fmt: skip
    whole = json.loads(read(line, format="json").payload)
    assert (whole["value"], whole["type"], whole["status"]) == (int(status), "check", properties["status"])
    assert read(line, format="raw").payload.decode() == line


def test_a_text_with_newlines_in_a_datagram():
    sent = "a:1|c\n_sc|db|2|m:two\nlines: |\n\n\nb:2|ms|@0.1\n_e{3,7}:hot|a\nb\nc:d\nbad\n_sc|db|0\n"
    events = statsd().receive(sent.encode(), 0)
    assert shown(events) == ["statsd/a 1", "statsd/db 2", "statsd/b 2", Fault, "statsd/db 0"]  # bad makes it too long
    assert events[1].properties["message"] == "two\nlines: |\n\n"
    events = statsd().receive(sent.replace("bad\n", "").encode(), 0)
    assert shown(events)[3] == "statsd/_e a\nb\nc:d"


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


PART = st.sampled_from(
    [
        "a",
        ":",
        "|",
        "c",
        "g",
        "ms",
        "s",
        "@",
        "#",
        "0.5",
        "+1",
        "-",
        ",",
        "=",
        "_e{1,1}:",
        "_sc|",
        "|m:",
        "\n",
        "é",
        "\0",
    ]
)


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
