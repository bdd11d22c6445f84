"""What deliveries at QoS 1 and 2 and their links share (MQTT 5.0 section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hubbub.events import Subscribe
from hubbub.kernel.commits import Commits
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.message import Message
from hubbub.publish import QosPublish

PassOn = Callable[[str, Message, int], bool]
"""Gives a message of a shared filter to another member of the group with at least that room."""

STAGES = {
    1: ("acknowledged", "returned"),
    2: ("received", "rejected"),
    3: ("received", "completed"),
}
"""The QoS of an in-flight message, or 3 after PUBREC -> the stages that may come next."""


class QosBatches(Protocol):
    """The receiver of a subscription at QoS 1 or 2, as its client's Delivery knows it."""

    def take(self, batch: Batch, numbers: Sequence[int]) -> None: ...


class QosLink(Protocol):
    """The link that sends messages of QoS 1 and 2."""

    def send_inflight(self, one: InflightMessage, frame: bytes | None) -> bool: ...
    def hold(self, commits: Commits) -> None: ...
    def has_room(self) -> bool: ...
    def await_room(self, one: object, then: Callable[[], None]) -> None: ...
    def send_qos0(self, batch: Batch, wish: Subscribe) -> None: ...
    def fail(self, error: Exception) -> None: ...


def qos_of(message: Message) -> int:
    """Return the QoS that a message was published with."""
    return message.qos if isinstance(message, QosPublish) else 0
