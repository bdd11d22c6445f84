"""How a node joins the stream: both streams are there, and the retained messages are read.

JetStream copies the second stream from the first, some milliseconds later. So the node reads the second one, and of the
first what that may not have yet; from the end of the first, as it was at the beginning, it goes on live.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred

from hubbub import limits
from hubbub.service.cluster.jetstream import NANOSECONDS, JetStream, StreamConfig, StreamInfo, StreamSource
from hubbub.service.cluster.jetstream_errors import JetStreamError
from hubbub.service.cluster.ordered_consumer import OrderedConsumer, StreamMessage
from hubbub.service.cluster.stream_pages import read_page
from hubbub.service.cluster.wire import headers_of
from hubbub.service.config.cluster import ClusterConfig

_BATCHES_SINCE = (2, 15, 0)  # versions of nats-server before have batches with a deadlock, or none
_SOURCE = "Nats-Stream-Source"  # the stream and the sequence that a copy has there


class StreamNames(NamedTuple):
    """What the streams of a cluster are called. No topic has a subject with `+`, so no live message gets there.

    messages, retained  the streams; message, retain: what begins the subjects of plain and of retained messages
    owner               what begins those that say which session has a message of a group
    """

    messages: str
    retained: str
    message: str
    retain: str
    owner: str

    @classmethod
    def of(cls, cluster: str) -> StreamNames:
        """Return the names for a cluster."""
        return cls(f"{cluster}_messages", f"{cluster}_retained", f"{cluster}+m.", f"{cluster}+r.", f"{cluster}+o.")


class TakesRetained(Protocol):
    """Takes the retained messages of the cluster."""

    def retained(self, subject: str, payload: bytes, headers: bytes) -> None: ...


def has_batches(version: str) -> bool:
    """Return whether a nats-server of that version has fast batches (service.cluster.publisher)."""
    numbers = version.partition("-")[0].split(".")
    return all(map(str.isdigit, numbers)) and tuple(map(int, numbers)) >= _BATCHES_SINCE


async def make_streams(jetstream: JetStream, names: StreamNames, config: ClusterConfig, batched: bool) -> StreamInfo:
    """Have both streams made, and return the first one as it is now. Raises JetStreamError.

    batched  whether the first one is to take fast batches
    """
    messages = StreamConfig(
        name=names.messages,
        subjects=(f"{names.message}>", f"{names.retain}>", f"{names.owner}>"),
        num_replicas=config.replicas,
        max_age=round(config.stream_age * NANOSECONDS),
        max_bytes=config.stream_bytes,
        duplicate_window=round(limits.CLUSTER_DUPLICATES_SECONDS * NANOSECONDS),
        allow_direct=True,
        allow_batched=batched,
        allow_msg_ttl=True,
    )
    retained = StreamConfig(
        name=names.retained,
        sources=(StreamSource(names.messages, f"{names.retain}>"),),
        num_replicas=config.replicas,
        max_msgs_per_subject=1,
        allow_direct=True,
        allow_msg_ttl=True,
    )
    await jetstream.ensure_stream(messages)
    await jetstream.ensure_stream(retained)
    return await jetstream.stream_info(names.messages)


class _Reading:
    """Reads the second stream once (ordered_consumer.Reader)."""

    def __init__(self, takes: TakesRetained) -> None:
        self.done: Deferred[None] = Deferred()
        self.source = 0
        self._takes = takes

    def received(self, message: StreamMessage) -> None:
        words = headers_of(message.headers).get(_SOURCE, "").split(" ")
        if len(words) > 1 and words[1].isdigit():
            self.source = max(self.source, int(words[1]))
        self._takes.retained(message.subject.decode(), message.payload, message.headers)

    def caught_up(self) -> None:
        if not self.done.called:
            self.done.callback(None)

    def wiped(self, info: StreamInfo) -> None: ...
    def failing(self, error: JetStreamError | None) -> None: ...


async def read_retained(
    jetstream: JetStream, reactor: Any, names: StreamNames, until: int, takes: TakesRetained
) -> None:
    """Read all retained messages as they were when the first stream ended with sequence `until`, or later.

    Raises Unavailable.
    """
    reading = _Reading(takes)
    consumer = OrderedConsumer(jetstream, reactor, names.retained, [f"{names.retain}>"], reading)
    consumer.start()
    try:
        await reading.done
    finally:
        consumer.stop()
    at = reading.source
    while at < until:
        page = await read_page(jetstream, reactor, names.messages, f"{names.retain}>", at)
        if not page:
            break
        for message in page:
            takes.retained(message.subject, message.payload, message.headers)
        at = page[-1].seq
