"""The hub managed by messages: requests on `$hubbub/NAME`, for clients whose permissions have `allow.manage`.

    $hubbub/status         {}                                  the daemon, in short
    $hubbub/listeners      {}                                  each listener, with its counters
    $hubbub/connectors     {}                                  each connector, with its state
    $hubbub/cluster        {}                                  all nodes of the cluster, as they describe themselves
    $hubbub/plugins        {}                                  plugins and handlers, with their errors
    $hubbub/links          {"after": 0, "limit": 100, "listener": "web", "host": "10.0.0.0/8"}
    $hubbub/subscriptions  {"after": "7.0", "limit": 100, "link": 7}
    $hubbub/topics         {"below": "plant", "after": 0, "limit": 100}, also "search": "temp"
    $hubbub/retained       {"below": "plant", "after": 0, "limit": 100}
    $hubbub/kick           {"link": 7}, or "user", "client", "host", "listener"
    $hubbub/reload         {}

Request and reply are JSON objects. A page has at most `limit` rows, fewer of long names; "next" is
`after` for the next page.

Without `--permissions` each client may read topics and retained messages, which a subscription would bring it too.
Where there are no logins either, the clients of this machine may read the rest as well, as they may read the metrics.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub.errors import ConfigError, Refusal
from hubbub.kernel.routing.requests import MANAGED, Done
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.publish import Request
from hubbub.service.control import status
from hubbub.service.control.link_selector import UnknownListener
from hubbub.service.control.managed_lists import Asked, ManagedLists
from hubbub.service.control.requests import kick

_log = Logger(namespace="hubbub.manage")
_OPEN = ("topics", "retained")
_ACTIONS = ("kick", "reload")
_KICKED_BY = ("user", "client", "host", "listener")


class Management:
    """Replies to requests that manage a daemon."""

    def __init__(self, running: Any) -> None:
        self._running = running
        lists = ManagedLists(running)
        self._commands: dict[str, Callable[[Asked, Session], Any]] = {
            "status": self._status, "listeners": self._listeners, "connectors": self._connectors,
            "cluster": self._cluster, "plugins": self._plugins, "links": lists.links,
            "subscriptions": lists.subscriptions, "topics": lists.topics, "retained": lists.retained,
            "kick": self._kick, "reload": self._reload,
        }  # fmt: skip

    def answer(self, request: Request, done: Done) -> None:
        """Reply to a request (kernel.routing.requests.Requests.manager)."""
        name, session = request.topic.removeprefix(MANAGED), request.sender
        self._check(name, session)
        command = self._commands.get(name)
        if command is None:
            done(Refusal("no-responders", f"the hub's commands are {', '.join(self._commands)}"))
            return
        result: Deferred[Any] = maybeDeferred(lambda: command(_object(request.payload), session))
        result.addCallbacks(lambda found: done(_reply(request.topic, found)), lambda failure: done(_refusal(failure)))

    def _check(self, name: str, session: Session) -> None:
        """Check what a client may do that no permissions limit; those of others name the topic. Raises Refusal."""
        if session.rights is not None or name in _OPEN:
            return
        if name in _ACTIONS or self._running.settings.auth or not _is_local(session.host):
            raise Refusal("not-authorized", "managing the hub takes --permissions with allow.manage")

    def _status(self, asked: Asked, session: Session) -> dict[str, Any]:
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

    def _listeners(self, asked: Asked, session: Session) -> dict[str, Any]:
        return {"listeners": [_place(one, str(one)) for one in self._running.listeners]}

    def _connectors(self, asked: Asked, session: Session) -> dict[str, Any]:
        return {
            "connectors": [
                {**_place(one, str(one.remote)), "state": str(one.state)} for one in self._running.connectors
            ]
        }

    def _cluster(self, asked: Asked, session: Session) -> Deferred[dict[str, Any]]:
        if self._running.cluster is None:
            raise Refusal("no-responders", "this daemon is no node of a cluster")
        return status.look_around(self._running)

    def _plugins(self, asked: Asked, session: Session) -> dict[str, Any]:
        running = self._running
        return {
            "plugins": sorted(status.plugins(running)),
            "broken": [{"plugins": sorted(names), "error": why} for why, names in running.plugins.broken.items()],
            "handlers": [
                {
                    "id": one.id,
                    "name": one.handler.name,
                    "dropped": one.dropped,
                    "failed": one.failed,
                    "error": one.error,
                }
                for one in running.handlers.values()
            ],
        }

    def _kick(self, asked: Asked, session: Session) -> Deferred[dict[str, Any]]:
        if not asked or not all(_is_choice(*one) for one in asked.items()):
            raise Refusal("bad-payload", "name what to close: a link by its number, or user, client, host, listener")
        kicked: Deferred[Any] = kick(self._running, asked)
        return kicked.addCallback(lambda count: {"kicked": count})

    def _reload(self, asked: Asked, session: Session) -> Deferred[dict[str, Any]]:
        reloaded: Deferred[Any] = self._running.reload()
        return reloaded.addCallback(lambda what: {"changed": what})


def _is_choice(name: str, value: object) -> bool:
    """Whether a field of a kick chooses links: one that isn't understood could have meant fewer of them."""
    if name == "link":
        return type(value) in (int, float) and value % 1 == 0 <= value  # type: ignore[operator]
    return name in _KICKED_BY and isinstance(value, str)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _place(one: Any, where: str) -> dict[str, Any]:
    """Describe a listener or a connector without a look at each of its links."""
    context = one.context
    return {
        "id": context.name, "transport": context.dialect_context.transport, "dialect": one.config.dialect,
        "tls": context.dialect_context.secure, "where": where.partition(" ")[2],
        "links": len(context.links), "opened": context.opened,
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


def _reply(topic: str, found: dict[str, Any]) -> Message:
    return Message(topic, json.dumps(found).encode(), content_type="application/json")


def _refusal(failure: Failure) -> Refusal:
    error = failure.value
    if isinstance(error, Refusal):
        return Refusal(error.code, error.reason)
    if isinstance(error, UnknownListener):
        return Refusal("no-responders", str(error))
    if isinstance(error, ConfigError):
        return Refusal("bad-command", str(error))
    _log.failure("a request to the hub failed", failure)
    return Refusal("internal", "the hub failed; its log has the reason")
