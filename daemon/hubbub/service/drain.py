"""Ends the links of a stopping daemon: each gets what waits and its dialect's last unit, and has time to close.

Not all at once: clients that are closed in one moment reconnect in one moment. Connections that were accepted
just before and have no link yet are waited for, and closed too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import length_hint
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hubbub import limits
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.connection.shutdown import State

_TICK = 0.05  # seconds between looks


class Drain:
    """One draining of all links of `places`.

    seconds  how long it may take; links that haven't taken everything by then are cut
    """

    log = Logger(namespace="hubbub.drain")

    def __init__(self, reactor: Any, contexts: Iterable[ListenerContext], seconds: float) -> None:
        self._reactor = reactor
        self._contexts = list(contexts)
        self._until = reactor.seconds() + seconds
        self._comes_until = reactor.seconds() + limits.CLOSE_SECONDS
        self._cutting = False
        self._looking: Iterator[Link] = iter(())
        self._served: dict[Link, float] = {}  # since when they have everything, and only have to close
        self._untold: deque[Link] = deque(link for context in self._contexts for link in context.links)
        spread = min(len(self._untold) / limits.DRAIN_LINKS_PER_SECOND, seconds / 2)
        self._at_once = max(limits.DRAIN_LINKS_AT_ONCE, int(len(self._untold) * _TICK / spread) + 1 if spread else 0)
        self.announced: Deferred[None] = Deferred()
        """Fires once every link has its last unit."""
        self.gone: Deferred[None] = Deferred()
        """Fires once no link is left."""

    def start(self) -> None:
        """Begin with the first few; those that have gone meanwhile need no time."""
        told = 0
        while self._untold and told < self._at_once:
            link = self._untold.popleft()
            if link.open:
                self._tell(link)
                told += 1
        if self._untold:
            self._reactor.callLater(_TICK, self.start)
        else:
            self.announced.callback(None)
            self._look()

    def _tell(self, link: Link) -> None:
        if link.context.dialect_context.transport == "udp" and link.timeouts.lease is None:
            link.abort()  # it subscribed to nothing, and expects nothing
        else:
            link.close("shutdown", None, max(0.0, self._until - self._reactor.seconds()))

    def cut(self) -> None:
        """Cut all links in the next tick."""
        self._untold.clear()
        self._until = self._reactor.seconds()

    def _look(self) -> None:
        """Look at some links in each tick, until none is left or the time is over."""
        now = self._reactor.seconds()
        if now >= self._until:
            self._cut_off()
            return
        for link in islice(self._looking, limits.DRAIN_LOOKED_AT):
            self._look_at(link, now)
        coming = now < self._comes_until and any(context.coming for context in self._contexts)
        if not coming and not any(context.links for context in self._contexts):
            self.gone.callback(None)
            return
        if not length_hint(self._looking):
            self._looking = iter(self._links())
        self._reactor.callLater(_TICK, self._look)

    def _links(self) -> list[Link]:
        return [link for context in self._contexts for link in context.links]

    def _cut_off(self) -> None:
        """Cut what is left, some links in each turn of the reactor."""
        left = self._links()
        if left and not self._cutting:
            self.log.warn("{count} links were cut before they had received all their messages", count=len(left))  # noqa: G010  Twisted calls it so
        self._cutting = True
        for link in left[: limits.DRAIN_LINKS_AT_ONCE]:
            link.abort()
        if len(left) > limits.DRAIN_LINKS_AT_ONCE:
            self._reactor.callLater(0, self._cut_off)
        else:
            self.gone.callback(None)

    def _look_at(self, link: Link, now: float) -> None:
        """Tell one that has come since; let go of one that has taken everything and doesn't close its side."""
        if link.active:
            self._tell(link)
        elif link.shutdown.state is not State.SHUT or link.wire.unsent():
            self._served.pop(link, None)
        elif now >= self._served.setdefault(link, now) + limits.DRAIN_CLOSE_SECONDS:
            link.abort()
