"""plugins/gelf.py: objects plain, compressed and in chunks; streams that end by NUL and LF; and anything else."""

from __future__ import annotations

import gzip
import json
import random
import socket
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Close, DialectContext, Fault, Message, Publish, Template
from hubbub.dialects.raw import Raw
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub.testing import CUTTINGS, World
from hubbub_plugins import gelf as plugin
from hubbub_plugins.gelf import CHUNK_SECONDS, CHUNKED_BYTES, CHUNKED_MESSAGES, Gelf
from running import Daemon, LineClient

PEER = Session("192.0.2.9", 12201, "udp", "logs")
MAX = 5_000
HI = b'{"version":"1.1","host":"web1","short_message":"hi","level":3}'
SAID = "gelf/web1/err hi"
ID = b"abcdefgh"


def gelf(transport="udp", max_message=MAX, topic=None, context=None, peer=PEER, **options):
    return configure(Gelf, options)(context or DialectContext(transport, max_message, topic and Template(topic)), peer)


def read(data, **more):
    (event,) = gelf(**more).receive(data if isinstance(data, bytes) else data.encode(), 0)
    assert isinstance(event, Publish), event
    return event


def chunk(number, count, part, id=ID):
    return b"\x1e\x0f" + id + bytes([number, count]) + part


def chunks(data, size, id=ID):
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return [chunk(number, len(parts), part, id) for number, part in enumerate(parts)]


def shown(events):
    return [
        f"{event.topic} {event.payload.decode()}" if isinstance(event, Publish) else type(event) for event in events
    ]


# further members of an object, topic, and properties besides the name of its host
GOOD = [
    ("", "-", {}),
    ('"level":0', "emerg", {"severity": "emerg"}),
    ('"level":7,"version":"1.0"', "debug", {"severity": "debug"}),
    ('"level":"6"', "info", {"severity": "info"}),
    ('"level":25', "25", {"severity": "25"}),
    ('"level":"warn"', "warn", {"severity": "warn"}),
    ('"level":null', "null", {"severity": "null"}),
    ('"timestamp":1385053862.3072', "-", {"timestamp": "1385053862.3072"}),
    ('"facility":"db","file":"a.py","line":356', "-", {"facility": "db", "file": "a.py", "line": "356"}),
    ('"full_message":"Traceback\\n"', "-", {}),
    ('"_user_id":9001,"_env":"prod"', "-", {"field.user_id": "9001", "field.env": "prod"}),
    ('"_a":true,"_b":null,"_c":[1,"é"],"_d":{"e":1.5}', "-",
     {"field.a": "true", "field.b": "null", "field.c": '[1, "é"]', "field.d": '{"e": 1.5}'}),
    ('"_id":7,"no_mark":1,"_two words":"","_":2', "-",
     {"field.id": "7", "field.no_mark": "1", "field.two words": "", "field.": "2"}),
    ('"_x":"first","x":"second"', "-", {"field.x": "first"}),
    ('"_err":"{\\"stack\\":\\"Error\\\\n  at a.js\\"}"', "-", {"field.err": '{"stack":"Error\\n  at a.js"}'}),
    ('"_long":"' + "x" * 1_025 + '"', "-", {}),
    ('"_half":"\\ud800"', "-", {"field.half": "?"}),
]  # fmt: skip


@pytest.mark.parametrize(("members", "severity", "properties"), GOOD)
def test_good_messages(members, severity, properties):
    whole = '{"host":"web1","short_message":"hi"' + ("," if members else "") + members + "}"
    event = read(whole)
    assert event.topic == f"gelf/web1/{severity}"
    assert (event.payload.decode(), event.content_type) == (whole, "application/json")
    assert event.properties == {"hostname": "web1", **properties}
    text = read(whole, format="text")
    assert (text.payload, text.content_type, text.properties) == (b"hi", "text/plain; charset=utf-8", event.properties)
    raw = read(zlib.compress(whole.encode()), format="raw")
    assert (raw.payload.decode(), raw.content_type, raw.topic) == (whole, None, event.topic)


# an object, its topic, its text
LENIENT = [
    ('{"short_message":"hi"}', "gelf/192.0.2.9/-", "hi"),
    ('{"host":"","short_message":"hi"}', "gelf/192.0.2.9/-", "hi"),
    ('{"host":"a/b c","short_message":"two\\nlines"}', "gelf/a%2Fb%20c/-", "two\nlines"),
    ('{"host":"a","message":"hi"}', "gelf/a/-", "hi"),
    ('{"host":"a","short_message":""}', "gelf/a/-", ""),
    ('{"host":"a","short_message":["x",1]}', "gelf/a/-", '["x", 1]'),
    ('\ufeff {"host":"a",\n "short_message":"hi"}\r\n\0', "gelf/a/-", "hi"),
]


