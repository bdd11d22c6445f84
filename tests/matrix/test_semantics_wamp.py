"""Every cell of the tables in docs/semantics.md that have WAMP in them is true, on every transport."""

from __future__ import annotations

from itertools import product

import pytest

from hubbub.testing import World
from matrix import page
from matrix.crossing import ear
from matrix.speakers import seat
from matrix.ways import PAYLOADS, ROWS, SAID, WORDS, Way, seats

FROM = list(page.crossed("from WAMP to"))
TO = list(page.crossed("to WAMP from"))


def check(row, cell, source, target):
    way = Way(row, source, target)
    if cell == "not sent" and row in SAID and not way.can(SAID[row][0]):  # of the listener, or of REQ
        assert row not in way.live()
    elif row == "user properties" and cell == "not sent":
        assert row not in way.live(properties=[("k", "1")] if "mqtt" in source or "nats" in source else {"k": "1"})
    elif cell == "none" and row == "qos":
        assert "qos" not in way.live()
    elif cell == "text or binary":
        text_or_binary(source, target)
    else:
        WORDS[cell](way)


def text_or_binary(source, target):
    """A text is a string, all else isn't."""
    for payload in (b"text", b"\xff"):
        world = World()
        one = seat(world, target, subscribes="a/#", publishes="ear")
        seat(world, source).publish("a/b", payload)
        world.turn()
        received = one.client.received()
        if target.startswith("websocket"):
            assert received == ["text" if payload == b"text" else payload]
        else:
            assert payload in (one.split(received) if isinstance(received, bytes) else received)


@pytest.mark.parametrize(("row", "column", "cell"), FROM)
def test_from_wamp(row, column, cell):
    for source, target in product(seats("WAMP"), seats(column)):
        check(row, cell, source, target)


@pytest.mark.parametrize(("row", "column", "cell"), TO)
def test_to_wamp(row, column, cell):
    for source, target in product(seats(column), seats("WAMP")):
        check(row, cell, source, target)


def test_every_row_and_column_is_there():
    columns = {"MQTT 5", "MQTT 3.1.1", "lines", "json", "raw", "NATS", "STOMP", "a handler"}
    assert {column for _, column, _ in FROM} == columns | {"WAMP"}
    assert {column for _, column, _ in TO} == columns
    assert {row for row, *_ in TO} == set(ROWS)
    assert {row for row, *_ in FROM} == {"topic", *PAYLOADS, "retain", "content type"}


def test_every_word_is_explained():
    said = {cell for *_, cell in [*FROM, *TO]}
    assert {word for cell in said for word in cell.split(", ")} <= page.explained()


def test_json_of_others_is_a_value():
    world = World()
    one = ear(world, "tcp-wamp").one
    one.reported()
    mouth = seat(world, "tcp-json")
    mouth.op("publish", topic="a", data={"t": [1, 2]})
    (event,) = one.reported()
    assert event[4] == [{"t": [1, 2]}]
