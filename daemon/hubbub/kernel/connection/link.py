"""One connected client: the end of its transport, its dialect, its session, its outbox.

bytes -> Link.receive -> Dialect.receive -> events, acted on in order -> Router
Router -> Outbox -> Wire.write
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, ClassVar

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.identity import Identity
from hubbub.kernel.connection import authentication, commands, unread
from hubbub.kernel.connection.access import Access
from hubbub.kernel.connection.datagram_outbox import DatagramOutbox
from hubbub.kernel.connection.egress import Egress
from hubbub.kernel.connection.faults import own_fault
from hubbub.kernel.connection.half_duplex import HalfDuplexQueue
from hubbub.kernel.connection.inbound import InboundQueue
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.connection.publishing import answer_publish
from hubbub.kernel.connection.shutdown import Shutdown, State
from hubbub.kernel.connection.timeouts import Timeouts
from hubbub.kernel.connection.wire import Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.client import Client
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.steps import spread
from hubbub.message import Message
from hubbub.publish import Publish, Request

_ids = count(1)
COST_OF_COMMAND = limits.EVENTS_AT_ONCE // limits.COMMANDS_AT_ONCE
_OPEN, _CLOSED = State.OPEN, State.CLOSED


class Link:
    """One client. Transports call `receive`, `ended`, `lost` and the like; everything else follows from those.

    client    its persistent session, or None
    source    as which source the connection counts, see ingress.sources
    requests  those of this client that wait for a reply; None: it has never asked
    """

    __slots__ = (
        "access", "alarm_at", "client", "context", "dialect", "egress", "hub",
        "inbound", "outbox", "requests", "session", "shutdown", "source", "timeouts", "wire",
    )  # fmt: skip

    ACTIONS: ClassVar[dict[type, commands.Action]] = commands.ACTIONS
    EGRESS: ClassVar[type[Egress]] = Egress

    def __init__(
        self, hub: Hub, context: ListenerContext, wire: Wire, dialect: type[Dialect], host: str, port: int
    ) -> None:
        turn = hub.turn
        self.alarm_at: tuple[float, int] | None = None
        self.client: Client | None = None
        self.context = context
        self.hub = hub
        self.inbound = InboundQueue()
        self.access = Access()
        self.requests: set[Request] | None = None
        self.session = session = Session(host, port, context.dialect_context.transport, context.name, context.user)
        session.id = next(_ids)
        session.link = self
        self.shutdown = Shutdown()
        self.source: str | None = None
        self.timeouts = Timeouts(turn.now())
        self.wire = wire
        self.dialect = dialect(context.dialect_context, session)
        kind = DatagramOutbox if context.dialect_context.transport == "udp" else Outbox
        self.outbox = kind(turn, hub.slow_consumers, self, wire, context.full or self.dialect.full, context.queue)
        half_duplex = None
        if context.answer is not None and not dialect.visits:
            half_duplex = HalfDuplexQueue(turn, hub.router, hub.requests, self.outbox, context.answer)
        self.egress = self.EGRESS(hub, session, self.outbox, half_duplex, self.dialect)
        self.egress.wrap = wire.wrapper(dialect)
        self.egress.mount = self.access.mount_point(self)
        self.access.identify(self)
        self.egress.proven = wire.proof is None
        turn.counters.links += 1
        if hub.traced is not None:
            hub.traced(self)

    @property
    def open(self) -> bool:
        """Whether the transport is there."""
        return self.shutdown.state is not _CLOSED

    @property
    def active(self) -> bool:
        """Whether it acts on events."""
        return self.shutdown.state is _OPEN

    @property
    def write_after_eof(self) -> bool:
        """Whether the link stays open for writing after the client's end of input."""
        return self.dialect.write_after_eof and bool(self.session.subscriptions)

    @property
    def last_received(self) -> float:
        """Monotonic seconds when something came from the client."""
        return self.timeouts.last_received

    @property
    def holding(self) -> bool:
        """Whether events are held back, and with them reading."""
        return self.inbound.holding

    def admit(self, identity: Identity) -> None:
        """Take the identity that the transport has verified, before `start`."""
        self.session.admit(identity)
        self.egress.mount = self.access.mount_point(self)
        self.access.identify(self)

    @own_fault
    def start(self) -> None:
        """Join the hub, with the subscription of the listener."""
        self.context.links.add(self)
        self.context.opened += 1
        self.hub.subscriptions.join(self.session)
        self.access.announce(self)
        if self.context.hello and not self.dialect.visits:
            self.egress.write(self.context.hello)
        self.act(self.dialect.opened(self.timeouts.last_received))
        self.set_alarm()
        if self.dialect.final:
            self.access.subscribe_by_listener(self)

    def receive(self, data: bytes, text: bool | None = None) -> None:
        """Take what the client sent: a piece of a stream, or one whole unit."""
        if self.shutdown.state is _OPEN:
            try:
                self.timeouts.last_received = now = self.hub.turn.now()
                if self.inbound.unread or (len(data) > limits.PROMPT_BYTES and unread.is_much(self, data)):
                    unread.receive(self, ((data, text),))
                else:
                    self.receive_piece(self.dialect.receive(data, now, text), len(data))
            except Exception as error:  # noqa: BLE001  a plugin's dialect
                self.fail(error)

    @own_fault
    def receive_units(self, units: Sequence[tuple[bytes, bool | None]]) -> None:
        """Take whole units that came at once, as (data, text)."""
        if len(units) == 1 or not self.dialect.final:  # the first unit decides which dialect takes the others
            self.receive(*units[0])
            units = units[1:]
        if units and self.active:
            self.timeouts.last_received = now = self.hub.turn.now()
            size = sum([len(data) for data, _ in units])
            if size <= limits.LATE_BYTES and not self.inbound.unread:
                self.receive_piece(self.dialect.receive_units(units, now), size)
            else:
                unread.receive(self, units)

    def receive_piece(self, events: list[Any], size: int) -> None:
        """Act on the events of so many bytes."""
        context = self.context
        context.received += len(events)
        context.received_bytes += size
        if self.access.presence is not None:
            self.access.presence.received(self)
        if not self.inbound.holding:
            self._act(iter(events))
        else:
            self.inbound.add(events)
        if self.dialect.deadline is not None:
            self.hub.turn.alarms.at(self, self.dialect.deadline)

    @own_fault
    def ended(self, listens: bool = True) -> None:
        """The client has ended its input, and may still receive; unless it `listens`, it only waits for its answers."""
        self.shutdown.end_of_input(self, listens)

    def lost(self) -> None:
        """The transport has gone."""
        if not self.open:
            return
        self.shutdown.state = _CLOSED
        commands.depart(self)
        for request in self.requests or ():
            self.hub.requests.end(request.reply_to)
        self.context.links.discard(self)
        self.session.link = None
        self.release_client(True)
        self.hub.subscriptions.leave(self.session)
        self.hub.turn.alarms.cancel(self)
        authentication.cancel(self)
        if self.egress.half_duplex is not None:
            self.egress.half_duplex.clear()
        self.access.end(self)
        self.context.add_closed(self.outbox.sent, self.outbox.sent_bytes, self.outbox.dropped)
        if self.source is not None:
            self.hub.sources.release(self.source)
        self.outbox.clear()
        self.egress.end_replays()
        self.inbound.clear()

    def transport_paused(self, held: int) -> None:
        """The transport takes no more for now; `held` bytes wait in it."""
        self.outbox.pause(held)
        self.timeouts.paused(self.wire.unsent(), self.hub.turn.now())
        self.set_alarm()

    def transport_resumed(self) -> None:
        """The transport takes more."""
        self.timeouts.resumed()
        if self.open:
            self.outbox.resume()
            if self.client is not None:
                self.client.delivery.go_on()
            if self.egress.half_duplex is not None:
                self.egress.half_duplex.resumed()

    def sign_of_life(self, size: int = 0) -> None:
        """The client has sent a ping or a pong of the transport, of so many bytes."""
        self.timeouts.note_received(self.hub.turn.now())

    def settle(self) -> None:
        """Send at once what this turn has brought so far."""
        self.hub.turn.flush()

    # Events

    def act(self, events: Iterable[Any]) -> None:
        """Act on events, or hold them back behind others."""
        if not self.inbound.holding:
            self._act(iter(events))
        else:
            self.inbound.add(events)

    def _act(self, events: Iterator[Any]) -> None:
        router, session, access = self.hub.router, self.session, self.access
        inbound, outbox, publish = self.inbound, self.outbox, router.publish
        left = limits.EVENTS_AT_ONCE
        router.searched = False
        for event in events:
            if type(event) is Publish:
                event.sender = session
                try:
                    if access.policy is None:
                        receivers = publish(event)
                        if event.tag is None:
                            left -= 1
                            if left > 0 and not router.searched:
                                continue
                    else:
                        receivers = access.policy.publish(event, self)
                    if event.tag is not None:
                        answer_publish(self, event, receivers)
                except Refusal as error:
                    self.answer(event, error)
            elif self.shutdown.state is not _CLOSED:
                self.ACTIONS[type(event)](self, event)
            if inbound.blocked or outbox.answers > limits.ANSWER_BYTES:
                inbound.hold(self, events)
                return
            left -= COST_OF_COMMAND
            if left <= 0 or router.searched:
                router.searched = False
                left = limits.EVENTS_AT_ONCE
                if self.must_yield():
                    inbound.hold(self, events)
                    return

    def must_yield(self) -> bool:
        """Return whether this link's share of the turn is over: `take_turn` is called in a later one."""
        return self.inbound.must_yield(self)

    def go_on(self) -> None:
        """Act on the events that were held back, and read on."""
        self.inbound.go_on(self)

    @own_fault
    def take_turn(self) -> None:
        """Its turn has come: act on events that were put off."""
        self.inbound.blocked -= 1
        if self.open:
            self.go_on()

    def rest(self, until: float) -> None:
        """Act on nothing more, and read nothing, until then: a monotonic time (ingress.rate_limiter.Source)."""
        self.inbound.rest(self, until)

    def answer(self, event: Any, result: Any) -> None:
        """Let the dialect encode the outcome of an event, and send that."""
        if isinstance(result, Refusal):
            self.count_refused(result)
        if self.open:
            commands.say(self, self.dialect.outcome(event, result))
            if self.dialect.follow_up:
                self.act(self.dialect.take_follow_up())

    def count_refused(self, refusal: Refusal) -> None:
        """Count a Refusal."""
        self.hub.turn.counters.refused += 1
        self.context.refuse(refusal)

    def subscribe(self, event: Subscribe) -> Iterator[Any]:
        """Subscribe, and return the retained messages. Raises Refusal."""
        return self.egress.subscribe(event, self.client, self)

    def spend(self, count: int) -> None:
        """One unit was so many commands."""

    def speak(self, dialect: type[Dialect]) -> None:
        """Speak that dialect from now on."""
        self.dialect = self.egress.dialect = dialect(self.context.dialect_context, self.session)
        self.egress.wrap = self.wire.wrapper(dialect)
        if self.hub.traced is not None:
            self.hub.traced(self)

    def reconsider(self) -> None:
        """What this client may do has changed: what it may no longer do ends."""
        spread(self.hub.turn, "permissions", self.access.reconsidering(self))

    # Its persistent session (sessions.client.ClientLink)

    def release_client(self, will: bool) -> None:
        """The client's session goes on without this link, or ends with it."""
        client, self.client = self.client, None
        if client is not None:
            client.detach(self, will)

    def send(self, message: Message) -> bool:
        """Deliver one message to this client alone. False: it can't be sent."""
        if not self.open or self.session.revoked:
            return False
        try:
            return self.egress.send(message, self.client)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.fail(error)
            return False

    # Its end

    @own_fault
    def close(self, reason: str, refusal: Refusal | None = None, seconds: float = limits.CLOSE_SECONDS) -> None:
        """Close the link for the hub's own reasons, after its dialect's last unit; what waits has `seconds` to go."""
        if self.active:
            dialect = self.dialect
            last = dialect.encode_close(reason) if refusal is None else dialect.encode_disconnect(reason, refusal)
            self.shutdown.finish(self, reason, refusal, last)
            self.timeouts.close_at = self.hub.turn.now() + seconds
            self.set_alarm()

    @own_fault
    def revoke(self, reason: str, refusal: Refusal) -> None:
        """The client may do nothing here any more: nothing is delivered, published or answered for it from now on."""
        self.access.revoke(self, reason, refusal)

    def on_drained(self) -> None:
        """The outbox is drained, and the link is shutting down."""
        self.shutdown.shut(self)

    def cut(self, reason: str) -> None:
        """Cut the link, and count why."""
        self.shutdown.note_cut(reason)
        self.context.cuts(reason)
        self.abort()

    def abort(self) -> None:
        """Cut the link."""
        self.wire.abort()
        self.lost()

    def fail(self, error: Exception) -> None:
        """The dialect has raised: cut this link."""
        self.hub.turn.fail(error, self.session)
        self.abort()

    def on_overflow(self) -> None:
        """The outbox is full, and the policy is to disconnect."""
        self.shutdown.burst(self)

    def gap(self, n: int) -> bytes:
        """Encode the notice that `n` messages were dropped."""
        return self.egress.gap(n)

    def set_alarm(self) -> None:
        """Have `alarm` called at the earliest deadline."""
        earliest = self.timeouts.earliest(self)
        if earliest is not None:
            self.hub.turn.alarms.at(self, earliest)

    @own_fault
    def alarm(self, now: float) -> None:
        """A deadline may have passed (kernel.alarms.AlarmTarget)."""
        if self.open:
            self.timeouts.check(self, now)
        if self.open:
            self.set_alarm()
