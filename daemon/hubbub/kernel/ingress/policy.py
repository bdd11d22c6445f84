"""What a listener does to the messages of a link: mount point, permissions, `retain=`, `answer=`, `rate=`, `changed=`.

A link has an IngressPolicy only if there is something to do, so that a plain link pays nothing.
"""

from __future__ import annotations

from hubbub.errors import Refusal
from hubbub.kernel.connection.half_duplex import HalfDuplexQueue
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.ingress.rate_limiter import RateLimiter, Source
from hubbub.kernel.routing.router import Router
from hubbub.kernel.sessions.session import Session, mounted, permit
from hubbub.kernel.turn import Turn
from hubbub.publish import Publish


class IngressPolicy:
    """Stands between the messages of one link and the router.

    allowed  whether this client may do anything
    mount    the prefix of each topic, or ""
    """

    __slots__ = ("allowed", "mount", "_context", "_half_duplex", "_limiter", "_limits", "_router", "_session", "_turn")

    def __init__(
        self,
        turn: Turn,
        router: Router,
        context: ListenerContext,
        session: Session,
        half_duplex: HalfDuplexQueue | None,
    ) -> None:
        self.allowed = True
        self.mount = ""
        self._context = context
        self._half_duplex = half_duplex
        self._router = router
        self._session = session
        self._limiter: RateLimiter | None = None  # until the first message: by then the user that signs is known
        self._limits = context.rate is not None or context.changed
        self._turn = turn

    def publish(self, event: Publish, link: Source) -> int:
        """Publish `event`, and return how many sessions it goes to. Raises Refusal."""
        self._apply(event)
        if self._half_duplex is not None:
            self._half_duplex.received(event)
        return self._limited().publish(event, link) if self._limits else self._router.publish_any(event)

    def admit(self, event: Publish, link: Source) -> None:
        """Apply to a request what holds for it. Raises Refusal."""
        self._apply(event)
        if self._limits:
            self._limited().admits(event, link)

    def check(self, event: Publish) -> None:
        """Check that the client may publish a message, which isn't published. Raises Refusal."""
        self._apply(event)

    def end(self) -> None:
        """The link has gone."""
        if self._limiter is not None and self._context.dialect_context.transport != "udp":
            self._limiter.end()

    def _limited(self) -> RateLimiter:
        """Return the rate and the last payloads of this client."""
        limiter, context = self._limiter, self._context
        if limiter is None:
            if context.dialect_context.transport == "udp":
                limiter = context.limiters.get(self._turn, self._router, context, self._session)
            else:
                limiter = RateLimiter(self._turn, self._router, context)
            self._limiter = limiter
        return limiter

    def _apply(self, event: Publish) -> None:
        """Apply the keys of the listener to a message. Raises Refusal."""
        context, session = self._context, self._session
        if not self.allowed:
            raise Refusal("not-authorized", "this listener wants a login")
        if self.mount:
            mounted(event, self.mount)
        if session.rights is not None:
            permit(event, session.rights, event.retain or context.retain)
        event.retain = event.retain or context.retain
        event.content_type = context.content_type or event.content_type
