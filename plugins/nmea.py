"""nmea: NMEA 0183 sentences of GPS receivers, wind and depth sensors, and AIS; several may come in a datagram.

    --udp udp:10110:dialect=nmea:prefix=boat     $GPGGA,... goes to boat/GP/GGA, !AIVDM,... to boat/AI/VDM
    --tcp tcp:10110:dialect=nmea:format=json     lines ended by CR LF or LF
    --connect udp:10.0.0.255:10110:dialect=nmea:subscribe=boat/out/#    sends what is a sentence

A sentence goes to {talker}/{sentence}, or where `topic=` says; a proprietary one, $PGRME, has the talker P and the
sentence GRME. Its checksum must be there and be right. What its fields are called is pynmea2's choice; they are
properties as they were sent, and so are talker and sentence, and latitude and longitude in degrees, south and west
negative, where it tells both. A type that pynmea2 doesn't know, as AIS, has no field names: `format=json` then lists
its fields as `data`.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date, time
from typing import Any

from hubbub import (
    Close,
    Dialect,
    DialectContext,
    Event,
    Fault,
    Message,
    Publish,
    Refusal,
    Sender,
    Subscribe,
    Template,
    choice,
    option,
)
from hubbub.framing import EndReader, TooLong

try:
    import pynmea2
except ImportError as error:
    raise ImportError(f"{error}; nmea needs it: pip install 'hubbub[nmea]'") from None

SENTENCE_BYTES = 256  # bytes of one sentence: NMEA 0183 allows 82, and real devices a few more
_SENTENCE = re.compile("[$!][A-Za-z0-9][ -~]*")
_CHECKSUM = re.compile(r"[^*]*\*[0-9A-Fa-f]{2}")
_DIGITS = 7  # digits of a degree behind the point: about a centimetre


class Sentence:
    """One sentence whose checksum is right; `talker` and `sentence` are the two parts of its address."""

    def __init__(self, text: str, parsed: Any) -> None:
        self._parsed = parsed  # None where pynmea2 doesn't know its type
        address, *self._data = text[1:].rpartition("*")[0].split(",")
        split = 1 if address[0] in "Pp" else 2
        self.talker, self.sentence = address[:split].upper(), address[split:].upper()
        self._sent: dict[str, str] = {}  # the fields that have a name, as they were sent
        if parsed is not None:
            pairs = zip(parsed.fields, parsed.data, strict=False)
            self._sent = {field[1]: raw for field, raw in pairs if not field[1].startswith("_")}

    def properties(self) -> dict[str, str]:
        """Its named fields that aren't empty, as they were sent."""
        sent = {name: raw for name, raw in self._sent.items() if raw}
        place = {name: str(degrees) for name, degrees in self._place().items()}
        return {**sent, **place, "talker": self.talker, "sentence": self.sentence}

    def object(self) -> dict[str, Any]:
        """Its named fields as values of JSON, and as `data` those without a name."""
        parsed = self._parsed
        fields = {name: _value(getattr(parsed, name)) for name in self._sent}
        unnamed = parsed.data[len(parsed.fields) :] if parsed is not None and parsed.fields else self._data
        data = {"data": unnamed} if unnamed else {}
        return {**fields, **self._place(), **data, "talker": self.talker, "sentence": self.sentence}

    def _place(self) -> dict[str, float]:
        """Without a fix a receiver leaves its place empty, which is no place, and not where the equator begins."""
        sent = self._sent
        if sent.get("lat_dir") not in ("N", "S") or sent.get("lon_dir") not in ("E", "W"):
            return {}
        try:
            place = {"latitude": self._parsed.latitude, "longitude": self._parsed.longitude}
        except (ValueError, AttributeError):  # it isn't written as degrees and minutes
            return {}
        return {name: round(degrees, _DIGITS) for name, degrees in place.items()} if sent["lat"] and sent["lon"] else {}


def parse(line: bytes) -> Sentence:
    """Read one sentence. Raises Refusal: too long, none at all, or its checksum is missing or wrong."""
    if len(line) > SENTENCE_BYTES:
        raise Refusal("too-long", f"a sentence is longer than {SENTENCE_BYTES} bytes")
    text = line.rstrip().decode("ascii", "replace")
    if not _SENTENCE.fullmatch(text):
        raise Refusal("bad-payload", "a sentence begins with $ or ! and is printable ASCII")
    if not _CHECKSUM.fullmatch(text):
        raise Refusal("bad-payload", "a sentence ends with its checksum, *hh")
    try:
        return Sentence(text, pynmea2.parse(text[1:], check=True))
    except pynmea2.ChecksumError as wrong:
        raise Refusal("bad-payload", f"bad {wrong.args[0][0].replace(' does not match', '')}") from None
    except (pynmea2.SentenceTypeError, LookupError):
        # The checksum was right. It is of an unknown type, or shorter than pynmea2 expects of a proprietary one.
        return Sentence(text, None)
    except pynmea2.ParseError:
        raise Refusal("bad-payload", "no address of NMEA 0183, such as $GPGGA,") from None


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


class Nmea(Dialect):
    """NMEA 0183 sentences, AIS too, with their checksums checked; it sends only where it dials."""

    roles = ("server", "client")
    fields = ("talker", "sentence")

    format = option(
        "text",
        choice("text", "json", "raw"),
        "what is published: text, the sentence; json, its fields by name; raw, its bytes with no content type",
    )

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._reader = EndReader(b"\n", context.max_message) if context.stream else None
        self._topic = context.topic or Template("{talker}/{sentence}")
        self._sender = peer.fields()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is some sentences."""
        return context.max_message

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Turn sentences into publishes."""
        if self._reader is None:
            longest = self.context.max_message
            return self._sentences(data.split(b"\n")) if len(data) <= longest else [self._too_long()]
        try:
            return self._sentences(self._reader.feed(data))
        except TooLong as long:
            return [*self._sentences(long.frames), self._too_long()]

    def eof(self, now: float) -> list[Event | Message]:
        """The last line needs no LF."""
        return self._sentences([self._reader.rest()]) if self._reader is not None else []

    def held(self) -> str:
        """Say that a line isn't over."""
        return self._reader.held() if self._reader is not None else ""

    def _sentences(self, lines: list[bytes]) -> list[Event | Message]:
        lines = [line.removesuffix(b"\r") for line in lines]
        return [self._event(line) for line in lines if line]

    def _event(self, line: bytes) -> Event | Message:
        try:
            found = parse(line)
        except Refusal as refusal:
            return Fault(refusal)
        topic = self._topic.fill({**self._sender, "talker": found.talker, "sentence": found.sentence})
        payload, kind = line, None
        if self.format == "text":
            kind = "text/plain; charset=utf-8"
        elif self.format == "json":
            payload, kind = json.dumps(found.object(), allow_nan=False).encode(), "application/json"
        if len(payload) > self.context.max_message:  # JSON has more to say
            return Fault(Refusal("too-long", f"a sentence as JSON is longer than {self.context.max_message} bytes"))
        return Publish(topic, payload, content_type=kind, properties=found.properties())

    def form(self, subscription: Subscribe) -> str | None:
        """Tell how a sentence ends, as a client; who dials in is told nothing."""
        return ("\r\n" if self.context.stream else "") if self.context.role == "client" else None

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        """Write a payload that is a sentence, as it is."""
        if form is None:
            return None
        try:
            parse(message.payload)
        except Refusal:
            return None
        return message.payload.rstrip() + str(form).encode()

    def _too_long(self) -> Close:
        refusal = Refusal("too-long", f"more than {self.context.max_message} bytes without an end of line")
        return Close(refusal.reason, refusal=refusal)
