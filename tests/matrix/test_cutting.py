"""However a stream is cut, the same conversation gives the same transcript."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.dialects.raw import Raw
from hubbub.option import configure
from hubbub.testing import CUTTINGS, World
from hubbub_plugins.upper import Upper
from matrix.speakers import STREAMS, seat
from scale import examples

RAW_STREAMS = ["tcp-raw", "websocket-raw"]


def conversation(one):
    """Everything that a client may say, good and bad, up to its goodbye and what comes after that."""
    one.subscribe("a/#")
    one.publish("a/b", "欢迎 é\u0301 🛰️".encode())
    one.publish("a/b", bytes(range(256)))
    one.publish("a/b", b"")
    one.publish("a/" + "long" * 100, b"x" * 300, retain=True)
    one.subscribe("a/+")
    one.tell(b"no such thing")
    one.publish("a/+", b"no topic")
    one.garble()
    one.ping()
    one.request("nobody/there", b"1")
    one.unsubscribe("a/#")
    one.publish("a/b", b"once\r\n")
    one.log_in()
    one.leave()
    one.publish("a/b", b"never heard")


TRANSCRIPT = [
    ("subscribed", "a/#"),
    ("message", "a/b", "欢迎 é\u0301 🛰️".encode()),
    ("message", "a/b", bytes(range(256))),
    ("message", "a/b", b""),
    ("message", "a/" + "long" * 100, b"x" * 300),
    ("subscribed", "a/+"),
    ("message", "a/" + "long" * 100, b"x" * 300),
    ("error", "bad-command"),
    ("error", "bad-topic"),
    ("error", "bad-utf8"),
    ("pong",),
    ("error", "no-responders"),
    ("unsubscribed", "a/#"),
    ("message", "a/b", b"once\r\n"),
    ("error", "not-authorized"),
    ("bye",),
]


def transcript(world, one, pieces):
    output = []
    for piece in pieces:
        (one.client.send_bytes if one.transport == "websocket" else one.client.send)(piece)
        output += one.output()
    return output


def recorded(world, name, say, **keys):
    """Seat a speaker and return it with what it would send."""
    one = seat(world, name, **keys)
    one.script = []
    say(one)
    return one, one.script


@pytest.mark.parametrize("cutting", CUTTINGS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_conversation(world, name, cutting):
    one, units = recorded(world, name, conversation)
    assert transcript(world, one, CUTTINGS[cutting](units)) == TRANSCRIPT
    assert one.client.closed


def cuts(data):
    """`data` cut anywhere, any number of times."""
    return st.sets(st.integers(0, len(data)), max_size=12).map(
        lambda at: [data[start:end] for start, end in zip([0, *sorted(at)], [*sorted(at), len(data)], strict=True)]
    )


@given(st.sampled_from(STREAMS), st.data())
@settings(max_examples=examples(100))
def test_a_conversation_cut_anywhere(name, data):
    world = World()
    one, units = recorded(world, name, conversation)
    assert transcript(world, one, data.draw(cuts(b"".join(units)))) == TRANSCRIPT


SAID = [b"one", "zwölf".encode(), b"", bytes(range(256)), b"x" * 500, b"last"]


@pytest.mark.parametrize("cutting", CUTTINGS)
@pytest.mark.parametrize("name", RAW_STREAMS)
def test_raw(world, name, cutting):
    world.run(Upper)
    one, units = recorded(world, name, lambda one: [one.publish("echo", said) for said in SAID], publishes="echo")
    assert transcript(world, one, CUTTINGS[cutting](units)) == [
        ("message", None, said.decode().upper().encode() if said != bytes(range(256)) else said) for said in SAID
    ]


def framings():
    """Options of raw -> how frames are written."""
    for name, mark in {"crlf": b"\r\n", "lf": b"\n", "cr": b"\r", "nul": b"\0", "abac": b"\xab\xac"}.items():
        yield {"end": name}, lambda said, mark=mark: said + mark
    for name in ("u8", "u16be", "u16le", "u32be", "u32le"):
        width, order = int(name[1:3].strip("bel")) // 8, "little" if name.endswith("le") else "big"
        yield {"length": name}, lambda said, width=width, order=order: len(said).to_bytes(width, order) + said
    yield {"size": "5"}, lambda said: said[:5].ljust(5)


@pytest.mark.parametrize("cutting", CUTTINGS)
@pytest.mark.parametrize(("options", "written"), [pytest.param(*one, id=str(one[0])) for one in framings()])
def test_framings_both_ways(world, options, written, cutting):
    """A device that sends frames, and one that gets them: what leaves one is what arrives at the other."""
    dialect = configure(Raw, options)
    device = world.listen("tcp", dialect, topic="plant/7").connect()
    other = world.listen("tcp", dialect, topic="other", subscribe="plant/7").connect()
    ear = seat(world, "websocket-lines", subscribes="plant/7")
    said = [b"T=21.5", b"\xaa and \xac", b"x" * 200, b"last!"]
    if "size" in options:
        said = [one[:5].ljust(5) for one in said]
    for piece in CUTTINGS[cutting]([written(one) for one in said]):
        device.send(piece)
        world.turn()
    assert [payload for *_, payload in ear.output()] == said
    assert other.received() == b"".join(map(written, said))
    assert device.received() == b""


@pytest.mark.parametrize("cutting", CUTTINGS)
def test_a_pause_ends_a_frame(world, cutting):
    device = world.listen("tcp", configure(Raw, {"gap": "20ms"}), topic="rtu").connect()
    ear = seat(world, "websocket-lines", subscribes="rtu")
    for said in (b"\x01\x03\x02\x00\x17", b"second", b"third"):
        for piece in CUTTINGS[cutting]([said[:2], said[2:]]):
            device.send(piece)
            world.advance(0.019)
        assert ear.output() == []
        world.advance(0.002)
        assert ear.output() == [("message", "rtu", said)]


@pytest.mark.parametrize("name", RAW_STREAMS)
@pytest.mark.parametrize("pieces", [[b"T=1", b"\r\n"], [b"T=1\r", b"\n"], [b"T=1\r\n"]])
def test_without_framing_each_piece_is_a_message(world, name, pieces):
    ear = seat(world, "udp-lines", subscribes="plant")
    device = world.listen(name.partition("-")[0], Raw, topic="plant").connect()
    for piece in pieces:
        device.send(piece)
        world.turn()
    assert [payload for *_, payload in ear.output()] == pieces
