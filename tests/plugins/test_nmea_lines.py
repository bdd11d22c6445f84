"""plugins/nmea/line.py: what senders write around a sentence, and what of it becomes properties."""

from __future__ import annotations

import socket

import pytest

from hubbub import DialectContext, Fault, Message
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub.testing import CUTTINGS
from hubbub_plugins.nmea import Nmea
from hubbub_plugins.nmea.joiner import SECONDS
from nmea_help import AIS, GGA, nmea, shown, summed, tagged
from running import Daemon, LineClient

GLL = "$GPGLL,4916.45,N,12311.12,W,225444,A*31"
TXT = summed("GPTXT,01,01,02,50$ and a 2!")


def tags(event):
    return {name.removeprefix("tag."): value for name, value in event.properties.items() if name.startswith("tag.")}


# What comes, the sentence that it is, and its tags.
AROUND = {
    "plain": (GLL, GLL, {}),
    "a time": (tagged("c:1", GLL), GLL, {"c": "1"}),
    "kplex": (tagged("s:gps1,c:1120959341", GLL), GLL, {"s": "gps1", "c": "1120959341"}),
    "all codes": (
        tagged("c:1120959341000,d:OPEN,n:7,r:12,s:r003669945,t:a text", GLL),
        GLL,
        {"c": "1120959341000", "d": "OPEN", "n": "7", "r": "12", "s": "r003669945", "t": "a text"},
    ),
    "two blocks": (tagged("s:a") + tagged("c:2", AIS), AIS, {"s": "a", "c": "2"}),
    "a block with a wrong checksum": ("\\s:gps1*00\\" + GLL, GLL, {}),
    "a wrong block before a right one": ("\\s:gps1*00\\" + tagged("c:2", GLL), GLL, {"c": "2"}),
    "no block at all": ("\\what\\" + GLL, GLL, {}),
    "a Coast Guard's tail": (f"{AIS},r003669945,1120959341", AIS, {"s": "r003669945", "c": "1120959341"}),
    "a longer one": (
        f"{AIS},s27540,d-103,T45.123,x157036,b003669710,S1234,1120959341",
        AIS,
        {"s": "b003669710", "c": "1120959341"},
    ),
    "an aggregator's time": (f"{AIS},1120959341", AIS, {"c": "1120959341"}),
    "a tail behind a block": (tagged("s:own", f"{AIS},r003669945,7"), AIS, {"s": "own", "c": "7"}),
    "IEC 61162-450": ("UdPbC\0" + tagged("s:GP0001,n:1", GLL), GLL, {"s": "GP0001", "n": "1"}),
    "IEC 61162-450 without a block": ("UdPbC\0" + GLL, GLL, {}),
    "noise": ("\x00\xff~ " + GLL, GLL, {}),
    "noise with a $": ("$GPGG" + GLL, GLL, {}),
    "noise with a !": ("!" + GLL, GLL, {}),
    "two $": ("$" + GLL, GLL, {}),
    "noise before a block": ("\xfe\xff" + tagged("s:a", GLL), GLL, {"s": "a"}),
    "$ and ! inside": (TXT, TXT, {}),
    "these behind noise": ("\xfe" + TXT, TXT, {}),
    "blanks and NUL behind it": (GLL + " \0\0", GLL, {}),
    "a small checksum": (AIS.replace("*5C", "*5c"), AIS.replace("*5C", "*5c"), {}),
}


@pytest.mark.parametrize(("line", "sentence", "wanted"), AROUND.values(), ids=AROUND)
def test_what_stands_around_a_sentence(line, sentence, wanted):
    (event,) = nmea().receive(line.encode("latin-1"), 0)
    assert event.payload.decode() == sentence
    assert tags(event) == wanted
    (raw,) = nmea(format="raw").receive(line.encode("latin-1"), 0)
    assert raw.payload == line.encode("latin-1")
    assert (raw.topic, raw.properties) == (event.topic, event.properties)


def test_tags_in_json():
    (event,) = nmea(format="json").receive(tagged("s:gps1,c:7", GLL).encode(), 0)
    assert b'"tags": {"s": "gps1", "c": "7"}' in event.payload


@pytest.mark.parametrize("code", ["s1", "toolonger", "S", ""])
def test_what_is_no_code_is_no_tag(code):
    (event,) = nmea().receive(tagged(f"c:1,{code}:x", GLL).encode(), 0)
    assert tags(event) == {"c": "1"}


GROUP = [
    (tagged("g:1-3-1234,s:r003669961,c:1120959341,n:1", AIS), {"s": "r003669961", "c": "1120959341", "n": "1"}),
    (tagged("g:2-3-1234", AIS), {"s": "r003669961", "c": "1120959341"}),
    (tagged("g:3-3-1234,c:5,n:3", GLL), {"s": "r003669961", "c": "5", "n": "3"}),
    (tagged("g:1-1-1235", GLL), {}),
]


@pytest.mark.parametrize("transport", ["tcp", "udp", "websocket"])
def test_the_first_of_a_group_speaks_for_all(transport):
    dialect = nmea(transport)
    for line, wanted in GROUP:
        (event,) = dialect.receive(f"{line}\r\n".encode(), 0)
        assert {code: value for code, value in tags(event).items() if code != "g"} == wanted


def test_a_line_of_a_group_that_overtakes_the_first_hides_nothing():
    dialect = nmea("tcp")
    lines = [GROUP[1][0], GROUP[0][0], GROUP[1][0]]
    events = dialect.receive("".join(f"{line}\n" for line in lines).encode(), 0)
    assert [event.properties.get("tag.s") for event in events] == [None, "r003669961", "r003669961"]


