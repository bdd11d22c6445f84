"""Large messages of WAMP: what they have is counted before it is made, and nothing else about them changes."""

from __future__ import annotations

import json

import cbor2
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wamp_client as wamp
from hubbub import limits
from hubbub.errors import Refusal
from hubbub.message import Message
from hubbub_plugins.wamp import large
from hubbub_plugins.wamp.arguments import arguments_of, payload_of, write
from hubbub_plugins.wamp.codec import CBOR, JSON, MSGPACK, Malformed
from wamp_client import WampHub

PADDING = "é[{\\" * limits.WAMP_PARTS  # in each serializer it looks like lists
WRITE = {JSON: lambda value: json.dumps(value).encode(), MSGPACK: msgpack.packb, CBOR: cbor2.dumps}
FLOATS = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
SIMPLE = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | st.text('é[{"\\x')
VALUES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(codec=st.sampled_from([JSON, MSGPACK, CBOR]), value=VALUES)
def test_it_is_read_as_any_other(codec, value):
    message = [16, 1, {"a": [1]}, "a.b", [value, PADDING], {"k": value}]
    assert codec.read(WRITE[codec](message)) == [message]


def test_cbor_without_lengths():
    lists, text = b"\x9f\x9f\xff\xbf\x61a\x01\xff\xff", b"\x7f\x62\xc3\xa9" + cbor2.dumps(PADDING) + b"\xff"
    data = b"\x9f\x10\x01\xa0\x61a\x82" + lists + text + b"\xff"
    assert CBOR.read(data) == [[16, 1, {}, "a", [[[], {"a": 1}], "é" + PADDING]]]
    with pytest.raises(Malformed):
        CBOR.read(data[:-1])


@pytest.mark.parametrize("codec", WRITE)
def test_what_follows_is_an_error(codec):
    with pytest.raises(Malformed):
        codec.read(WRITE[codec]([16, 1, {}, "a", [PADDING]]) + WRITE[codec]([1]))


@pytest.mark.parametrize("codec", WRITE)
@pytest.mark.parametrize(
    "value", [[[]] * (limits.WAMP_PARTS + 1), [{"": 0}] * (limits.WAMP_PARTS // large.DICTIONARY + 1)]
)
def test_too_many_parts(codec, value):
    """The request is refused, and the session goes on."""
    padded = [*value, "x" * limits.WAMP_PARTS]
    for message in ([16, 1, {}, "a", padded], [16, 1, {}, "a", [], {"k": padded}]):
        (read,) = codec.read(WRITE[codec](message))
        assert read[-1] is large.TOO_MANY
        assert read[:-1] == message[:-1]
        with pytest.raises(Refusal, match="too many parts"):
            payload_of(read, 4, 2**20)
    client = WampHub().client(codec.name)
    (first,) = client.say(wamp.PUBLISH, 1, {"acknowledge": True}, "a", padded)
    (second,) = client.say(wamp.CALL, 2, {}, "wamp.session.count", padded)
    (third,) = client.say(wamp.PUBLISH, 3, {"acknowledge": True}, "a", [1])
    assert first[:3] == [wamp.ERROR, wamp.PUBLISH, 1]
    assert first[4] == "wamp.error.payload_size_exceeded"
    assert second[:2] == [wamp.RESULT, 2]
    assert third[0] == wamp.PUBLISHED


def test_options_with_too_many_parts_end_the_session():
    client = WampHub().client("msgpack")
    client.say(wamp.PUBLISH, 1, {"x": [[]] * (limits.WAMP_PARTS + 1)}, "a")
    assert client.closed


@pytest.mark.parametrize("codec", WRITE)
@pytest.mark.parametrize(
    "payload", [b"[%b]" % b",".join([b"[]"] * limits.WAMP_PARTS), b"[%b]" % b",".join([b'{"":0}'] * 10_001)]
)
def test_json_of_others_with_too_many_parts_is_text(codec, payload):
    message = Message("a", payload, content_type="application/json")
    assert arguments_of(message) == [[payload.decode()]]
    assert codec.read(write(codec, [36, 1, 2, {}], message)) == [[36, 1, 2, {}, [payload.decode()]]]


def test_brackets_within_strings_are_no_parts():
    payload = json.dumps([PADDING, '"' + PADDING]).encode()
    assert arguments_of(Message("a", payload, content_type="application/json")) == [[json.loads(payload)]]


def test_an_integer_that_msgpack_lacks():
    message = Message("a", b"[%d]" % 2**64, content_type="application/json")
    assert MSGPACK.read(write(MSGPACK, [36, 1, 2, {}], message)) == [[36, 1, 2, {}, [f"[{2**64}]"]]]
    assert CBOR.read(write(CBOR, [36, 1, 2, {}], message)) == [[36, 1, 2, {}, [[2**64]]]]
