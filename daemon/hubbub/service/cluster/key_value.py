"""A key-value bucket: a stream with one message a key, which writers change only as they know it.

The same as other NATS clients make it (ADR-8 of nats-architecture-and-design), so that `nats kv` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from hubbub import limits
from hubbub.service.cluster.jetstream import EXPECTED_SEQUENCE, NANOSECONDS, JetStream, StreamConfig, StreamInfo
from hubbub.service.cluster.jetstream_errors import Conflict, JetStreamError
from hubbub.service.cluster.ordered_consumer import OrderedConsumer, StreamMessage
from hubbub.service.cluster.wire import NO_HEADERS, headers_of

_OPERATION = "KV-Operation"
_DELETED = {_OPERATION: "DEL"}
_GONE = ("DEL", "PURGE")
_MARKER = "Nats-Marker-Reason"  # the server itself writes such a message where a value's time is over
_TTL = "Nats-TTL"
_KEY = re.compile(r"[-/_=.a-zA-Z0-9]+")


class Entry(NamedTuple):
    """A key as it is. value: None where it was deleted; revision: grows with each write to the bucket."""

    key: str
    value: bytes | None
    revision: int


class Watcher(Protocol):
    """Follows a bucket. It may raise nothing."""

    def changed(self, entry: Entry) -> None:
        """A key has that value now."""

    def caught_up(self) -> None:
        """All keys that are there now were reported; called again after each interruption."""

    def wiped(self) -> None:
        """The bucket isn't the same one: forget all keys, what it has now follows."""

    def failing(self, error: JetStreamError | None) -> None:
        """Nothing can be read for now; None: it can be read again."""


class KeyValue:
    """One bucket."""

    def __init__(self, jetstream: JetStream, bucket: str) -> None:
        self.stream = f"KV_{bucket}"
        self._jetstream = jetstream
        self._prefix = f"$KV.{bucket}."

    async def ensure(self, replicas: int) -> StreamInfo:
        """Make the bucket, if it isn't there. Raises JetStreamError, as the others below."""
        config = StreamConfig(
            name=self.stream,
            subjects=(f"{self._prefix}>",),
            num_replicas=replicas,
            max_msgs_per_subject=1,
            duplicate_window=round(limits.CLUSTER_DUPLICATES_SECONDS * NANOSECONDS),
            allow_direct=True,
            discard="new",
            allow_rollup_hdrs=True,
            deny_delete=True,
            allow_msg_ttl=True,
            subject_delete_marker_ttl=round(limits.CLUSTER_MARKER_SECONDS * NANOSECONDS),
        )
        return await self._jetstream.ensure_stream(config)

    async def get(self, key: str) -> Entry | None:
        """Return a key as the leader has it; None: it was never there, or it is deleted."""
        found = await self._jetstream.last(self.stream, self._subject(key))
        if found is None:
            return None
        revision, value, headers = found
        return None if _is_gone(headers) else Entry(key, value, revision)

    async def put(self, key: str, value: bytes) -> int:
        """Set a key, whatever it was. Returns its revision."""
        return await self._write(key, value, NO_HEADERS)

    async def create(self, key: str, value: bytes, seconds: float = 0.0) -> int:
        """Set a key that isn't there; with `seconds` it ends by itself. Returns its revision. Raises Conflict."""
        try:
            return await self.update(key, value, 0, seconds)
        except Conflict:
            found = await self._jetstream.last(self.stream, self._subject(key))
            if found is None or not _is_gone(found[2]):
                raise
        return await self.update(key, value, found[0], seconds)

    async def update(self, key: str, value: bytes, revision: int, seconds: float = 0.0) -> int:
        """Set a key whose newest revision is that one. Returns the next. Raises Conflict where it isn't."""
        headers = {EXPECTED_SEQUENCE: str(revision)}
        if seconds:
            headers[_TTL] = f"{max(1, round(seconds))}s"
        return await self._write(key, value, headers)

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Delete a key; with `revision` raises Conflict where that isn't its newest."""
        headers = _DELETED if revision is None else {**_DELETED, EXPECTED_SEQUENCE: str(revision)}
        await self._write(key, b"", headers)

    def watch(self, reactor: Any, keys: str, watcher: Watcher) -> OrderedConsumer:
        """Return what reports all keys that match `keys` (`>`: all), and each change of them, once it is started."""
        return OrderedConsumer(
            self._jetstream, reactor, self.stream, [self._prefix + keys], _Reports(self._prefix, watcher)
        )

    async def _write(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        return (await self._jetstream.publish(self._subject(key), value, headers)).seq

    def _subject(self, key: str) -> str:
        if not _KEY.fullmatch(key) or key[0] == "." or key[-1] == ".":
            raise ValueError(f"a key has letters, digits, and - / _ = . within: {key!r}")
        return self._prefix + key


def _is_gone(block: bytes) -> bool:
    """Return whether a block of headers says that there is no value."""
    headers = headers_of(block)
    return headers.get(_OPERATION) in _GONE or _MARKER in headers


class _Reports:
    """Makes entries of messages (ordered_consumer.Reader)."""

    def __init__(self, prefix: str, watcher: Watcher) -> None:
        self._prefix = prefix
        self._watcher = watcher
        self.caught_up = watcher.caught_up
        self.failing = watcher.failing

    def received(self, message: StreamMessage) -> None:
        value = None if _is_gone(message.headers) else message.payload
        self._watcher.changed(Entry(message.subject.decode().removeprefix(self._prefix), value, message.seq))

    def wiped(self, info: StreamInfo) -> None:
        self._watcher.wiped()
