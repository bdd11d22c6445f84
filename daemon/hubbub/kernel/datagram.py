"""A client over UDP: no connection, so each datagram stands alone and may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import Close, Confirm, Fault, Request, Subscribe
from hubbub.kernel.hub import Hub
from hubbub.kernel.link import Link
from hubbub.kernel.session import Batch
from hubbub.kernel.wire import Place, Wire


class Peer(Wire, Protocol):
    """The wire of a UDP client."""

    def hold(self) -> None:
        """Keep the link beyond this datagram, as its `lease`. Raises Refusal (unavailable) where there is no room."""

    def complains(self) -> bool:
        """Whether a datagram that makes no sense may be answered; two hubs could go on complaining for ever."""


class DatagramLink(Link):
    """One UDP client. It lasts for one datagram, unless its transport keeps it."""

    __slots__ = ()

    wire: Peer

    def __init__(self, hub: Hub, place: Place, wire: Peer, dialect: type[Dialect], host: str, port: int) -> None:
        super().__init__(hub, place, wire, dialect, host, port)

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
        self.wire.hold()
        return super()._subscribe(event)

    def _on_request(self, event: Request) -> None:
        if self._unproven(event):
            return
        try:
            self._authorize()
            self.wire.hold()
        except Refusal as no:
            self._answer(event, no)
        else:
            super()._on_request(event)

    def _on_confirm(self, event: Confirm) -> None:
        if event.token:
            super()._on_confirm(event)
        else:  # a client that shows nothing, or the next of the datagrams that were held back
            self._proven = self.wire.proof is None

    def _on_fault(self, event: Fault) -> None:
        if self.wire.complains():
            super()._on_fault(event)
        else:
            self.hub.counters.refused += 1

    def _on_close(self, event: Close) -> None:
        """A bad datagram ends nothing, nor does one without proof; and where nothing is held, nothing can end."""
        if event.refusal is not None:
            self.hub.counters.refused += 1
            goodbye = event.data if self.wire.complains() else b""
        elif self.lease is None:
            goodbye = event.data
        elif self._unproven(event):
            goodbye = b""
        else:
            super()._on_close(event)
            return
        if goodbye:
            self._write(goodbye)
        self.dialect = type(self.dialect)(self.place.setting, self.session)  # the old one thinks that it is over

    _ACTIONS: dict[type, Callable[[Any, Any], None]] = {
        **Link._ACTIONS,
        Request: _on_request,
        Confirm: _on_confirm,
        Fault: _on_fault,
        Close: _on_close,
    }
