"""What the client of one link may do: its rights, its mount point, the policy for its messages, its presence."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from hubbub.errors import Refusal
from hubbub.events import Fault, Subscribe
from hubbub.kernel.connection import overflow
from hubbub.kernel.ingress.policy import IngressPolicy
from hubbub.kernel.sessions.presence import PresenceState
from hubbub.topics import check_filter, unshared


class Access:
    """What one client may do.

    allowed     whether it may do anything
    challenged  takes its answer to a challenge of its login; None: there is no challenge
    policy      applies the keys of the listener to its messages; None: there is nothing to apply
    presence    its presence, or None
    """

    __slots__ = ("allowed", "challenged", "policy", "presence")

    def __init__(self) -> None:
        self.allowed = True
        self.challenged: Callable[[Any], None] | None = None
        self.policy: IngressPolicy | None = None
        self.presence: PresenceState | None = None

    def authorize(self) -> None:
        """Check that this client may do anything. Raises Refusal (not-authorized)."""
        if not self.allowed:
            raise Refusal("not-authorized", "this listener wants a login")

    def identify(self, link: Any) -> None:
        """Look up what the client may do."""
        context, session, hub, mount = link.context, link.session, link.hub, link.egress.mount
        self.allowed = context.anonymous or session.user is not None
        session.rights = context.rights(session) if context.rights is not None else None
        keys = mount or context.retain or context.content_type or context.rate or context.changed
        keys = keys or link.egress.half_duplex  # which stays as it is when a reload changes `answer=`
        if not keys and session.rights is None and self.allowed:
            self.policy = None
            return
        if self.policy is None:
            self.policy = IngressPolicy(hub.turn, hub.router, context, session, link.egress.half_duplex)
        self.policy.allowed, self.policy.mount = self.allowed, mount

    def reconsidering(self, link: Any) -> Generator[None, None, int]:
        """What the client may do has changed: end what it may no longer do, piece by piece, with a notice.

        Returns how many subscriptions have ended.
        """
        ended: list[Subscribe] = []
        try:
            yield from self._reconsidering(link, ended)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            link.fail(error)
        return len(ended)

    def _reconsidering(self, link: Any, ended: list[Subscribe]) -> Iterator[None]:
        session, old = link.session, link.session.rights
        self.identify(link)
        rights = session.rights
        if rights == old:
            return
        self.announce(link)
        if rights is None:
            return
        for one in list((session.subscriptions or {}).values()):
            there = (session.subscriptions or {}).get(one.id) is one
            if there and not rights.receives(unshared(one.wish.filter)):
                link.egress.unsubscribe(one.id, link.client)
                ended.append(one.wish)
            yield
            if not link.open or session.rights != rights:  # it has others since then
                return
        link.outbox.purge(rights.receives)
        if link.egress.half_duplex is not None:
            link.egress.half_duplex.purge(rights.receives)
        if link.client is not None:
            link.client.delivery.purge(rights.receives)
        for wish in ended:
            self.tell_ended(link, [wish.filter])
            yield

    def revoke(self, link: Any, reason: str, refusal: Refusal) -> None:
        """The client may do nothing here any more: end all that it has here, tell it, and close."""
        link.session.revoked = True
        client, link.client = link.client, None
        if client is not None:
            client.revoke()
        link.hub.subscriptions.leave(link.session)
        overflow.stop(link.outbox)
        link.outbox.purge(_nothing)
        if client is not None:
            overflow.forget_all(link.outbox)
        if link.egress.half_duplex is not None:
            link.egress.half_duplex.purge(_nothing)
        if link.active:
            link.ACTIONS[Fault](link, Fault(refusal))
        link.close(reason, refusal)

    def tell_ended(self, link: Any, filters: Iterable[str]) -> None:
        """Tell the client that subscriptions have ended; a dialect without a word for that closes the link."""
        for filter in filters:
            name = link.egress.filter_of_client(filter)
            refusal = Refusal("not-authorized", f"you may no longer receive {name}; that subscription has ended")
            if link.dialect.outcome(Fault(refusal), refusal):
                link.act([Fault(refusal)])
            else:
                link.close(refusal.reason, refusal)

    def mount_point(self, link: Any) -> str:
        """Return the prefix of the client's topics."""
        prefix = link.context.prefix
        return "" if prefix is None else str(prefix.fill(link.session.fields())) + "/"

    def mount(self, link: Any) -> bool:
        """Take the mount point of the user that the client is now. Returns whether that is another one."""
        mount = self.mount_point(link)
        if mount == link.egress.mount:
            return False
        for id in list(link.session.subscriptions or ()):  # they stood below another user's
            link.egress.unsubscribe(id, link.client)
        link.egress.mount = mount
        return True

    def announce(self, link: Any) -> None:
        """Publish that the client is present, once its identity is known."""
        if link.context.presence is not None and self.allowed and not link.dialect.visits:
            self.presence = link.context.presence.up(link, self.presence)

    def subscribe_by_listener(self, link: Any) -> None:
        """Subscribe to what the listener's `subscribe=` names."""
        template = link.context.subscribe
        if template is None or link.dialect.visits or not self.allowed or not link.egress.proven:
            return
        try:
            filter = check_filter(template.fill(link.session.fields()))
            link.egress.retained(link.subscribe(Subscribe(filter, echo=False)))
        except Refusal as error:
            link.count_refused(error)
            link.close(error.reason, error)

    def end(self, link: Any) -> None:
        """The link has gone."""
        if self.policy is not None:
            self.policy.end()
        if self.presence is not None:
            self.presence.down(link)


def _nothing(topic: str) -> bool:
    """No message may stay (units.Keep)."""
    return False
