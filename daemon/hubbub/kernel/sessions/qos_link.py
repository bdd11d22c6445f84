"""A link, as the delivery of QoS 1 and 2 knows it."""

from __future__ import annotations

from typing import Protocol

from hubbub.events import Subscribe
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.sessions.state import InflightMessage


class QosLink(Protocol):
    """The link that sends messages of QoS 1 and 2."""

    def send_inflight(self, one: InflightMessage, frame: bytes | None) -> bool: ...
    def hold(self) -> None: ...
    def has_room(self) -> bool: ...
    def is_paused(self) -> bool: ...
    def send_qos0(self, batch: Batch, wish: Subscribe) -> None: ...
    def fail(self, error: Exception) -> None: ...
