"""Every cell of the tables in docs/semantics.md that have STOMP in them is true, on every transport."""

from __future__ import annotations

from itertools import product

import pytest

from matrix import page
from matrix.ways import ROWS, WORDS, Way, seats

FROM = list(page.crossed("from STOMP to"))
TO = list(page.crossed("to STOMP from"))


@pytest.mark.parametrize(("row", "column", "cell"), FROM)
def test_from_stomp(row, column, cell):
    for source, target in product(seats("STOMP"), seats(column)):
        WORDS[cell](Way(row, source, target))


@pytest.mark.parametrize(("row", "column", "cell"), TO)
def test_to_stomp(row, column, cell):
    for source, target in product(seats(column), seats("STOMP")):
        WORDS[cell](Way(row, source, target))


def test_every_row_and_column_is_there():
    ways = [({row for row, *_ in cells}, {column for _, column, _ in cells}) for cells in (FROM, TO)]
    columns = {"MQTT 5", "lines", "json", "raw", "a handler"}
    assert ways == [(set(ROWS), columns | {"STOMP", "MQTT 3.1.1"}), (set(ROWS), columns)]


def test_every_word_is_explained():
    said = {cell for *_, cell in [*FROM, *TO]}
    assert {word for cell in said for word in cell.split(", ")} <= page.explained()
