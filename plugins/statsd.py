"""statsd: the metrics that programs send to StatsD, with DogStatsD's tags, events and service checks.

    --udp udp:8125:dialect=statsd                   api.hits:1|c|@0.1 is the message 1 on statsd/api.hits
    --tcp tcp:8125:dialect=statsd:format=json       lines ended by LF; a datagram may have several too

    <name>[,<tag>=<value>...]:<sample>[:<sample>...][|#<tag>:<value>,...][|T<seconds>][|c:<container>][|e:<external>]
    sample  <value>[:<value>...]|<type>[|@<rate>]
    type    c counter, g gauge, ms timer, h histogram, d distribution, s set, which has one value, colons and all

    _e{<title>,<text>}:<title>|<text>[|d:<seconds>][|h:<host>][|k:<aggregation>][|p:<priority>][|s:<source>][|t:<alert>]
      an event, with #, c: and e: as above; <title>,<text> are lengths in bytes, or as clients of JavaScript count
    _sc|<name>|<status>[|d:<seconds>][|h:<host>][|#...][|m:<message>]
      a service check; its status is 0 ok, 1 warning, 2 critical, 3 unknown

Each value is published as it comes; subscribers count and average. It goes to statsd/{name}, or
where `topic=` says, which may use {type} too. A name is one level, dots and all, as any value in a topic. The text of
an event goes to the name `_e`, the status of a check to its own name. Properties: `type` as a word (counter gauge timer
histogram distribution set event check), `rate` and `delta=yes` where there is one, each tag as `tag.<name>`, with
commas between the values of a repeated one, and what else it says: timestamp container external title hostname
aggregation_key priority source_type alert_type status message. Other parts behind a `|` are left alone.

A gauge with a sign changes by so much for Etsy's StatsD, and is set to that for DogStatsD: `gauges=` tells which. In a
datagram a line that is none of these belongs to the event or the check before it, whose text has an LF.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

from hubbub import (
    DialectContext,
    Event,
    Fault,
    LineDialect,
    Message,
    Publish,
    Refusal,
    Sender,
    Template,
    choice,
    option,
)
from hubbub.limits import PROPERTIES

TYPES = {"c": "counter", "g": "gauge", "ms": "timer", "h": "histogram", "d": "distribution", "s": "set"}
STATES = ("ok", "warning", "critical", "unknown")
LINE_BYTES = 65_536  # bytes of one line, read in 100 ms at worst: events of DogStatsD's clients are below 8 KiB
NAME_CHARACTERS = 1024  # characters of a metric's name: real ones are below 250, and each is a topic
VALUES = 4_096  # values of one line: as many as the largest datagrams of DogStatsD's clients have, of 8 KiB
PACKED_CHARACTERS = 1_048_576  # characters of name and tags in all messages of one line: 4,096 with 256 each
_NUMBER = re.compile(r"[+-]?([0-9]{1,64}(\.[0-9]{0,64})?|\.[0-9]{1,64})([eE][+-]?[0-9]{1,3})?")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SAMPLE = re.compile(r"([^|]*)\|([a-z]+)(?:\|@([^|:]*))?(?:(:)|(?=\|)|\Z)")
_LENGTHS = re.compile(r"_e\{([0-9]{1,7}),([0-9]{1,7})\}:")
_COUNTED = (("utf-8", 1), ("utf-16-le", 2), ("utf-32-le", 4))  # how clients count, and bytes of what they count
_BEGIN = re.compile(rb"_e\{|_sc\||[^:|]+:[^|]*\|(?:c|g|ms|h|d|s)(?![a-z])")
_KEYS = {"c": "container", "e": "external"}
_EVENT_KEYS = _KEYS | {
    "d": "timestamp", "h": "hostname", "k": "aggregation_key", "p": "priority", "s": "source_type", "t": "alert_type",
}  # fmt: skip
_BEHIND_MESSAGE = ("c:", "e:", "card:")  # what clients put behind the message of a check, which should be the last part

Tags = dict[str, list[str]]


class Metric(NamedTuple):
    """One sample of one metric; an event; a service check.

    value  as it was sent: a number, of a set any text, of an event its text
    type   one of the words of TYPES, "event" or "check"
    tags   name -> values, "" for a tag without one
    more   what else it says
    rate   the part of samples that is sent, above 0 up to 1
    delta  whether a gauge changes by the value rather than to it
    """

    name: str
    value: str
    type: str
    tags: Tags
    more: dict[str, str]
    rate: float = 1.0
    delta: bool = False

    def properties(self) -> dict[str, str]:
        """What isn't name and value. Raises Refusal where that is too much."""
        properties = {f"tag.{tag}": ",".join(values) for tag, values in self.tags.items()}
        properties |= {**self.more, "type": self.type}
        if self.rate != 1:
            properties["rate"] = str(self.rate)
        if self.delta:
            properties["delta"] = "yes"
        if len(properties) > PROPERTIES:
            raise Refusal("bad-payload", f"tags and what else there is are more than {PROPERTIES}")
        return properties

    def object(self) -> dict[str, Any]:
        """All of it as an object of JSON."""
        whole = {**self._asdict(), **self.more}
        del whole["more"]
        for name in ("timestamp", *(["value"] if self.type not in ("set", "event") else [])):
            if math.isfinite(number := _number(whole.get(name, ""))):
                whole[name] = number
        return whole


