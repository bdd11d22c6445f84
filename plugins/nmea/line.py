"""One line of NMEA 0183: a sentence, and what senders write around it.

    $GPGLL,4916.45,N,12311.12,W,225444,A*31                        a sentence with its checksum
    \\s:gps1,c:1120959341*hh\\$GPGLL,...*31                          TAG blocks before it (NMEA 0183 4.10, IEC 61162-1)
    !AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C,r003669945,1120959341    the tail of the US Coast Guard
    UdPbC NUL \\s:GP0001*hh\\$GPGLL,...*31                           a datagram of IEC 61162-450

A TAG block is `\\`, fields CODE:VALUE with commas between, `*` and a checksum of its own, `\\`. The codes are c
(Unix time), d (destination), g (NUMBER-TOTAL-ID of a group of lines), n (line count), r (relative time), s (source),
t (text).
"""

from __future__ import annotations

import re
from functools import reduce
from operator import xor
from typing import NamedTuple

from hubbub import Refusal

SENTENCE_BYTES = 256  # bytes of one sentence: NMEA 0183 allows 82, and real devices a few more
LINE_BYTES = 1_024  # bytes of a line: two TAG blocks, a sentence, its tail, and some noise

_BLOCKS = re.compile(r"(?:\\[a-z]+:[^\\]*\*[0-9A-Fa-f]{2}\\)+")
_FIELD = re.compile("([a-z]{1,8}):([ -~]*)")
_SENTENCE = re.compile(
    r"(?P<text>[$!](?P<body>[A-Za-z0-9]+(?:,[ -)+-~]*)?)(?:\*(?P<sum>[0-9A-Fa-f]{2}))?)(?P<tail>(?<=\*..),[ -~]*)?"
)
_STATION = re.compile(r"[br][0-9A-Za-z]+")


class Line(NamedTuple):
    """A line, taken apart.

    blocks  its TAG blocks, as they were sent
    tags    their fields by code; those of a tail too, its station as s and its time as c
    text    the sentence with its checksum, as it was sent; empty where the line is nothing but TAG blocks
    body    the sentence between `$` or `!` and `*`
    """

    blocks: str
    tags: dict[str, str]
    text: str
    body: str


def read(line: bytes, unsummed: bool = False) -> Line:
    """Take a line apart; with `unsummed` a sentence needs no checksum, but a wrong one is refused all the same.

    Raises Refusal: too long, no sentence, or its checksum is missing or wrong. A TAG block whose checksum is wrong is
    left out, as the sentence behind it has one of its own.
    """
    if len(line) > LINE_BYTES:
        raise Refusal("too-long", f"a line is longer than {LINE_BYTES} bytes")
    text = line.decode("latin-1").rstrip("\0 \t\r\n")
    found = _BLOCKS.search(text)
    blocks = found[0] if found else ""
    tags = _tags(blocks)
    rest = text[found.end() :] if found else text
    if blocks and not rest:
        return Line(blocks, tags, "", "")
    sentence = _sentence(rest, unsummed)
    return Line(blocks, _tail(sentence["tail"] or "") | tags, sentence["text"], sentence["body"])


def _sentence(text: str, unsummed: bool) -> re.Match[str]:
    """Find the sentence that `text` ends with: noise before it may hold a `$` or `!` of its own."""
    starts = [at for at, character in enumerate(text) if character in "$!"]
    refusal = Refusal("bad-payload", "a sentence begins with $ or ! and is printable ASCII")
    for start in dict.fromkeys(starts[:1] + starts[-1:]):
        found = _SENTENCE.fullmatch(text, start)
        if found is None:
            continue
        if len(found["text"]) > SENTENCE_BYTES:
            refusal = Refusal("too-long", f"a sentence is longer than {SENTENCE_BYTES} bytes")
        elif found["sum"] is None and not unsummed:
            refusal = Refusal("bad-payload", "a sentence ends with its checksum, *hh")
        elif found["sum"] is not None and int(found["sum"], 16) != checksum(found["body"]):
            refusal = Refusal("bad-payload", f"bad checksum: {found['sum'].upper()} != {checksum(found['body']):02X}")
        else:
            return found
    raise refusal


def checksum(body: str) -> int:
    """The XOR of all characters, 0 to 127."""
    return reduce(xor, body.encode("latin-1"), 0)


def _tags(blocks: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for block in blocks.split("\\"):
        fields, _, given = block.rpartition("*")
        if fields and int(given, 16) == checksum(fields):
            tags |= {one[1]: one[2] for one in map(_FIELD.fullmatch, fields.split(",")) if one}
    return tags


def _tail(tail: str) -> dict[str, str]:
    """What the US Coast Guard and aggregators write behind a checksum: a station, and last the Unix time."""
    _, *fields = tail.split(",")
    station = next(filter(_STATION.fullmatch, fields), "")
    time = fields[-1] if fields and fields[-1].isdecimal() else ""
    return {code: value for code, value in (("s", station), ("c", time)) if value}
