"""AIS messages, written bit by bit, and what the dialect nmea makes of them."""

from __future__ import annotations

import json

from nmea_help import nmea, summed

MMSI = (244670316, 30)
SHIP = [
    "!AIVDM,2,1,1,A,55?MbV02;H;s<HtKR20EHE:0@T4@Dn2222222216L961O5Gf0NSQEp6ClRp8,0*1C",
    "!AIVDM,2,2,1,A,88888888880,2*25",
]


def ships(**more):
    return nmea(ais="ais/{mmsi}/{type}", **more)


def decoded(events):
    """What decoded messages say, without talker and sentence."""
    found = [json.loads(event.payload) for event in events if getattr(event, "topic", "").startswith("ais/")]
    return [{name: said for name, said in one.items() if name not in ("talker", "sentence", "tags")} for one in found]


def say(*sentences, **more):
    """What one link makes of sentences."""
    return ships(**more).receive("".join(f"{one}\r\n" for one in sentences).encode(), 0)


def vdm(*fields, parts=1, sequence="", channel="A"):
    """The sentences of a message: fields are pairs of a value and its bits; a text has six for each character."""
    bits = ""
    for value, width in fields:
        if isinstance(value, str):
            value = int("".join(f"{ord(one) & 63:06b}" for one in value.ljust(width // 6, "@")), 2)
        bits += f"{value % (1 << width):0{width}b}"
    fill = -len(bits) % 6
    bits += "0" * fill
    values = [int(bits[at : at + 6], 2) for at in range(0, len(bits), 6)]
    payload = "".join(chr(value + (48 if value < 40 else 56)) for value in values)
    size = -(-len(payload) // parts)
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    return [
        summed(f"AIVDM,{parts},{number},{sequence},{channel},{piece},{fill if number == parts else 0}", "!")
        for number, piece in enumerate(pieces, 1)
    ]


def static(name="", callsign="", sizes=(0, 0, 0, 0), eta=(0, 0, 24, 60), draught=0, destination="", imo=0, ship=0):
    ends = zip(sizes, (9, 9, 6, 6), strict=True)
    times = zip(eta, (4, 5, 5, 6), strict=True)
    return vdm(
        (5, 6), (0, 2), MMSI, (0, 2), (imo, 30), (callsign, 42), (name, 120), (ship, 8), *ends, (0, 4), *times,
        (draught, 8), (destination, 120), (0, 2), parts=2, sequence="3",
    )  # fmt: skip
