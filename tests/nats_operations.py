"""The operations of a NATS stream, for tests that look at what is sent."""

from __future__ import annotations

from collections.abc import Collection

from hubbub.nats_protocol.wire import Malformed, Reader


class Operations:
    """Cuts a stream into (words, payload)."""

    def __init__(self, sized: Collection[bytes], max_payload: int = 10_000_000) -> None:
        self._reader = Reader(sized, max_payload)
        self.held = self._reader.held

    def feed(self, data: bytes) -> tuple[list[tuple[list[bytes], bytes]], Malformed | None]:
        found: list[tuple[list[bytes], bytes]] = []
        error = self._reader.feed(data, found, lambda line, words, rest, into: into.append((words, rest)))
        return found, error
