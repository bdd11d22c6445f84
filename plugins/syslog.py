"""syslog: what machines and programs log, RFC 5424 and RFC 3164 told apart for each message.

    --udp udp:5514:dialect=syslog                one datagram, one message (RFC 5426 section 3.1)
    --tcp tcp:5514:dialect=syslog:format=json    octet counting or LF, told for each frame (RFC 6587 section 3.4)
    --connect tcp:log:514:dialect=syslog:subscribe=alarm/#    sends what matches to a log server, by RFC 5424

A message goes to syslog/{hostname}/{app}/{severity}, or where `topic=` says; severity and facility are the words of
RFC 5427. A hostname that isn't said is the sender's address. The header's fields are properties (facility severity
hostname app procid msgid timestamp), and so is structured data, as `SD-ID.PARAM-NAME`, with commas between the values
of a repeated one.

RFC 3164 only describes what was seen in the wild, so nothing is refused for its form: without a valid PRI everything
is text of the priority user.notice (13), without a timestamp everything behind the PRI is (sections 4.3.2, 4.3.3).
A TAG counts as one where `[pid]` or a colon and a space end it. `max-message=` bounds a whole message.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC, datetime
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
    Subscribe,
    Template,
    choice,
    option,
)
from hubbub.framing import TooLong
from hubbub.limits import PROPERTIES

SEVERITIES = "emerg alert crit err warning notice info debug".split()
FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit console cron2 "
    "local0 local1 local2 local3 local4 local5 local6 local7"
).split()
STRUCTURED_BYTES = 64 * 1024  # bytes of structured data that are read, in about 15 ms: real ones are below 8 KiB
_NOTICE = 13  # user.notice: what has no valid PRI (RFC 3164 section 4.3.3)

_PRI = rb"<(?P<pri>[0-9]|[1-9][0-9]|1[0-8][0-9]|19[01])>"
_ISO = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
_BSD = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
_HEADER = re.compile(
    rb"%b1 (?P<timestamp>-|%b) (?P<hostname>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<procid>[!-~]{1,128})"
    rb" (?P<msgid>[!-~]{1,32}) " % (_PRI, _ISO)
)
_OLD_HEADER = re.compile(
    # A hostname has no brackets and doesn't end with a colon, so a TAG where it should stand isn't taken for one.
    rb"%b(?:(?P<timestamp>%b|%b) (?:(?P<hostname>[!-Z^-~\\]{1,255})(?<!:) )?)?"
    rb"(?:(?P<app>[!-9;-Z^-~\\]{1,48})(?:\[(?P<procid>[!-Z^-~\\]{1,128})\]:? ?|:(?: |\Z)))?" % (_PRI, _BSD, _ISO)
)
_NAME = rb"[!#-<>-\\^-~]{1,32}"
_ELEMENT = re.compile(rb"\[(%b)" % _NAME)
_PARAM = re.compile(rb' (%b)="((?:[^"\\]++|\\.)*+)"' % _NAME, re.DOTALL)  # an unescaped ] is forgiven
_ESCAPED = re.compile(r'\\(["\\\]])')
_BOM = b"\xef\xbb\xbf"

_COUNT = re.compile(rb"([1-9][0-9]{0,9}) (?=<)")
_MAYBE_COUNT = re.compile(rb"[1-9][0-9]{0,9} ?\Z")

StructuredData = dict[str, dict[str, list[str]]]


class Entry(NamedTuple):
    """One message, taken apart.

    fields  its header: severity and facility as words, and whatever else it says
    data    SD-ID -> PARAM-NAME -> values
    msg     the text: its encoding is its sender's, without BOM and without NUL, CR or LF at its end
    """

    fields: dict[str, str]
    data: StructuredData
    msg: bytes


def parse(frame: bytes) -> Entry:
    """Take any message apart; what follows neither RFC is text."""
    return _parse_5424(frame) or _parse_3164(frame)


def _parse_5424(frame: bytes) -> Entry | None:
    """RFC 5424 section 6. None: it isn't one."""
    header = _HEADER.match(frame)
    if header is None:
        return None
    try:
        found = _structured_data(frame, header.end())
    except UnicodeDecodeError:
        return None
    if found is None:
        return None
    data, end = found
    return Entry(_fields(header), data, _text(frame[end + 1 :].removeprefix(_BOM)))


