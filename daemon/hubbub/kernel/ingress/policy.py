"""What a listener does to what comes in on a link: mount point, permission, stamps, `answer=`, `rate=`, `changed=`.

A link has an IngressPolicy only where there is something to do, so that a plain link pays nothing.
"""

from __future__ import annotations

from hubbub.errors import Refusal
from hubbub.events import Publish, Request
from hubbub.kernel.connection.half_duplex import HalfDuplexQueue
from hubbub.kernel.connection.wire import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.kernel.ingress.rate_limiter import Sieve, Source
from hubbub.kernel.sessions.session import Session, mounted, permit


class IngressPolicy:
    """What stands between one link's messages and the hub.

    exchange  of a half-duplex link, else None
    allowed   attribute: whether this client may do anything
    mount     attribute: what is put before each topic, or ""
    """

    __slots__ = ("allowed", "mount", "_exchange", "_hub", "_place", "_session", "_sieve")

    def __init__(
        self, hub: Hub, context: ListenerContext, session: Session, half_duplex: HalfDuplexQueue | None
    ) -> None:
        self.allowed = True
        self._hub = hub
        self._place = context
        self._session = session
        self.mount = ""
        self._exchange = half_duplex
        self._sieve: Sieve | None = None
        if context.rate is not None or context.changed:
            udp = context.dialect_context.transport == "udp"
            self._sieve = context.sieves.of(hub, context, session.host, session.port) if udp else Sieve(hub, context)

    def publish(self, event: Publish, link: Source) -> int:
        """Publish `event`, and return how many sessions it goes to. Raises Refusal."""
        self._stamp(event)
        if self._exchange is not None:
            self._exchange.heard(event)
        return self._hub.publish(event) if self._sieve is None else self._sieve.publish(event, link)

    def request(self, event: Request, link: Source) -> None:
        """Apply to a request what holds for it. Raises Refusal."""
        self._stamp(event)
        if self._sieve is not None:
            self._sieve.has_room(event, link)

    def end(self) -> None:
        """The link has gone."""
        if self._sieve is not None and self._place.dialect_context.transport != "udp":
            self._sieve.end()

    def _stamp(self, event: Publish) -> None:
        """Apply what the listener says of all that comes in. Raises Refusal."""
        context, session = self._place, self._session
        if not self.allowed:
            raise Refusal("not-authorized", "this listener wants a login")
        if self.mount:
            mounted(event, self.mount)
        if session.rights is not None:
            permit(event, session.rights, event.retain or context.retain)
        event.retain = event.retain or context.retain
        event.content_type = context.content_type or event.content_type
