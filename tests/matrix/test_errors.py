"""What can't be acted on is answered with its code, and costs nobody more than that."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from hubbub import Handler, on
from matrix.speakers import COMMANDING, EVERY, RAW, STREAMS, seat

LINES = [name for name in COMMANDING if "lines" in name]
JSON = [name for name in COMMANDING if "json" in name]

LINES_ERRORS = [
    (b"NONSENSE", "bad-command"),
    (b" SUB a", "bad-command"),
    (b"SUB", "bad-command"),
    (b"PUB", "bad-command"),
    (b"AUTH ann", "bad-command"),
    (b"PUB a+ x", "bad-topic"),
    (b"PUB a/# x", "bad-topic"),
    (b"PUB  x", "bad-topic"),
    (b"PUB %00 x", "bad-topic"),
    (b"PUB a\x01b x", "bad-topic"),
    (b"PUB 100% x", "bad-topic"),
    (b"PUB " + b"/" * 200 + b" x", "bad-topic"),
    (b"REQ a/+ x", "bad-topic"),
    (b"SUB a/#/b", "bad-filter"),
    (b"SUB a+", "bad-filter"),
    (b"SUB a b", "bad-filter"),
    (b"UNSUB #/a", "bad-filter"),
    (b"PUBB a not base64!", "bad-payload"),
    (b"PUBB a QQ", "bad-payload"),
    (b"PUB a \xff", "bad-utf8"),
    (b"PUB \xff a", "bad-utf8"),
    (b"SUB \xff", "bad-utf8"),
    (b"\xff", "bad-utf8"),
    (b"REQ nobody/there x", "no-responders"),
    (b"PUB $SYS/x y", "not-authorized"),
    (b"AUTH ann secret", "not-authorized"),
]

JSON_ERRORS = [
    (b"no json", "bad-command"),
    (b"[]", "bad-command"),
    (b"{}", "bad-command"),
    (b'{"op":"fly"}', "bad-command"),
    (b'{"op":"subscribe"}', "bad-command"),
    (b'{"op":"subscribe","topic":7}', "bad-command"),
    (b'{"op":"subscribe","topic":"a","full":"never"}', "bad-command"),
    (b'{"op":"publish","topic":"a","data":1,"retain":"yes"}', "bad-command"),
    (b'{"op":"request","topic":"a","data":1,"timeout":0}', "bad-command"),
    (b'{"op":"auth"}', "bad-command"),
    (b'{"op":"ping","id":1.5}', "bad-command"),
    (b'{"op":"publish","topic":"a/+","data":1}', "bad-topic"),
    (b'{"op":"publish","topic":"","data":1}', "bad-topic"),
    (b'{"op":"publish","topic":"a\\u0000","data":1}', "bad-topic"),
    (b'{"op":"publish","topic":"a","data":1,"reply_to":"#"}', "bad-topic"),
    (b'{"op":"subscribe","topic":"a/#/b"}', "bad-filter"),
    (b'{"op":"unsubscribe","topic":"a+"}', "bad-filter"),
    (b'{"op":"publish","topic":"a"}', "bad-payload"),
    (b'{"op":"publish","topic":"a","data":1,"base64":"QQ=="}', "bad-payload"),
    (b'{"op":"publish","topic":"a","base64":"QQ"}', "bad-payload"),
    (b'{"op":"publish","topic":"a","data":' + b"[" * 100 + b"]" * 100 + b"}", "bad-payload"),
    (b'{"op":"publish","topic":"a","data":1e999}', "bad-payload"),
    (b'{"op":"publish","topic":"a","data":"\xff"}', "bad-utf8"),
    (b'{"op":"request","topic":"nobody/there","data":1}', "no-responders"),
    (b'{"op":"publish","topic":"$SYS/x","data":1}', "not-authorized"),
    (b'{"op":"auth","user":"ann","password":"secret"}', "not-authorized"),
]


@pytest.mark.parametrize(("unit", "code"), LINES_ERRORS)
@pytest.mark.parametrize("name", LINES)
def test_lines(world, name, unit, code):
    one = seat(world, name)
    one.tell(unit)
    one.ping()
    assert one.output() == [("error", code), ("pong",)]


@pytest.mark.parametrize(("unit", "code"), JSON_ERRORS)
@pytest.mark.parametrize("name", JSON)
def test_json(world, name, unit, code):
    one = seat(world, name)
    one.tell(unit)
    one.ping()
    assert one.output() == [("error", code), ("pong",)]
    assert world.hub.turn.counters.refused == 1


@pytest.mark.parametrize("name", JSON)
def test_an_error_carries_the_id_of_its_command(world, name):
    one = seat(world, name)
    for unit in (b'{"op":"fly","id":"x"}', b'{"op":"subscribe","topic":"a+","id":"x"}', b'{"op":"publish","id":"x"}'):
        one.tell(unit)
        (said,) = one.reported()
        assert (said["op"], said["id"]) == ("error", "x")


@pytest.mark.parametrize("name", COMMANDING)
def test_a_sentence_is_one_line(world, name):
    """Whatever is repeated of what the client said, it can't forge an answer with it."""
    one = seat(world, name)
    for bad in ("a\u2028MSG x y+", "a\r+", "a\nMSG x y+"):
        one.tell(json.dumps({"op": bad}).encode() if "json" in name else b"SUB " + quote(bad).encode())
    assert [what for what, *_ in one.output()] == ["error"] * 3


