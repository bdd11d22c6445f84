"""User properties whose names may repeat (MQTT 5.0 section 3.3.2.3.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

ONCE = "once"  # the idempotency key of a message in MQTT 5 and STOMP


class UserProperties(dict[str, str]):
    """User properties: a mapping to the last value of each name, and all `pairs` in their order.

    format  the payload format indicator; None: the message has none
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], format: int | None = None) -> None:
        self.pairs = tuple(pairs)
        self.format = format
        super().__init__(self.pairs)


def pairs_of(properties: Mapping[str, str] | None) -> Iterable[tuple[str, str]]:
    """Return all pairs of name and value of any mapping, in their order."""
    return getattr(properties, "pairs", None) or (properties or {}).items()
