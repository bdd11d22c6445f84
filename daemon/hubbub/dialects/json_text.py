"""JSON that came from outside, made fit to be passed on: checked whole, and brought to one line.

A JSON text that is spliced into another unread could carry a line break or a second frame with it, or stop the parser
of every receiver. Numbers keep their digits, and strings their escapes: nothing is written anew.
"""

from __future__ import annotations

import re
from itertools import accumulate
from math import isinf

import msgspec
from msgspec import Raw

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.errors import Refusal
from hubbub.message import Message

APPLICATION_JSON = "application/json"
SUBPROTOCOLS = ("hubbub.json",)

_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: one level in, one level out
_SHAPES = bytes.maketrans(b"123456789E", b"000000000e")
_BIG_EXPONENT = b"e000"  # as _SHAPES shows it
_BIG_DIGITS = 309  # the fewest digits before the point that may be more than a double can hold
_BIG_INTEGER = b"0" * _BIG_DIGITS

_format = msgspec.json.format
_NUMBER = re.compile(rb"-?\d[-+.\deE]*")


def max_unit(context: DialectContext) -> int:
    """Return the bytes of the longest unit: JSON may take 6 for one, as in `\\u0000` (RFC 8259 section 7)."""
    return context.max_message * 6 + limits.LINE_SLACK


def claims_json(content_type: str) -> bool:
    """Tell whether a payload of that type says that it is JSON (RFC 8259 section 11, RFC 6839 section 3.1)."""
    if content_type == APPLICATION_JSON:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == APPLICATION_JSON or kind.endswith("+json")


def compact(text: bytes, max_bytes: int | None = None) -> bytes:
    """Return the JSON value `text` (RFC 8259) without the whitespace around its tokens: one line.

    Raises Refusal: bad-payload where it isn't JSON, is nested deeper than limits.JSON_DEPTH or has a number that no
    double can hold (1e999), bad-utf8, or too-long where the result has more than `max_bytes`.
    """
    try:
        line = _format(text, indent=-1)  # the whole grammar, and surrogates in \u escapes
        if not line.isascii():
            line.decode()
    except UnicodeDecodeError:
        raise Refusal("bad-utf8", "the JSON isn't UTF-8") from None
    except RecursionError:
        raise too_deep() from None
    except msgspec.DecodeError as error:
        raise Refusal("bad-payload", not_json(str(error))) from None
    if max_bytes is not None and len(line) > max_bytes:
        raise Refusal("too-long", f"the payload is longer than {max_bytes} bytes")
    if is_too_deep(line):
        raise too_deep()
    shape = line.translate(_SHAPES, b"+")
    if shape.find(_BIG_EXPONENT) >= 0 or (len(line) >= _BIG_DIGITS and shape.find(_BIG_INTEGER) >= 0):
        _check_numbers(line)
    return line


def carry(message: Message, parse: bool) -> tuple[str | Raw | None, bytes | None]:
    """Return what `data` and `base64` are for that payload; one of them is None."""
    payload = message.payload
    if parse or (message.content_type is not None and claims_json(message.content_type)):
        try:
            return Raw(compact(payload)), None
        except Refusal:
            pass  # it isn't what it claims: bytes like any others
    try:
        return payload.decode(), None
    except UnicodeDecodeError:
        return None, payload


def not_json(text: str) -> str:
    """Say in a sentence what msgspec's DecodeError says."""
    _, _, why = text.partition("malformed: ")
    return f"that isn't JSON: {why or 'it ends too soon'}"


def too_deep() -> Refusal:
    """Make the Refusal of what is nested too deep."""
    return Refusal("bad-payload", f"it is nested deeper than {limits.JSON_DEPTH} levels")


def is_too_deep(line: bytes) -> bool:
    """Tell whether JSON, which may be cut short, is nested deeper than limits.JSON_DEPTH."""
    return len(line) > limits.JSON_DEPTH and _depth(line) > limits.JSON_DEPTH


def _bare(line: bytes) -> bytes:
    """Valid JSON without its strings."""
    return b"".join(line.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _depth(line: bytes) -> int:
    """Tell how deep valid JSON is nested, or at least that it can't be deeper than it has brackets."""
    brackets = line.count(b"[") + line.count(b"{")
    if brackets <= limits.JSON_DEPTH:
        return brackets
    steps = _bare(line).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def _check_numbers(line: bytes) -> None:
    if any(map(isinf, map(float, _NUMBER.findall(_bare(line))))):
        raise Refusal("bad-payload", "a number is out of range: the largest is about 1.8e308")
