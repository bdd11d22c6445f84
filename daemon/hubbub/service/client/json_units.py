"""Units of the dialect json, read so that numbers keep their digits: over its own connections, and as JSON lines."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from hubbub.service.client.base import Lost, Outgoing, Received


class JsonUnit(Struct, frozen=True):
    """One unit; what it doesn't have is None, or empty."""

    op: str
    id: int | None = None
    topic: str = ""
    data: Raw = Raw()
    base64: bytes | None = None
    retained: bool = False
    time: float | None = None
    count: int = 0
    code: str = ""
    reason: str = ""
    token: str = ""
    complete: bool = True

    def payload(self) -> bytes:
        """Return the payload that it carries."""
        if self.base64 is not None:
            return self.base64
        data = bytes(self.data)
        return msgspec.json.decode(data, type=str).encode() if data[:1] == b'"' else data


_decode = msgspec.json.Decoder(JsonUnit).decode


def read(text: bytes, where: object) -> JsonUnit:
    """Read a unit. Raises Lost."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Lost(f"{where}: this is no JSON of hubbub: {text[:40]!r}") from None


def received(unit: JsonUnit, text: bytes) -> Received | int:
    """Return the message of a unit, or the number of lost ones; 0: the history doesn't have all."""
    if unit.op == "lost":
        return 0
    if unit.op == "gap":
        return unit.count
    return Received(unit.topic, unit.payload(), unit.retained, unit.time, text)


def carried(message: Outgoing) -> dict[str, Any]:
    """Return the members of a command that carry a payload."""
    if message.json:
        return {"data": Raw(message.payload)}
    try:
        return {"data": message.payload.decode()}
    except UnicodeDecodeError:
        return {"base64": message.payload}
