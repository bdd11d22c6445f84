"""plugins/influx.py: points with every escape and type, newlines in texts, cut, too long, and anything else."""

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
from hubbub_plugins.influx import Influx
from running import Daemon, LineClient

PEER = Session("192.0.2.9", 8089, "udp", "metrics")
MAX = 5_000


def influx(transport="udp", max_message=MAX, topic=None, **options):
    return configure(Influx, options)(DialectContext(transport, max_message, topic and Template(topic)), PEER)


def read(line, **more):
    (event,) = influx(**more).receive(line.encode(), 0)
    assert isinstance(event, Publish), event
    return event


def shown(events):
    return [
        f"{event.topic} {event.payload.decode()}" if isinstance(event, Publish) else type(event) for event in events
    ]


# line, measurement, tags, fields, timestamp
GOOD = [
    ("cpu value=0.5", "cpu", {}, {"value": 0.5}, None),
    ("cpu,host=web1,cpu=cpu\\ 0 idle=98i,ok=true 1700000000000000000", "cpu", {"host": "web1", "cpu": "cpu 0"},
     {"idle": 98, "ok": True}, 1700000000000000000),
    ("m a=1,b=-1.5,c=+2,d=.5,e=1.,f=1e-07,g=1E7", "m", {},
     {"a": 1.0, "b": -1.5, "c": 2.0, "d": 0.5, "e": 1.0, "f": 1e-07, "g": 1e7}, None),
    ("m a=-7i,b=9223372036854775807i,c=9223372036854775808i,d=18446744073709551615u", "m", {},
     {"a": -7, "b": 2**63 - 1, "c": 2**63, "d": 2**64 - 1}, None),
    ("m a=t,b=T,c=true,d=True,e=TRUE,f=f,g=F,h=false,i=False,j=FALSE", "m", {},
     dict.fromkeys("abcde", True) | dict.fromkeys("fghij", False), None),
    ('m a="text",b="",c="two words, and = more",d="T",e="7i"', "m", {},
     {"a": "text", "b": "", "c": "two words, and = more", "d": "T", "e": "7i"}, None),
    ('m a="\\"quoted\\"",b="back\\\\slash",c="\\\\\\"",d="\\n",e="\\\\"', "m", {},
     {"a": '"quoted"', "b": "back\\slash", "c": '\\"', "d": "\\n", "e": "\\"}, None),
    ('m a="two\nlines\n" 5', "m", {}, {"a": "two\nlines\n"}, 5),
    ('m a="one\nm b=1\nm c=\\"2\\"\n",d=1', "m", {}, {"a": 'one\nm b=1\nm c="2"\n', "d": 1.0}, None),
    ("a\\ b\\,c=d,t\\ a\\,g\\==v\\ a\\,l\\= f\\ i\\,e\\=ld=1", "a b,c=d",
     {"t a,g=": "v a,l="}, {"f i,e=ld": 1.0}, None),
    ('a"b,t"=v"w f"=1', 'a"b', {'t"': 'v"w'}, {'f"': 1.0}, None),  # quotes mean nothing there
    ("m,a=C:\\dir,b=x\\ny f=1", "m", {"a": "C:\\dir", "b": "x\\ny"}, {"f": 1.0}, None),
    ("größe,straße=weiß länge=1 7", "größe", {"straße": "weiß"}, {"länge": 1.0}, 7),
    ("a/b+# f=1", "a/b+#", {}, {"f": 1.0}, None),
    ("m,a=1,a=2 f=1,f=2", "m", {"a": "2"}, {"f": 2.0}, None),
    ("m,a=1   f=1    -5 ", "m", {"a": "1"}, {"f": 1.0}, -5),
    ("  m f=1\r", "m", {}, {"f": 1.0}, None),
    ("m,a=b=c f=1", "m", {"a": "b=c"}, {"f": 1.0}, None),
]  # fmt: skip
BAD = [
    "m", "m ", "m f", "m f=", "m =1", "m f=1,", "m f=1,,g=1", "m f=1, g=1", "m f =1", ",a=b f=1", "m, f=1", "m,a f=1",
    "m,a= f=1", "m,=b f=1", "m f=1 x", "m f=1 1.5", "m f=1 1 2", "m f=nan", "m f=NaN", "m f=inf", "m f=1e999",
    "m f=1.5i", "m f=tRue", "m f=yes", "m f=1_000", "m f=\u0661", 'm f="open', 'm f="a"b', 'm f="a""b"', 'm f=a"b"',
    'm f="say "hi""', "m\t f=1", "m\0 f=1", "m,a=\x1b[2J f=1", "m f=1i 5s", "n" * 1_025 + " f=1",
    "m" + ",a=b" * 1_001 + " f=1", "m " + ",".join(["f=1"] * 1_001), "GET / HTTP/1.1", "m f=" + "9" * 21 + "i",
]  # fmt: skip


