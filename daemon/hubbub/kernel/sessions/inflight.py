"""One message for one client, in its queue or in flight."""

from __future__ import annotations

from typing import Protocol

from hubbub import limits
from hubbub.events import Subscribe
from hubbub.message import Message, cost


class Lender(Protocol):
    """Lends messages to clients (sessions.work_queues.WorkQueue). `recorded`: whether a durable store keeps them."""

    @property
    def recorded(self) -> bool: ...
    def settled(self, loan: InflightMessage) -> None: ...
    def returned(self, those: list[InflightMessage]) -> None: ...
    def refused(self, loan: InflightMessage) -> None: ...


class InflightMessage:
    """One message for one client, in its queue or in flight (MQTT 5.0 section 4.9).

    qos       1 or 2
    share     the shared filter by which it came, or ""
    size      bytes
    number    what the store calls it; 0: it is in no durable store
    id        its packet identifier, 1 to 65,535 in flight, else 0
    pending   whether it isn't sent yet: that no other client gets it has to be certain before
    received  QoS 2: PUBREC has come, PUBREL follows
    resent    whether it was sent before
    lender    the work queue that has lent it, or None; loan: the message there
    """

    __slots__ = (
        "message", "wish", "qos", "share", "size", "number", "id", "pending", "received", "resent", "lender", "loan",
    )  # fmt: skip

    def __init__(self, message: Message, wish: Subscribe, qos: int, share: str = "") -> None:
        self.message = message
        self.wish = wish
        self.qos = qos
        self.share = share
        self.size = cost(message) + limits.QUEUED_MESSAGE_BYTES
        self.number = 0
        self.id = 0
        self.pending = False
        self.received = False
        self.resent = False
        self.lender: Lender | None = None
        self.loan: InflightMessage | None = None
