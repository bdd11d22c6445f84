"""Every cell of the tables in docs/semantics.md that have NATS in them is true, on every transport."""

from __future__ import annotations

import pytest

from matrix import page
from matrix.crossing import MOUTHS
from matrix.speakers import TRANSPORTS
from matrix.ways import SAID, WORDS, Way, kept, none

PAIRS = [("k", "1"), ("k", "2"), ("a", ""), ("X-Y", "ü")]
UNFIT = [("ü", "1"), ("a b", "1"), ("a:", "1"), ("l", "1\n2"), ("", "1")]
NAMES = {"NATS": "nats", "MQTT 5": "mqtt", "MQTT 3.1.1": "mqtt311"}
BOTH = {"nats", "mqtt", "mqtt311"}  # that don't go over UDP


def seats(column):
    """Each seat that a column stands for."""
    if column == "a handler":
        return [column]
    dialect = NAMES.get(column, column)
    return [f"{transport}-{dialect}" for transport in TRANSPORTS if transport != "udp" or dialect not in BOTH]


def headers_in_order(way):
    assert way.live(properties=PAIRS)["user properties"] == PAIRS


def last_of_each(way):
    assert way.live(properties=PAIRS)["user properties"] == list(dict(PAIRS).items())


def headers_not_told(way):
    assert "user properties" not in way.live(properties=PAIRS)


def in_order_if_they_fit(way):
    wanted = PAIRS if "mqtt" in way.source else list(dict(PAIRS).items())
    said = [*UNFIT, *PAIRS] if "mqtt" in way.source else dict([*UNFIT, *PAIRS])
    assert way.live(properties=said)["user properties"] == wanted


def no_qos(way):
    assert not way.can("qos")


def qos_not_told(way):
    assert "qos" not in (way.live(qos=2) if way.can("qos") else way.live())


def no_headers(way):
    assert not way.can("properties")
    assert "user properties" not in way.live()


def zero(way):
    assert not way.can("qos")
    assert way.live(ear_qos=0 if "mqtt" not in way.target else 2)["qos"] == 0


OWN = {
    ("qos", "not sent"): qos_not_told,
    ("qos", "none"): no_qos,
    ("qos", "0"): zero,
    ("headers", "same, in order"): headers_in_order,
    ("headers", "the last of each name"): last_of_each,
    ("headers", "not sent"): headers_not_told,
    ("headers", "in order, if they fit"): in_order_if_they_fit,
    ("headers", "none"): no_headers,
}
MORE = {"by the listener, not sent": kept(False, by_listener=True), "none": none}
FROM = list(page.crossed("from NATS to"))
TO = list(page.crossed("to NATS from"))


def check(row, cell, source, target):
    (OWN.get((row, cell)) or MORE.get(cell) or WORDS[cell])(Way(row, source, target))


@pytest.mark.parametrize(("row", "column", "cell"), FROM)
def test_from_nats(row, column, cell):
    for target in seats(column):
        check(row, cell, "tcp-nats", target)
    check(row, cell, "websocket-nats", seats(column)[-1])


@pytest.mark.parametrize(("row", "column", "cell"), TO)
def test_to_nats(row, column, cell):
    for source in seats(column):
        for target in seats("NATS"):
            check(row, cell, source, target)


def test_every_row_and_column_is_there():
    (row_from, columns_from), (row_to, columns_to) = (
        ({row for row, *_ in cells}, {column for _, column, _ in cells}) for cells in (FROM, TO)
    )
    reported = {"topic", "payload", "payload that isn't UTF-8", "empty payload", "qos", "retain", "content type"}
    assert row_from == reported | {"response topic", "headers"}
    assert row_to == row_from | {"expiry", "correlation"}
    assert columns_to == {"MQTT 5", "MQTT 3.1.1", "lines", "json", "raw", "a handler"}
    assert columns_from == columns_to | {"NATS"}


def test_what_nats_cannot_say():
    """It has no word for the rows that the first table lacks."""
    assert not {SAID[row][0] for row in ("expiry", "correlation")} & MOUTHS["nats"].words


def test_no_word_is_left_over_or_unexplained():
    cells = {(row, cell) for row, _, cell in [*FROM, *TO]}
    assert set(OWN) <= cells
    assert {word for _, cell in cells for word in cell.split(", ")} <= page.explained()
