"""A client over UDP: no connection, so each datagram stands alone and may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import Close, Confirm, Connect, Fault, Request, Subscribe
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.wire import ListenerContext, Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.session import Batch


class Peer(Wire, Protocol):
    """The wire of a UDP client."""

    def hold(self) -> None:
        """Keep the link beyond this datagram, as its `lease`. Raises Refusal (unavailable) where there is no room."""

    def affords(self, frames: Sequence[bytes]) -> bool:
        """Whether so much may answer a datagram that proves nothing, from an address that is proven."""

    def complains(self) -> bool:
        """Whether a datagram that makes no sense may be answered; two hubs could go on complaining for ever."""


class DatagramLink(Link):
    """One UDP client. It lasts for one datagram, unless its transport keeps it."""

    __slots__ = ("_peer",)

    ACTIONS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {}  # filled below, as mypyc needs it

    def __init__(
        self, hub: Hub, context: ListenerContext, wire: Peer, dialect: type[Dialect], host: str, port: int
    ) -> None:
        self._peer = wire
        super().__init__(hub, context, wire, dialect, host, port)
        self._announce()  # a link that lasts for one datagram never starts

    def begin_datagram(self) -> bool:
        """Another datagram is about to be received: what the one before it proved doesn't count for it.

        False: too much waits before it, so that it is to be dropped.
        """
        if self._held is None:
            self._proven = self.wire.proof is None
        elif len(self._held) >= limits.PENDING_EVENTS:
            return False
        elif self.wire.proof is not None:
            self._held.append(Confirm(""))
        return True

    def _subscribe(self, event: Subscribe) -> Iterator[Batch | None]:
        self._keep()
        return super()._subscribe(event)

    def _affords(self, frames: Sequence[bytes]) -> bool:
        """An address that was proven once may be written by anybody: what shows no proof gets its bounded answer."""
        return self._proven or self._peer.affords(frames)

    def _write(self, unit: bytes) -> None:
        if self._affords((unit,)):
            super()._write(unit)

    def _keep(self) -> None:
        """Keep the link beyond this datagram; from then on it counts as a connection. Raises Refusal."""
        if self.source is not None:
            self._peer.hold()
            return
        sources = self.hub.sources
        source = sources.enter(self.session.host)
        try:
            self._peer.hold()
        except Refusal:
            sources.leave(source)
            raise
        self.source = source

    def _on_request(self, event: Request) -> None:
        if self._unproven(event):
            return
        try:
            self._authorize()
            self._keep()
        except Refusal as refusal:
            self._answer(event, refusal)
        else:
            super()._on_request(event)

    def _on_open(self, event: Connect) -> None:
        """A password in a datagram would be worth as much to who copies it, and a login would outlast it."""
        if self.context.login is None or (event.user is None and event.token is None):
            super()._on_open(event)
        else:
            refusal = Refusal(
                "not-authorized", "over UDP each datagram is signed: it begins with SIGN <user> <time> <mac>"
            )
            self._answer(event, refusal)

    def _on_confirm(self, event: Confirm) -> None:
        if event.token:
            super()._on_confirm(event)
        else:  # a client that shows nothing, or the next of the datagrams that were held back
            self._proven = self.wire.proof is None

    def _on_fault(self, event: Fault) -> None:
        if self._peer.complains():
            super()._on_fault(event)
        else:
            self._refused(event.refusal)

    def _on_close(self, event: Close) -> None:
        """A bad datagram ends nothing, nor does one without proof; and where nothing is held, nothing can end."""
        if event.refusal is not None:
            self._refused(event.refusal)
            goodbye = event.data if self._peer.complains() else b""
        elif self.lease is None:
            goodbye = event.data
        elif self._unproven(event):
            goodbye = b""
        else:
            super()._on_close(event)
            return
        if goodbye:
            self._write(goodbye)
        self.dialect = type(self.dialect)(
            self.context.dialect_context, self.session
        )  # the old one thinks that it is over
        if self.hub.traced is not None:
            self.hub.traced(self)


DatagramLink.ACTIONS = {
    **Link.ACTIONS,
    Connect: DatagramLink._on_open,
    Request: DatagramLink._on_request,
    Confirm: DatagramLink._on_confirm,
    Fault: DatagramLink._on_fault,
    Close: DatagramLink._on_close,
}
