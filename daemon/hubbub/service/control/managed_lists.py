"""The lists of `$hubbub/`: links, topics, retained messages, subscriptions, each by pages that are short to make.

What a client may not receive is left out of topics and retained messages. Of a level that it may receive only in part
there is the name alone.
"""

from __future__ import annotations

import base64
import re
from itertools import islice
from typing import Any

from hubbub import limits
from hubbub.errors import BadTopic, Refusal
from hubbub.kernel.sessions.session import Rights, Session
from hubbub.message import Message, is_utf8
from hubbub.service.control import status
from hubbub.service.control.link_selector import LinkSelector
from hubbub.service.control.topic_counts import Level, TopicCounts
from hubbub.topics import check_topic

Asked = dict[str, Any]
_PAGE = 100  # rows of a page, unless the request says how many
_AFTER = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,16}))?")  # a link, and how many of its subscriptions; http_openapi.py


class ManagedLists:
    """Makes the pages. Each method takes the request and its sender, and raises Refusal or ConfigError."""

    def __init__(self, running: Any) -> None:
        self._running = running
        self._counts = TopicCounts(running.hub)

    def links(self, asked: Asked, session: Session) -> dict[str, Any]:
        """Return a page of links."""
        after, most = number(asked, "after", 0), _most(asked)
        selector = LinkSelector(self._running, asked)
        page = Page(most)
        looked = 0
        for id, link in self._running.links.page(after):
            looked, after = looked + 1, id
            if link is not None and selector.has(link):
                page.add(status.link(link), link.session.client or "", link.session.user or "")
                if page.full:
                    break
        ended = looked < limits.MANAGED_LINKS and not page.full
        return {"links": page.rows, "next": None if ended else after}

    def subscriptions(self, asked: Asked, session: Session) -> dict[str, Any]:
        """Return a page of the subscriptions of all links, or of one; `after` is "LINK.COUNT"."""
        only, most = number(asked, "link", 0), _most(asked)
        after = _AFTER.fullmatch(str(asked.get("after") or only))
        if after is None:
            raise Refusal("bad-payload", "after is the `next` of the page before, such as 7.0")
        begin, at = int(after[1]), int(after[2] or 0)
        page = Page(most)
        looked, last = 0, 0
        for id, link in self._running.links.page(begin - 1):
            looked, last = looked + 1, id
            if only and id != only:
                return {"subscriptions": page.rows, "next": None}
            at = at if id == begin else 0
            for subscription in islice(() if link is None else (link.session.subscriptions or {}).values(), at, None):
                if page.full:
                    return {"subscriptions": page.rows, "next": f"{id}.{at}"}
                filter = subscription.wish.filter
                page.add({"link": id, "filter": filter, "qos": subscription.wish.qos}, filter)
                at += 1
        return {"subscriptions": page.rows, "next": f"{last + 1}.0" if looked == limits.MANAGED_LINKS else None}

    def topics(self, asked: Asked, session: Session) -> dict[str, Any]:
        """Return a page of the levels below a topic, or of the topics there that have a text in them, with counts."""
        counts, text = self._counts, asked.get("search")
        page = self._search(str(text), asked, session) if text else self._levels(asked, session)
        return {**page, "since": counts.since, "now": self._running.hub.turn.wall(), "missed": counts.missed}

    def _levels(self, asked: Asked, session: Session) -> dict[str, Any]:
        below, after, most = _below(asked), number(asked, "after", 0), _most(asked)
        level = self._counts.look() if below is None else self._counts.at(below)
        page = Page(most)
        at = after
        for one in islice([] if level is None else level.rows, after, after + limits.MANAGED_LINKS):
            if page.full:
                break
            at += 1
            topic = one.name if below is None else f"{below}/{one.name}"
            page.add(_row(one, topic, session.rights), topic)
        return {"topics": page.rows, "next": at if level is not None and at < len(level.rows) else None}

    def _search(self, text: str, asked: Asked, session: Session) -> dict[str, Any]:
        below, after, most = _below(asked), number(asked, "after", 0), _most(asked)
        start = "" if below is None else f"{below}/"
        self._counts.look()
        topics = self._counts.topics
        page = Page(most)
        at = after
        for topic in islice(topics, after, after + limits.MANAGED_TOPICS):
            if page.full:
                break
            at += 1
            if text in topic and topic.startswith(start):
                page.add(_row(self._counts.path(topic)[-1], topic, session.rights), topic)
        return {"topics": page.rows, "next": at if at < len(topics) else None}

    def retained(self, asked: Asked, session: Session) -> dict[str, Any]:
        """Return a page of the levels below a topic that have retained messages, or levels with such below them."""
        below, after, most = _below(asked), number(asked, "after", 0), _most(asked)
        page = Page(most)
        levels = self._running.hub.retained.children(below, after)
        for number_, name, message, children in islice(levels, limits.MANAGED_LINKS):
            if page.full:
                return {"retained": page.rows, "next": after}
            after = number_
            topic = name if below is None else f"{below}/{name}"
            whole, own = _may_see(topic, children, session.rights)
            row = None
            if whole or own or _overlaps(topic, session.rights):
                value = _value(message) if message is not None and own else {}
                row = {"level": name, "topic": topic, "children": children, **value}
            page.add(row, topic)
        return {"retained": page.rows, "next": after if next(levels, None) is not None else None}


