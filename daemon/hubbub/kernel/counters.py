"""What an operator counts."""

from __future__ import annotations


class Counters:
    """Messages, events and links since the start.

    published, published_bytes  messages from clients and handlers; bytes of payload
    delivered, delivered_bytes  messages put into outboxes and inboxes; bytes of payload
    unrouted    published messages without a subscriber
    dropped     messages that a full outbox or inbox lost
    uncarried   messages that a receiver's dialect or transport can't carry
    refused     events answered with a Refusal
    unanswered  replies whose receiver has gone or can't take them
    failed      exceptions in plugins
    links       links opened
    replayed    messages sent from the history
    stalls      times that a link has been paused for a while
    """

    __slots__ = (
        "published", "delivered", "unrouted", "dropped", "uncarried", "refused", "unanswered", "failed", "links",
        "replayed", "stalls", "published_bytes", "delivered_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.published = 0
        self.delivered = 0
        self.unrouted = 0
        self.dropped = 0
        self.uncarried = 0
        self.refused = 0
        self.unanswered = 0
        self.failed = 0
        self.links = 0
        self.replayed = 0
        self.stalls = 0
        self.published_bytes = 0
        self.delivered_bytes = 0