def _parse_3164(frame: bytes) -> Entry:
    header = _OLD_HEADER.match(frame)
    if header is None:
        return Entry(_priority(_NOTICE), {}, _text(frame))
    return Entry(_fields(header), {}, _text(frame[header.end() :]))


def _structured_data(frame: bytes, at: int) -> tuple[StructuredData, int] | None:
    """Read RFC 5424 section 6.3 from `at` on; returns it and where it ends, or None. Raises UnicodeDecodeError."""
    if frame[at : at + 2] in (b"-", b"- "):
        return {}, at + 1
    data: StructuredData = {}
    until = at + STRUCTURED_BYTES
    while element := _ELEMENT.match(frame, at, until):
        at = element.end()
        params = data.setdefault(element[1].decode(), {})
        while param := _PARAM.match(frame, at, until):
            at = param.end()
            params.setdefault(param[1].decode(), []).append(_ESCAPED.sub(r"\1", param[2].decode()))
        if frame[at : at + 1] != b"]":
            return None
        at += 1
    return (data, at) if data and frame[at : at + 1] in (b"", b" ") else None


def _fields(header: re.Match[bytes]) -> dict[str, str]:
    said = {name: value.decode() for name, value in header.groupdict().items() if value not in (None, b"-")}
    return _priority(int(said.pop("pri"))) | said


def _priority(pri: int) -> dict[str, str]:
    return {"facility": FACILITIES[pri >> 3], "severity": SEVERITIES[pri & 7]}


def _text(msg: bytes) -> bytes:
    """Cut off what many senders put behind a message, as if it were a C string or a line."""
    return msg.rstrip(b"\0\r\n")


class Frames:
    """Cuts a stream as RFC 6587 section 3.4 says: behind its length in digits, or ended by LF, told for each frame.

    `12 <13>` is a length; other digits are text. An empty line is no frame; a CR before LF isn't part of one.
    """

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame
        self._rest = bytearray()
        self._searched = 0  # bytes of the rest in which there is no LF

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes. Raises TooLong."""
        self._rest += data
        frames: list[bytes] = []
        at = 0
        while at < len(self._rest):
            start, end, after = self._next(at)
            if max(start, end) - start > self.max_frame:
                self.rest()
                raise TooLong(frames, self.max_frame)
            if after > len(self._rest):
                break
            if end > start:
                frames.append(bytes(self._rest[start:end]))
            at, self._searched = after, 0
        del self._rest[:at]
        return frames

    def _next(self, at: int) -> tuple[int, int, int]:
        """Tell where the frame at `at` begins and ends, and where the next begins: past the end if that isn't here."""
        rest = self._rest
        if count := _COUNT.match(rest, at):
            end = count.end() + int(count[1])
            return count.end(), end, end
        if _MAYBE_COUNT.match(rest, at):
            return at, at, len(rest) + 1
        end = rest.find(b"\n", at + self._searched)
        if end < 0:
            self._searched = len(rest) - at
            return at, len(rest) - rest.endswith(b"\r"), len(rest) + 1
        return at, end - rest.endswith(b"\r", at, end), end + 1

    def held(self) -> str:
        """Say what makes no message yet; empty: nothing is left."""
        return f"{len(self._rest)} bytes of a message held" if self._rest else ""

    def rest(self) -> bytes:
        """Take what is left: a last line without LF, or the part of a counted frame with its length."""
        rest = bytes(self._rest)
        self._rest.clear()
        self._searched = 0
        return rest


