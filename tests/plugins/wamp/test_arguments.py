"""URIs, serializers and arguments: what crosses keeps what it is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wamp_client as wamp
from hubbub.errors import BadFilter, BadTopic, Refusal
from hubbub.message import Message
from hubbub.topics import check_topic
from hubbub_plugins.wamp.arguments import arguments_of, payload_of, write
from hubbub_plugins.wamp.codec import CBOR, JSON, MSGPACK, Malformed, codec_of
from hubbub_plugins.wamp.uris import filter_of, topic_of, uri_of
from wamp_client import WampHub

MOST = 10_000
SIMPLE = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
VALUES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(st.text(st.characters(exclude_characters="+#\0", exclude_categories=("Cs",)), min_size=1))
def test_each_topic_has_one_uri(topic):
    uri = uri_of(check_topic(topic))
    assert topic_of(uri) == topic
    assert not any(one.isspace() or one in "/#" for one in uri)


@pytest.mark.parametrize(
    ("topic", "uri"),
    [("com/app/temp", "com.app.temp"), ("a//b", "a.%.b"), ("/a/", "%.a.%"), ("a b/1.5/50%", "a%20b.1%2E5.50%25")],
)
def test_topics_and_uris(topic, uri):
    assert (uri_of(topic), topic_of(uri)) == (uri, topic)


@pytest.mark.parametrize("uri", ["", "a..b", "a/b", "a+b", "a#", "a%2Fb", "a%41", "a%2e", "a%", "a b", "a.%.", "%FF"])
def test_what_is_no_uri(uri):
    with pytest.raises(BadTopic):
        topic_of(uri)


@pytest.mark.parametrize(
    ("uri", "match", "filter"),
    [("a.b", "exact", "a/b"), ("a.b", "prefix", "a/b/#"), ("a.b.", "prefix", "a/b/#"), ("", "prefix", "#"),
     ("a..b", "wildcard", "a/+/b"), ("a.", "wildcard", "a/+"), ("", "wildcard", "+")],
)  # fmt: skip
def test_filters(uri, match, filter):
    assert filter_of(uri, match) == filter


@pytest.mark.parametrize(("uri", "match"), [("a..b", "exact"), ("a..b", "prefix"), ("a.+", "wildcard")])
def test_what_is_no_pattern(uri, match):
    with pytest.raises(BadFilter):
        filter_of(uri, match)


def carried(args, kwargs):
    payload, kind = payload_of([args, kwargs], 0, MOST)
    return Message("a", payload, content_type=kind)


@given(st.lists(VALUES, max_size=3), st.dictionaries(st.text(), VALUES, max_size=2))
def test_arguments_come_back(args, kwargs):
    found = arguments_of(carried(args, kwargs))
    assert found + [[], {}][len(found) :] == [args, kwargs]


@given(st.lists(VALUES, max_size=3), st.dictionaries(st.text(), VALUES, max_size=2))
def test_json_says_what_the_others_say(args, kwargs):
    message = carried(args, kwargs)
    (found,) = JSON.read(write(JSON, [36], message))
    whole = [*found, *[[], {}][len(found) - 1 :]]
    assert whole == [36, *said([args, kwargs])]


def said(value):
    """A value as JSON has it: text that begins with NUL becomes binary, and what isn't finite null."""
    if isinstance(value, list):
        return [said(one) for one in value]
    if isinstance(value, dict):
        return {key: said(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.encode() if isinstance(value, str) and value[:1] == "\0" else value


@pytest.mark.parametrize(
    ("args", "kwargs", "payload", "kind"),
    [
        ([], {}, b"", None),
        (["21.5 °C"], {}, "21.5 °C".encode(), "text/plain; charset=utf-8"),
        ([b"\xff"], {}, b"\xff", "application/octet-stream"),
        ([{"t": 1}], {}, b'{"t":1}', "application/json"),
        ([1, "a"], {}, b'{"args":[1,"a"]}', "application/json; wamp=arguments"),
        ([], {"a": b"\0"}, b'{"args":[],"kwargs":{"a":"\\u0000AA=="}}', "application/json; wamp=arguments"),
    ],
)
def test_what_others_get(args, kwargs, payload, kind):
    assert payload_of([args, kwargs], 0, MOST) == (payload, kind)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message("a", b""), []),
        (Message("a", b"text"), [["text"]]),
        (Message("a", b"\xff"), [[b"\xff"]]),
        (Message("a", b"text", content_type="application/octet-stream"), [[b"text"]]),
        (Message("a", b'{"a":[1]}', content_type="application/json"), [[{"a": [1]}]]),
        (Message("a", b"{no json", content_type="application/json"), [["{no json"]]),
        (Message("a", b"[1]", content_type="application/json; wamp=arguments"), [["[1]"]]),
    ],
)
def test_what_comes_from_others(message, expected):
    assert arguments_of(message) == expected
    assert CBOR.read(write(CBOR, [36], message)) == MSGPACK.read(write(MSGPACK, [36], message)) == [[36, *expected]]
    assert JSON.read(write(JSON, [36], message)) == [[36, *expected]]


def test_numbers_that_arent_finite():
    found = arguments_of(carried([math.inf, -math.inf, math.nan], {}))[0]
    assert found[:2] == [math.inf, -math.inf]
    assert math.isnan(found[2])
    assert JSON.read(write(JSON, [36], carried([math.inf], {}))) == [[36, [None]]]


@pytest.mark.parametrize("args", [["\ud800"], [["\ud800"]], [2**70], [{1: 2}], [object()]])
def test_what_arent_arguments(args):
    with pytest.raises(Refusal):
        payload_of([args], 0, MOST)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\0\0\0\1", b"{}", b"1", b"\0\0\0\1\xff"])
def test_what_is_no_hello(data):
    with pytest.raises(Malformed):
        codec_of(data)


@pytest.mark.parametrize("source", ["json", "msgpack", "cbor"])
def test_serializers_see_the_same(source):
    hub = WampHub()
    ears, client = [hub.client(codec) for codec in wamp.READ], hub.client(source)
    for ear in ears:
        ear.subscribe("a")
    args, kwargs = [1, 1.5, "ü", None, True, [{"k": []}], 2**53], {"b": "x"}
    client.ask(wamp.PUBLISH, {}, "a", args, kwargs)
    assert [ear.output()[0][4:] for ear in ears] == [[args, kwargs]] * 3


def test_binary_values_cross():
    hub = WampHub()
    ears, client = [hub.client(codec) for codec in wamp.READ], hub.client("cbor")
    for ear in ears:
        ear.subscribe("a")
    client.publish("a", b"\0\xff")
    client.publish("a", [b"\1"], "\0text")
    found = [[event[4] for event in ear.output()] for ear in ears]
    assert found[0] == [["\0AP8="], [["\0AQ=="], "\0AHRleHQ="]]
    assert found[1] == found[2] == [[b"\0\xff"], [[b"\1"], "\0text"]]
