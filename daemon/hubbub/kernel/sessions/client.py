"""One client with a persistent session: it comes, goes, publishes its will, and ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Connect, Subscribe
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.subscription import Receiver, Subscription, as_is
from hubbub.kernel.routing.subscriptions import Subscriptions
from hubbub.kernel.sessions.delivery import Delivery
from hubbub.kernel.sessions.qos_receiver import QosReceiver
from hubbub.kernel.sessions.session import Rights, Session, mounted, permit
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.sessions.takeover import Takeover
from hubbub.kernel.sessions.wills import Wills
from hubbub.kernel.turn import Turn
from hubbub.publish import Publish
from hubbub.topics import unshared

RightsOf = Callable[[Session], Rights | None]
"""Returns what a session may do; None: everything."""


class ClientLink(Protocol):
    """The link of a client (connection.link.Link)."""

    client: Client | None
    session: Session

    def release_client(self, will: bool) -> None: ...
    def close(self, reason: str, refusal: Refusal | None = None) -> None: ...


class Registry(Protocol):
    """Keeps the clients (sessions.registry.ClientRegistry)."""

    def is_away(self, client: Client) -> None: ...
    def has_expired(self, client: Client) -> None: ...
    def forget(self, client: Client) -> None: ...


class Client:
    """One client.

    state      its session
    link       its link, or None
    connector  the context of the connector whose session this is, as long as there is one; None: it is of no connector
    source     where its last link came from, see ingress.sources
    """

    __slots__ = (
        "alarm_at", "connector", "delivery", "link", "source", "state",
        "_ends_at", "_max_received", "_registry", "_rights", "_router", "_stand_in", "_subscriptions", "_turn",
        "_will_at", "_wills",
    )  # fmt: skip

    def __init__(
        self,
        turn: Turn,
        router: Router,
        subscriptions: Subscriptions,
        wills: Wills,
        registry: Registry,
        state: PersistentSession,
        delivery: Delivery,
    ) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self.delivery = delivery
        self.state = state
        self.link: Any = None
        self.source = ""
        self.connector: Any = None
        self._ends_at: float | None = None
        self._max_received = limits.INFLIGHT_MESSAGES  # QoS 2 messages that wait for their PUBREL
        self._registry = registry
        self._rights: RightsOf | None = None
        self._router = router
        self._stand_in: Session | None = None
        self._subscriptions = subscriptions
        self._turn = turn
        self._will_at: float | None = None
        self._wills = wills

    # Messages from the client

    def is_new(self, dedup_id: int) -> bool:
        """Return whether no message of that packet identifier waits for its PUBREL. Raises Refusal (quota)."""
        received = self.state.received
        if dedup_id in received:
            return False
        if len(received) >= self._max_received:
            refusal = Refusal("quota", f"{self._max_received} messages of this client wait for their release already")
            refusal.limit = "flight"
            raise refusal
        return True

    # Its link comes and goes

    def attach(self, link: ClientLink, event: Connect, max_bytes: int, full: str, rights: RightsOf | None) -> None:
        """A link is there. `resume` follows once the client has its answer."""
        state = self.state
        self._router.commit()
        self.delivery.queue.leave_logs()
        self.link = link
        self._turn.alarms.cancel(self)
        self._ends_at = self._will_at = None
        self._max_received = limits.INFLIGHT_MESSAGES if event.knows_receive_maximum else limits.UNRELEASED_UNANNOUNCED
        self._rights = rights
        if self.connector is None:
            state.expiry = min(event.session_expiry, limits.SESSION_SECONDS)
        if event.resend_as_new:
            for dedup_id in list(state.received):
                state.release(dedup_id)
            state.requeue()
        self.put_will(event.will)
        state.owner, state.left, state.will_delay = link.session, None, event.will_delay
        state.max_bytes, state.full = max_bytes, full
        state.save()

    def go_online(self, link: Any, receive_maximum: int) -> None:
        """The client has its answer: its link gets the subscriptions, and its messages follow."""
        if self.delivery.link is link.egress:
            return
        done = partial(self._taken_over, link, receive_maximum)
        if self._stand_in is None:
            done([])
        else:
            Takeover(self._turn, self, self._stand_in, link, done).step()

    def _taken_over(self, link: Any, receive_maximum: int, ended: list[Subscribe]) -> None:
        """Its link has the subscriptions, but for those that `ended`."""
        rights = link.session.rights
        self._drop_stand_in()
        for wish in ended:
            self.state.unsubscribe(wish.key)
        self.delivery.purge(None if rights is None else rights.receives)
        if rights is not None:
            self.delivery.withhold(rights.receives)
        link.access.tell_ended(link, [wish.filter for wish in ended])
        if self.link is link:
            self.delivery.attach(link.egress, receive_maximum)

    def detach(self, link: ClientLink, will: bool) -> None:
        """Its link goes. Without `will` the will is dropped."""
        self.link = None
        self.delivery.detach()
        self.state.left = self._turn.wall()
        if not will:
            self.put_will(None)
        self._go_offline(link.session)
        self.state.save()
        self.settle()

    def revive(self, rights: RightsOf | None) -> None:
        """Be the session of an earlier process; a link that it had then is gone. `settle` follows."""
        self._rights = rights
        if self.state.left is None:
            self.state.left = self._turn.wall()
        self._stand_in_for(self.state.owner)
        self.state.save()

    def settle(self) -> None:
        """Its link has gone: wait for another one, or end."""
        state = self.state
        assert state.left is not None
        since = self._turn.now() - (self._turn.wall() - state.left)
        if state.expiry > 0:
            self._ends_at = since + state.expiry
            if state.will is not None and state.will_delay > 0:
                self._will_at = since + state.will_delay
        if self._will_at is None:
            self._publish_will()
        if state.expiry <= 0:
            self.end()
            return
        self.delivery.pass_queue_on()
        self._set_alarm()
        if self.connector is None:
            self._registry.is_away(self)

    def reconsidering(self) -> Generator[None, None, int]:
        """What the client may do has changed while it is away: end what it may no longer have, piece by piece.

        Returns how many subscriptions have ended. They stay in the state, so that the client gets an error when it
        comes back, see `go_online`.
        """
        stand_in = self._stand_in
        rights = None if stand_in is None or self._rights is None else self._rights(stand_in)
        if stand_in is None or rights is None:
            return 0
        stand_in.rights = rights
        ended = 0
        for one in list((stand_in.subscriptions or {}).values()):
            there = (stand_in.subscriptions or {}).get(one.id) is one
            if there and not rights.receives(unshared(one.wish.filter)):
                self._subscriptions.unsubscribe(stand_in, one.id)
                ended += 1
            yield
            if self._stand_in is not stand_in or stand_in.rights != rights:
                return ended
        self.delivery.purge(rights.receives)
        self.delivery.withhold(rights.receives)
        return ended

    def revoke(self) -> None:
        """The client may do nothing here any more: its session ends, without its will."""
        self.link = None
        self.put_will(None)
        self.end()

    def leave(self, reason: str) -> None:
        """Another node has the session now: nothing of it stays here, and nothing of it ends."""
        link, self.link = self.link, None
        if link is not None:
            link.client = None
            link.close(reason)
        self.put_will(None)
        self._turn.alarms.cancel(self)
        self.delivery.leave()
        self._end_stand_in()
        self._registry.forget(self)

    def drop_older(self) -> None:
        """Drop messages that have waited for longer than `queue-age`."""
        if age := self._turn.bounds.queue_age:
            self.delivery.queue.drop_older(self._turn.wall() - age)

    def stand(self, connector: Any, session: Session, wishes: Sequence[Subscribe]) -> None:
        """Wait for links as the session of a connector, with these subscriptions and no others."""
        if self.link is not None:  # of an older connector
            self.link.release_client(False)
        state = self.state
        self._drop_stand_in()
        for id in list(state.subscriptions):
            state.unsubscribe(id)
        for wish in wishes:
            state.subscribe(wish)
        self.connector, state.expiry, self._ends_at = connector, math.inf, None
        self._stand_in_for(session)
        state.save()

    def _go_offline(self, old: Session) -> None:
        """Let a stand-in have the subscriptions of a link's session, if this session lives on."""
        state, subscriptions = self.state, self._subscriptions
        if not state.expiry:  # the link ends them step by step, and their receivers take nothing once it has ended
            return
        before, self._stand_in = self._stand_in, old.double()  # one that a link which failed amid `resume` has left
        state.owner = stand_in = self._stand_in
        subscriptions.inherit(stand_in, old)
        if before is not None:
            subscriptions.inherit(stand_in, before)
        self._detach_some(stand_in, iter(list(state.subscriptions.values())))

    def _detach_some(self, stand_in: Session, wishes: Iterator[Subscribe]) -> None:
        """Detach some subscriptions of the stand-in from the link that has gone, and go on in a later turn.

        What comes by the others waits in the queue as well, and the link's outbox takes nothing any more.
        """
        if self._stand_in is not stand_in or self.link is not None:
            return
        left = limits.TAKEOVER_AT_ONCE if self.connector is None else math.inf  # a connector has few
        for wish in wishes:
            if wish.key in (stand_in.subscriptions or ()):
                self._subscribe_offline(stand_in, wish)
            left -= 1
            if left <= 0:
                self._turn.do_later("takeovers", partial(self._detach_some, stand_in, wishes))
                return

    def _stand_in_for(self, session: Session) -> None:
        """Subscribe a stand-in of a session that has no subscriptions yet: of an earlier process, or of a connector."""
        self._stand_in = self.state.owner = stand_in = session.double()
        for wish in list(self.state.subscriptions.values()):
            self._subscribe_offline(stand_in, wish)

    def _subscribe_offline(self, stand_in: Session, wish: Subscribe) -> None:
        receiver: Receiver = QosReceiver(self.delivery, None, None, wish)
        try:
            encoding = self._subscriptions.encoding(as_is, None, stream=False)
            subscription = self._subscriptions.subscribe(stand_in, wish, encoding, receiver)
        except Refusal:
            self._turn.counters.refused += 1
            self.state.unsubscribe(wish.key)
        else:
            subscription.merge = _highest_qos

    def _drop_stand_in(self) -> None:
        """End the stand-in, with the subscriptions that it still has."""
        stand_in, self._stand_in = self._stand_in, None
        if stand_in is not None:
            for id in list(stand_in.subscriptions or ()):
                self._subscriptions.unsubscribe(stand_in, id)

    # Its will, and its end

    def put_will(self, will: Publish | None) -> None:
        """Have another will, or none."""
        self._wills.count(self.source, self.state.will, will)
        self.state.will = will

    def _publish_will(self) -> None:
        state, will = self.state, self.state.will
        self._will_at = None
        if will is None:
            return
        self.put_will(None)
        state.save()
        if not state.owner.is_valid(self._turn.wall()):
            return
        try:
            self._router.publish(authorized_will(will, state.key[0], state.owner, self._rights))
        except Refusal:
            self._turn.counters.refused += 1

    def _set_alarm(self) -> None:
        expires, turn = self.state.owner.expires, self._turn
        revoked_at = None if expires is None else turn.now() + max(0.0, expires - turn.wall())
        times = [time for time in (self._ends_at, self._will_at, revoked_at) if time is not None]
        if times and min(times) < math.inf:
            self._turn.alarms.at(self, min(times))

    def alarm(self, now: float) -> None:
        """Its will, or its end, may be due (kernel.alarms.AlarmTarget)."""
        if self.link is not None:
            return
        expires = self.state.owner.expires
        if expires is not None and self._turn.wall() >= expires:
            self.revoke()
            return
        if self._will_at is not None and now >= self._will_at:
            self._publish_will()
        if self._ends_at is not None and now >= self._ends_at:
            self._registry.has_expired(self)
            self.end()
        else:
            self._set_alarm()

    def end(self) -> None:
        """The session has ended."""
        self._publish_will()
        self._turn.alarms.cancel(self)
        self.delivery.clear(self.state.end)
        self._end_stand_in()
        self._registry.forget(self)

    def _end_stand_in(self) -> None:
        stand_in, self._stand_in = self._stand_in, None
        if stand_in is not None:
            self._subscriptions.end_all(stand_in)


def authorized_will(will: Publish, mount: str, owner: Session, rights_of: RightsOf | None) -> Publish:
    """Return a will as the message that its client may publish now. Raises Refusal."""
    rights = owner.rights = rights_of(owner) if rights_of is not None else None
    will.sender = owner
    mounted(will, mount)
    if rights is not None:
        permit(will, rights, will.retain)
    return will


def _highest_qos(several: Sequence[Subscription]) -> Subscription:
    return max(several, key=lambda one: one.wish.qos)
