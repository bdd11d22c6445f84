"""plugins/nmea/ais.py: messages that others have decoded, written anew bit by bit, and joined from their parts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ais_help import MMSI, SHIP, decoded, say, ships, static, vdm
from hubbub import Fault, Publish
from hubbub.errors import ConfigError
from hubbub.testing import DialectContract
from hubbub_plugins.nmea import Nmea
from nmea_help import GGA, nmea, summed, tagged

# What others have decoded: gpsd's AIVDM page and gpsdecode 3.22 say the same of these

KNOWN = {
    "1": (
        ["!AIVDM,1,1,,B,15N4cJ`005Jrek0H@9n`DW5608EP,0*13"],
        {
            "type": 1, "mmsi": "367078250", "status": 8, "turn": 0.0, "speed": 0.5, "accuracy": False,
            "longitude": -71.059467, "latitude": 42.38415, "course": 213.0, "heading": 226, "second": 35,
        },
    ),
    "1, no turn, no heading": (
        ["!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C"],
        {
            "type": 1, "mmsi": "477553000", "status": 5, "turn": 0.0, "speed": 0.0, "accuracy": False,
            "longitude": -122.345833, "latitude": 47.582833, "course": 51.0, "heading": 181, "second": 15,
        },
    ),
    "4": (
        ["!AIVDM,1,1,,A,403OviQuMGCqWrRO9>E6fE700@GO,0*4D"],
        {
            "type": 4, "mmsi": "003669702", "accuracy": True, "longitude": -76.352362, "latitude": 36.883767,
            "epfd": 7, "time": "2007-05-14T19:57:39Z",
        },
    ),
    "5": (
        SHIP,
        {
            "type": 5, "mmsi": "351759000", "imo": 9134270, "callsign": "3FOF8", "name": "EVER DIADEM",
            "ship_type": 70, "to_bow": 225, "to_stern": 70, "to_port": 1, "to_starboard": 31, "epfd": 1,
            "draught": 12.2, "destination": "NEW YORK", "eta": "05-15T14:00Z",
        },
    ),
    "18": (
        ["!AIVDM,1,1,,A,B5NJ;PP005l4ot5Isbl03wsUkP06,0*76"],
        {
            "type": 18, "mmsi": "367430530", "speed": 0.0, "accuracy": False, "longitude": -122.26732,
            "latitude": 37.785035, "course": 0.0, "second": 55,
        },
    ),
    "27": (
        ["!AIVDM,1,1,,B,KC5E2b@U19PFdLbMuc5=ROv62<7m,0*16"],
        {
            "type": 27, "mmsi": "206914217", "accuracy": False, "status": 2, "longitude": 137.023333,
            "latitude": 4.84, "speed": 57.0, "course": 167.0,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sentences", "wanted"), KNOWN.values(), ids=KNOWN)
def test_known_messages(sentences, wanted):
    events = say(*sentences)
    assert decoded(events) == [wanted]
    assert [event.payload.decode() for event in events[:-1]] == sentences
    assert all(event.topic == "AI/VDM" for event in events[:-1])
    last = events[-1]
    assert (last.topic, last.content_type) == (f"ais/{wanted['mmsi']}/{wanted['type']}", "application/json")
    words = {name: said if isinstance(said, str) else json.dumps(said) for name, said in wanted.items()}
    assert last.properties == words | {"talker": "AI", "sentence": "VDM"}


# What isn't known is left out

NOWHERE = [(181 * 600_000, 28), (91 * 600_000, 27)]
THERE = [(-71 * 600_000, 28), (42 * 600_000 + 300_000, 27)]
PLACE = {"longitude": -71.0, "latitude": 42.5}


def position(status=0, turn=0, speed=0, place=THERE, course=0, heading=0, second=0, maneuver=0):
    return vdm(
        (1, 6), (0, 2), MMSI, (status, 4), (turn, 8), (speed, 10), (1, 1), *place, (course, 12), (heading, 9),
        (second, 6), (maneuver, 2), (0, 23),
    )  # fmt: skip


ZERO = {"status": 0, "turn": 0.0, "speed": 0.0, "course": 0.0, "heading": 0, "second": 0} | PLACE
UNKNOWN = [
    ({"speed": 1023}, {"speed": None}),
    ({"speed": 1022}, {"speed": 102.2}),
    ({"course": 3600}, {"course": None}),
    ({"course": 4095}, {"course": None}),
    ({"course": 3599}, {"course": 359.9}),
    ({"heading": 511}, {"heading": None}),
    ({"heading": 360}, {"heading": None}),
    ({"heading": 359}, {"heading": 359}),
    *(({"second": second}, {"second": None}) for second in range(60, 64)),
    ({"second": 59}, {"second": 59}),
    ({"status": 15}, {"status": None}),
    ({"status": 14}, {"status": 14}),
    *(({"turn": turn}, {"turn": None}) for turn in (-128, -127, 127)),
    ({"turn": 20}, {"turn": 18.0}),
    ({"turn": -20}, {"turn": -18.0}),
    ({"maneuver": 1}, {"maneuver": 1}),
    ({"place": NOWHERE}, {"longitude": None, "latitude": None}),
    ({"place": [NOWHERE[0], THERE[1]]}, {"longitude": None, "latitude": None}),
    ({"place": [THERE[0], NOWHERE[1]]}, {"longitude": None, "latitude": None}),
    ({"place": [(-200 * 600_000, 28), THERE[1]]}, {"longitude": None, "latitude": None}),
    ({"place": [(180 * 600_000, 28), (-90 * 600_000, 27)]}, {"longitude": 180.0, "latitude": -90.0}),
]


@pytest.mark.parametrize(("said", "wanted"), UNKNOWN)
def test_what_is_not_available_is_left_out(said, wanted):
    expected = {**ZERO, "accuracy": True, "type": 1, "mmsi": "244670316", **wanted}
    assert decoded(say(*position(**said))) == [{name: one for name, one in expected.items() if one is not None}]


STATIC = [
    ({}, {}),
    ({"name": "FOO@BAR"}, {"name": "FOO"}),
    ({"name": "FOO BAR  @@X"}, {"name": "FOO BAR"}),
    ({"name": "@FOO"}, {}),
    ({"name": " " * 20}, {}),
    ({"callsign": "DA@1"}, {"callsign": "DA"}),
    ({"destination": "HAMBURG@@"}, {"destination": "HAMBURG"}),
    ({"sizes": (0, 90, 0, 0)}, {"to_bow": 0, "to_stern": 90, "to_port": 0, "to_starboard": 0}),
    ({"eta": (5, 14, 20, 10)}, {"eta": "05-14T20:10Z"}),
    ({"eta": (5, 14, 24, 60)}, {"eta": "05-14"}),
    ({"eta": (0, 0, 20, 10)}, {}),
    ({"draught": 1}, {"draught": 0.1}),
    ({"imo": 9134270, "ship": 70}, {"imo": 9134270, "ship_type": 70}),
]


@pytest.mark.parametrize(("said", "wanted"), STATIC)
def test_names_and_what_else_a_voyage_has(said, wanted):
    assert decoded(say(*static(**said))) == [{"type": 5, "mmsi": "244670316"} | wanted]


PART_B = [(24, 6), (0, 2)], [(1, 2), (37, 8), ("SRT", 18), (0, 4), (7, 20), ("PA1234", 42)]
OTHERS = {
    "4, whose clock isn't set": (
        [(4, 6), (0, 2), (3669702, 30), (0, 14), (0, 4), (0, 5), (24, 5), (60, 6), (60, 6), (0, 1), *NOWHERE, (0, 34)],
        {"type": 4, "mmsi": "003669702", "second": None, "accuracy": False},
    ),
    "9, which flies": (
        [(9, 6), (0, 2), MMSI, (4095, 12), (500, 10), (0, 1), *THERE, (3600, 12), (0, 41)],
        {"type": 9, "mmsi": "244670316", "speed": 500, "accuracy": False, "second": 0} | PLACE,
    ),
    "9, which doesn't say": (
        [(9, 6), (0, 2), MMSI, (300, 12), (1023, 10), (0, 1), *THERE, (0, 12), (0, 41)],
        {"type": 9, "mmsi": "244670316", "altitude": 300, "course": 0.0, "accuracy": False, "second": 0} | PLACE,
    ),
    "27, nowhere": (
        [(27, 6), (0, 2), MMSI, (0, 2), (15, 4), (181 * 600, 18), (91 * 600, 17), (63, 6), (511, 9), (0, 2)],
        {"type": 27, "mmsi": "244670316", "accuracy": False},
    ),
    "27, south and west": (
        [(27, 6), (0, 2), MMSI, (0, 2), (0, 4), (-71 * 600 - 1, 18), (-42 * 600, 17), (62, 6), (359, 9), (0, 2)],
        {
            "type": 27, "mmsi": "244670316", "accuracy": False, "status": 0, "longitude": -71.001667,
            "latitude": -42.0, "speed": 62, "course": 359,
        },
    ),
    "21, with a long name": (
        [
            (21, 6), (0, 2), (992471097, 30), (1, 5), ("ABCDEFGHIJKLMNOPQRST", 120), (0, 1), *THERE, (0, 30), (1, 4),
            (60, 6), (1, 1), (0, 8), (0, 1), (1, 1), (0, 2), ("UVW", 18),
        ],
        {
            "type": 21, "mmsi": "992471097", "aid_type": 1, "name": "ABCDEFGHIJKLMNOPQRSTUVW", "accuracy": False,
            "epfd": 1, "off_position": True, "virtual_aid": True,
        } | PLACE,
    ),
    "24, part A": (
        [(24, 6), (0, 2), MMSI, (0, 2), ("ANN@X", 120), (0, 8)],
        {"type": 24, "mmsi": "244670316", "name": "ANN"},
    ),
    "24, part B": (
        [*PART_B[0], MMSI, *PART_B[1], (5, 9), (5, 9), (1, 6), (1, 6), (0, 6)],
        {
            "type": 24, "mmsi": "244670316", "ship_type": 37, "vendorid": "SRT", "callsign": "PA1234",
            "to_bow": 5, "to_stern": 5, "to_port": 1, "to_starboard": 1,
        },
    ),
    "24, part B of a boat with a mother": (
        [*PART_B[0], (982446703, 30), *PART_B[1], MMSI, (0, 6)],
        {
            "type": 24, "mmsi": "982446703", "ship_type": 37, "vendorid": "SRT", "callsign": "PA1234",
            "mothership_mmsi": "244670316",
        },
    ),
    "14": (
        [(14, 6), (0, 2), MMSI, (0, 2), ("SART TEST", 54), (0, 2)],
        {"type": 14, "mmsi": "244670316", "text": "SART TEST"},
    ),
    "8, whose content is up to applications": (
        [(8, 6), (0, 2), MMSI, (0, 2), (1, 10), (31, 6), (12345, 60)],
        {"type": 8, "mmsi": "244670316", "dac": 1, "fid": 31},
    ),
    "23, the ship type of others": (
        [(23, 6), (0, 2), MMSI, (0, 2), (0, 70), (0, 4), (70, 8), (0, 38)],
        {"type": 23, "mmsi": "244670316"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "wanted"), OTHERS.values(), ids=OTHERS)
def test_other_types(fields, wanted):
    wanted = {name: one for name, one in wanted.items() if one is not None}
    assert decoded(say(*vdm(*fields))) == [wanted]


@pytest.mark.parametrize("bits", range(0, 168, 6))
def test_a_field_that_is_cut_is_none(bits):
    (sentence,) = position(speed=1, course=1, heading=1, second=1, maneuver=1)
    payload = sentence.split(",")[5][: bits // 6]
    events = say(summed(f"AIVDM,1,1,,A,{payload},0", "!"))
    whole = {"type": 1, "mmsi": "244670316", "status": 0, "turn": 0.0, "speed": 0.1, "accuracy": True, **PLACE}
    whole |= {"course": 0.1, "heading": 1, "second": 1, "maneuver": 1}
    assert isinstance(events[0], Publish)
    if bits < 38:
        assert isinstance(events[1], Fault)
        return
    ends = {"status": 42, "turn": 50, "speed": 60, "accuracy": 61, "longitude": 116, "latitude": 116, "course": 128}
    ends |= {"heading": 137, "second": 143, "maneuver": 145}
    assert decoded(events) == [{name: one for name, one in whole.items() if ends.get(name, 0) <= bits}]


WRONG = {
    "a wrong checksum": (KNOWN["1"][0][0].replace("*13", "*14"), 0),
    "no payload": (summed("AIVDM,1,1,,A,,0", "!"), 1),
    "no armour": (summed("AIVDM,1,1,,A,15N4cX`005Jrek0H@9n`DW5608EP,0", "!"), 1),
    "six fill bits": (summed("AIVDM,1,1,,A,15N4cJ`005Jrek0H@9n`DW5608EP,6", "!"), 1),
    "part 0": (summed("AIVDM,1,0,,A,15N4cJ`005Jrek0H@9n`DW5608EP,0", "!"), 1),
    "part 2 of 1": (summed("AIVDM,1,2,,A,15N4cJ`005Jrek0H@9n`DW5608EP,0", "!"), 1),
    "10 parts": (summed("AIVDM,10,1,,A,15N4cJ`005Jrek0H@9n`DW5608EP,0", "!"), 1),
    "few fields": (summed("AIVDM,1,1", "!"), 1),
    "type 0": (summed("AIVDM,1,1,,A,05N4cJ`005Jrek0H@9n`DW5608EP,0", "!"), 1),
    "type 63": (summed("AIVDM,1,1,,A,w5N4cJ`005Jrek0H@9n`DW5608EP,0", "!"), 1),
    "24, part C": (vdm((24, 6), (0, 2), MMSI, (2, 2), (0, 128))[0], 1),
}


@pytest.mark.parametrize(("sentence", "published"), WRONG.values(), ids=WRONG)
def test_what_is_no_ais_message(sentence, published):
    """The sentence stays what it is; that it says nothing is told."""
    *before, last = say(sentence)
    assert [event.payload.decode() for event in before] == [sentence] * published
    assert isinstance(last, Fault)
    assert last.refusal.code == "bad-payload"


def test_without_the_option_nothing_is_decoded():
    assert [event.topic for event in nmea().receive(KNOWN["1"][0][0].encode(), 0)] == ["AI/VDM"]


def test_other_sentences_are_as_ever():
    assert [event.topic for event in say(GGA)] == ["GP/GGA"]


def test_the_own_ship_says_so():
    sentence = summed(KNOWN["1"][0][0][1:-3].replace("AIVDM", "AIVDO"), "!")
    own, reported = say(sentence)
    assert (own.topic, json.loads(reported.payload)["sentence"]) == ("AI/VDO", "VDO")


def test_tags_go_with_it():
    first, second = SHIP
    *_, last = say(tagged("g:1-2-9,s:r1,c:7", first), tagged("g:2-2-9", second))
    assert json.loads(last.payload)["tags"] == {"g": "2-2-9", "s": "r1", "c": "7"}
    assert last.properties["tag.s"] == "r1"


def test_a_long_one_in_one_sentence():
    """As ggencoder writes type 5: 90 characters."""
    first, second = (sentence.split(",")[5] for sentence in SHIP)
    assert decoded(say(summed(f"AIVDM,1,1,,A,{first}{second},2", "!"))) == [KNOWN["5"][1]]


# Options, and the contract


@pytest.mark.parametrize("topic", ["ais/{name}", "ais/#", "ais/{", 7])
def test_topics_that_are_none(topic):
    with pytest.raises(ConfigError):
        nmea(ais=topic)


def test_the_topic_knows_the_sender_and_the_sentence():
    topic = "{id}/{host}/{talker}{sentence}/{type}/{mmsi}"
    events = nmea(ais=topic).receive(KNOWN["1"][0][0].encode(), 0)
    assert events[1].topic == "boat/192.0.2.9/AIVDM/1/367078250"


def test_over_the_maximum():
    first, second = ships(max_message=100).receive(KNOWN["1"][0][0].encode(), 0)
    assert isinstance(first, Publish)
    assert isinstance(second, Fault)


class TestShips(DialectContract):
    dialect = Nmea
    options = {"ais": "ais/{mmsi}/{type}"}
    samples = [
        (
            "".join(f"{tagged(f'g:{number}-2-7,s:r1', one)}\r\n" for number, one in enumerate(SHIP, 1)).encode(),
            ["Publish AI/VDM", "Publish AI/VDM", "Publish ais/351759000/5"],
        ),
    ]


HIDDEN = (
    "import sys; sys.modules['pyais'] = None; sys.argv[0] = 'hubbub'; "
    "from hubbub.service.cli import main; sys.exit(main())"
)


def test_without_pyais_the_reason_is_shown():
    command = [sys.executable, "-c", HIDDEN, "run", "--udp", "udp:0:dialect=nmea:ais=ais/{mmsi}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "pip install 'hubbub[ais]'" in done.stderr
    assert done.stderr.count("\n") == 1
