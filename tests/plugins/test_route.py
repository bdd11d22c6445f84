"""route: mapping topics and payloads without Python."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import ConfigError, Handler, on
from hubbub.handler import as_payload
from hubbub.option import configure
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.testing import World
from hubbub_plugins.route import Route, pointer
from interop.clients import Tcp, Udp, WebSocket
from matrix.speakers import seat
from running import Daemon


class Track:
    """A world with one route, a speaker, and an ear for what comes out below dash/."""

    def __init__(self, world=None, subscribes="dash/#", **options):
        self.world = world or World()
        self.ear = seat(self.world, "tcp-lines", subscribes=subscribes)
        self.route = self.world.run(Route, **{name.rstrip("_"): value for name, value in options.items()})
        self.speaker = seat(self.world, "tcp-lines")

    def put(self, topic, payload, **more):
        """Publish, and return what comes out in that turn."""
        self.speaker.publish(topic, payload if isinstance(payload, bytes) else json.dumps(payload).encode(), **more)
        return self.out()

    def out(self):
        return [(topic, payload) for _, topic, payload in self.ear.output()]


# Topics


@pytest.mark.parametrize(
    ("source", "to", "topic", "target"),
    [
        ("plant/+/raw", "dash/{1}", "plant/7/raw", "dash/7"),
        ("plant/+/raw", "dash/{1}", "plant//raw", "dash/"),
        ("+/+/+", "dash/{3}/{1}/{3}", "a/b/c", "dash/c/a/c"),
        ("plant/#", "dash/{rest}", "plant/a/b", "dash/a/b"),
        ("plant/#", "dash/{rest}", "plant/", "dash/"),
        ("plant/#", "dash/{rest}", "plant", "dash"),
        ("plant/#", "dash/{rest}/raw", "plant", "dash/raw"),
        ("+/#", "dash/{1}/x-{rest}", "a", "dash/a/x-"),
        ("+/b/#", "dash/{rest}/{1}", "a/b/c/d", "dash/c/d/a"),
        ("a/b", "dash", "a/b", "dash"),
        ("+", "dash/{1}", "straße%20{1}", "dash/straße%20{1}"),
    ],
)
def test_where_it_goes(source, to, topic, target):
    track = Track(from_=source, to=to)
    track.speaker.publish(topic, b"1")
    assert track.out() == [(target, b"1")]


def test_rest_alone_goes_too():
    track = Track(subscribes="x", from_="a/#", to="{rest}/x")
    assert track.put("a", b"1") == [("x", b"1")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "route needs from= and to="),
        ({"from": "a"}, "route needs from= and to="),
        ({"to": "a"}, "route needs from= and to="),
        ({"from": "a/+", "to": "b/{2}"}, "to=b/{2}: there is no {2}; of from=a/+ there are {1}"),
        ({"from": "a/+/+/#", "to": "b/{3}"}, "there are {1} {2} {rest}"),
        ({"from": "a", "to": "b/{rest}"}, "there is no {rest}; of from=a there are none"),
        ({"from": "+", "to": "b/{0}"}, "a field is {1}, {2} and so on, or {rest}"),
        ({"from": "+", "to": "b/{id}"}, "a field is {1}"),
        ({"from": "+", "to": "b/{1"}, "a field is {1}"),
        ({"from": "+", "to": "b/+"}, "a topic has no wildcards"),
        ({"from": "a/#/b", "to": "b"}, "'a/#/b' is no filter: # is only allowed as the last level"),
        ({"from": "a", "to": "b", "pick": "temp"}, "pick=temp: expected a JSON pointer"),
        ({"from": "a", "to": "b", "at-most": "0"}, "at-most=0: expected a rate above 0"),
        ({"from": "a", "to": "b", "at-most": "often"}, "at-most=often: expected a rate"),
        ({"from": "a", "to": "b", "changed": "maybe"}, "changed=maybe: expected yes or no"),
        ({"from": "a", "to": "b\n{1}"}, "to=b\\n{1}"),
    ],
)
def test_an_operators_mistake_is_one_line(options, says):
    world = World()
    with pytest.raises(ConfigError) as error:
        HandlerRunner(world.hub, configure(Route, options)(), "route", world.clock)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_message_goes_on_with_all_that_belongs_to_it():
    track = Track(from_="a", to="dash/a")
    ear = seat(track.world, "websocket-json")
    ear.subscribe("dash/a", meta=True)
    ear.output()
    page = seat(track.world, "websocket-json")
    page.op("publish", topic="a", data="x", content_type="text/csv", properties={"unit": "C"}, reply_to="answers")
    output = ear.reported()[0]
    assert (output["content_type"], output["properties"], output["reply_to"]) == ("text/csv", {"unit": "C"}, "answers")


def test_a_request_is_answered_across_a_route():
    track = Track(from_="a", to="echo/a")

    class Echo(Handler):
        @on("echo/a")
        def echo(self, message):
            message.reply(message.text.upper())

    track.world.run(Echo)
    track.speaker.request("a", b"hi")
    assert track.speaker.output() == [("reply", b"HI")]


def test_what_is_retained():
    track = Track(from_="a", to="dash/a")
    track.put("a", b"1", retain=True)
    assert track.world.hub.retained.get("dash/a") is None
    kept = Track(track.world, from_="a", to="dash/kept", retain="yes")
    assert kept.out() == [("dash/kept", b"1")], "what was retained before the start"
    assert track.world.hub.retained.get("dash/kept").payload == b"1"


# Picking


@pytest.mark.parametrize(
    ("path", "payload", "picked"),
    [
        ("/temp", b'{"temp": 21.50}', b"21.50"),
        ("/temp", b'{"temp": 1e400}', b"1e400"),
        ("/temp", b'{"temp": 12345678901234567890123}', b"12345678901234567890123"),
        ("/temp", b'{"temp": "21 \xc2\xb0C"}', "21 °C".encode()),
        ("/temp", b'{"temp": null}', b"null"),
        ("/temp", b'{"temp": true}', b"true"),
        ("/temp", b'{"temp": ""}', b""),
        ("/temp", b'{"temp": 1, "temp": 2}', b"2"),
        ("/a/b", b'{"a": {"b": [1, {"c": "\\u00fc"}]}}', '[1,{"c":"ü"}]'.encode()),
        ("/a/1", b'{"a": [1, 2]}', b"2"),
        ("/1", b'{"1": 5}', b"5"),
        ("", b" [1, 2] ", b"[1,2]"),
        ("/", b'{"": 1}', b"1"),
        ("/a~1b/m~0n", b'{"a/b": {"m~n": 8}}', b"8"),
        ("/~01", b'{"~1": 7}', b"7"),
    ],
)
def test_what_is_picked(path, payload, picked):
    track = Track(from_="a", to="dash/a", pick=path)
    track.speaker.publish("a", payload)
    assert track.out() == [("dash/a", picked)]
    assert track.route.missing == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"21.5", b"{}", b"[]", b'"temp"', b'{"temp": ', b'{"Temp": 1}', b"\xff", b'{"temp": NaN}', b"null",
        b'{"temp": -Infinity}', b'{"temp": [1e400]}', b'{"temp": "\\ud800"}', b"[" * 100_000,
        b'{"temp": %s}' % (b"9" * 5_000), b'{"temp": %s1%s}' % (b"[" * 100_000, b"]" * 100_000),
    ],
)  # fmt: skip
def test_what_is_not_there_is_counted_and_not_published(payload):
    track = Track(from_="a", to="dash/a", pick="/temp")
    assert track.put("a", payload) == []
    assert (track.route.missing, track.route.runner.failed) == (1, 0)
    assert track.put("a", {"temp": 1}) == [("dash/a", b"1")]


@pytest.mark.parametrize("token", ["2", "-", "01", "-1", "+1", "1.0", "", "a", "9" * 5_000, "٣"])
def test_an_index_is_a_number_of_an_element(token):
    track = Track(from_="a", to="dash/a", pick=f"/{token}")
    assert track.put("a", [1, 2]) == []
    assert (track.route.missing, track.route.runner.failed) == (1, 0)


# RFC 6901 section 5
EXAMPLES = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", EXAMPLES), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3),
        ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_the_examples_of_the_rfc(path, value):
    track = Track(from_="a", to="dash/a", pick=path)
    assert track.put("a", EXAMPLES) == [("dash/a", as_payload(value)[0])]


@pytest.mark.parametrize("text", ["a", "a/b", "#/a", "/a~", "/a~2", "/~", 5, None])
def test_what_is_no_pointer(text):
    with pytest.raises(ValueError, match="expected a JSON pointer"):
        pointer(text)


@given(st.lists(st.text(max_size=5), max_size=4))
def test_any_name_can_be_written(names):
    assert pointer("".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)) == tuple(names)


def test_the_kind_of_what_is_picked():
    track = Track(from_="a", to="dash/a", pick="/v")
    ear = seat(track.world, "websocket-json")
    ear.subscribe("dash/a", meta=True)
    ear.output()
    for value in ("x", 2.5, [1]):
        track.put("a", {"v": value})
    kinds = [said["content_type"] for said in ear.reported()]
    assert kinds == ["text/plain; charset=utf-8", "application/json", "application/json"]


# The real thing

ROUTE = r"route:from=plant/+/raw:to=dash/{1}:pick=/temp:changed=yes:at-most=10/s:retain=yes"


def test_from_tcp_and_udp_to_a_page():
    listeners = ("--tcp", "tcp:0", "--udp", "udp:0", "--websocket", "tcp:0")
    second = "route:id=copy:from=dash/#:to=copy/{rest}"
    with (
        Daemon(*listeners, "--handler", ROUTE, "--handler", second) as daemon,
        Tcp(daemon.tcp[0]) as plc,
        Udp(daemon.udp[0]) as sensor,
        WebSocket(daemon.url()) as page,
    ):
        page.send("SUB dash/#")
        page.expect("OK SUB dash/#")
        page.send("SUB copy/#")
        page.expect("OK SUB copy/#")
        plc.send(
            'PUB plant/7/raw {"temp": 21.50}', 'PUB plant/7/raw {"temp": 21.50, "n": 2}', "PUB plant/7/raw no JSON"
        )
        page.expect("MSG dash/7 21.50")
        page.expect("MSG copy/7 21.50")
        sensor.send('PUB plant/8/raw {"temp": "warm"}')
        page.expect("MSG dash/8 warm")
        page.expect("MSG copy/8 warm")
        plc.send(*(f'PUB plant/9/raw {{"temp": {number}}}' for number in range(100)))
        page.expect("MSG dash/9 0")
        page.expect("MSG copy/9 0")
        page.expect("MSG dash/9 99")
        page.expect("MSG copy/9 99")
        plc.send("SUB dash/9")
        plc.expect("OK SUB dash/9")
        plc.expect("MSG dash/9 99")
        assert "failed" not in daemon.log


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("route", "route needs from= and to="),
        ("route:from=a/+:to=b/{2}", "there is no {2}"),
        ("route:from=a/#/b:to=b", "is no filter"),
        ("route:from=a:to=b:pick=temp", "expected a JSON pointer"),
        ("route:from=a:to=b:every=1", "unknown key every="),
    ],
)
def test_a_mistake_ends_the_start_with_one_line(spec, says):
    with pytest.raises(AssertionError) as ended, Daemon("--handler", spec):
        pass
    assert says in str(ended.value)
    assert "Traceback" not in str(ended.value)
