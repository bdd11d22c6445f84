"""What HTTP says of messages: server-sent events, JSON lines, and the retained message of a topic.

Server-sent events are as the HTML standard has them (section 9.2), JSON lines as the dialect json says them.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from email.utils import formatdate
from hashlib import blake2b

from hubbub.dialects.json import Json
from hubbub.http import Headers
from hubbub.message import Message

EVENTS, JSON_EVENTS, LINES = "events", "json-events", "lines"  # the forms of a stream
GAP, LOST = b"$hubbub/gap", b"$hubbub/lost"  # no client's topic can be one of these
TEXT, BYTES = "text/plain; charset=utf-8", "application/octet-stream"

_LINE_ENDS = re.compile("[\r\n%]")
_FIELD_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")  # what a header may carry (RFC 9110 section 5.5), in ASCII
_TAG = re.compile(r'(?:W/)?("[^"]*")')


def encode(message: Message, form: str) -> bytes | None:
    """Encode a message for a stream of that form."""
    id = b"id: %b\n" % message.position.encode() if message.position and not message.retained else b""
    if form != EVENTS:
        line = Json.encode(message, (form == LINES, True, False))
        return line if form == LINES or line is None else b"%bdata: %b\n\n" % (id, line)
    name = _LINE_ENDS.sub(lambda found: f"%{ord(found[0]):02X}", message.topic).encode()
    return b"%bevent: %b\n%b\n" % (id, name, _data(message.payload))


def _data(payload: bytes) -> bytes:
    """Write a payload as lines of data; what would not come back as it is, as a data URL (RFC 2397)."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        exact = False
    else:
        exact = b"\r" not in payload
    if not exact:
        payload = b"data:application/octet-stream;base64," + b2a_base64(payload, newline=False)
    return b"".join([b"data: %b\n" % line for line in payload.split(b"\n")])


def gap(count: int, form: str) -> bytes:
    """Encode a gap notice."""
    if form == EVENTS:
        return b"event: %b\ndata: %d\n\n" % (GAP, count)
    line = b'{"op":"gap","count":%d}' % count
    return line + b"\n" if form == LINES else b"data: %b\n\n" % line


def lost(position: str, form: str) -> bytes:
    """Encode that something up to a position is kept no more."""
    if form == EVENTS:
        return b"event: %b\ndata: %b\n\n" % (LOST, position.encode())
    line = b'{"op":"lost","position":"%b"}' % position.encode()
    return line + b"\n" if form == LINES else b"data: %b\n\n" % line


def live(position: str, form: str) -> bytes:
    """Encode that what is newer than a position comes live. An EventSource remembers it, and shows no event."""
    if form == LINES:
        return b'{"op":"live","position":"%b"}\n' % position.encode()
    return b"id: %b\n\n" % position.encode()


def content_type(message: Message) -> str:
    """Return the content type of a message: what its publisher says if a header can carry it, else what it is."""
    content_type = message.content_type
    if content_type is not None and _FIELD_VALUE.fullmatch(content_type):
        return content_type
    return BYTES if message.text is None else TEXT


def validators(message: Message) -> Headers:
    """Return ETag and Last-Modified of a retained message (RFC 9110 section 8.8)."""
    digest = blake2b(message.payload, digest_size=12, salt=b"hubbub", person=content_type(message).encode()[:16])
    return ("ETag", f'"{digest.hexdigest()}"'), ("Last-Modified", formatdate(message.time, usegmt=True))


def matches(condition: str, etag: str) -> bool:
    """Return whether If-None-Match names that entity tag (RFC 9110 section 13.1.2)."""
    return condition.strip() == "*" or etag in _TAG.findall(condition)
