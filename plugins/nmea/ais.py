"""AIS, ITU-R M.1371-5: the messages in VDM and VDO sentences.

A message takes one sentence or several, TOTAL,NUMBER,SEQUENCE ID,CHANNEL,PAYLOAD,FILL BITS. pyais reads its bits;
values that stand for "not available" are left out, and so is a field in which the message ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyais

from hubbub import Refusal
from hubbub_plugins.nmea.sentence import Sentence

SENTENCES = frozenset(["VDM", "VDO"])
_PAYLOAD = re.compile("[0-W`-w]+")
_NUMBER = re.compile("[1-9]")
_FILL = re.compile("[0-5]")
_HEADER = frozenset(["mmsi", "dest_mmsi", "dac", "fid"])  # the fields that are read of all types
_DECODED = frozenset(
    [1, 2, 3, 4, 5, 9, 11, 12, 14, 17, 18, 19, 21, 24, 27]
)  # the types of which all fields below are read
_SIZES = frozenset(["to_bow", "to_stern", "to_port", "to_starboard"])
_TEXTS = frozenset(["callsign", "destination", "name", "name_ext", "shipname", "text", "vendorid"])
_NONZERO = _TEXTS | {"aid_type", "draught", "epfd", "imo", "maneuver", "mothership_mmsi", "ship_type"}
_ANY_VALUE = _HEADER | _SIZES | {"accuracy", "lat", "lon", "off_position", "turn", "virtual_aid"}
_UNAVAILABLE_FROM = {"alt": 4095, "course": 360, "heading": 360, "second": 60, "speed": 102.3, "status": 15}
_NO_SPEED = {9: 1023, 27: 63}  # knots, where they are whole ones
_NAMES = {"lat": "latitude", "lon": "longitude", "shipname": "name", "alt": "altitude"}
_CLOCKS = (4, 11)  # the types that tell the time
_VARIABLE_LENGTH = frozenset(["text", "name_ext"])


class Part(NamedTuple):
    """The part of a message that one sentence brings; `sequence` and `channel` as they were sent."""

    total: int
    number: int
    sequence: str
    channel: str
    payload: str
    fill: int


def part(sentence: Sentence) -> Part:
    """Read the fields of a VDM or VDO sentence. Raises Refusal."""
    total, number, sequence, channel, payload, fill, *_ = [*sentence.data, *[""] * 6]
    if not (_NUMBER.fullmatch(total) and _NUMBER.fullmatch(number) and number <= total):
        raise Refusal("bad-payload", "an AIS sentence has the number of parts, 1 to 9, and which one it is")
    if not (_PAYLOAD.fullmatch(payload) and _FILL.fullmatch(fill)):
        raise Refusal("bad-payload", "the payload of an AIS sentence is 0 to W and ` to w, with 0 to 5 fill bits")
    return Part(int(total), int(number), sequence, channel, payload, int(fill))


def decode(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what a message says, as JSON values: `type`, `mmsi` as nine digits, and the fields that are available.

    parts  all parts, in order
    Raises Refusal: it ends too early, or its type is unknown.
    """
    lines = [f"!AIVDM,{len(parts)},{one.number},0,A,{one.payload},{one.fill}*00" for one in parts]
    try:
        message = pyais.decode(*lines)
        fields: dict[str, Any] = message.asdict(enum_as_int=True)
    except Exception as error:  # noqa: BLE001  pyais on untrusted bits
        raise Refusal("bad-payload", f"no AIS message: {type(error).__name__}") from None
    bits = 6 * sum(len(one.payload) for one in parts) - parts[-1].fill
    end = 0
    for field in type(message).fields():
        end += field.metadata["width"]
        if end > bits and field.name not in _VARIABLE_LENGTH:
            fields[field.name] = None
    if fields["mmsi"] is None or not fields["msg_type"]:
        raise Refusal("bad-payload", f"no AIS message: {bits} bits of type {fields['msg_type']}")
    return _values(fields)


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what isn't available, and rename what NMEA calls otherwise."""
    kind = fields["msg_type"]
    kept = _ANY_VALUE | _NONZERO | _UNAVAILABLE_FROM.keys() if kind in _DECODED else _HEADER
    known = {name: _tidy(name, value) for name, value in fields.items() if name in kept and value is not None}
    known = {name: value for name, value in known.items() if _is_available(kind, name, value)}
    if not {"lat", "lon"} <= known.keys() or abs(known["lat"]) > 90 or abs(known["lon"]) > 180:
        known = {name: value for name, value in known.items() if name not in ("lat", "lon")}
    if not any(known.get(name) for name in _SIZES):
        known = {name: value for name, value in known.items() if name not in _SIZES}
    if kind in _CLOCKS:
        known.pop("second", None)  # it is part of the time
    if extension := known.pop("name_ext", ""):
        known["name"] = known.get("name", "") + extension
    return {"type": kind} | {_NAMES.get(name, name): value for name, value in known.items()} | _times(kind, fields)


def _tidy(name: str, value: Any) -> Any:
    if name.endswith("mmsi"):
        return f"{value:09}"
    return value.partition("@")[0].strip() if name in _TEXTS else value


def _is_available(kind: int, name: str, value: Any) -> bool:
    if name == "turn":
        return abs(value) not in (127, 128)  # these are no degrees a minute: more than 5 in 30 s, and not available
    if name in _UNAVAILABLE_FROM:
        none = _NO_SPEED.get(kind, _UNAVAILABLE_FROM[name]) if name == "speed" else _UNAVAILABLE_FROM[name]
        return bool(value < none)
    return name not in _NONZERO or bool(value)


def _times(kind: int, fields: dict[str, Any]) -> dict[str, str]:
    """Return `time`, the clock of a base station, or `eta`, which has no year, of a ship."""
    year, month, day, hour, minute, second = (
        -1 if fields.get(name) is None else fields[name]
        for name in ("year", "month", "day", "hour", "minute", "second")
    )
    if kind not in (5, *_CLOCKS) or not (1 <= month <= 12 and 1 <= day <= 31):
        return {}
    timed = 0 <= hour < 24 and 0 <= minute < 60
    if kind == 5:
        return {"eta": f"{month:02}-{day:02}" + (f"T{hour:02}:{minute:02}Z" if timed else "")}
    if timed and 0 <= second < 60 and 1 <= year <= 9999:
        return {"time": f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"}
    return {}
