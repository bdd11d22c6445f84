"""Reads parts of a stream without a consumer, by direct gets: each replica answers them (ADR-31)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from twisted.internet import defer
from twisted.internet.defer import Deferred

from hubbub import limits
from hubbub.service.cluster.jetstream import API, SEQUENCE, JetStream
from hubbub.service.cluster.jetstream_errors import Unavailable
from hubbub.service.cluster.wire import headers_of, new_inbox

_END, _NONE = "204", "404"
_SUBJECT = "Nats-Subject"
_TIME = "Nats-Time-Stamp"


class PageMessage(NamedTuple):
    """A message of a stream. headers: their block; time: Unix seconds when the stream got it."""

    subject: str
    payload: bytes
    headers: bytes
    seq: int
    time: float


class _Page:
    """The messages that answer one request."""

    def __init__(self) -> None:
        self.done: Deferred[Sequence[PageMessage]] = Deferred()
        self._messages: list[PageMessage] = []

    def take(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        """Take one message, or the end."""
        if self.done.called:
            return
        headers = headers_of(block)
        status = headers.get("Status", "")
        if status in (_END, _NONE):
            self.done.callback(self._messages)
        elif status or SEQUENCE not in headers:
            why = headers.get("Description", "it has no leader now")
            self.done.errback(Unavailable(f"JetStream can't read the stream: {why}"))
        else:
            self._messages.append(_page_message(payload, block, headers))


def _page_message(payload: bytes, block: bytes, headers: Mapping[str, str]) -> PageMessage:
    time = datetime.fromisoformat(headers[_TIME]).timestamp()
    return PageMessage(headers[_SUBJECT], payload, block, int(headers[SEQUENCE]), time)


async def read_page(jetstream: JetStream, reactor: Any, stream: str, subject: str, after: int) -> Sequence[PageMessage]:
    """Return the first messages of a stream on a subject, which may have wildcards, behind sequence `after`.

    None: the replica that answers has no more. Raises Unavailable.
    """
    page, connection, inbox = _Page(), jetstream.connection, new_inbox()
    listening = connection.listen(inbox, page.take)
    body = {
        "seq": after + 1,
        "next_by_subj": subject,
        "batch": limits.HISTORY_PAGE_MESSAGES,
        "max_bytes": limits.HISTORY_PAGE_BYTES,
    }
    connection.publish(f"{API}.DIRECT.GET.{stream}", msgspec.json.encode(body), inbox)
    page.done.addTimeout(limits.CLUSTER_REQUEST_SECONDS, reactor)
    try:
        return await page.done
    except defer.TimeoutError:
        raise Unavailable("JetStream doesn't answer in time") from None
    finally:
        listening.end()


async def read_on(
    jetstream: JetStream, reactor: Any, stream: str, subject: str, after: int, known: int
) -> Sequence[PageMessage]:
    """Return the same, or the next message alone from the leader where the replica that answers is behind.

    None: the stream has no more. `known`: see read_one. Raises JetStreamError.
    """
    page = await read_page(jetstream, reactor, stream, subject, after)
    if page:
        return page
    found = await read_one(jetstream, stream, subject, after + 1, known)
    return () if found is None else (found,)


async def read_one(jetstream: JetStream, stream: str, subject: str, seq: int, known: int) -> PageMessage | None:
    """Return the first message on a subject from a sequence on, as the leader has it. Raises JetStreamError.

    known  the sequence up to which this node has read: a server that lacks some of that was the leader before, and its
           word for the end of the stream isn't enough: Unavailable
    """
    found = await jetstream.next(stream, subject, seq)
    if found is None:
        if (await jetstream.stream_info(stream)).state.last_seq < known:
            raise Unavailable("the server that answers isn't the leader any more")
        return None
    return PageMessage(found.subject, found.data, found.hdrs, found.seq, found.time.timestamp())
