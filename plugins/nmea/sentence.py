"""A sentence of NMEA 0183: its fields by name, and its position."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, time
from typing import Any

from hubbub import Refusal
from hubbub_plugins.nmea.line import Line

try:
    import pynmea2
except ImportError as error:
    raise ImportError(f"{error}; nmea needs it: pip install 'hubbub[nmea]'") from None

_DIGITS = 7  # digits of a degree behind the point: about a centimetre
_POSITION = re.compile(r"(?:^|,)(\d{1,2})(\d\d(?:\.\d*)?),([NS]),(\d{1,3})(\d\d(?:\.\d*)?),([EW])(?=,|$)")
_NO_POSITION = frozenset(["DTM"])  # its fields are the offset of a datum
_FIX: dict[str, dict[int, str]] = {  # what fields have to be, by index, where they are there: else there is no fix
    "GGA": {5: "[1-9]"},
    "GLL": {5: "A", 6: "[^N]?"},
    "GNS": {5: ".*[^N].*"},
    "GRMF": {10: "[1-9]"},
    "RMA": {0: "A"},
    "RMC": {1: "A", 11: "[^N]?"},
    "UBX": {7: "(?!NF).*"},
}
_NEWER: dict[str, tuple[str, ...]] = {  # fields that NMEA 0183 has had since 2.3, 4.10 or 4.11, behind pynmea2's
    "APB": ("faa_mode",),
    "BWC": ("faa_mode",),
    "BWR": ("faa_mode",),
    "GBS": ("system_id", "signal_id"),
    "GNS": ("nav_status",),
    "GRS": ("system_id", "signal_id"),
    "GSA": ("system_id",),
    "RMB": ("faa_mode",),
}


class Sentence:
    """The sentence of a line; `talker` and `sentence` are the two parts of its address, `data` the fields behind it.

    Raises Refusal where it has no address.
    """

    def __init__(self, line: Line) -> None:
        address, *self.data = line.body.split(",")
        split = 1 if address[0] in "Pp" else 2
        self.talker, self.sentence = address[:split].upper(), address[split:].upper()
        try:
            self._parsed: Any = pynmea2.parse(line.body)
        except (pynmea2.SentenceTypeError, LookupError):
            self._parsed = None  # it is of an unknown type, or shorter than pynmea2 expects of a proprietary one
        except pynmea2.ParseError:
            raise Refusal("bad-payload", "no address of NMEA 0183, such as $GPGGA,") from None
        self._unnamed = self.data
        self._named = dict(self._fields())

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that have a name, as they were sent."""
        if self._parsed is None or not self._parsed.fields:
            return
        data = self._parsed.data
        names = [name for _, name, *_ in self._parsed.fields] + list(_NEWER.get(self.sentence, ()))
        if self.sentence == "GSV" and len(data) % 4 == 0:  # three fields, four for each satellite, and the signal's
            names[len(data) - 1 :] = ["signal_id"]
        elif self.sentence == "XDR":
            names += [f"{name}_{number}" for number in range(2, len(data) // 4 + 1) for name in names]
        self._unnamed = data[len(names) :]
        yield from ((name, raw) for name, raw in zip(names, data, strict=False) if not name.startswith("_"))

    def properties(self) -> dict[str, str]:
        """Return its named fields that aren't empty, as they were sent, and its position."""
        position = {name: str(degrees) for name, degrees in self.position().items()}
        return {**position, **{name: raw for name, raw in self._named.items() if raw}}

    def object(self) -> dict[str, Any]:
        """Return its named fields as JSON values, its position, and as `data` the fields without a name."""
        known = type(self._parsed).name_to_idx if self._parsed is not None else {}
        fields = {}
        for name, raw in self._named.items():
            fields[name] = _value(getattr(self._parsed, name)) if name in known else raw
        return {**fields, **self.position(), **({"data": self._unnamed} if self._unnamed else {})}

    def position(self) -> dict[str, float]:
        """Latitude and longitude in degrees, south and west negative; empty where there are none, or no fix."""
        data = [field.upper() for field in self.data]
        for at, good in _FIX.get(self.sentence, {}).items():
            if at < len(data) and not re.fullmatch(good, data[at]):
                return {}
        found = _POSITION.search(",".join(data)) if self.sentence not in _NO_POSITION else None
        if found is None:
            return {}
        latitude, longitude = _degrees(*found.groups()[:3]), _degrees(*found.groups()[3:])
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):
            return {}
        return {"latitude": latitude, "longitude": longitude}


def _degrees(degrees: str, minutes: str, side: str) -> float:
    """Return degrees, or NaN where there are 60 minutes or more."""
    found = round(int(degrees) + float(minutes) / 60, _DIGITS) if float(minutes) < 60 else math.nan
    return -found if side in "SW" else found


def _value(value: Any) -> Any:
    """Make a value of pynmea2 one of JSON."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    try:
        number = float(value)
    except ValueError:  # a signalling NaN of decimal
        number = math.nan
    return number if math.isfinite(number) else str(value)
