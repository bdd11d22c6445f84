"""The json dialect: what must hold for any value, payload and bytes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hubbub.dialects.json import Json
from hubbub.errors import Refusal
from hubbub.events import Fault
from hubbub.message import Message
from hubbub.topics import check_topic
from unit.json_help import JSON, PLAIN, link, read, shown

NUMBERS = st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)
TOPICS = TEXTS.filter(lambda text: _is_topic(text))
FORMS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def _is_topic(text: str) -> bool:
    try:
        return bool(check_topic(text))
    except Refusal:
        return False


def reported(unit: bytes | None, stream: bool) -> Any:
    """Read a unit as any JSON parser would, and hold that it is one line and one object."""
    assert unit is not None
    assert unit.endswith(b"\n") is stream
    line = unit.removesuffix(b"\n")
    assert b"\n" not in line
    assert b"\r" not in line
    answer = json.loads(line)
    assert isinstance(answer, dict)
    return answer


@given(VALUES, TOPICS, st.sampled_from([None, 1]), st.booleans(), FORMS)
def test_any_value_arrives_as_it_was(value: Any, topic: str, indent: int | None, ascii: bool, form: Any):
    command = json.dumps({"op": "publish", "topic": topic, "data": value}, indent=indent, ensure_ascii=ascii)
    (event,) = link("websocket").receive(command.encode(), 0.0, True)
    answer = reported(Json.encode(event, form), form[0])
    assert answer["topic"] == topic
    if isinstance(value, str):
        assert event.payload == value.encode()
    if not (isinstance(value, str) and form[2]):  # with parse, text may be JSON
        assert json.dumps(answer["data"]) == json.dumps(value)


@given(st.binary() | VALUES.map(lambda value: json.dumps(value, indent=1).encode()), TOPICS,
       st.sampled_from([None, JSON, "text/plain"]), FORMS)  # fmt: skip
def test_any_payload_is_one_object_on_one_line(payload: bytes, topic: str, content_type: str | None, form: Any):
    answer = reported(Json.encode(Message(topic, payload, content_type=content_type), form), form[0])
    assert answer["topic"] == topic
    assert ("data" in answer) != ("base64" in answer)
    if "data" in answer and content_type != JSON and not form[2]:
        assert answer["data"].encode() == payload


@given(st.binary())
def test_any_bytes_come_back_by_base64(payload: bytes):
    message = Message("t", b"\xff" + payload)
    answer = reported(Json.encode(message, PLAIN), True)
    event = read({"op": "publish", "topic": "t", "base64": answer["base64"]})
    assert event.payload == message.payload


@given(st.binary() | st.text('{}[]",:0123456789.eE+-\\u\n\r adoptisbchng', max_size=60).map(str.encode), st.data())
def test_any_bytes_are_read_alike_however_they_are_cut(data: bytes, cuts: st.DataObject):
    at = cuts.draw(st.integers(0, len(data)))
    one, other = link(), link()
    whole_events = one.receive(data, 0.0) + one.eof(0.0)
    cut_events = other.receive(data[:at], 0.0) + other.receive(data[at:], 0.0) + other.eof(0.0)
    assert shown(whole_events) == shown(cut_events)
    for event in whole_events:
        if type(event) is Fault:
            reported(one.outcome(event, event.refusal), True)


@given(TEXTS, TEXTS | st.integers(-(2**63), 2**63 - 1))
def test_any_filter_and_id_come_back(text: str, tag: Any):
    event = read({"op": "subscribe", "topic": text, "id": tag})
    result = event.refusal if type(event) is Fault else None
    answer = reported(link().outcome(event, result), True)
    assert answer["id"] == tag
    assert result is not None or answer["topic"] == text
