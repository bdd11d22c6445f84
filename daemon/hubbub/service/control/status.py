"""What a running daemon tells of itself, as JSON: `hubbub status`, `hubbub top`."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from hubbub.errors import ConfigError
from hubbub.events import FIELDS
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.service.metrics.link_sums import Sums
from hubbub.service.metrics.process_metrics import open_descriptors
from hubbub.service.running import Running

_RTT_AT = 68  # bytes before tcpi_rtt


@cache
def installed_version() -> str:
    """Return the version of this hubbub."""
    try:
        return version("hubbub")
    except PackageNotFoundError:
        return "unknown"


def status(running: Running, sums: Sums) -> dict[str, Any]:
    """Describe a daemon: times in seconds, sizes in bytes, all else counts."""
    hub = running.hub
    contexts = list(sums)
    return {
        "version": installed_version(),
        "pid": os.getpid(),
        "uptime": round(hub.turn.now() - hub.turn.began, 3),
        "memory": _memory(),
        "descriptors": open_descriptors(),
        "links": sum(len(context.links) for context in contexts),
        "listeners": [_listener(one, sums) for one in running.listeners if one.context in sums],
        "connectors": [_connector(one, sums) for one in running.connectors if one.context in sums],
        "handlers": [
            {"id": one.id, "name": one.handler.name, "dropped": one.dropped, "failed": one.failed}
            for one in running.handlers.values()
        ],
        "metrics": running.settings.metrics,
        "plugins": sorted(plugins(running)),
        "topics": topics(hub),
        "outboxes": _outboxes(hub, sums),
        "busiest": _busiest(sums),
        "sessions": {"away": hub.clients.away, "queued": hub.clients.queued, "bytes": hub.clients.queued_bytes},
        "store": hub.clients.store.metrics(),
        "history": {} if hub.history is None else hub.history.metrics(),
        "cluster": None if running.cluster is None else running.cluster.status(),
        "counters": counters(hub),
        "refused": _sums(context.refused for context in contexts),
        "cut": _sums(context.cut for context in contexts),
    }


def about(running: Running) -> dict[str, Any]:
    """Describe a node in short: `up` and `lag` in seconds, `memory` in bytes, all else counts."""
    hub, cluster = running.hub, running.cluster
    assert cluster is not None
    numbers = hub.turn.counters
    return {
        "version": installed_version(), "up": round(hub.turn.now() - hub.turn.began, 1), "memory": _memory(),
        "links": sum(len(context.links) for context in contexts_of(running)),
        "subscriptions": hub.subscriptions.count, "published": numbers.published, "delivered": numbers.delivered,
        "dropped": numbers.dropped, "lag": cluster.connection.lag, "degraded": cluster.degraded,
    }  # fmt: skip


def look_around(running: Running) -> Deferred[dict[str, Any]]:
    """Fire with what all nodes tell of themselves. Raises ConfigError without a cluster."""
    cluster = running.cluster
    if cluster is None:
        raise ConfigError("this daemon is no node of a cluster: --cluster makes it one")
    return cluster.overview.look().addCallback(lambda rows: {"cluster": cluster.config.cluster, "nodes": rows})


def contexts_of(running: Running) -> Iterator[ListenerContext]:
    """Yield where links live."""
    for one in (*running.listeners, *running.connectors):
        yield one.context


def links_of(running: Running) -> Iterator[Link]:
    """Yield every open link, one that closes meanwhile too."""
    for context in contexts_of(running):
        yield from list(context.links)


def link(one: Link) -> dict[str, Any]:
    """Describe one link; `rtt` in seconds is what the kernel has measured, or None."""
    session, outbox = one.session, one.outbox
    return {
        "link": session.id,
        "listener": one.context.name,
        "transport": session.transport,
        "host": session.host,
        "port": session.port,
        "user": session.user,
        "client": session.client,
        "dialect": type(one.dialect).name,
        "subscriptions": len(session.subscriptions or ()),
        "waiting": outbox.depth()[1],
        "sent": outbox.sent,
        "dropped": outbox.dropped,
        "rtt": _rtt(one),
        "silent": round(one.hub.turn.now() - one.last_received, 1),
    }


def _rtt(one: Link) -> float | None:
    """Return the smoothed round-trip time of a TCP link (tcp(7), TCP_INFO: tcpi_rtt, in microseconds)."""
    sock = getattr(getattr(one.wire, "transport", None), "socket", None)
    if not isinstance(sock, socket.socket) or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_AT + 4)
    except OSError:
        return None
    return int.from_bytes(info[_RTT_AT:], sys.byteorder) / 1e6 if len(info) == _RTT_AT + 4 else None


def _listener(one: Any, sums: Sums) -> dict[str, Any]:
    return {**_place(one, sums), "where": str(one).partition(" ")[2]}


def _connector(one: Any, sums: Sums) -> dict[str, Any]:
    return {**_place(one, sums), "where": str(one.remote).partition(" ")[2], "state": str(one.state)}


def _place(one: Any, sums: Sums) -> dict[str, Any]:
    context: ListenerContext = one.context
    links = sums[context]
    return {
        "id": context.name,
        "transport": context.dialect_context.transport,
        "dialect": one.config.dialect,
        "links": len(context.links),
        "opened": context.opened,
        "received": context.received,
        "received_bytes": context.received_bytes,
        "sent": links.sent,
        "sent_bytes": links.sent_bytes,
        "waiting": links.waiting_bytes,
        "dropped": links.dropped,
        "refused": sum(context.refused.values()),
    }


def plugins(running: Running) -> set[str]:
    """Return the names of the dialects and handlers in use."""
    return {
        dialect.name for one in (*running.listeners, *running.connectors) for dialect in one.dialect_plan.dialects
    } | {one.handler.name for one in running.handlers.values()}


def topics(hub: Hub) -> dict[str, int]:
    """Return how many topics of each kind there are."""
    return {
        "routed": hub.router.routed,
        "subscriptions": hub.subscriptions.count,
        "retained": hub.retained.count,
        "retained_bytes": hub.retained.size,
    }


def counters(hub: Hub) -> dict[str, int]:
    """Return the counters of a hub."""
    return {name: getattr(hub.turn.counters, name) for name in getattr(type(hub.turn.counters), FIELDS)}


def _outboxes(hub: Hub, sums: Sums) -> dict[str, Any]:
    """Return how many bytes wait, for which link the most, and what takes memory for links that don't read."""
    worst = max((one.worst for one in sums.values() if one.worst), key=lambda link: link.outbox.size, default=None)
    return {
        "waiting": sum(one.outbox_bytes for one in sums.values()),
        "memory": hub.slow_consumers.size,
        "worst": None if worst is None else {"link": worst.session.id, "waiting": worst.outbox.size},
    }


def _busiest(sums: Sums) -> dict[str, Any] | None:
    """Return the link that has cost the most, and how many times its share of a turn was over; None: no link's was."""
    busiest = (one.busiest for one in sums.values() if one.busiest)
    most = max(busiest, key=lambda link: link.inbound.deferred, default=None)
    if most is None:
        return None
    return {"link": most.session.id, "who": str(most.session), "deferred": most.inbound.deferred}


def _sums(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found


def _memory() -> int:
    """Bytes that are resident (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