@pytest.mark.parametrize(("line", "measurement", "tags", "fields", "timestamp"), GOOD)
def test_good_points(line, measurement, tags, fields, timestamp):
    event = read(line)
    whole = json.loads(event.payload)
    assert whole == {"measurement": measurement, "tags": tags, "fields": fields, "timestamp": timestamp}
    assert [type(value) for value in whole["fields"].values()] == [type(value) for value in fields.values()]
    assert event.topic == Template("influx/{measurement}").fill({"measurement": measurement})
    assert event.content_type == "application/json"
    time = {} if timestamp is None else {"timestamp": str(timestamp)}
    assert event.properties == {f"tag.{tag}": value for tag, value in tags.items()} | time
    text, raw = read(line, format="text"), read(line, format="raw")
    assert text.payload.decode() == raw.payload.decode() == line.strip()
    assert (text.content_type, raw.content_type) == ("text/plain; charset=utf-8", None)
    assert text.properties == raw.properties == event.properties


@pytest.mark.parametrize("line", BAD)
def test_bad_points(line):
    (event,) = influx(max_message=10_000).receive(line.encode(), 0)
    assert isinstance(event, Fault)
    assert event.refusal.code == "bad-payload"


def test_what_is_not_utf8():
    (event,) = influx().receive(b"m,a=caf\xe9 f=1", 0)
    assert event.refusal.code == "bad-utf8"


def test_comments():
    assert shown(influx().receive(b'# m f=1\n  #"x="\n#\nm f=1\n', 0)) == shown(influx().receive(b"m f=1", 0))


def test_topic_of_the_listener():
    assert read("m,host=web1 f=1", topic="{id}/{host}/{hostname}/{measurement}").topic == "metrics/192.0.2.9/web1/m"
    assert read("m f=1", topic="{hostname}/{measurement}").topic == "-/m"


def test_properties_have_a_bound():
    event = read("m," + ",".join(f"t{number}={number}" for number in range(100)) + " f=1 7")
    assert len(event.properties) == 64
    assert event.properties["timestamp"] == "7"
    assert len(json.loads(event.payload)["tags"]) == 100


UNITS = [b"\n", b" \r\n", b'# "comment="\n', *(good[0].encode() + b"\n" for good in GOOD), b"bad\n"]
WANTED = [*shown(read(good[0]) for good in GOOD), Fault]


@pytest.mark.parametrize("cutting", CUTTINGS.values(), ids=CUTTINGS)
def test_streams_however_they_are_cut(cutting):
    dialect = influx("tcp")
    assert shown(event for piece in cutting(UNITS) for event in dialect.receive(piece, 0)) == WANTED
    assert dialect.eof(0) == []


def test_a_last_line_without_its_end():
    dialect = influx("tcp", format="text")
    assert dialect.eof(0) == []
    assert dialect.receive(b"m f=1", 0) == []
    assert dialect.held() == "5 bytes held, no end mark"
    assert shown(dialect.eof(0)) == ["influx/m m f=1"]
    assert dialect.receive(b'm f="a\nb', 0) == []
    assert dialect.held() == "7 bytes held, a text without its end"
    assert shown(dialect.eof(0)) == [Fault]


