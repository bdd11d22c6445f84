"""Bytes of one link that aren't decoded yet: a long unit is decoded a piece at a time, as its events are acted on.

One WebSocket message may have half a million commands. While the link waits for its turn the rest stays bytes, and
reading is paused. What ends the input has its place behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from hubbub.kernel.connection.faults import own_fault
from hubbub.limits import LATE_BYTES, PIECE_BYTES, UNITS_AT_ONCE

Unit = tuple[bytes, bool | None]
"""Data, and whether it is a WebSocket text message, see Dialect.receive."""

_END: Unit = (b"", None)  # of the input


def is_much(link: Any, data: bytes) -> bool:
    """Return whether to decode that a piece at a time."""
    return len(data) > LATE_BYTES or link.dialect.units(data) > UNITS_AT_ONCE


def receive(link: Any, units: Iterable[Unit]) -> None:
    """Take units of which some are long, behind those that came before."""
    if link.inbound.unread is None:
        link.inbound.unread = deque()
    link.inbound.unread += units
    if not link.inbound.holding:
        decode(link)


def end(link: Any) -> bool:
    """The input has ended. Returns whether that is to wait for what isn't decoded."""
    if not link.inbound.unread:
        return False
    link.inbound.unread.append(_END)
    return True


@own_fault
def decode(link: Any) -> None:
    """Decode pieces and act on them until the link's share of the turn is over, or something holds it back."""
    inbound, now = link.inbound, link.timeouts.last_received
    while inbound.unread and link.active and not inbound.holding:
        unit = inbound.unread.popleft()
        if unit is _END:
            link.shutdown.decode_end(link)
            continue
        data, text = unit
        if len(data) > PIECE_BYTES:
            data = _cut(link, data, text, PIECE_BYTES)
        count = link.dialect.units(data)
        if count > UNITS_AT_ONCE:
            data = _cut(link, data, text, len(data) * UNITS_AT_ONCE // count)
        link.receive_piece(link.dialect.receive(data, now, text), len(data))
        if inbound.unread and not inbound.holding and link.must_yield():
            inbound.hold(link, ())


def _cut(link: Any, data: bytes, text: bool | None, most: int) -> bytes:
    """Return the beginning of a unit, about `most` bytes; the rest comes next."""
    size = link.dialect.cut(data, most)
    if size >= len(data):
        return data  # which may be more than bytes, such as a request of HTTP
    link.inbound.unread.appendleft((data[size:], text))
    return data[:size]
