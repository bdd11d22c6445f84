"""WAMP's serializers on the wire: JSON, MessagePack and CBOR, each batched or not ("Serialization").

MessagePack and CBOR are those of Autobahn, and so is JSON where it has binary values: a string that begins with NUL is
base64. Batches of JSON end each message with a separator, the others begin it with four bytes of length.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import msgpack  # type: ignore[import-untyped]
import msgspec
from autobahn.wamp.serializer import CBORObjectSerializer, JsonObjectSerializer, MsgPackObjectSerializer

from hubbub_plugins.wamp import large

NUL = b'"\\u0000'
SEPARATORS = (b"\x1e", b"\x18")  # the specification's; and Autobahn's, which reads its decimal number as octal
_read_json = msgspec.json.Decoder().decode
write_json = msgspec.json.Encoder().encode
_UNDEFINED = msgpack.ExtType(0, b"\0")
_autobahn_json, _msgpack, _cbor = JsonObjectSerializer(), MsgPackObjectSerializer(), CBORObjectSerializer()


class Malformed(Exception):
    """What ends a connection. `reason` is a sentence, `uri` the one of ABORT."""

    def __init__(self, reason: str, uri: str = "wamp.error.protocol_violation", code: str = "bad-command") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.uri = uri


def is_undefined(value: Any) -> bool:
    """Return whether a value is JavaScript's undefined, as libraries for CBOR and MessagePack write it."""
    return value is cbor2.undefined or value == _UNDEFINED


def read_json(data: bytes) -> Any:
    """Read a JSON text, whose strings that begin with NUL are binary. Raises what the libraries raise."""
    found = None if large.is_small(data) else large.read_json(data)
    if found is not None:
        return found
    return _autobahn_json.unserialize(data)[0] if NUL in data else _read_json(data)


def binary_json(data: bytes) -> str:
    """Return the string that is a binary value in JSON."""
    return "\0" + b64encode(data).decode()


def _read_cbor(data: bytes) -> Any:
    found = None if large.is_small(data) else large.read_cbor(data)
    if found is not None:
        return found
    return cbor2.loads(data, strict_hashable_types=True)  # keys of other types may be made to collide


def _read_msgpack(data: bytes) -> Any:
    return _msgpack.unserialize(data)[0] if large.is_small(data) else large.read_msgpack(data)


class Codec:
    """One serializer.

    name  as in `wamp.2.NAME`; text: whether a WebSocket carries its messages as text
    """

    __slots__ = ("name", "text", "_read", "_separator", "_sized", "_write")

    def __init__(
        self, name: str, read: Callable[[bytes], Any], write: Callable[[Any], bytes], separator: bytes = b""
    ) -> None:
        self.name = name
        self.text = name.startswith("json")
        self._read = read
        self._separator = separator
        self._sized = name.endswith(".batched") and not separator
        self._write = write

    def read(self, data: bytes) -> list[Any]:
        """Return the messages of one unit. Raises Malformed."""
        try:
            if self._separator:
                return [self._read(part) for part in data.split(self._separator)[:-1]]
            if self._sized:
                return [self._read(part) for part in _parts(data)]
            return [self._read(data)]
        except Malformed:
            raise
        except (Exception, RecursionError):  # noqa: BLE001  each library has its own, some plain exceptions
            raise Malformed(f"a message isn't {self.name}") from None

    def cut(self, data: bytes, most: int) -> int:
        """Return where a batch may be cut, behind about `most` bytes; its length: nowhere."""
        if self._separator:
            return 1 + data.find(self._separator, most) or len(data)
        at = 0
        while self._sized and at < most:
            at += 4 + int.from_bytes(data[at : at + 4], "big")
        return min(at, len(data)) or len(data)

    def write(self, message: list[Any]) -> bytes:
        """Return a message without binary values as a unit."""
        return self.framed(self._write(message))

    def framed(self, data: bytes) -> bytes:
        """Return a serialized message as a unit."""
        if self._separator:
            return data + self._separator
        return len(data).to_bytes(4, "big") + data if self._sized else data


def _parts(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data):
            raise Malformed("a batch ends within a message")
        yield data[start:at]


JSON = Codec("json", read_json, write_json)
MSGPACK = Codec("msgpack", _read_msgpack, _msgpack.serialize)
CBOR = Codec("cbor", _read_cbor, _cbor.serialize)
_JSON_BATCHED = {one: Codec("json.batched", read_json, write_json, one) for one in SEPARATORS}
_MSGPACK_BATCHED = Codec("msgpack.batched", _read_msgpack, _msgpack.serialize)
_CBOR_BATCHED = Codec("cbor.batched", _read_cbor, _cbor.serialize)
RAW_SOCKET = {1: JSON, 2: MSGPACK, 3: CBOR}
SUBPROTOCOLS = tuple([f"wamp.2.{name}{more}" for more in ("", ".batched") for name in ("msgpack", "cbor", "json")])
_ARRAYS = {0x93: MSGPACK, 0xDC: MSGPACK, 0xDD: MSGPACK, 0x83: CBOR, 0x98: CBOR, 0x9F: CBOR}
_BATCHES = {MSGPACK: _MSGPACK_BATCHED, CBOR: _CBOR_BATCHED}


def codec_of(first: bytes) -> Codec:
    """Tell the serializer of a client from its first message, HELLO, an array of three. Raises Malformed."""
    if first[:1] in (b"[", b" ", b"\t", b"\r", b"\n"):
        return _JSON_BATCHED.get(first[-1:], JSON)
    if first[:1] == b"\0" and len(first) > 4:
        plain = _ARRAYS.get(first[4])
        if plain is not None:
            return _BATCHES[plain]
    found = _ARRAYS.get(first[0]) if first else None
    if found is None:
        raise Malformed("the first message isn't HELLO in JSON, MessagePack or CBOR")
    return found
