"""plugins/nmea/joiner.py: the parts of AIS messages, in any order, and of ships that speak at once."""

from __future__ import annotations

import itertools
import json
import socket

import pytest

from ais_help import MMSI, SHIP, decoded, say, ships, static, vdm
from hubbub import DialectContext, Fault, Publish
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub_plugins.nmea import Nmea
from hubbub_plugins.nmea.joiner import ROWS_OF_LINK, ROWS_OF_LISTENER, SECONDS
from nmea_help import summed, tagged
from running import Daemon, LineClient

ANN, BEN = static(name="ANN", destination="A" * 20), static(name="BEN", destination="B" * 20)


def on(channel, sentences):
    """The same sentences on another channel."""
    return [summed(one[1:-3].replace(",A,", f",{channel},", 1), "!") for one in sentences]


def from_source(source, sentences):
    return [tagged(f"s:{source}", one) for one in sentences]


def as_number(sequence, sentences):
    """The same sentences with another sequence id."""
    return [summed(one[1:-3].replace(",3,", f",{sequence},", 1), "!") for one in sentences]


def who(events):
    return [(one["name"], one["destination"][0]) for one in decoded(events)]


APART = {
    "channel": (ANN, on("B", BEN)),
    "sequence id": (as_number("", ANN), as_number("4", BEN)),
    "source": (from_source("r1", ANN), from_source("r2", BEN)),
    "talker": (ANN, [summed(one[1:-3].replace("AI", "BS", 1), "!") for one in BEN]),
    "tail": ([f"{one},r003669945,7" for one in ANN], [f"{one},r003669946,7" for one in BEN]),
}


@pytest.mark.parametrize(("ann", "ben"), APART.values(), ids=APART)
def test_parts_of_two_ships_are_distinguished(ann, ben):
    for order in set(itertools.permutations((*ann, *ben))):
        assert sorted(who(say(*order))) == [("ANN", "A"), ("BEN", "B")]


def test_parts_in_any_order_and_twice():
    assert who(say(ANN[1], ANN[0])) == [("ANN", "A")]
    assert who(say(ANN[0], ANN[0], ANN[1], ANN[1])) == [("ANN", "A")]
    assert who(say(*ANN, ANN[1], *BEN)) == [("ANN", "A"), ("BEN", "B")]
    assert who(say(*ANN, *ANN)) == [("ANN", "A")] * 2


def test_parts_that_nothing_distinguishes_are_not_joined():
    """As pyais encodes: every message of several parts has the sequence id 0."""
    dialect = ships(transport="tcp")
    events = dialect.receive("".join(f"{one}\n" for one in (ANN[0], BEN[0], ANN[1], BEN[1])).encode(), 0)
    assert decoded(events) == []
    (fault,) = (event for event in events if isinstance(event, Fault))
    assert "same channel, sequence id and source" in fault.refusal.reason
    assert [event.payload.decode() for event in events if isinstance(event, Publish)] == [
        ANN[0],
        BEN[0],
        ANN[1],
        BEN[1],
    ]
    later = dialect.receive("".join(f"{one}\n" for one in BEN).encode(), SECONDS)
    assert who(later) == [("BEN", "B")]


def test_a_part_waits_only_so_long():
    for seconds, wanted in ((SECONDS - 0.001, [("ANN", "A")]), (SECONDS, [])):
        dialect = ships(transport="tcp")
        dialect.receive(f"{ANN[0]}\n".encode(), 10)
        assert who(dialect.receive(f"{ANN[1]}\n".encode(), 10 + seconds)) == wanted


def test_nine_parts():
    fields = [(8, 6), (0, 2), MMSI, (0, 2), (1, 10), (31, 6), *[(12345, 60)] * 15]
    sentences = vdm(*fields, parts=9, sequence="1")
    assert len(sentences) == 9
    assert decoded(say(*sentences)) == [{"type": 8, "mmsi": "244670316", "dac": 1, "fid": 31}]
    assert decoded(say(*sentences[:8])) == []


def test_over_udp_parts_come_in_datagrams():
    """A stranger has a link for each datagram; it is still the same sender, and another one is another."""
    kind, context = configure(Nmea, {"ais": "ais/{mmsi}"}), DialectContext("udp")
    events = []
    for port, one in ((1, ANN[0]), (2, BEN[0]), (2, BEN[1]), (1, ANN[1])):
        events += kind(context, Session("192.0.2.9", port, "udp", "boat")).receive(one.encode(), 0)
    assert who(events) == [("BEN", "B"), ("ANN", "A")]
    other = kind(DialectContext("udp"), Session("192.0.2.9", 1, "udp", "boat"))
    kind(context, Session("192.0.2.9", 1, "udp", "boat")).receive(as_number(5, ANN)[0].encode(), 0)
    assert who(other.receive(as_number(5, ANN)[1].encode(), 0)) == []


@pytest.mark.parametrize(("transport", "rows"), [("tcp", ROWS_OF_LINK), ("udp", ROWS_OF_LISTENER)])
def test_parts_that_wait_are_bounded(transport, rows):
    for more, wanted in ((rows - 1, [("ANN", "A")]), (rows, [])):
        dialect = ships(transport=transport)
        dialect.receive(f"{ANN[0]}\n".encode(), 0)
        for number in range(more):
            dialect.receive(f"{tagged(f's:r{number}', BEN[0])}\n".encode(), 0)
        assert who(dialect.receive(f"{ANN[1]}\n".encode(), 0)) == wanted


def test_ships_of_a_receiver():
    """Parts in datagrams of their own, in a daemon that is told nothing of their sender."""
    options = "dialect=nmea:prefix=boat:ais=ais/{mmsi}:retain=yes"
    with Daemon("--udp", f"udp:0:{options}", "--tcp", "tcp:0:id=watcher") as daemon:
        with LineClient(daemon.tcp[-1]) as watcher, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            assert watcher.ask("SUB boat/ais/+") == "OK SUB boat/ais/+"
            for one in SHIP:
                receiver.sendto(f"{one}\r\n".encode(), daemon.udp[0])
            topic, said = watcher.line().removeprefix("MSG ").split(" ", 1)
            assert topic == "boat/ais/351759000"
            assert json.loads(said)["name"] == "EVER DIADEM"
