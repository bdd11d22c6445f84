"""statsd: the metrics that programs send to StatsD, and DogStatsD's tags; several may come in a datagram.

    --udp udp:8125:dialect=statsd                   api.hits:1|c|@0.1 is the message 1 on statsd/api.hits
    --tcp tcp:8125:dialect=statsd:format=json       lines ended by LF

    <name>:<value>|<type>[|@<rate>][|#<tag>:<value>,<tag>]
    type   c counter, g gauge (+3 and -3 change it by so much), ms timer, h histogram, d distribution, s set

Each metric is published as it comes; to count and to average is for whoever subscribes. It goes to statsd/{name}, or
where `topic=` says, which may use {type} too. A name is one level, dots and all, as any value in a topic. Properties:
`type` as a word, `rate` and `delta=yes` where there is one, and each tag as `tag.<name>`, with commas between the
values of a repeated one. Other parts behind a `|` are left alone: newer clients add some. Events (`_e`) and service
checks (`_sc`) aren't metrics, and are refused.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

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
    Template,
    choice,
    option,
)
from hubbub.framing import EndReader, TooLong
from hubbub.limits import PROPERTIES

TYPES = {"c": "counter", "g": "gauge", "ms": "timer", "h": "histogram", "d": "distribution", "s": "set"}
NAME_CHARACTERS = 1024  # characters of a metric's name: real ones are below 250, and each is a topic
_NUMBER = re.compile(r"[+-]?([0-9]{1,64}(\.[0-9]{0,64})?|\.[0-9]{1,64})([eE][+-]?[0-9]{1,3})?")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Metric(NamedTuple):
    """One sample of one metric.

    value  as it was sent: a number, and of a set any text
    type   one of the words of TYPES
    rate   the part of samples that is sent, above 0 up to 1
    delta  whether a gauge changes by the value rather than to it
    tags   name -> values, "" for a tag without one
    """

    name: str
    value: str
    type: str
    rate: float
    delta: bool
    tags: dict[str, list[str]]

    def properties(self) -> dict[str, str]:
        """What isn't name and value."""
        properties = {f"tag.{tag}": ",".join(values) for tag, values in self.tags.items()}
        properties["type"] = self.type
        if self.rate != 1:
            properties["rate"] = str(self.rate)
        if self.delta:
            properties["delta"] = "yes"
        return properties

    def object(self) -> dict[str, Any]:
        """All of it as an object of JSON."""
        value = self.value if self.type == "set" else _number(self.value)
        return {**self._asdict(), "value": value}


def parse(line: bytes) -> Metric:
    """Read one metric. Raises Refusal (bad-utf8, bad-payload)."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Refusal("bad-utf8", "a metric is UTF-8") from None
    if _CONTROL.search(text):
        raise Refusal("bad-payload", "a metric has no control characters")
    first, *parts = text.split("|")
    name, colon, value = first.partition(":")
    if not name or not colon or not parts:
        raise Refusal("bad-payload", "a metric is <name>:<value>|<type>")
    if len(name) > NAME_CHARACTERS:
        raise Refusal("bad-payload", f"a name is longer than {NAME_CHARACTERS} characters")
    kind = TYPES.get(parts[0])
    if kind is None:
        raise Refusal("bad-payload", f"a type is one of {' '.join(TYPES)}")
    if kind != "set" and not math.isfinite(_number(value)):
        raise Refusal("bad-payload", "a value is a number that a double can hold")
    rate, tags = _extras(parts[1:])
    return Metric(name, value, kind, rate, kind == "gauge" and value[0] in "+-", tags)


def _extras(parts: list[str]) -> tuple[float, dict[str, list[str]]]:
    """Read the sample rate and the tags. Raises Refusal."""
    rate, tags = 1.0, dict[str, list[str]]()
    for part in parts:
        if part.startswith("@"):
            rate = _number(part[1:])
            if not 0 < rate <= 1:
                raise Refusal("bad-payload", "a rate is above 0 and at most 1")
        elif part.startswith("#"):
            for tag in filter(None, part[1:].split(",")):
                name, _, value = tag.partition(":")
                tags.setdefault(name, []).append(value)
    if len(tags) > PROPERTIES - 3:  # besides type, rate and delta
        raise Refusal("bad-payload", f"more than {PROPERTIES - 3} tags")
    return rate, tags


def _number(text: str) -> float:
    """Read a number, whole ones without loss; NaN where it isn't one."""
    if not _NUMBER.fullmatch(text):
        return math.nan
    digits = text.lstrip("+-")
    return int(text) if digits.isdecimal() else float(text)


class Statsd(Dialect):
    """StatsD metrics, with DogStatsD's tags, each published as it comes; it only receives."""

    fields = ("name", "type")

    format = option(
        "text",
        choice("text", "json", "raw"),
        "what is published: text, the value; json, an object of all fields; raw, the metric as it came",
    )

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._reader = EndReader(b"\n", context.max_message) if context.stream else None
        self._topic = context.topic or Template("statsd/{name}")
        self._sender = peer.fields()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is some metrics."""
        return context.max_message

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Turn metrics into publishes."""
        if self._reader is None:
            longest = self.context.max_message
            return self._metrics(data.split(b"\n")) if len(data) <= longest else [self._too_long()]
        try:
            return self._metrics(self._reader.feed(data))
        except TooLong as long:
            return [*self._metrics(long.frames), self._too_long()]

    def eof(self, now: float) -> list[Event | Message]:
        """The last line needs no LF."""
        return self._metrics([self._reader.rest()]) if self._reader is not None else []

    def _metrics(self, lines: list[bytes]) -> list[Event | Message]:
        lines = [line.removesuffix(b"\r") for line in lines]
        return [self._event(line) for line in lines if line]

    def _event(self, line: bytes) -> Event | Message:
        try:
            metric = parse(line)
        except Refusal as refusal:
            return Fault(refusal)
        topic = self._topic.fill({**self._sender, "name": metric.name, "type": metric.type})
        payload, kind = line, None
        if self.format == "text":
            payload, kind = metric.value.encode(), "text/plain; charset=utf-8"
        elif self.format == "json":
            payload, kind = json.dumps(metric.object(), ensure_ascii=False).encode(), "application/json"
        if len(payload) > self.context.max_message:  # JSON has more to say
            return Fault(Refusal("too-long", f"a metric as JSON is longer than {self.context.max_message} bytes"))
        return Publish(topic, payload, content_type=kind, properties=metric.properties())

    def _too_long(self) -> Close:
        refusal = Refusal("too-long", f"more than {self.context.max_message} bytes without an end of line")
        return Close(refusal.reason, refusal=refusal)
