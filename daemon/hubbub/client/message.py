"""A message that a client gets, and how payloads are written in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

Payload = str | bytes | int | float | bool | list[Any] | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Message:
    """A message, or the reply to a request.

    time      Unix seconds at which the hub got it; None: it is a reply
    retained  it is the retained message of its topic, from before the subscription
    missed    how many messages were lost before this one; 1 stands for any number that the hub's history no longer has
    position  where the history of the hub has it; empty: it covers no such topic
    """

    topic: str
    payload: bytes
    time: float | None = None
    retained: bool = False
    content_type: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    reply_to: str | None = None
    correlation: bytes | None = None
    qos: int = 0
    missed: int = 0
    position: str = ""

    @property
    def text(self) -> str:
        """The payload as text. Raises UnicodeDecodeError."""
        return self.payload.decode()

    def json(self) -> Any:
        """Return the payload read as JSON. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.payload)


def written(payload: Payload) -> dict[str, Any]:
    """Return the members of a command that carry `payload`: text and bytes as they are, all else as JSON."""
    if isinstance(payload, bytes):
        try:
            payload = payload.decode()
        except UnicodeDecodeError:
            return {"base64": payload}
    return {"data": payload}


def read(data: Raw, base64: bytes | None) -> bytes:
    """Return the payload of a unit: JSON that isn't a string is kept digit by digit."""
    if base64 is not None:
        return base64
    text = bytes(data)
    return msgspec.json.decode(text, type=str).encode() if text[:1] == b'"' else text
