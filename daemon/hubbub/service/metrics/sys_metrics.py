"""The topics `$SYS/broker/...`, which MQTT's tools read, under the names that Mosquitto gave them.

`docs/mqtt.md` has the topics, and where a value differs from Mosquitto's.
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.service.control.status import installed_version

_TOP = "$SYS/broker/"
_LOADS = {"1min": 60.0, "5min": 300.0, "15min": 900.0}
_LOADED = {  # by the topic of a count the one of its load
    "bytes/received": "bytes/received",
    "bytes/sent": "bytes/sent",
    "messages/received": "messages/received",
    "messages/sent": "messages/sent",
    "publish/messages/dropped": "publish/dropped",
    "publish/messages/received": "publish/received",
    "publish/messages/sent": "publish/sent",
}


class Load:
    """How much of something there is a minute, as averages over 1, 5 and 15 minutes that forget what is long ago."""

    def __init__(self) -> None:
        self._count = 0
        self._averages = dict.fromkeys(_LOADS, 0.0)

    def look(self, count: int, seconds: float) -> None:
        """Take the count as it is now, so many seconds after the last time."""
        if seconds <= 0:
            return
        rate, self._count = (count - self._count) * 60.0 / seconds, count
        for name, span in _LOADS.items():
            self._averages[name] = rate + math.exp(-seconds / span) * (self._averages[name] - rate)

    def averages(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the text of each average."""
        for name, average in self._averages.items():
            yield name, f"{average:.2f}"


class SysMetrics:
    """The metrics of one daemon.

    places  its listeners and connectors as they are now
    """

    def __init__(self, hub: Hub, contexts: Callable[[], Iterable[ListenerContext]]) -> None:
        self._hub = hub
        self._contexts = contexts
        self._looked = hub.turn.began
        self._loads: dict[str, Load] = {}

    def metrics(self) -> dict[str, str]:
        """Tell all of them, by topic (kernel.routing.sys_topics.System)."""
        counts = {**self._traffic(), **self._messages()}
        values = {
            name: str(count) for name, count in {**counts, **self._clients(), **self._kept(), **_memory()}.items()
        }
        values["version"] = f"hubbub version {installed_version()}"
        if store := self._hub.clients.store.metrics():
            values["store/failing"] = store["failing"]
        values["uptime"] = f"{int(self._hub.turn.now() - self._hub.turn.began)} seconds"
        opened = counts.pop("opened")
        del values["opened"]
        loaded = {load: counts[name] for name, load in _LOADED.items()}
        return {_TOP + name: value for name, value in {**values, **self._load(loaded | _connects(opened))}.items()}

    def _traffic(self) -> dict[str, int]:
        counts = dict.fromkeys(("bytes/received", "bytes/sent", "messages/received", "messages/sent", "opened"), 0)
        for context in self._contexts():
            counts["bytes/received"] += context.received_bytes
            counts["messages/received"] += context.received
            counts["bytes/sent"] += context.sent_bytes + sum(link.outbox.sent_bytes for link in context.links)
            counts["messages/sent"] += context.sent + sum(link.outbox.sent for link in context.links)
            counts["opened"] += context.opened
        return {**counts, "publish/messages/sent": counts["messages/sent"]}

    def _messages(self) -> dict[str, int]:
        counters = self._hub.turn.counters
        dropped = counters.dropped + self._hub.slow_consumers.unsettled + self._hub.clients.unsettled
        return {
            "publish/messages/received": counters.published - self._hub.system.published,
            "publish/messages/dropped": dropped,
            "publish/bytes/received": counters.published_bytes,
            "publish/bytes/sent": counters.delivered_bytes,
        }

    def _clients(self) -> dict[str, int]:
        clients, connected = self._hub.clients, sum(len(context.links) for context in self._contexts())
        return {
            "clients/connected": connected,
            "clients/active": connected,
            "clients/disconnected": clients.away,
            "clients/inactive": clients.away,
            "clients/total": connected + clients.away,
            "clients/maximum": self._hub.sources.most,
            "clients/expired": clients.expired,
        }

    def _kept(self) -> dict[str, int]:
        hub = self._hub
        stored = hub.retained.count + hub.clients.queued
        return {
            "retained messages/count": hub.retained.count,
            "store/messages/count": stored,
            "messages/stored": stored,
            "store/messages/bytes": hub.retained.size + hub.clients.queued_bytes,
            "subscriptions/count": hub.subscriptions.count,
            "shared_subscriptions/count": len(hub.shared),
        }

    def _load(self, counts: dict[str, int]) -> dict[str, str]:
        now = self._hub.turn.now()
        seconds, self._looked = now - self._looked, now
        found = {}
        for name, count in counts.items():
            load = self._loads.setdefault(name, Load())
            load.look(count, seconds)
            found.update({f"load/{name}/{span}": value for span, value in load.averages()})
        return found


def _connects(opened: int) -> dict[str, int]:
    return {"connections": opened, "sockets": opened}


def _memory() -> dict[str, int]:
    """Bytes that are resident: now (proc(5), statm), and the most that ever were (getrusage(2), in KiB)."""
    most = {"heap/maximum": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no descriptor is left for it
        return most
    now = pages * os.sysconf("SC_PAGE_SIZE")
    return {"heap/current": now, "heap/maximum": max(now, most["heap/maximum"])}  # that is counted a little late