def parse(line: bytes, signed: str = "delta") -> list[Metric]:
    """Read one line. Raises Refusal (too-long, bad-utf8, bad-payload).

    signed  what a gauge with a sign is, "delta" or "value"
    """
    if len(line) > LINE_BYTES:
        raise Refusal("too-long", f"a line is longer than {LINE_BYTES} bytes")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Refusal("bad-utf8", "a metric is UTF-8") from None
    if text.startswith("_e{"):
        return [_event(text)]
    if text.startswith("_sc|"):
        return [_check(text)]
    if _CONTROL.search(text):
        raise Refusal("bad-payload", "a metric has no control characters")
    return _metrics(text, signed)


def _metrics(text: str, signed: str) -> list[Metric]:
    """Read the samples of a metric. Raises Refusal."""
    named, _, rest = text.partition(":")
    name, tags = _name_and_tags(named)
    samples, at, more = list[tuple[str, str, float]](), 0, True
    while more and (found := _SAMPLE.match(rest, at)):
        values, letters, sample_rate, colon = found.groups()
        kind, rate = TYPES.get(letters), 1.0 if sample_rate is None else _rate(sample_rate)
        if kind is None:
            raise Refusal("bad-payload", f"a type is one of {' '.join(TYPES)}")
        for value in [values] if kind == "set" else values.split(":"):
            if kind != "set" and not math.isfinite(_number(value)):
                raise Refusal("bad-payload", "a value is a number that a double can hold")
            samples.append((value, kind, rate))
        at, more = found.end(), colon is not None
    if more:
        raise Refusal("bad-payload", "a metric is <name>:<value>|<type>")
    if len(samples) > VALUES or len(samples) * (len(text) - at) > PACKED_CHARACTERS:
        raise Refusal("too-long", f"a line has more than {VALUES} values, or long tags with many of them")
    parts = rest[at:].split("|")[1:]
    others = _read_parts(parts, _KEYS, tags)
    for part in parts:
        if part.startswith("@"):  # some put it behind the tags
            samples = [(value, kind, _rate(part[1:])) for value, kind, _ in samples]
    return [
        Metric(name, value, kind, tags, others, rate, signed == "delta" and kind == "gauge" and value[0] in "+-")
        for value, kind, rate in samples
    ]


def _name_and_tags(named: str) -> tuple[str, Tags]:
    """Split a name from the tags that Telegraf's clients put behind it. Raises Refusal."""
    tags: Tags = {}
    if "," in named:
        name, *pairs = named.split(",")
        if all("=" in pair for pair in pairs):
            named = name
            for pair in pairs:
                tag, _, value = pair.partition("=")
                tags.setdefault(tag, []).append(value)
    if not 0 < len(named) <= NAME_CHARACTERS:
        raise Refusal("bad-payload", f"a name has 1 to {NAME_CHARACTERS} characters")
    return named, tags


def _rate(text: str) -> float:
    rate = _number(text)
    if not 0 < rate <= 1:
        raise Refusal("bad-payload", "a rate is above 0 and at most 1")
    return rate


def _read_parts(parts: list[str], keys: dict[str, str], tags: Tags) -> dict[str, str]:
    """Read what stands behind a value: add to `tags`, return the rest by its name."""
    found = {}
    for part in parts:
        key, colon, value = part.partition(":")
        if part.startswith("#"):
            for tag in part.split(","):
                name, _, text = tag.removeprefix("#").partition(":")  # some mark each one
                if name or text:
                    tags.setdefault(name, []).append(text)
        elif colon and key in keys:
            found[keys[key]] = value
        elif part.startswith("T") and part[1:].isdecimal() and part.isascii():
            found["timestamp"] = part[1:]
    return found