def test_an_id_that_is_used_again_is_another_group():
    dialect = nmea("tcp")
    second = tagged("g:2-2-7", GLL)
    lines = [tagged("g:1-2-7,s:r1", GLL), second, tagged("g:1-2-7,s:r2", GLL), second, tagged("g:1-2-7", GLL), second]
    events = dialect.receive("".join(f"{line}\n" for line in lines).encode(), 0)
    assert [event.properties.get("tag.s") for event in events] == ["r1", "r1", "r2", "r2", None, None]


def test_a_group_has_its_time_and_its_sender():
    dialect = nmea("tcp")
    dialect.receive(f"{GROUP[0][0]}\n".encode(), 0)
    (late,) = dialect.receive(f"{GROUP[1][0]}\n".encode(), SECONDS)
    assert tags(late) == {"g": "2-3-1234"}
    context = DialectContext("udp")
    for port, wanted in ((1, GROUP[0][1]), (2, {}), (1, GROUP[1][1])):
        line = GROUP[wanted != GROUP[0][1]][0]
        (event,) = Nmea(context, Session("192.0.2.9", port, "udp", "boat")).receive(line.encode(), 0)
        assert {code: value for code, value in tags(event).items() if code != "g"} == wanted


def test_blocks_on_a_line_of_their_own():
    dialect = nmea("tcp")
    assert dialect.receive((tagged("g:1-2-7,s:a") + "\r\n").encode(), 0) == []
    (event,) = dialect.receive(f"{tagged('g:2-2-7', GLL)}\r\n".encode(), 0)
    assert tags(event) == {"g": "2-2-7", "s": "a"}


# Ends of lines


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\r\r\n", "\n\r"])
@pytest.mark.parametrize("transport", ["tcp", "udp", "websocket"])
def test_any_end_of_a_line(transport, end):
    lines = [GGA, tagged("s:a", GLL), AIS]
    events = nmea(transport).receive("".join(line + end for line in lines).encode(), 0)
    assert [event.payload.decode() for event in events] == [GGA, GLL, AIS]


@pytest.mark.parametrize("cutting", CUTTINGS.values(), ids=CUTTINGS)
def test_cr_alone_however_it_is_cut(cutting):
    dialect = nmea("tcp")
    units = [f"{line}\r".encode() for line in (GGA, GLL, AIS)]
    assert shown(event for piece in cutting(units) for event in dialect.receive(piece, 0)) == [
        f"GP/GGA {GGA}", f"GP/GLL {GLL}", f"AI/VDM {AIS}",
    ]  # fmt: skip


# Without a checksum

BARE = GLL.removesuffix("*31")


@pytest.mark.parametrize("line", [BARE, tagged("s:a", BARE), "\xff" + BARE, "$GP" + BARE])
def test_a_checksum_may_be_missing_where_the_operator_says_so(line):
    (refused,) = nmea().receive(line.encode("latin-1"), 0)
    assert refused.refusal.reason == "a sentence ends with its checksum, *hh"
    (event,) = nmea(checksum="optional").receive(line.encode("latin-1"), 0)
    assert (event.topic, event.payload.decode()) == ("GP/GLL", BARE)
    assert event.properties["latitude"] == "49.2741667"


@pytest.mark.parametrize("line", [GLL.replace("*31", "*32"), GLL.replace("4916", "4917"), BARE + "*3", "$*31", "GPGLL"])
def test_a_wrong_one_never_is_right(line):
    (event,) = nmea(checksum="optional").receive(line.encode(), 0)
    assert isinstance(event, Fault)


# What goes out


@pytest.mark.parametrize(
    ("payload", "unit"),
    [
        (GLL, GLL),
        (GLL + "\r\n", GLL),
        (tagged("s:a", GLL), tagged("s:a", GLL)),
        (f"{AIS},r003669945,1120959341", AIS),
        ("noise" + GLL, None),
        (GGA + "\n" + GLL, None),
        (tagged("s:a"), None),
        (BARE, None),
        ("hello", None),
    ],
)
def test_what_is_sent(payload, unit):
    found = Nmea.encode(Message("out", payload.encode()), "\r\n")
    assert found == (unit and f"{unit}\r\n".encode())


def test_one_without_a_checksum_is_sent_where_they_are_taken():
    assert configure(Nmea, {"checksum": "optional"}).encode(Message("out", BARE.encode()), "") == BARE.encode()


# Over the network


def test_what_kplex_and_a_62_450_sender_write_arrives():
    """A kplex that is told to writes TAG blocks; a sender of IEC 61162-450 puts them into datagrams."""
    lines = [f"{tagged(f's:gps{number},c:{number}', summed(f'GPTXT,{number}'))}\r\n".encode() for number in range(100)]
    boat = ":dialect=nmea:prefix=boat:topic={sentence}"
    with Daemon("--tcp", f"tcp:0{boat}", "--udp", f"udp:0{boat}", "--tcp", "tcp:0:id=watcher") as daemon:
        with LineClient(daemon.tcp[-1]) as watcher:
            assert watcher.ask("SUB boat/#") == "OK SUB boat/#"
            wanted = [f"MSG boat/TXT {summed(f'GPTXT,{number}')}" for number in range(100)]
            with socket.create_connection(daemon.tcp[0]) as kplex:
                kplex.sendall(b"".join(lines))
                assert [watcher.line() for _ in lines] == wanted
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for line in lines:
                    sender.sendto(b"UdPbC\0" + line, daemon.udp[0])
                assert [watcher.line() for _ in lines] == wanted