class Syslog(LineDialect):
    """Log messages of RFC 5424 and 3164, over UDP, TCP and TLS; it sends only where it dials."""

    roles = ("server", "client")
    fields = ("hostname", "app", "severity", "facility", "procid", "msgid")
    single_line = ("udp", "websocket")

    format = option(
        "text",
        choice("text", "json", "raw"),
        "what is published: text, the message alone; json, an object of all fields; raw, the bytes as they came",
    )

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topic = context.topic or Template("syslog/{hostname}/{app}/{severity}")
        self._sender = peer.fields()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is a message."""
        return context.max_message

    def make_reader(self) -> Frames:
        """Return what tells counted messages and lines apart."""
        return Frames(self.context.max_message)

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        """Turn log messages into publishes."""
        return [self._message(frame) for frame in lines]

    def eof(self, now: float) -> list[Event | Message]:
        """The last line needs no LF; a frame shorter than its length is none."""
        rest = self.reader.rest().removesuffix(b"\r") if self.reader is not None else b""
        if _COUNT.match(rest):
            return [_bad("the last message is shorter than its length")]
        return [self._message(rest)] if rest else []

    def _message(self, frame: bytes) -> Event | Message:
        if not frame:
            return _bad("an empty message")
        entry = parse(frame)
        fields = entry.fields
        fields.setdefault("hostname", self._sender["host"])
        topic = self._topic.fill({**self._sender, **fields})
        payload, kind = self._payload(frame, entry)
        if len(payload) > self.context.max_message:  # JSON writes some bytes as six
            return Fault(Refusal("too-long", f"the message as JSON is longer than {self.context.max_message} bytes"))
        return Publish(topic, payload, content_type=kind, properties=_properties(entry))

    def _payload(self, frame: bytes, entry: Entry) -> tuple[bytes, str | None]:
        """Return what is published of a message, and its content type."""
        if self.format == "raw":
            return frame, None
        try:
            text = entry.msg.decode()
        except UnicodeDecodeError:
            text = None
        if self.format == "text":
            return entry.msg, None if text is None else "text/plain; charset=utf-8"
        whole: dict[str, Any] = {**entry.fields, "structured_data": entry.data}
        whole |= {"base64": b64encode(entry.msg).decode()} if text is None else {"message": text}
        return json.dumps(whole, ensure_ascii=False).encode(), "application/json"

    def form(self, subscription: Subscribe) -> bool | None:
        """Tell whether a client's link is a stream; who dials in is told nothing."""
        return self.context.stream if self.context.role == "client" else None

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        """Write a message as RFC 5424 has it, on a stream behind its length (RFC 6587 section 3.4.1)."""
        if form is None:
            return None
        frame = write(message)
        return b"%d %b" % (len(frame), frame) if form else frame


def write(message: Message) -> bytes:
    """Write a message by RFC 5424; one that never was a log message begins with its topic."""
    said = message.properties or {}
    severity, facility = said.get("severity"), said.get("facility")
    pri = SEVERITIES.index(severity) if severity in SEVERITIES else 5
    pri += 8 * (FACILITIES.index(facility) if facility in FACILITIES else 1)
    when = datetime.fromtimestamp(message.time, UTC).isoformat(timespec="milliseconds")
    limits = {"hostname": 255, "app": 48, "procid": 128, "msgid": 32}
    fields = {name: said.get(name, "") for name in limits} | ({} if "app" in said else {"app": "hubbub"})
    header = [text if re.fullmatch(f"[!-~]{{1,{limits[name]}}}", text) else "-" for name, text in fields.items()]
    text = message.payload if "app" in said else message.topic.encode() + b" " + message.payload
    try:
        bom = b"" if text.isascii() or not text.decode() else _BOM
    except UnicodeDecodeError:
        bom = b""
    return f"<{pri}>1 {when.replace('+00:00', 'Z')} {' '.join(header)} - ".encode() + bom + text


def _properties(entry: Entry) -> dict[str, str]:
    """The fields, and then structured data as far as a message can have properties."""
    properties = dict(entry.fields)
    for element, params in entry.data.items():
        for name, values in params.items() or [("", [""])]:
            if len(properties) < PROPERTIES:
                properties.setdefault(f"{element}.{name}" if name else element, ",".join(values))
    return properties


def _bad(reason: str) -> Fault:
    return Fault(Refusal("bad-payload", reason))