@pytest.mark.parametrize("transport", ["udp", "websocket"])
def test_units(transport):
    dialect = influx(transport)
    assert shown(dialect.receive(b"".join(UNITS), 0)) == WANTED
    assert dialect.receive(b"", 0) == []
    assert shown(dialect.receive(b'm f="open\nm f=1\n', 0)) == [Fault]
    text = influx(transport, format="text")
    assert shown(text.receive(b'" m f=1\nm f=1', 0)) == [Fault, "influx/m m f=1"]


def test_over_the_maximum():
    assert shown(influx().receive(b"x" * (MAX + 1), 0)) == [Close]
    assert shown(influx("tcp", format="text").receive(b"m f=1\n" + b"x" * (MAX + 2), 0)) == ["influx/m m f=1", Close]
    assert shown(influx("tcp").receive(b'm f="' + b"x\n" * MAX, 0)) == [Close]
    assert shown(influx(max_message=20).receive(b"m f=1", 0)) == [Fault]


PART = st.sampled_from(['"', "\\", ",", "=", " ", "\n", "m", "f=1", 'f="', "i", "#", "1", "é", "\0"])


@given(st.lists(PART).map("".join).map(str.encode) | st.binary(max_size=80), st.sampled_from(["text", "json", "raw"]))
def test_anything_may_come(data, form):
    for transport in ("tcp", "udp"):
        dialect = influx(transport, 300, format=form)
        for event in dialect.receive(data, 0) + dialect.eof(0):
            assert isinstance(event, Message | Fault | Close)
            assert not isinstance(event, Message) or len(event.payload) <= 300


NAMES = st.text(st.sampled_from('ab,= "é'), min_size=1, max_size=6)
TEXTS = st.text(st.sampled_from('ab\\,= "é\n#'), max_size=6)
POINTS = st.lists(st.tuples(NAMES, st.dictionaries(NAMES, TEXTS, min_size=1, max_size=3)), max_size=4)


def escaped(name):
    return name.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(POINTS)
def test_what_a_client_escapes_is_read_back(points):
    dialect, events = influx("tcp"), []
    for name, fields in points:
        line = f"m{escaped(name)} {','.join(f'{escaped(key)}={quoted(text)}' for key, text in fields.items())}\n"
        events += [event for byte in line.encode() for event in dialect.receive(bytes([byte]), 0)]
    found = [json.loads(event.payload) for event in events]
    assert [(one["measurement"][1:], one["fields"]) for one in found] == points


def test_memory_is_bounded():
    dialect = influx("tcp")
    tracemalloc.start()
    assert shown(dialect.receive(b'm f="', 0) + dialect.receive(b"\n" * 65_536, 0)) == [Close]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000


def test_over_real_sockets():
    spec = ":dialect=influx:format=text"
    with Daemon("--udp", f"udp:0{spec}", "--tcp", f"tcp:0{spec}:id=metrics", "--tcp", "tcp:0") as daemon:
        with LineClient(daemon.tcp[-1]) as client, LineClient(daemon.tcp[-1]) as page:
            assert client.ask("SUB influx/#") == "OK SUB influx/#"
            page.ask('{"op":"subscribe","topic":"influx/b","meta":true}')
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(daemon.udp[0])
                sender.send(b"a f=1\nbad\nb,k=v f=2i 7\n")
                sender.send(b"\xff")
                sender.send(b"c f=3")
            output = [client.line() for _ in "abc"]
            assert output == ["MSG influx/a a f=1", "MSG influx/b b,k=v f=2i 7", "MSG influx/c c f=3"]
            assert json.loads(page.line())["properties"] == {"tag.k": "v", "timestamp": "7"}
            with socket.create_connection(daemon.tcp[0]) as sender:
                sender.sendall(b"d f=4\r\nbad\ne f=5")
            assert [client.line() for _ in "de"] == ["MSG influx/d d f=4", "MSG influx/e e f=5"]