def _event(text: str) -> Metric:
    """Read an event. Raises Refusal."""
    lengths = _LENGTHS.match(text)
    found = lengths and _cut(text[lengths.end() :], int(lengths[1]), int(lengths[2]))
    if not found:
        raise Refusal("bad-payload", "an event is _e{<length>,<length>}:<title>|<text>, and its lengths are right")
    title, body, parts = found
    tags: Tags = {}
    more = _read_parts(parts.split("|")[1:], _EVENT_KEYS, tags)
    return Metric("_e", _unescaped(body), "event", tags, {"title": _unescaped(title), **more})


def _cut(text: str, title: int, body: int) -> tuple[str, str, str] | None:
    """Cut an event behind its lengths into title, text and what follows, by the first count that fits."""
    for encoding, width in _COUNTED:
        data = text.encode(encoding)
        ends = [title * width, (title + 1) * width, (title + 1 + body) * width]
        try:
            head, bar, middle, rest = (
                data[start:end].decode(encoding) for start, end in zip([0, *ends], [*ends, None], strict=True)
            )
        except UnicodeDecodeError:  # a character is cut
            continue
        if bar == "|" and len(data) >= ends[-1] and rest[:1] in ("", "|"):
            return head, middle, rest
    return None


def _check(text: str) -> Metric:
    """Read a service check. Raises Refusal."""
    head, separator, message = text.partition("|m:")
    _, name, *parts = head.split("|")
    if not parts or parts[0] not in ("0", "1", "2", "3") or _CONTROL.search(head):
        raise Refusal("bad-payload", "a service check is _sc|<name>|<status>, a status 0 to 3")
    if not 0 < len(name) <= NAME_CHARACTERS:
        raise Refusal("bad-payload", f"a name has 1 to {NAME_CHARACTERS} characters")
    status = parts.pop(0)
    for _ in _BEHIND_MESSAGE:
        before, _, last = message.rpartition("|")
        if last.startswith(_BEHIND_MESSAGE):
            message = before
            parts.append(last)
    tags: Tags = {}
    more = {"status": STATES[int(status)], **_read_parts(parts, _EVENT_KEYS, tags)}
    return Metric(name, status, "check", tags, {**more, "message": _unescaped(message)} if separator else more)


def _unescaped(text: str) -> str:
    """Undo what clients do to the text of an event or a check."""
    return text.replace("\\n", "\n").replace("m\\:", "m:")


def _number(text: str) -> float:
    """Read a number, whole ones without loss; NaN where it isn't one."""
    if not _NUMBER.fullmatch(text):
        return math.nan
    digits = text.lstrip("+-")
    return int(text) if digits.isdecimal() else float(text)


class Statsd(LineDialect):
    """StatsD metrics, with DogStatsD's tags, events and service checks, published as they come; it only receives."""

    fields = ("name", "type")
    single_line = ("udp", "websocket")

    format = option(
        "text",
        choice("text", "json", "raw"),
        "what is published: text, the value; json, an object of all fields; raw, the line as it came",
    )
    gauges = option("delta", choice("delta", "value"), "a gauge with a sign is: delta, its change; value, its value")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topic = context.topic or Template("statsd/{name}")
        self._sender = peer.fields()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is some metrics."""
        return context.max_message

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        """Turn metrics into publishes; a unit may have several."""
        if not self.context.stream:
            lines = [line for unit in lines for line in _joined(unit.rstrip(b"\n").split(b"\n"))]
        return super().read_lines(lines, now)

    def read_line(self, line: bytes, now: float) -> list[Event | Message]:
        """Turn the metrics of a line into publishes."""
        try:
            metrics = parse(line, self.gauges)
            if self.format == "raw":
                return [Publish(self._fill(metrics[0]), line, properties=metrics[0].properties())]
            return [self._publish(metric) for metric in metrics]
        except Refusal as refusal:
            return [Fault(refusal)]

    def _fill(self, metric: Metric) -> str:
        return self._topic.fill({**self._sender, "name": metric.name, "type": metric.type})

    def _publish(self, metric: Metric) -> Publish:
        """Raise Refusal where JSON makes it too long."""
        payload, kind = metric.value.encode(), "text/plain; charset=utf-8"
        if self.format == "json":
            payload, kind = json.dumps(metric.object(), ensure_ascii=False).encode(), "application/json"
        if len(payload) > self.context.max_message:
            raise Refusal("too-long", f"a metric as JSON is longer than {self.context.max_message} bytes")
        return Publish(self._fill(metric), payload, content_type=kind, properties=metric.properties())


def _joined(lines: list[bytes]) -> list[bytes]:
    """Join the lines of a datagram that are parts of an event or a service check to it."""
    found: list[list[bytes]] = []
    for line in lines:
        if found and found[-1][0].startswith((b"_e{", b"_sc|")) and not _BEGIN.match(line):
            found[-1].append(line)
        else:
            found.append([line])
    return [b"\n".join(parts) for parts in found]
