"""Records as bytes: MessagePack, since it is compact, knows bytes, and keeps the types of identifiers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import msgspec

from hubbub.kernel.sessions.records import KeyRecord, MessageRecord, Progress, SessionRecord, SubscriptionRecord, Way

Receivers = Sequence[tuple[int, Way]]
"""The receivers of one message: the number of each session, and how it gets the message."""

_pack = msgspec.msgpack.Encoder().encode
_message = msgspec.msgpack.Decoder(MessageRecord).decode
_session = msgspec.msgpack.Decoder(SessionRecord).decode
_progress = msgspec.msgpack.Decoder(Progress).decode
_key = msgspec.msgpack.Decoder(KeyRecord).decode
_block = msgspec.msgpack.Decoder(list[tuple[int, MessageRecord]]).decode
_any = msgspec.msgpack.Decoder().decode


def pack(value: object) -> bytes:
    """Return a record, or any plain value, as bytes."""
    try:
        return _pack(value)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can name
        return _pack(_replaced(value))


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, (tuple, list, frozenset)):
        return [_replaced(one) for one in value]
    if isinstance(value, dict):
        return {_replaced(key): _replaced(one) for key, one in value.items()}
    return value


def unpack_message(data: bytes) -> MessageRecord:
    """Return the record of a message. This and the others below raise ValueError for other bytes."""
    return _message(data)


def unpack_body(data: bytes) -> MessageRecord | None:
    """Return the record of a message. None: the history has it."""
    return _message(data) if data else None


def unpack_block(data: bytes) -> list[tuple[int, MessageRecord]]:
    """Return the messages of a row of the history, each with its number."""
    return _block(data)


def unpack_session(data: bytes) -> SessionRecord:
    """Return the record of a session."""
    return _session(data)


def unpack_progress(data: bytes) -> Progress:
    """Return how far a session has come."""
    return _progress(data)


def unpack_key(data: bytes) -> KeyRecord:
    """Return the record of an idempotency key."""
    return _key(data)


def unpack_subscription(data: bytes) -> SubscriptionRecord:
    """Return the record of a subscription."""
    return SubscriptionRecord(*hashable(_any(data)))


def pack_receivers(receivers: Receivers) -> bytes:
    """Return receivers as bytes: for each way the numbers of its sessions, as differences."""
    ways: dict[Way, list[int]] = {}
    for number, way in receivers:
        ways.setdefault(way, []).append(number)
    return pack([(way, _differences(sorted(numbers))) for way, numbers in ways.items()])


def unpack_receivers(data: bytes) -> list[tuple[int, Way]]:
    """Return receivers; sessions of one way share it."""
    found = []
    for way, differences in hashable(_any(data)):
        number = 0
        for difference in differences:
            number += difference
            found.append((number, way))
    return found


def hashable(value: Any) -> Any:
    """Return a value whose lists are tuples."""
    return tuple(map(hashable, value)) if isinstance(value, list) else value


def pack_id(id: Hashable) -> bytes:
    """Return the id of a subscription as a key."""
    return pack(id)


def _differences(numbers: Sequence[int]) -> list[int]:
    return [number - before for before, number in zip([0, *numbers], numbers, strict=False)]
