"""Reads parts of a stream without a consumer, by direct gets: each replica answers them (ADR-31)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from twisted.internet.defer import Deferred

from hubbub import limits
from hubbub.service.cluster.jetstream import API, SEQUENCE, JetStream
from hubbub.service.cluster.jetstream_errors import JetStreamError, Unavailable
from hubbub.service.cluster.ordered_consumer import headers_of

_END, _NONE = "204", "404"
_SUBJECT = "Nats-Subject"


class PageMessage(NamedTuple):
    """A message of a stream. headers: their block."""

    subject: str
    payload: bytes
    headers: bytes
    seq: int


class _Page:
    """The messages that answer one request."""

    def __init__(self) -> None:
        self.done: Deferred[Sequence[PageMessage]] = Deferred()
        self._messages: list[PageMessage] = []

    def take(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
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
            self._messages.append(PageMessage(headers[_SUBJECT], payload, block, int(headers[SEQUENCE])))


async def read_page(
    jetstream: JetStream, reactor: object, stream: str, subject: str, after: int
) -> Sequence[PageMessage]:
    """Return the first messages of a stream on a subject, which may have wildcards, behind sequence `after`.

    None: there are no more. Raises Unavailable.
    """
    page, connection = _Page(), jetstream.connection
    inbox = f"_INBOX.{stream}.{id(page):x}"
    listening = connection.listen(inbox, page.take)
    body = {
        "seq": after + 1,
        "next_by_subj": subject,
        "batch": limits.HISTORY_PAGE_MESSAGES,
        "max_bytes": limits.HISTORY_PAGE_BYTES,
    }
    connection.publish(f"{API}.DIRECT.GET.{stream}", msgspec.json.encode(body), inbox)
    page.done.addTimeout(limits.CLUSTER_REQUEST_SECONDS, reactor)  # type: ignore[arg-type]
    try:
        return await page.done
    except JetStreamError:
        raise
    except Exception as error:
        raise Unavailable("JetStream doesn't answer in time") from error
    finally:
        listening.end()
