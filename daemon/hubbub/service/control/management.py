"""The hub managed by messages: requests on `$hubbub/NAME`, for clients whose permissions have `allow.manage`.

    $hubbub/status      {}                                     the daemon, in short
    $hubbub/listeners   {}                                     each listener, with its counters
    $hubbub/connectors  {}                                     each connector, with its state
    $hubbub/links       {"after": 0, "limit": 100, "listener": "web", "host": "10.0.0.0/8"}
    $hubbub/kick        {"link": 7}, or "user", "client", "host", "listener"
    $hubbub/reload      {}

Request and reply are JSON objects. A page of links has at most `limit` of them; "next" is `after` for the next page.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import ConfigError, Refusal
from hubbub.kernel.routing.requests import MANAGED, Done
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.publish import Request
from hubbub.service.control import status
from hubbub.service.control.link_selector import LinkSelector
from hubbub.service.control.requests import kick

_log = Logger(namespace="hubbub.manage")


class LinkIndex:
    """The sessions of all links in the order of their ids, so that a page of them begins anywhere (a watcher)."""

    def __init__(self) -> None:
        self._ids: list[int] = []  # also of some that have gone
        self._sessions: dict[int, Session] = {}

    def joined(self, session: Session) -> None:
        """A session is there."""
        if session.id:
            self._sessions[session.id] = session
            insort(self._ids, session.id)

    def left(self, session: Session) -> None:
        """A session has gone."""
        self._sessions.pop(session.id, None)
        if len(self._ids) > 2 * len(self._sessions) + limits.MANAGED_LINKS:
            self._ids = [id for id in self._ids if id in self._sessions]

    def page(self, after: int) -> Iterator[tuple[int, Any]]:
        """Yield (id, link), some of them None, behind the id `after`: at most limits.MANAGED_LINKS."""
        start = bisect_right(self._ids, after)
        for id in self._ids[start : start + limits.MANAGED_LINKS]:
            session = self._sessions.get(id)
            yield id, None if session is None else session.link


class Management:
    """Replies to requests that manage a daemon."""

    def __init__(self, running: Any) -> None:
        self._index = LinkIndex()
        self._running = running
        running.hub.subscriptions.watchers.append(self._index)
        self._commands: dict[str, Callable[[dict[str, Any]], Any]] = {
            "status": self._status, "listeners": self._listeners, "connectors": self._connectors, "links": self._links,
            "kick": self._kick, "reload": self._reload,
        }  # fmt: skip

    def answer(self, request: Request, done: Done) -> None:
        """Reply to a request (kernel.routing.requests.Requests.manager)."""
        command = self._commands.get(request.topic.removeprefix(MANAGED))
        if command is None:
            done(Refusal("nobody", f"the hub knows {', '.join(self._commands)} here"))
            return
        result: Deferred[Any] = maybeDeferred(lambda: command(_object(request.payload)))
        result.addCallbacks(lambda found: done(_reply(request.topic, found)), lambda failure: done(_refusal(failure)))

    def _status(self, asked: dict[str, Any]) -> dict[str, Any]:
        hub = self._running.hub
        return {
            "version": status.installed_version(),
            "pid": os.getpid(),
            "uptime": round(hub.turn.now() - hub.turn.began, 3),
            "links": sum(len(context.links) for context in status.contexts_of(self._running)),
            "topics": status.topics(hub),
            "sessions": {"away": hub.clients.away, "queued": hub.clients.queued, "bytes": hub.clients.queued_bytes},
            "counters": status.counters(hub),
        }

    def _listeners(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"listeners": [_place(one, str(one)) for one in self._running.listeners]}

    def _connectors(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "connectors": [
                {**_place(one, str(one.config.remote)), "state": str(one.state)} for one in self._running.connectors
            ]
        }

    def _links(self, asked: dict[str, Any]) -> dict[str, Any]:
        after, most = _number(asked, "after", 0), min(_number(asked, "limit", 100), limits.MANAGED_LINKS)
        selector = LinkSelector(self._running, asked)
        found: list[dict[str, Any]] = []
        looked = 0
        for id, one in self._index.page(after):
            looked, after = looked + 1, id
            if one is not None and selector.has(one):
                found.append(status.link(one))
                if len(found) >= most:
                    break
        ended = looked < limits.MANAGED_LINKS and len(found) < most
        return {"links": found, "next": None if ended else after}

    def _kick(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"kicked": kick(self._running, asked)}

    def _reload(self, asked: dict[str, Any]) -> Deferred[dict[str, Any]]:
        reloaded: Deferred[Any] = self._running.reload()
        return reloaded.addCallback(lambda what: {"changed": what})


def _place(one: Any, where: str) -> dict[str, Any]:
    """Describe a listener or a connector without a look at each of its links."""
    context = one.context
    return {
        "id": context.name, "transport": context.dialect_context.transport, "dialect": one.config.dialect,
        "where": where.partition(" ")[2], "links": len(context.links), "opened": context.opened,
        "received": context.received, "received_bytes": context.received_bytes,
        "refused": dict(context.refused), "cut": dict(context.cut),
    }  # fmt: skip


def _object(payload: bytes) -> dict[str, Any]:
    """Read a request. Raises Refusal."""
    try:
        found = json.loads(payload or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal("bad-payload", "a request to the hub is a JSON object, such as {}")
    return found


def _number(asked: dict[str, Any], name: str, usual: int) -> int:
    """Read a number, which a URL has as text. Raises Refusal."""
    value = asked.get(name, usual)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < 2**63:
        raise Refusal("bad-payload", f"{name} is a number from 0 on")
    return number


def _reply(topic: str, found: dict[str, Any]) -> Message:
    return Message(topic, json.dumps(found).encode(), content_type="application/json")


def _refusal(failure: Failure) -> Refusal:
    error = failure.value
    if isinstance(error, Refusal):
        return Refusal(error.code, error.reason)
    if isinstance(error, ConfigError):
        return Refusal("bad-command", str(error))
    _log.failure("a request to the hub failed", failure)
    return Refusal("internal", "the hub failed; its log says why")
