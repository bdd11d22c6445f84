"""The JSON API of JetStream, as far as the cluster needs it: streams, and where their messages are.

https://docs.nats.io/reference/reference-protocols/nats_api_reference, and ADR-1 of nats-architecture-and-design.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec

from hubbub.service.cluster.jetstream_errors import (
    NO_MESSAGE_FOUND,
    STREAM_NAME_IN_USE,
    JetStreamError,
    Unavailable,
    error_of,
)
from hubbub.service.cluster.wire import NO_HEADERS, Connection, Received

API = "$JS.API"
NO_RESPONDERS = "503"
NANOSECONDS = 1_000_000_000

MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
SEQUENCE = "Nats-Sequence"


class _Error(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None


class StreamSource(msgspec.Struct):
    """A stream whose messages on some subjects are copied, in their order."""

    name: str
    filter_subject: str


class StreamConfig(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A stream. Times are nanoseconds; what has its default is left to the server.

    max_msgs_per_subject  1: it keeps the last message of each subject
    duplicate_window      how long a `Nats-Msg-Id` is remembered
    allow_direct          whether each replica answers reads
    allow_batched         whether it takes fast batches
    discard               what goes when it is full: "old" messages, or the "new" one, which is refused
    subject_delete_marker_ttl  how long it keeps the message that says that a subject's last one has gone by its time
    """

    name: str
    subjects: tuple[str, ...] = ()
    sources: tuple[StreamSource, ...] = ()
    num_replicas: int = 1
    storage: str = ""
    max_bytes: int = 0
    max_age: int = 0
    max_msgs_per_subject: int = 0
    duplicate_window: int = 0
    allow_direct: bool = False
    allow_batched: bool = False
    discard: str = ""
    allow_msg_ttl: bool = False
    subject_delete_marker_ttl: int = 0


class StreamState(msgspec.Struct):
    """What a stream has. An empty one has a `first_seq` of `last_seq` + 1."""

    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0


class Peer(msgspec.Struct):
    """A replica of a stream beside its leader. lag: writes that it doesn't have yet."""

    name: str = ""
    current: bool = False
    offline: bool = False
    lag: int = 0


class StreamCluster(msgspec.Struct):
    """Where a stream is."""

    leader: str = ""
    replicas: tuple[Peer, ...] = ()


class StreamInfo(msgspec.Struct):
    """A stream as it is now. created: when, which no later stream of that name shares."""

    created: str
    config: StreamConfig
    state: StreamState
    cluster: StreamCluster = msgspec.field(default_factory=StreamCluster)

    @property
    def epoch(self) -> str:
        """The identity of the stream's messages: one that was deleted and made again has another."""
        digest = hashlib.blake2b(f"{self.config.name} {self.created}".encode(), digest_size=10).digest()
        return base64.b32encode(digest).decode().lower()


class PubAck(msgspec.Struct):
    """A message is stored, by a majority of the replicas. duplicate: it was there already, under `seq`."""

    stream: str
    seq: int
    duplicate: bool = False


class Stored(msgspec.Struct):
    """A message of a stream, as its leader has it."""

    subject: str
    seq: int
    time: datetime
    data: bytes = b""
    hdrs: bytes = b""


class _StoredAnswer(msgspec.Struct):
    message: Stored


_T = TypeVar("_T")
_error_of = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.encode


def decode(answer: Received, kind: type[_T]) -> _T:
    """Read the answer to a request. Raises JetStreamError."""
    if answer.status == NO_RESPONDERS:
        raise Unavailable("JetStream doesn't answer: it is off, or has no leader now; `nats-server -js` has it")
    try:
        error = _error_of(answer.payload).error
        if error is None:
            return msgspec.json.decode(answer.payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise JetStreamError(f"JetStream's answer to {kind.__name__} can't be read") from None
    raise error_of(error.code, error.err_code, error.description)


class JetStream:
    """The API over one connection. Each call raises JetStreamError, Unavailable where it may succeed later."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def call(self, verb: str, body: object, kind: type[_T]) -> _T:
        """Send a request, and return its answer as a `kind`."""
        data = b"" if body is None else _encode(body)
        return decode(await self._ask(f"{API}.{verb}", data), kind)

    async def _ask(self, subject: str, data: bytes, headers: Mapping[str, str] = NO_HEADERS) -> Received:
        try:
            return await self.connection.request(subject, data, headers)
        except TimeoutError:
            raise Unavailable("JetStream doesn't answer in time") from None

    # Streams

    async def ensure_stream(self, config: StreamConfig) -> StreamInfo:
        """Make a stream, or give one that is there this configuration."""
        try:
            return await self.call(f"STREAM.CREATE.{config.name}", config, StreamInfo)
        except JetStreamError as error:
            if error.code != STREAM_NAME_IN_USE:
                raise
        return await self.call(f"STREAM.UPDATE.{config.name}", config, StreamInfo)

    async def stream_info(self, name: str) -> StreamInfo:
        """Return a stream as it is now."""
        return await self.call(f"STREAM.INFO.{name}", None, StreamInfo)

    # Messages

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] = NO_HEADERS) -> PubAck:
        """Store one message. Raises Conflict where an expected sequence isn't that of the subject's last message."""
        return decode(await self._ask(subject, payload, headers), PubAck)

    async def last(self, stream: str, subject: str) -> tuple[int, bytes, bytes] | None:
        """Return sequence, payload and header block of the last message of a subject, as the leader has it."""
        try:
            stored = (await self.call(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, _StoredAnswer)).message
        except JetStreamError as error:
            if error.code != NO_MESSAGE_FOUND:
                raise
            return None
        return stored.seq, stored.data, stored.hdrs

    async def next(self, stream: str, subject: str, seq: int) -> Stored | None:
        """Return the first message from `seq` on of a subject, which may have wildcards, as the leader has it."""
        try:
            body = {"seq": seq, "next_by_subj": subject}
            return (await self.call(f"STREAM.MSG.GET.{stream}", body, _StoredAnswer)).message
        except JetStreamError as error:
            if error.code != NO_MESSAGE_FOUND:
                raise
            return None
