"""plugins/nmea/: a log of sentences with checksums right and wrong, over each transport, however it is cut."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Close, DialectContext, Fault, Message
from hubbub.kernel.sessions.session import Session
from hubbub.testing import CUTTINGS
from hubbub_plugins.nmea import Nmea
from nmea_help import AIS, GGA, MAX, nmea, read, shown, summed
from running import Daemon, LineClient

GOOD = [
    (GGA, "GP/GGA"),
    ("$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*62", "GP/RMC"),
    (AIS, "AI/VDM"),
    ("$PGRME,15.0,M,45.0,M,25.0,M*1C", "P/GRME"),
    ("$CCGPQ,GGA*2B", "CC/GPQ"),
    (summed("GPXYZ,1,2"), "GP/XYZ"),  # pynmea2 knows no such type
    (summed("PUBX"), "P/UBX"),  # and expects more of this one
    (summed("gpgga,,,,,,,,,,,,,,").lower(), "GP/GGA"),
    (summed("IIMWV,214.8,R,0.1,K,A"), "II/MWV"),
    (summed("GPTXT,01,01,02," + "x" * 200), "GP/TXT"),  # longer than the 82 of the standard
]
BAD = {
    GGA.replace("*6D", "*6E"): "bad-payload",
    GGA.replace("1929", "1928"): "bad-payload",
    GGA.removesuffix("*6D"): "bad-payload",
    GGA.removesuffix("D"): "bad-payload",
    GGA.removeprefix("$"): "bad-payload",
    "$*00": "bad-payload",
    "hello": "bad-payload",
    summed("GPTXT"): "bad-payload",
    summed("GP GGA,1"): "bad-payload",
    summed("GPGGA,\t1"): "bad-payload",
    summed("GPTXT,caf\xe9"): "bad-payload",
    summed("GPTXT," + "x" * 250): "too-long",
    "x" * 1024 + GGA: "too-long",
}


@pytest.mark.parametrize(("sentence", "topic"), GOOD)
def test_good_sentences(sentence, topic):
    event = read(sentence)
    assert (event.topic, event.payload.decode()) == (topic, sentence)
    assert event.content_type == "text/plain; charset=utf-8"
    assert f"{event.properties['talker']}/{event.properties['sentence']}" == topic
    found = json.loads(read(sentence, format="json").payload)
    assert f"{found['talker']}/{found['sentence']}" == topic
    raw = read(sentence, format="raw")
    assert (raw.topic, raw.payload.decode(), raw.content_type) == (topic, sentence, None)


@pytest.mark.parametrize(("sentence", "code"), BAD.items())
def test_bad_sentences(sentence, code):
    (event,) = nmea().receive(sentence.encode("latin-1"), 0)
    assert isinstance(event, Fault)
    assert event.refusal.code == code


def test_fields_are_properties():
    properties = read(GGA).properties
    assert (properties["lat"], properties["lat_dir"], properties["num_sats"]) == ("1929.045", "S", "04")
    assert (properties["latitude"], properties["longitude"]) == ("-19.4840833", "24.1751")
    assert "age_gps_data" not in properties  # it was empty


def test_json_has_fields_by_name():
    event = read(GGA, format="json")
    found = json.loads(event.payload)
    assert event.content_type == "application/json"
    assert (found["altitude"], found["gps_qual"], found["latitude"]) == (100.0, 1, -19.4840833)
    assert found["timestamp"] == "18:43:53.070000+00:00"
    ais = json.loads(read(AIS, format="json").payload)
    assert ais == {"talker": "AI", "sentence": "VDM", "data": ["1", "1", "", "B", "177KQJ5000G?tO`K>RA1wUbN0TKH", "0"]}
    odd = json.loads(read(summed("IIMWV,nan,R,1e999,K,A,more"), format="json").payload)
    assert (odd["wind_angle"], odd["wind_speed"], odd["data"]) == ("NaN", "1E+999", ["more"])


def test_topic_of_the_listener():
    assert read(GGA, topic="{id}/{sentence}/{talker}").topic == "boat/GGA/GP"


UNITS = [b"\r\n", *(f"{sentence}{end}".encode() for sentence, _ in GOOD for end in ("\r\n", "\n")), b"$GPGGA,1*00\n"]
WANTED = [*(f"{topic} {sentence}" for sentence, topic in GOOD for _ in range(2)), Fault]


@pytest.mark.parametrize("cutting", CUTTINGS.values(), ids=CUTTINGS)
def test_streams_however_they_are_cut(cutting):
    dialect = nmea("tcp")
    assert shown(event for piece in cutting(UNITS) for event in dialect.receive(piece, 0)) == WANTED
    assert dialect.eof(0) == []


def test_a_last_line_without_its_end():
    dialect = nmea("tcp")
    assert dialect.receive(GGA.encode(), 0) == []
    assert shown(dialect.eof(0)) == [f"GP/GGA {GGA}"]


@pytest.mark.parametrize("transport", ["udp", "websocket"])
def test_units(transport):
    dialect = nmea(transport, 10_000)
    assert shown(dialect.receive(b"".join(UNITS), 0)) == WANTED
    assert shown(dialect.receive(GGA.encode(), 0) + dialect.receive(GGA.encode(), 0)) == [f"GP/GGA {GGA}"] * 2
    assert dialect.receive(b"", 0) == []
    for cut in range(1, len(GGA)):
        assert shown(dialect.receive(GGA[:cut].encode(), 0)) == [Fault]


def test_over_the_maximum():
    assert shown(nmea().receive(b"x" * (MAX + 1), 0)) == [Close]
    dialect = nmea("tcp")
    assert shown(dialect.receive(GGA.encode() + b"\n" + b"x" * (MAX + 2), 0)) == [f"GP/GGA {GGA}", Close]
    assert shown(nmea("tcp").receive(b"x" * MAX + b"\n" + GGA.encode() + b"\n", 0)) == [Fault, f"GP/GGA {GGA}"]
    assert shown(nmea(max_message=100, format="json").receive(GGA.encode(), 0)) == [Fault]


ADDRESSES = [
    "GPGGA,",
    "GPRMC,",
    "PGRM",
    "PASH",
    "PUBX",
    "PSXN",
    "PTNL",
    "PKWD",
    "PNOR",
    "PSRF",
    "PVTX",
    "GPZDA,",
    "IIXDR,",
]
LINE = st.tuples(st.sampled_from(ADDRESSES), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))


@given(
    st.lists(LINE.map("".join).map(summed).map(str.encode) | st.binary(max_size=40)), st.sampled_from(["text", "json"])
)
def test_anything_may_come(lines, form):
    for transport in ("tcp", "udp"):
        dialect = nmea(transport, 3000, format=form)
        for event in dialect.receive(b"\n".join(lines), 0) + dialect.eof(0):
            assert isinstance(event, Message | Fault | Close)
            assert not isinstance(event, Message) or len(event.payload) <= 3000


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"\0" * 65_536, b"$!*," * 16_384])
def test_memory_is_bounded(piece):
    dialect = nmea("tcp")
    dialect.receive(b"x\n", 0)
    tracemalloc.start()
    for _ in range(8):
        dialect.receive(piece[:1000], 0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000
    assert shown(nmea("tcp").receive(piece, 0)) == [Close]


# The real thing

SENTENCES = 1_200


def make_log():
    """A GPS log whose every fifth sentence is damaged: its lines, and the messages that they are."""
    chance, lines, wanted = random.Random(183), [], []
    for number in range(SENTENCES):
        time = f"{number // 3600:02}{number // 60 % 60:02}{number % 60:02}"
        lat, lon = f"48{chance.uniform(0, 59):07.4f}", f"011{chance.uniform(0, 59):07.4f}"
        topic, line = chance.choice(
            [
                ("GP/GGA", summed(f"GPGGA,{time},{lat},N,{lon},E,1,08,0.9,545.4,M,46.9,M,,")),
                ("GP/RMC", summed(f"GPRMC,{time},A,{lat},N,{lon},E,022.4,084.4,230394,003.1,W")),
                ("WI/MWV", summed(f"WIMWV,{chance.randrange(360)},R,5.5,N,A")),
                ("AI/VDM", summed(f"AIVDM,1,1,,A,{chance.randrange(10**9)},0", "!")),
            ]
        )
        if number % 5 == 4:
            at = chance.randrange(7, len(line) - 3)
            lines.append(f"{line[:at]}{chr(ord(line[at]) ^ 1)}{line[at + 1 :]}")
        else:
            lines.append(line)
            wanted.append(f"MSG boat/{topic} {line}")
    return lines, wanted


@pytest.fixture(scope="module")
def daemon():
    boat = ":dialect=nmea:prefix=boat"
    with Daemon("--udp", f"udp:0{boat}", "--tcp", f"tcp:0{boat}:id=boat", "--tcp", "tcp:0") as running:
        yield running


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_log(daemon, transport):
    lines, wanted = make_log()
    assert (len(lines), len(wanted)) == (SENTENCES, SENTENCES * 4 // 5)
    with LineClient(daemon.tcp[-1]) as client:
        assert client.ask("SUB boat/#") == "OK SUB boat/#"
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as sender:
            sender.connect(getattr(daemon, transport)[0])
            for at in range(0, SENTENCES, 7):  # several a datagram
                sender.sendall("".join(line + "\r\n" for line in lines[at : at + 7]).encode())
        assert [client.line() for _ in wanted] == wanted


HIDDEN = (
    "import sys; sys.modules['pynmea2'] = None; sys.argv[0] = 'hubbub'; "
    "from hubbub.service.cli import main; sys.exit(main())"
)


def without_pynmea2(*options):
    command = [sys.executable, "-c", HIDDEN, "run", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_without_pynmea2_the_others_work_and_the_reason_is_shown():
    rows = without_pynmea2("--list-plugins").stdout.splitlines()
    (row,) = (row for row in rows if row.split()[1] == "nmea")
    assert row.split()[0] == "broken"
    assert "pip install 'hubbub[nmea]'" in row
    assert any(row.split()[:2] == ["dialect", "syslog"] for row in rows)
    done = without_pynmea2("--udp", "udp:0:dialect=nmea")
    assert done.returncode == 1
    assert "hubbub[nmea]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_held_of_a_line():
    dialect = Nmea(DialectContext(), Session("192.0.2.7", 1, "tcp", "door"))
    dialect.receive(b"$GPGGA,1*4B\r\n$GPGG", 0.0)
    assert dialect.held() == "5 bytes held, no end mark"
    (fault,) = dialect.receive(b"A,1*00\n", 0.0)
    assert fault.refusal.reason == "bad checksum: 00 != 4B"
    assert dialect.held() == Nmea(DialectContext("udp"), dialect.peer).held() == ""
