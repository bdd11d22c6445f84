"""WAMP's arguments as a payload, and back, without loss between serializers.

    arguments                     payload                          content type
    one string                    the string                       text/plain; charset=utf-8
    one binary value              its bytes                        application/octet-stream
    none                          empty                            none
    one other value               its JSON                         application/json
    all else                      {"args":[...],"kwargs":{...}}    application/json; wamp=arguments

In the last alone text that begins with NUL stands for what JSON lacks: NUL and base64 is binary, NUL `#` and
a name is a number that isn't finite, NUL NUL and more is a string that begins with NUL.
"""

from __future__ import annotations

import math
from base64 import b64decode
from typing import Any

import msgspec

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.message import Message
from hubbub_plugins.wamp.codec import NUL, Codec, Malformed, binary_json, is_undefined, write_json
from hubbub_plugins.wamp.decoders import check_json, read_both, read_raw, read_value
from hubbub_plugins.wamp.large import DICTIONARY, TOO_MANY, json_parts

TEXT, OCTETS, VALUE = "text/plain; charset=utf-8", "application/octet-stream", "application/json"
ARGUMENTS = "application/json; wamp=arguments"
_SIMPLE = frozenset((int, bool, type(None)))
_INT = 2**64
_MARKED = 4  # as how many parts one counts where JSON lacks one: all are copied twice
_WRONG = "arguments are null, booleans, numbers, text, binary, lists, and dictionaries with text keys"


# Arguments to a payload


def payload_of(message: list[Any], at: int, most: int) -> tuple[bytes, str | None]:
    """Return payload and content type of the arguments that a message has from an index on. Raises Refusal, Malformed.

    most  bytes of the longest payload
    """
    if message[-1] is TOO_MANY:
        raise _too_many()
    count = len(message)
    args = message[at] if count > at else None
    kwargs = message[at + 1] if count > at + 1 else None
    if type(args) is not list:
        args = _nothing(args, [])
    if type(kwargs) is not dict:
        kwargs = _nothing(kwargs, {})
    payload, kind = _payload(args, kwargs, most)
    if len(payload) > most:
        raise Refusal("too-long", f"a payload has more than {most} bytes")
    return payload, kind


def _nothing(value: Any, empty: Any) -> Any:
    """Return `empty` for a value that stands for no arguments. Raises Malformed for any other."""
    if value is not None and not is_undefined(value):
        raise Malformed("arguments are a list, and then a dictionary")
    return empty


def _payload(args: list[Any], kwargs: dict[Any, Any], most: int) -> tuple[bytes, str | None]:
    if len(kwargs) > most:
        raise Refusal("too-long", f"a payload has more than {most} bytes")
    if not kwargs:
        if not args:
            return b"", None
        if len(args) == 1:
            value = args[0]
            if type(value) is str:
                try:
                    return value.encode(), TEXT
                except UnicodeEncodeError:  # half of a surrogate pair
                    raise Refusal("bad-utf8", "text has half of a surrogate pair") from None
            if type(value) is bytes:
                return value, OCTETS
            if not _is_odd(args, most):
                return _json(value), VALUE
    whole = {"args": args, "kwargs": kwargs} if kwargs else {"args": args}
    return json_of(whole, most), ARGUMENTS


def _json(value: Any) -> bytes:
    try:
        return write_json(value)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError, OverflowError, TypeError, ValueError):
        raise Refusal("bad-payload", _WRONG) from None


def json_of(value: Any, most: int) -> bytes:
    """Return a value as JSON, with marks for what that lacks; it has `most` parts at most. Raises Refusal.

    It has limits.WAMP_PARTS at most, too: a dictionary counts as more than one, and all do where JSON lacks one.
    """
    return _json(_with_marks(value) if _is_odd(value, most) else value)


def _is_odd(value: Any, most: int) -> bool:
    """Return whether JSON lacks something of a value. Raises Refusal for what WAMP has no type for."""
    level, depth, parts, bound, odd = [value], 0, -2, min(most, limits.WAMP_PARTS), False
    while level:
        depth += 1
        parts += len(level)
        if parts > bound or depth > limits.WAMP_DEPTH:  # a value of CBOR may contain itself
            raise _too_many()
        below: list[Any] = []
        for one in level:
            odd = _is_odd_itself(one, below) or odd
        parts += (DICTIONARY - 1) * [type(one) for one in level].count(dict)
        level = below
    if (parts * _MARKED if odd else parts) > limits.WAMP_PARTS:
        raise _too_many()
    return odd


def _too_many() -> Refusal:
    return Refusal("too-long", "the arguments have too many parts, or are nested too deep")