@pytest.mark.parametrize(("whole", "topic", "text"), LENIENT)
def test_what_is_forgiven(whole, topic, text):
    event = read(whole, format="text")
    assert (event.topic, event.payload.decode()) == (topic, text)
    assert json.loads(read(whole).payload) == json.loads(whole.strip("\ufeff\0 \r\n"))


def test_numbers_that_json_has_not():
    event = read('{"host":"a","short_message":"hi","_n":NaN,"_p":Infinity,"_m":[-Infinity],"_half":"\\ud800"}')
    assert json.loads(event.payload, parse_constant=pytest.fail) == {
        "host": "a", "short_message": "hi", "_n": "NaN", "_p": "Infinity", "_m": ["-Infinity"], "_half": "\ud800",
    }  # fmt: skip
    assert event.properties["field.n"] == "NaN"


BAD = [
    "", "hi", "7", "[]", "null", '"x"', "{}", '{"short_message":null}', '{"host":"a","version":"1.1"}', HI[:-1],
    HI + HI, '{"short_message":"a\nb"}', "{'short_message':'a'}", "[" * 3_000, '{"short_message":"a","_x":1e}',
    '{"short_message":"a","_x":' + "9" * 4_900 + "}", '{"short_message":"a","_x":[NaN,1e999]}',
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_bad_messages(bad):
    (event,) = gelf().receive(bad if isinstance(bad, bytes) else bad.encode(), 0)
    assert isinstance(event, Fault)
    assert event.refusal.code == "bad-payload"


def test_what_is_not_utf8():
    (event,) = gelf().receive(b'{"short_message":"caf\xe9"}', 0)
    assert event.refusal.code == "bad-utf8"


def test_properties_have_a_bound():
    fields = {f"_f{number}": number for number in range(100)}
    event = read(json.dumps({"short_message": "hi", "level": 1, **fields}))
    assert len(event.properties) == 64
    assert event.properties["severity"] == "alert"
    assert event.properties["field.f0"] == "0"


def test_topic_of_the_listener():
    whole = '{"host":"web1","short_message":"hi","level":3,"facility":"db"}'
    assert read(whole, topic="{id}/{host}/{facility}/{severity}/{hostname}").topic == "logs/192.0.2.9/db/err/web1"


PACKED = {
    "plain": HI,
    "zlib": zlib.compress(HI),
    "zlib, not at all": zlib.compress(HI, 0),
    "zlib, best": zlib.compress(HI, 9),
    "gzip": gzip.compress(HI, mtime=0),
    "one chunk": chunk(0, 1, HI),
    "one chunk of zlib": chunk(0, 1, zlib.compress(HI)),
    "plain, with an LF": HI + b"\n",
    "plain, with NUL and LF": HI + b"\0\n",
    "zlib, and more": zlib.compress(HI) + b"more",
}


@pytest.mark.parametrize("data", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("transport", ["udp", "websocket"])
def test_units_however_they_are_packed(transport, data):
    dialect = gelf(transport, format="text")
    assert shown(dialect.receive(data, 0) + dialect.receive(data, 0)) == [SAID] * 2
    assert dialect.held() == ""


@pytest.mark.parametrize(
    "data", [zlib.compress(HI)[:-1], gzip.compress(HI, mtime=0)[:20], b"\x78\x9c", b"\x1f\x8b", b"x" * 50]
)
def test_what_is_badly_compressed(data):
    (event,) = gelf().receive(data, 0)
    assert event.refusal.code == "bad-payload"


def test_what_inflates_to_too_much():
    for bomb in (zlib.compress(b" " * 50_000_000), gzip.compress(b" " * 50_000_000)):
        dialect = gelf("udp", 1_000_000)
        tracemalloc.start()
        (event,) = dialect.receive(bomb, 0)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert event.refusal.code == "too-long"
        assert most < 3_000_000


# Chunks

LONG = json.dumps({"host": "web1", "short_message": "hi", "full_message": "x" * 3_000, "level": 3}).encode()
RANDOM = random.Random(7)


@pytest.mark.parametrize("size", [25, 1_000, 10_000])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, lambda data: zlib.compress(data, 0)])
def test_chunks_in_any_order_and_twice(size, packed):
    dialect = gelf(format="text", max_message=10_000)
    pieces = chunks(packed(LONG), size)
    for order in (pieces, pieces[::-1], RANDOM.sample(pieces, len(pieces))):
        events = [event for piece in order[:-1] for _ in "ab" for event in dialect.receive(piece, 0)]
        assert shown(events + dialect.receive(order[-1], 0)) == [SAID]
        assert dialect.held() == ""


