"""nmea: NMEA 0183 sentences of GPS receivers, wind and depth sensors, and AIS; several may come in a datagram.

    --udp udp:10110:dialect=nmea:prefix=boat     $GPGGA,... goes to boat/GP/GGA, !AIVDM,... to boat/AI/VDM
    --tcp tcp:10110:dialect=nmea:format=json     lines ended by CR LF, LF or CR
    --udp udp:10110:dialect=nmea:ais=ais/{mmsi}  decoded messages go to ais/244670316 as JSON as well
    --connect udp:10.0.0.255:10110:dialect=nmea:subscribe=boat/out/#    sends what is a sentence

A sentence goes to {talker}/{sentence}, or where `topic=` says; a proprietary one, $PGRME, has the talker P and the
sentence GRME. Its checksum must be right, and may be missing with `checksum=optional`. Noise before it is skipped, and
so is the header of IEC 61162-450.

Properties are talker and sentence; the fields as they were sent, by pynmea2's names; latitude and longitude in degrees,
south and west negative, where a sentence has both and no field of it says that there is no fix; the fields of TAG
blocks and of the US Coast Guard's tails, tag.s the source, tag.c the time. A type that pynmea2 doesn't know, as AIS,
has no field names: `format=json` then lists its fields as `data`.

With `ais=` the parts of an AIS message are joined by sender, source, channel and sequence id, and decoded by pyais: its
type, mmsi, latitude, longitude, speed (knots), course, heading, name, callsign and so on, where they are available.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from hubbub import (
    DialectContext,
    Event,
    Fault,
    LineDialect,
    Message,
    Publish,
    Refusal,
    Sender,
    Subscribe,
    Template,
    choice,
    option,
)
from hubbub.limits import PROPERTIES
from hubbub_plugins.nmea.joiner import ROWS_OF_LINK, ROWS_OF_LISTENER, Joiner
from hubbub_plugins.nmea.line import read
from hubbub_plugins.nmea.sentence import Sentence

_FIELDS = ("talker", "sentence")
_JSON = "application/json"


def ais_topic(raw: object) -> Template:
    """Read the topic of decoded messages, as in ais/{mmsi}."""
    try:
        import hubbub_plugins.nmea.ais  # noqa: F401  only `ais=` needs pyais
    except ImportError as error:
        raise ValueError(f"{error}; it needs pyais: pip install 'hubbub[ais]'") from None
    if not isinstance(raw, str):
        raise ValueError("expected a topic")
    template = Template(raw)
    template.expect((*_FIELDS, "mmsi", "type"))
    return template


class Nmea(LineDialect):
    """NMEA 0183 sentences and AIS, checksums checked; it sends sentences in the client role."""

    roles = ("server", "client")
    fields = _FIELDS

    format = option(
        "text",
        choice("text", "json", "raw"),
        "what is published: text, the sentence; json, its fields by name; raw, its line with no content type",
    )
    checksum = option("required", choice("required", "optional"), "whether a sentence may leave its checksum out")
    ais = option(None, ais_topic, "where decoded AIS messages go too, such as ais/{mmsi} or ais/{mmsi}/{type}")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topic = context.topic or Template("{talker}/{sentence}")
        self._sender = peer.fields()
        self._source = (self._sender["host"], self._sender["port"])
        self._joiner = Joiner(ROWS_OF_LINK)
        if context.transport == "udp":  # an unproven address has a link for each datagram
            self._joiner = context.memory.setdefault("nmea", Joiner(ROWS_OF_LISTENER))

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is some sentences."""
        return context.max_message

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Turn sentences into publishes; a CR alone ends one too."""
        return super().receive(data.replace(b"\r", b"\n"), now, text)

    def receive_units(self, units: Sequence[tuple[bytes, bool | None]], now: float) -> list[Event | Message]:
        """Turn the sentences of datagrams into publishes."""
        return super().receive_units([(data.replace(b"\r", b"\n"), text) for data, text in units], now)

    def read_line(self, line: bytes, now: float) -> list[Event | Message]:
        """Turn a line into the publishes of its sentence."""
        events: list[Event | Message] = []
        try:
            for event in self._messages(line, now):
                events.append(event)  # noqa: PERF402  what comes before a Refusal stands
        except Refusal as refusal:
            events.append(Fault(refusal))
        return events

    def _messages(self, data: bytes, now: float) -> Iterator[Message]:
        """Yield the sentence of a line, and the AIS message that ends with it. Raises Refusal."""
        line = read(data, unsummed=self.checksum == "optional")
        tags = self._joiner.tags(self._source, line.tags, now)
        if not line.text:
            return
        sentence = Sentence(line)
        address = {"talker": sentence.talker, "sentence": sentence.sentence}
        payload, kind = data, None
        if self.format == "text":
            payload, kind = line.text.encode(), "text/plain; charset=utf-8"
        elif self.format == "json":
            payload, kind = self._json({**sentence.object(), **address}, tags), _JSON
        properties = _properties({**address, **sentence.properties()}, tags)
        yield Publish(self._topic.fill({**self._sender, **address}), payload, content_type=kind, properties=properties)
        if self.ais is not None and (found := self._ais_message(sentence, tags, now)) is not None:
            found |= address
            texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
            topic, properties = self.ais.fill({**self._sender, **texts}), _properties(texts, tags)
            yield Publish(topic, self._json(found, tags), content_type=_JSON, properties=properties)

    def _ais_message(self, sentence: Sentence, tags: dict[str, str], now: float) -> dict[str, Any] | None:
        """Return what an AIS message says, if this is the last part of it that comes. Raises Refusal."""
        from hubbub_plugins.nmea import ais

        if sentence.sentence not in ais.SENTENCES:
            return None
        part = ais.part(sentence)
        if part.total == 1:
            return ais.decode([part])
        key = (self._source, tags.get("s"), sentence.talker, sentence.sentence, part.channel, part.sequence, part.total)
        parts = self._joiner.parts(key, part.number, part.total, part, now)
        return ais.decode(parts) if parts is not None else None

    def _json(self, fields: dict[str, Any], tags: dict[str, str]) -> bytes:
        payload = json.dumps({**fields, **({"tags": tags} if tags else {})}, allow_nan=False).encode()
        if len(payload) > self.context.max_message:
            raise Refusal("too-long", f"a sentence as JSON is longer than {self.context.max_message} bytes")
        return payload

    def form(self, subscription: Subscribe) -> str | None:
        """Return how a sentence ends; None in the server role, in which nothing is sent."""
        return ("\r\n" if self.context.stream else "") if self.context.role == "client" else None

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        """Write a payload that is a sentence, with its TAG blocks."""
        if form is None:
            return None
        try:
            line = read(message.payload, unsummed=cls.checksum == "optional")
        except Refusal:
            return None
        unit = (line.blocks + line.text).encode()
        return unit + str(form).encode() if line.text and message.payload.startswith(unit) else None


def _properties(fields: dict[str, str], tags: dict[str, str]) -> dict[str, str]:
    """The tags, and then the fields as far as a message can have properties."""
    return dict(islice({**{f"tag.{code}": value for code, value in tags.items()}, **fields}.items(), PROPERTIES))
