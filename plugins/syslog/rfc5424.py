"""RFC 5424: reads what senders write, and writes what the RFC allows.

rsyslog writes names that are too long, and a space before the text. syslog-pro leaves fields empty instead of `-`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hubbub import Message
from hubbub_plugins.syslog.entry import BOM, FACILITIES, PRI, SEVERITIES, Entry, StructuredData, fields

STRUCTURED_BYTES = 64 * 1024  # bytes of structured data that are read, in about 15 ms: real ones are below 8 KiB

_ISO = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_HEADER = re.compile(
    rb"%b1 (?P<timestamp>-|%b|) (?P<hostname>[!-~]{0,255}) (?P<app>[!-~]{0,255}) (?P<procid>[!-~]{0,255})"
    rb" (?P<msgid>[!-~]{0,255}) " % (PRI, _ISO)
)
_NAME = rb"[!#-<>-\\^-~]{1,32}"
_ELEMENT = re.compile(rb"\[(%b)" % _NAME)
_PARAM = re.compile(rb' (%b)="([^"\\]*+(?:\\.[^"\\]*+)*)"' % _NAME, re.DOTALL)  # an unescaped ] is forgiven
_ESCAPED = re.compile(r'\\(["\\\]])')
_LENGTHS = {"hostname": 255, "app": 48, "procid": 128, "msgid": 32}
_PRINTABLE = re.compile("[!-~]+")


def parse(frame: bytes) -> Entry | None:
    """Parse a message (RFC 5424 section 6). None: it isn't one."""
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
    return Entry(fields(header), data, frame[end + 1 :].removeprefix(BOM).removeprefix(b" "))


def _structured_data(frame: bytes, at: int) -> tuple[StructuredData, int] | None:
    """Read RFC 5424 section 6.3 from `at` on; returns it and where it ends, or None. Raises UnicodeDecodeError."""
    if frame[at : at + 2] in (b"-", b"- "):
        return {}, at + 1
    if frame[at : at + 1] == b" ":  # it is left empty
        return {}, at
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


def write(message: Message) -> bytes:
    """Write a message by RFC 5424; one that never was a log message begins with its topic."""
    properties = message.properties or {}
    severity, facility = properties.get("severity"), properties.get("facility")
    pri = SEVERITIES.index(severity) if severity in SEVERITIES else 5
    pri += 8 * (FACILITIES.index(facility) if facility in FACILITIES else 1)
    when = datetime.fromtimestamp(message.time, UTC).isoformat(timespec="milliseconds")
    named = {name: properties.get(name, "") for name in _LENGTHS} | ({} if "app" in properties else {"app": "hubbub"})
    header = [text[: _LENGTHS[name]] if _PRINTABLE.fullmatch(text) else "-" for name, text in named.items()]
    text = message.payload if "app" in properties else message.topic.encode() + b" " + message.payload
    try:
        bom = b"" if text.isascii() or not text.decode() else BOM
    except UnicodeDecodeError:
        bom = b""
    return f"<{pri}>1 {when.replace('+00:00', 'Z')} {' '.join(header)} - ".encode() + bom + text