def test_an_empty_last_chunk():
    dialect = gelf(format="text")
    assert dialect.receive(chunk(1, 2, b""), 0) == []
    assert dialect.held() == "1 chunks of 1 messages held"
    assert shown(dialect.receive(chunk(0, 2, HI), 0)) == [SAID]


def test_messages_that_are_mixed():
    dialect = gelf(format="text")
    ours, theirs = chunks(HI, 10), chunks(HI.replace(b"web1", b"web2"), 7, b"12345678")
    mixed = [*ours, *theirs]
    RANDOM.shuffle(mixed)
    found = shown(event for piece in mixed for event in dialect.receive(piece, 0))
    assert sorted(found) == [SAID, "gelf/web2/err hi"]


def test_chunks_of_one_host_may_come_from_many_ports_and_find_new_links():
    context = DialectContext("udp", MAX)
    found = []
    for number, piece in enumerate(chunks(HI, 10)):
        peer = Session("192.0.2.9", 1_000 + number, "udp", "logs")
        found += gelf(context=context, peer=peer, format="text").receive(piece, 0)
    assert shown(found) == [SAID]


def test_hosts_have_ids_of_their_own():
    context = DialectContext("udp", MAX)
    here, there = (gelf(context=context, peer=Session(f"192.0.2.{n}", 1, "udp", "logs"), format="text") for n in (1, 2))
    for number, piece in enumerate(chunks(HI, 40)):
        assert there.receive(chunk(number, 2, b"junk"), 0)[:-1] == []
        last = here.receive(piece, 0)
    assert shown(last) == [SAID]


@pytest.mark.parametrize(
    "bad",
    [b"\x1e\x0f", b"\x1e\x0fabcdefgh\0", chunk(0, 0, HI), chunk(1, 1, HI), chunk(0, 129, HI), chunk(255, 255, HI)],
)
def test_bad_chunks(bad):
    dialect = gelf()
    (event,) = dialect.receive(bad, 0)
    assert event.refusal.code == "bad-payload"
    assert dialect.held() == ""


def test_chunks_that_disagree():
    dialect = gelf(format="text")
    first, second = chunks(HI, 40)
    assert dialect.receive(first, 0) == []
    assert shown(dialect.receive(chunk(2, 3, b"x"), 0)) == [Fault]
    assert shown(dialect.receive(second, 0)) == [SAID]


def test_a_message_that_never_is_whole():
    dialect = gelf(format="text")
    first, second = chunks(HI, 40)
    assert dialect.receive(first, 100) == []
    assert shown(dialect.receive(HI, 100 + CHUNK_SECONDS)) == [SAID]
    said, fault = dialect.receive(HI, 100.1 + CHUNK_SECONDS)
    assert shown([said]) == [SAID]
    assert fault.refusal.reason == "1 of 2 chunks of a message came within 5 s"
    assert dialect.held() == ""
    assert dialect.receive(second, 101 + CHUNK_SECONDS) == []  # the first one of another


def test_chunks_of_too_much():
    dialect = gelf()
    events = [event for piece in chunks(b"x" * (MAX + 1), 1_000)[:6] for event in dialect.receive(piece, 0)]
    assert [event.refusal.code for event in events] == ["too-long"]
    assert dialect.held() == ""


def test_the_oldest_message_gives_way():
    dialect = gelf(format="text")
    assert dialect.receive(chunks(HI, 40)[0], 0) == []
    events = [
        event
        for number in range(CHUNKED_MESSAGES)
        for event in dialect.receive(chunk(0, 2, b"x", number.to_bytes(8, "big")), 0)
    ]
    assert [event.refusal.reason for event in events] == ["1 of 2 chunks of a message came before others took its room"]
    assert dialect.held() == f"{CHUNKED_MESSAGES} chunks of {CHUNKED_MESSAGES} messages held"
    assert shown(dialect.receive(chunk(1, 2, b"", (7).to_bytes(8, "big")), 0)) == [Fault]  # x is no JSON


