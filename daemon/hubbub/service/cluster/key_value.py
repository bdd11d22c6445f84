"""A key-value bucket: a stream with one message a key, which writers change only as they know it.

The same as other NATS clients make it (ADR-8 of nats-architecture-and-design), so that `nats kv` shows it.
"""

from __future__ import annotations

from typing import NamedTuple

from hubbub import limits
from hubbub.service.cluster.jetstream import EXPECTED_SEQUENCE, NANOSECONDS, JetStream, StreamConfig
from hubbub.service.cluster.stream_pages import PageMessage
from hubbub.service.cluster.wire import headers_of

_OPERATION = "KV-Operation"
_DELETED = {_OPERATION: "DEL", "Nats-TTL": f"{limits.CLUSTER_TOMBSTONE_SECONDS}s"}


class Entry(NamedTuple):
    """A key as it is. value: None where it is deleted; revision: grows with each write to the bucket; 0: none."""

    value: bytes | None
    revision: int


class KeyValue:
    """One bucket. Keys have letters, digits, `-` and `_`. Each call raises JetStreamError.

    stream  the name of its stream
    """

    def __init__(self, jetstream: JetStream, bucket: str) -> None:
        self.stream = f"KV_{bucket}"
        self._jetstream = jetstream
        self._prefix = f"$KV.{bucket}."

    @property
    def max_bytes(self) -> int:
        """Bytes of the longest value that NATS takes; 0: it isn't known without a connection."""
        return max(0, self._jetstream.connection.max_payload - limits.CLUSTER_HEADER_BYTES)

    async def ensure(self, replicas: int) -> None:
        """Make the bucket, if it isn't there."""
        config = StreamConfig(
            name=self.stream,
            subjects=(f"{self._prefix}>",),
            num_replicas=replicas,
            max_msgs_per_subject=1,
            duplicate_window=round(limits.CLUSTER_DUPLICATES_SECONDS * NANOSECONDS),
            allow_direct=True,
            discard="new",
            allow_msg_ttl=True,
        )
        await self._jetstream.ensure_stream(config)

    async def get(self, key: str) -> Entry:
        """Return a key as the leader has it."""
        found = await self._jetstream.last(self.stream, self._prefix + key)
        if found is None:
            return Entry(None, 0)
        revision, value, block = found
        return Entry(None if _is_gone(block) else value, revision)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Set a key whose newest revision is that one. Returns the next. Raises Conflict where it isn't."""
        headers = {EXPECTED_SEQUENCE: str(revision)}
        return (await self._jetstream.publish(self._prefix + key, value, headers)).seq

    async def delete(self, key: str, revision: int) -> None:
        """Delete a key whose newest revision is that one. Raises Conflict where it isn't."""
        headers = {**_DELETED, EXPECTED_SEQUENCE: str(revision)}
        await self._jetstream.publish(self._prefix + key, b"", headers)

    def read(self, message: PageMessage) -> tuple[str, Entry]:
        """Return the key of a message of the stream, and what it has."""
        value = None if _is_gone(message.headers) else message.payload
        return message.subject.removeprefix(self._prefix), Entry(value, message.seq)


def _is_gone(block: bytes) -> bool:
    return _OPERATION in headers_of(block)
