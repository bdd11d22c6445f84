"""The common parts of both sides of lines: which payloads fit into a line, base64, and the length of a line."""

from __future__ import annotations

from binascii import Error as BadBase64
from binascii import a2b_base64

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.errors import Refusal
from hubbub.message import is_utf8

SUBPROTOCOLS = ("hubbub.lines",)

_NOT_IN_A_LINE = frozenset({*range(0x09), *range(0x0A, 0x20), 0x7F})  # TAB is fine
_AS_A_LINE = bytes([0x20 if byte in _NOT_IN_A_LINE else byte for byte in range(256)])  # as translate keeps the rest


def max_unit(context: DialectContext) -> int:
    """Return the bytes of the longest line: base64 makes 4 bytes of 3 (RFC 4648 section 4)."""
    return context.max_message * 4 // 3 + limits.LINE_SLACK


def is_text(payload: bytes) -> bool:
    """Whether a payload can stand in a line as it is."""
    return payload.translate(_AS_A_LINE) == payload and (payload.isascii() or is_utf8(payload))


def is_ascii_text(payloads: bytes) -> bool:
    """Whether each of several joined payloads can stand in a line as it is, as ASCII does."""
    return payloads.isascii() and payloads.translate(_AS_A_LINE) == payloads


def from_base64(payload: bytes) -> bytes:
    """Read the payload of a PUBB. Raises Refusal."""
    try:
        return a2b_base64(payload, strict_mode=True)
    except BadBase64:
        raise Refusal("bad-payload", "PUBB takes base64 (RFC 4648 section 4), padded, without spaces") from None
