"""A client over UDP: there is no connection, each datagram stands alone, and any host may have sent it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import Close, Confirm, Connect, Fault, Subscribe
from hubbub.kernel.connection import commands
from hubbub.kernel.connection.egress import DatagramEgress, Egress
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.connection.wire import Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.batch import Batch
from hubbub.publish import Request


class Peer(Wire, Protocol):
    """The wire of a UDP client."""

    def hold(self) -> None:
        """Keep the link beyond this datagram, for its `lease`. Raises Refusal (unavailable) if there is no room."""

    def affords(self, frames: Sequence[bytes]) -> bool:
        """Return whether so much may answer a datagram without a proof."""

    def may_report_error(self) -> bool:
        """Return whether a malformed datagram may be answered; two hubs could answer each other's errors for ever."""


class DatagramLink(Link):
    """One UDP client. It lasts for one datagram, unless its transport keeps it."""

    __slots__ = ("peer",)

    ACTIONS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {}  # filled below
    EGRESS: ClassVar[type[Egress]] = DatagramEgress

    def __init__(
        self, hub: Hub, context: ListenerContext, wire: Peer, dialect: type[Dialect], host: str, port: int
    ) -> None:
        self.peer = wire
        super().__init__(hub, context, wire, dialect, host, port)
        assert isinstance(self.egress, DatagramEgress)
        self.egress.peer = wire
        self.access.announce(self)  # a link that lasts for one datagram never starts

    @property
    def lease(self) -> float | None:
        """Monotonic seconds when its subscriptions end; None: the link lasts for one datagram."""
        return self.timeouts.lease

    def renew(self, until: float) -> None:
        """Let its subscriptions end then."""
        self.timeouts.lease = until

    def begin_datagram(self) -> bool:
        """Another datagram is about to be received; the proof of the one before doesn't count for it.

        False: too much waits before it, so it is to be dropped.
        """
        if not self.inbound.holding:
            self.egress.proven = self.wire.proof is None
        elif len(self.inbound) >= limits.PENDING_EVENTS:
            return False
        elif self.wire.proof is not None:
            self.inbound.add((Confirm(""),))
        return True

    def must_yield(self) -> bool:
        """One datagram is acted on at once: its proof counts for no other."""
        return False

    def subscribe(self, event: Subscribe) -> Iterator[Batch | None]:
        self.keep()
        return super().subscribe(event)

    def keep(self) -> None:
        """Keep the link beyond this datagram; from then on it counts as a connection. Raises Refusal."""
        if self.source is not None:
            self.peer.hold()
            return
        sources = self.hub.sources
        source = sources.acquire(self.session.host)
        try:
            self.peer.hold()
        except Refusal:
            sources.release(source)
            raise
        self.source = source


def _on_request(link: Any, event: Request) -> None:
    if commands.is_unproven(link, event):
        return
    try:
        link.access.authorize()
        link.keep()
    except Refusal as error:
        link.answer(event, error)
    else:
        commands.on_request(link, event)


def _on_connect(link: Any, event: Connect) -> None:
    """A password in a datagram is worth as much to a host that copies it, and a login would outlast the datagram."""
    if link.context.login is None or (event.user is None and event.token is None):
        commands.on_connect(link, event)
    else:
        refusal = Refusal(
            "not-authorized", "over UDP each datagram must be signed: it begins with SIGN <user> <time> <mac>"
        )
        link.answer(event, refusal)


def _on_confirm(link: Any, event: Confirm) -> None:
    if event.token:
        commands.on_confirm(link, event)
    else:  # a client that shows nothing, or the next of the datagrams that were held back
        link.egress.proven = link.wire.proof is None


def _on_fault(link: Any, event: Fault) -> None:
    if link.peer.may_report_error():
        commands.on_fault(link, event)
    else:
        link.count_refused(event.refusal)


def _on_close(link: Any, event: Close) -> None:
    """A malformed datagram ends nothing, nor does one without proof, nor one of a link without a lease."""
    if event.refusal is not None:
        link.count_refused(event.refusal)
        last = event.data if link.peer.may_report_error() else b""
    elif link.timeouts.lease is None:
        last = event.data
    elif commands.is_unproven(link, event):
        last = b""
    else:
        commands.on_close(link, event)
        return
    if last:
        link.egress.write(last)
    link.speak(type(link.dialect))  # the old one has closed


DatagramLink.ACTIONS = {
    **commands.ACTIONS,
    Connect: _on_connect,
    Request: _on_request,
    Confirm: _on_confirm,
    Fault: _on_fault,
    Close: _on_close,
}