def _is_odd_itself(one: Any, below: list[Any]) -> bool:
    """Return whether JSON lacks a value, as `_is_odd`; its parts are added to `below`."""
    kind = type(one)
    if kind is str:
        return bool(one[:1] == "\0")
    if kind is list:
        below += one
    elif kind is dict:
        if not all(type(key) is str for key in one):
            raise Refusal("bad-payload", _WRONG)
        below += one.values()
    elif kind is float:
        return not math.isfinite(one)
    elif kind is bytes or is_undefined(one):
        return True
    elif kind not in _SIMPLE or (kind is int and not -_INT < one < _INT):
        raise Refusal("bad-payload", _WRONG)
    return False


def _with_marks(value: Any) -> Any:
    if type(value) is list:
        return [_with_marks(one) for one in value]
    if type(value) is dict:
        return {key: _with_marks(one) for key, one in value.items()}
    if type(value) is bytes:
        return binary_json(value)
    if type(value) is str and value[:1] == "\0":
        return "\0" + value
    if type(value) is float and not math.isfinite(value):
        return f"\0#{value}"
    return None if is_undefined(value) else value


def _without_marks(value: Any) -> Any:
    if type(value) is list:
        return [_without_marks(one) for one in value]
    if type(value) is dict:
        return {key: _without_marks(one) for key, one in value.items()}
    if type(value) is str and value[:1] == "\0":
        return value[1:] if value[1:2] == "\0" else float(value[2:]) if value[1:2] == "#" else b64decode(value[1:])
    return value


# A payload to arguments


def arguments_of(message: Message) -> list[Any]:
    """Return what stands at the end of a WAMP message: nothing, a list, or a list and a dictionary."""
    payload, kind = message.payload, message.content_type
    if kind is not None and kind.startswith(VALUE):
        try:
            if is_large(payload):
                raise _too_many()
            if kind != ARGUMENTS:
                value = read_value(payload)
                if payload.count(b"[") + payload.count(b"{") > limits.WAMP_DEPTH:
                    _is_odd(value, len(payload))  # which refuses what is nested too deep
                return [[value]]
            both = read_both(payload)
            whole = [both.args, both.kwargs] if both.kwargs else [both.args]
            return _without_marks(whole) if NUL in payload else whole
        except (msgspec.MsgspecError, ValueError, RecursionError, Refusal):
            pass  # others may call anything JSON, and nest it
    if not payload and kind is None:
        return []
    if kind != OCTETS:
        try:
            return [[payload.decode()]]
        except UnicodeDecodeError:
            pass
    return [[payload]]


def is_large(payload: bytes) -> bool:
    """Return whether a payload in JSON has too many parts to be read for arguments."""
    if len(payload) <= limits.WAMP_PARTS:
        return False
    return json_parts(payload) > limits.WAMP_PARTS or payload.count(NUL) * _MARKED > limits.WAMP_PARTS


def write(codec: Codec, head: list[Any], message: Message) -> bytes:
    """Return a WAMP message as a unit: `head`, and the arguments that a message of the hub has."""
    if not codec.text:
        try:
            return codec.write(head + arguments_of(message))
        except OverflowError:  # an integer that MessagePack lacks
            return codec.write([*head, [message.payload.decode()]])
    return codec.framed(b"%b%b]" % (write_json(head)[:-1], _json_arguments(message)))


def _json_arguments(message: Message) -> bytes:
    payload, kind = message.payload, message.content_type
    is_json = kind is not None and kind.startswith(VALUE)
    if is_json and NUL not in payload:
        try:
            if kind == ARGUMENTS:
                raw = read_raw(payload)
                return b",%b" % raw.args if bytes(raw.kwargs) == b"{}" else b",%b,%b" % (raw.args, raw.kwargs)
            if payload.count(b"[") + payload.count(b"{") <= limits.WAMP_DEPTH:
                return b",[%b]" % check_json(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
    elif not is_json and kind != OCTETS and payload[:1] > b"\0":
        try:
            return b",[%b]" % write_json(payload.decode())
        except UnicodeDecodeError:
            pass
    return b"".join([b"," + write_json(_for_json(one)) for one in arguments_of(message)])


def _for_json(value: Any) -> Any:
    """Return a value that JSON can say, as WAMP says it; what isn't finite is null."""
    if type(value) is list:
        return [_for_json(one) for one in value]
    if type(value) is dict:
        return {key: _for_json(one) for key, one in value.items()}
    if type(value) is bytes:
        return binary_json(value)
    if type(value) is str and value[:1] == "\0":
        return binary_json(value.encode())
    return None if type(value) is float and not math.isfinite(value) else value