class Page:
    """Rows of one answer, until they are as many as it may have, or their names as long as what one flush sends."""

    def __init__(self, most: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self._most = most
        self._size = 0

    def add(self, row: dict[str, Any] | None, *names: str) -> None:
        """Add a row, if it is for the client; `names` were looked at in any case."""
        self._size += sum(map(len, names))
        if row is not None:
            self.rows.append(row)

    @property
    def full(self) -> bool:
        """Whether the next rows are for another page."""
        return len(self.rows) >= self._most or self._size >= limits.FLUSH_BYTES


def number(asked: Asked, name: str, usual: int) -> int:
    """Read a number, which a URL has as text. Raises Refusal."""
    value = asked.get(name, usual)
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number <= limits.MANAGED_NUMBER:
        raise Refusal("bad-payload", f"{name} is a number from 0 to {limits.MANAGED_NUMBER}")
    return number


def _most(asked: Asked) -> int:
    return max(1, min(number(asked, "limit", _PAGE), limits.MANAGED_LINKS))


def _below(asked: Asked) -> str | None:
    """Return the topic whose levels are wanted; None: the first levels; "": those of /a. Raises BadTopic."""
    below = asked.get("below")
    if below is None:
        return None
    if not isinstance(below, str):
        raise BadTopic("below is a topic")
    return below and check_topic(below)


def _may_see(topic: str, children: int, rights: Rights | None) -> tuple[bool, bool]:
    """Tell whether all that is below a topic, and whether the topic itself may come to a client."""
    if topic[:1] == "$":
        return False, False
    if rights is None:
        return True, True
    if children and rights.receives(f"{topic}/#"):
        return True, True
    own = rights.receives(topic)
    return own and not children, own


def _overlaps(topic: str, rights: Rights | None) -> bool:
    return topic[:1] != "$" and (rights is None or rights.overlaps(f"{topic}/#"))


def _row(level: Level, topic: str, rights: Rights | None) -> dict[str, Any] | None:
    """Describe a level; None: it isn't for that client."""
    children = len(level.rows)
    whole, own = _may_see(topic, children, rights)
    if not (whole or own or _overlaps(topic, rights)):
        return None
    row: dict[str, Any] = {"level": level.name, "topic": topic, "children": children}
    if whole:
        row["messages"] = level.messages
    if own and level.payload is not None:
        row |= {**_payload(level.payload, level.size), "time": level.time, "retained": level.retained}
    return row


def _value(message: Message) -> dict[str, Any]:
    payload = message.payload[: limits.COUNTED_VALUE_BYTES]
    kind = {} if message.content_type is None else {"content_type": message.content_type}
    return {**_payload(payload, len(message.payload)), "time": message.time, **kind}


def _payload(payload: bytes, size: int) -> dict[str, Any]:
    """Show the first bytes of a payload of `size` bytes as text, or in base64 where they are none."""
    for cut in range(4 if len(payload) < size else 1):  # the end may be in the midst of a character
        if is_utf8(payload[: len(payload) - cut]):
            return {"data": payload[: len(payload) - cut].decode(), "size": size}
    return {"base64": base64.b64encode(payload).decode(), "size": size}