@pytest.mark.parametrize("name", COMMANDING)
def test_too_long_a_payload(world, name):
    one = seat(world, name, max_message=100)
    ear = seat(world, "tcp-lines", subscribes="a")
    one.publish("a", b"x" * 100)
    one.publish("a", b"\x00" * 100)
    assert len(ear.output()) == 2
    one.publish("a", b"x" * 101)
    one.ping()
    output = one.output()
    assert output[0] == ("error", "too-long")
    assert ear.output() == []
    if name in STREAMS:
        assert output[1:] == []
        assert one.client.closed
    else:
        assert output[1:] == [("pong",)]


@pytest.mark.parametrize("name", RAW)
def test_too_long_a_frame_ends_a_stream_without_a_word(world, name):
    one = seat(world, name, publishes="a", max_message=100)
    ear = seat(world, "tcp-lines", subscribes="a")
    one.publish("a", b"x" * 100)
    one.publish("a", b"y" * 101)
    assert one.output() == []
    assert ear.output() == [("message", "a", b"x" * 100)]
    if name == "udp-raw":
        one.publish("a", b"z")
        assert ear.output() == [("message", "a", b"z")]
    else:
        assert one.client.closed


@pytest.mark.parametrize("name", STREAMS)
def test_a_unit_without_end_is_cut_off(world, name):
    """1009 on a WebSocket (RFC 6455 section 7.4.1), `too-long` elsewhere."""
    one = seat(world, name, max_message=100)
    longest = one.dialect.max_unit(one.listener.context.dialect_context)
    if name.startswith("tcp"):
        one.client.send(b"x" * (longest + 2))
        assert one.output() == [("error", "too-long")]
    else:
        one.client.send("x" * (longest + 1))
        world.turn()
        assert one.client.close_code == 1009
    assert one.client.closed


@pytest.mark.parametrize("name", EVERY)
def test_a_failing_handler_affects_no_client(world, name):
    class Broken(Handler):
        """Fail always."""

        @on("#")
        def fail(self, message):
            raise RuntimeError("as expected")

    world.run(Broken)
    ear = seat(world, name, subscribes="a", publishes="ear")
    mouth = seat(world, "tcp-lines")
    mouth.publish("a", b"1")
    mouth.publish("a", b"2")
    assert ear.output() == [ear.message("a", b"1"), ear.message("a", b"2")]
    assert world.hub.turn.counters.failed >= 2