def test_memory_of_chunks_is_bounded():
    dialect = gelf("udp", 1 << 20)
    tracemalloc.start()
    for number in range(200):
        dialect.receive(chunk(0, 2, bytes(60_000), number.to_bytes(8, "big")), 0)
    for number in range(60_000):
        dialect.receive(chunk(number % 127, 128, b"", (number // 127).to_bytes(8, "big")), 0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2 * CHUNKED_BYTES


def test_a_message_as_long_as_all_may_be(monkeypatch):
    monkeypatch.setattr(plugin, "CHUNKED_BYTES", 1_000)
    dialect = gelf(format="text")
    assert shown(event for piece in chunks(LONG, 500) for event in dialect.receive(piece, 0)) == [SAID]


# Streams

UNITS = [HI + end for end in (b"\0", b"\n", b"\0\n", b"\r\n", b"\n\0")] + [b"bad\0"]
WANTED = [SAID] * 5 + [Fault]


@pytest.mark.parametrize("cutting", CUTTINGS.values(), ids=CUTTINGS)
def test_streams_however_they_are_cut(cutting):
    dialect = gelf("tcp", format="text")
    assert shown(event for piece in cutting(UNITS) for event in dialect.receive(piece, 0)) == WANTED
    assert dialect.eof(0) == []


def test_empty_objects():
    dialect = gelf("tcp", format="text")
    assert shown(dialect.receive(b"\n" + HI + b"\0\r", 0) + dialect.receive(b"\n" + HI + b"\n", 0)) == [SAID] * 2
    assert shown(dialect.receive(b"\0\0\0" + HI + b"\n\0\0", 0)) == [Fault, Fault, SAID, Fault]


def test_a_last_object_without_its_end():
    dialect = gelf("tcp", format="text")
    assert dialect.receive(HI, 0) == []
    assert dialect.held() == f"{len(HI)} bytes held, no end mark"
    assert shown(dialect.eof(0)) == [SAID]


def test_over_the_maximum():
    assert shown(gelf().receive(b"x" * (MAX + 1), 0)) == [Close]
    assert shown(gelf("tcp", format="text").receive(HI + b"\0" + b"x" * (MAX + 2), 0)) == [SAID, Close]
    whole = b'{"short_message":"a","_x":[' + b",".join([b"NaN"] * 30) + b"]}"
    assert shown(gelf(max_message=len(whole)).receive(whole, 0)) == [Fault]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), st.lists, max_leaves=3
)
OBJECTS = st.dictionaries(
    st.sampled_from(["host", "short_message", "message", "level", "timestamp", "_a", "facility"]), VALUES
).map(lambda value: json.dumps(value).encode())


@given(
    OBJECTS | OBJECTS.map(zlib.compress) | OBJECTS.map(gzip.compress) | st.binary(max_size=80),
    st.integers(20, 200),
    st.sampled_from(["text", "json", "raw"]),
)
def test_anything_may_come(data, size, form):
    for transport in ("tcp", "udp"):
        dialect = gelf(transport, 300, format=form)
        for piece in (data, *chunks(data[:2_000], size)):
            for event in dialect.receive(piece, 0) + dialect.eof(0):
                assert isinstance(event, Message | Fault | Close)
                assert not isinstance(event, Message) or len(event.payload) <= 300


def test_chunks_of_strangers():
    """An address that nobody vouches for has a link for each datagram; its chunks find each other all the same."""
    world = World()
    device = world.listen("udp", configure(Gelf, {"format": "text"}), peers=()).connect("198.51.100.7")
    screen = world.listen("tcp", configure(Raw, {"end": "lf"}), id="screen", subscribe="gelf/#").connect()
    for piece in chunks(HI, 10):
        device.send(piece)
        world.turn()
    assert screen.received() == b"hi\n"


def test_over_real_sockets():
    spec = ":dialect=gelf:format=text"
    with Daemon("--udp", f"udp:0{spec}", "--tcp", f"tcp:0{spec}:id=logs", "--tcp", "tcp:0") as daemon:
        with LineClient(daemon.tcp[-1]) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            assert client.ask("SUB gelf/#") == "OK SUB gelf/#"
            sender.connect(daemon.udp[0])
            for datagram in (HI, b"bad", zlib.compress(HI), *chunks(HI, 10)):
                sender.send(datagram)
            assert [client.line() for _ in range(3)] == [f"MSG {SAID}"] * 3
            with socket.create_connection(daemon.tcp[0]) as stream:
                stream.sendall(HI + b"\0bad\0" + HI)
            assert [client.line() for _ in range(2)] == [f"MSG {SAID}"] * 2
