"""Every cell of the tables in docs/semantics.md that have MQTT in them is true, on every transport."""

from __future__ import annotations

from itertools import product

import pytest

from hubbub import Handler, on
from hubbub.testing import World
from matrix import page
from matrix.speakers import seat
from matrix.ways import OLD_WORDS, PAIRS, ROWS, SAID, WORDS, Way, seats

FROM = list(page.crossed("from MQTT to"))
TO = list(page.crossed("to MQTT from"))


@pytest.mark.parametrize(("row", "column", "cell"), FROM)
def test_from_mqtt(row, column, cell):
    versions = ("mqtt", "mqtt311") if row in OLD_WORDS else ("mqtt",)
    for source, target in product([f"tcp-{one}" for one in versions], seats(column)):
        WORDS[cell](Way(row, source, target))
    WORDS[cell](Way(row, "websocket-mqtt", seats(column)[-1]))


@pytest.mark.parametrize(("row", "column", "cell"), TO)
def test_to_mqtt(row, column, cell):
    for source in seats(column):
        for target in ("tcp-mqtt", "websocket-mqtt", *["tcp-mqtt311"] * (row in OLD_WORDS)):
            WORDS[cell](Way(row, source, target))


@pytest.mark.parametrize("column", ["json", "a handler"])
def test_the_old_version_gets_nothing_else(column):
    said = {name: dict(values[0]) if name == "properties" else values[0] for name, values in SAID.values()}
    found = Way("", seats(column)[0], "tcp-mqtt311").live(qos=1, ear_qos=1, **said)
    assert found == {"topic": "a/b", "payload": b"1", "qos": 1, "retain": False}


def test_every_row_and_column_is_there():
    ways = [({row for row, *_ in cells}, {column for _, column, _ in cells}) for cells in (FROM, TO)]
    columns = {"lines", "json", "raw", "a handler"}
    assert ways == [(set(ROWS), columns | {"MQTT 5", "MQTT 3.1.1"}), (set(ROWS), columns)]


def test_no_word_is_left_over_or_unexplained():
    said = {cell for *_, cell in [*FROM, *TO]}
    assert said == set(WORDS) - {"as `persistent`", "of the arguments"}
    assert {word for cell in said for word in cell.split(", ")} <= page.explained()


def test_a_handler_passes_all_properties_on():
    class Passes(Handler):
        @on("in")
        def go(self, message):
            self.publish("out", message.payload, properties=message.properties)

    world = World()
    world.run(Passes)
    one = seat(world, "tcp-mqtt", subscribes="out")
    seat(world, "tcp-mqtt").publish("in", b"1", user_property=PAIRS)
    (packet,) = one.reported()
    assert packet.properties["user_property"] == PAIRS
