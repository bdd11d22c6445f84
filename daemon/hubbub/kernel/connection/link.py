"""One connected client: its transport's end, its dialect, its session, its outbox.

    bytes -> Link.receive -> dialect.receive -> events, acted on in order -> hub
    hub -> Outbox -> Wire.write

An event whose result is pending holds back those after it and pauses reading. So does a link that doesn't take the
answers to its own commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any, ClassVar

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import (
    Ack,
    Answer,
    AuthResponse,
    Close,
    Confirm,
    Connect,
    Fault,
    Notice,
    Ping,
    Publish,
    QosPublish,
    Release,
    Request,
    Subscribe,
    SubscriptionBatch,
    SwitchDialect,
    Unsubscribe,
)
from hubbub.kernel.connection.authentication import Entrance
from hubbub.kernel.connection.datagram_outbox import DatagramOutbox
from hubbub.kernel.connection.half_duplex import HalfDuplexQueue
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.connection.shutdown import own_fault
from hubbub.kernel.connection.wire import ListenerContext, Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message

_ids = count(1)


class Link(Entrance):
    """One client. Transports call `receive`, `ended`, `lost`, `pause`, `resume`; everything else follows from those."""

    __slots__ = ("hub", "context", "wire", "dialect", "open", "source")

    ACTIONS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {}  # filled below, as mypyc needs it

    def __init__(
        self, hub: Hub, context: ListenerContext, wire: Wire, dialect: type[Dialect], host: str, port: int
    ) -> None:
        super().__init__(hub.now())
        self.hub = hub
        self.context = context
        self.wire = wire
        self.session = Session(host, port, context.dialect_context.transport, context.name, context.user)
        self.session.id = next(_ids)
        self.session.send = self.send
        self.dialect = dialect(context.dialect_context, self.session)
        self._wrap = wire.wrapper(dialect)
        receiver = DatagramOutbox if context.dialect_context.transport == "udp" else Outbox
        self.outbox = receiver(hub, self, wire.write, context.full or dialect.full, context.queue)
        self.open = True
        self.source: str | None = None  # as which it is counted, see kernel.ingress.sources
        self._mount = self._mount_point()
        self.half_duplex = HalfDuplexQueue(hub, self.outbox, context.answer) if context.answer is not None else None
        self.identify()
        self._proven = wire.proof is None
        hub.counters.links += 1
        if hub.traced is not None:
            hub.traced(self)

    @own_fault
    def start(self) -> None:
        """Join the hub, with the subscription that the listener names."""
        self.context.links.add(self)
        self.context.opened += 1
        self.hub.join(self.session)
        self._announce()
        if self.context.hello:
            self._write(self.context.hello)
        self.act(self.dialect.opened(self.heard))
        self.set_alarm()
        if self.dialect.final:
            self._subscribe_as_told()

    # What the transport tells

    def receive(self, data: bytes, text: bool | None = None) -> None:
        """Take what the client sent: a piece of a stream, or one whole unit."""
        if self.open and not self._finishing:
            try:
                self.heard = now = self.hub.now()
                self._received(self.dialect.receive(data, now, text), len(data))
            except Exception as error:  # noqa: BLE001  a plugin's dialect
                self.fail(error)

    @own_fault
    def receive_units(self, units: Sequence[tuple[bytes, bool | None]]) -> None:
        """Take whole units that came at once, as (data, text)."""
        if len(units) == 1 or not self.dialect.final:  # the first unit tells who takes the others
            self.receive(*units[0])
            units = units[1:]
        if units and self.open and not self._finishing:
            self.heard = now = self.hub.now()
            self._received(self.dialect.receive_units(units, now), sum([len(data) for data, _ in units]))

    def _received(self, events: list[Any], size: int) -> None:
        context = self.context
        context.received += len(events)
        context.received_bytes += size
        if self._sign is not None:
            self._sign.heard(self)
        if self._held is None:
            self._act(iter(events))
        else:
            self._held.extend(events)
        if self.dialect.deadline is not None:
            self.hub.alarms.at(self, self.dialect.deadline)

    def lost(self) -> None:
        """The transport has gone."""
        if self.open:
            self.open = False
            self.context.links.discard(self)
            if self.client is not None:
                self.part(True)
            self.hub.leave(self.session)
            self.session.send = None
            self.hub.alarms.cancel(self)
            self._let_go_of_extras()
            self.context.lost(self.outbox)
            if self.source is not None:
                self.hub.sources.leave(self.source)
            self.outbox.clear()
            self._held = None

    def _let_go_of_extras(self) -> None:
        """End what only some links have."""
        self._not_any_more()
        if self._intake is not None:
            self._intake.end()
        if self.half_duplex is not None:
            self.half_duplex.clear()
        if self._sign is not None:
            self._sign.down(self)

    def pause(self, held: int) -> None:
        """The transport takes no more for now; `held` bytes wait in it."""
        self.outbox.pause(held)
        self._progress, self._progress_at = self.wire.unsent(), self.hub.now()
        self.set_alarm()

    def resume(self) -> None:
        """The transport takes more."""
        self._progress_at = None
        if self.open:
            self.outbox.resume()
            if self.client is not None:
                self.client.delivery.go_on()
            if self.half_duplex is not None:
                self.half_duplex.resumed()

    def sign_of_life(self, size: int = 0) -> None:
        """The client has sent a ping or a pong of the transport, of so many bytes."""
        self.heard = self.hub.now()
        self._asked = False

    def settle(self) -> None:
        """Send at once what this turn has brought so far."""
        self.hub.flush()

    @property
    def holding(self) -> bool:
        """Whether events are held back, and with them reading."""
        return self._held is not None

    # What the client wants

    def act(self, events: Iterable[Any]) -> None:
        """Act on events, or keep them until what stands before them is done."""
        if self._held is None:
            self._act(iter(events))
        else:
            self._held.extend(events)

    def _act(self, events: Iterator[Any]) -> None:
        publish, session = self.hub.publish, self.session
        for event in events:
            if type(event) is Publish:
                event.sender = session
                try:
                    if self._intake is None:
                        receivers = publish(event)
                        if event.tag is None:
                            continue
                    else:
                        receivers = self._intake.publish(event, self)
                    if event.tag is not None:
                        self._answer(event, receivers)
                except Refusal as refusal:
                    self._answer(event, refusal)
            elif self.open:
                self.ACTIONS[type(event)](self, event)
            if self._busy or self._finishing or self.outbox.answers > limits.ANSWER_BYTES:
                self._hold(events)
                return

    def _hold(self, events: Iterable[Any]) -> None:
        """Keep `events` until what stands before them is done."""
        if not self.open or self._finishing:
            return
        if self._held is None:
            self._held = deque()
            self._held_at = self.hub.now()
            self.wire.reading(False)
        self._held.extend(events)
        if not self._busy:
            self.outbox.drained = self._go_on

    def _go_on(self) -> None:
        """Act on what was held back, and read on."""
        if self._busy:
            return
        if not self._finishing:
            self.outbox.drained = None
        held = self._held
        self._held = None
        if held is not None and self.open:
            self._act(iter(held))
            self.hub.clients.store.commit()  # others may be flushed next, where this one was drained by that
            if not self.holding and not self._finishing:
                self._let_go()
                self.wire.reading(True)
        self._finish_if_done()

    def rest(self, until: float) -> None:
        """Act on nothing more, and read nothing, until then: a monotonic time."""
        if self._rest_until is None:
            self._busy += 1
        self._rest_until = max(until, self._rest_until or until)
        self.set_alarm()

    def _rested(self) -> None:
        self._busy -= 1
        self._go_on()

    def _answer(self, event: Any, result: Any) -> None:
        """Let the dialect word the outcome of an event, and send that."""
        if isinstance(result, Refusal):
            self._refused(result)
        if self.open:
            data: Any = self.dialect.outcome(event, result)
            if data:
                if type(data) is Close:
                    self._on_close(data)
                else:
                    self._write(data)

    def _on_subscribe(self, event: Subscribe) -> None:
        if self._unproven(event):
            return
        try:
            self._authorize()
            retained = self._subscribe(event)
        except Refusal as refusal:
            self._answer(event, refusal)
            return
        self._answer(event, None)
        self._retained_for(event, retained)

    def _on_unsubscribe(self, event: Unsubscribe) -> None:
        if self._unproven(event):
            return
        try:
            self._authorize()
            self.unsubscribe(self.named(event.filter))
        except Refusal as refusal:
            self._answer(event, refusal)
        else:
            self._answer(event, None)

    def _on_request(self, event: Request) -> None:
        if self._unproven(event):
            return
        event.sender = self.session
        try:
            self._authorize()
            if self._requests >= limits.REQUESTS_PER_LINK:
                raise Refusal("quota", f"{limits.REQUESTS_PER_LINK} requests of this link wait for a reply already")
            if self._intake is not None:
                self._intake.request(event, self)
            self.hub.request(event, partial(self._replied, event))
        except Refusal as refusal:
            self._answer(event, refusal)
        else:
            self._requests += 1
            self._busy += event.blocking

    @own_fault
    def _replied(self, event: Request, result: Message | Refusal) -> None:
        self._requests -= 1
        self._answer(event, result)
        if event.blocking:
            self._busy -= 1
            self._go_on()
        else:
            self._finish_if_done()

    def _on_ping(self, event: Ping) -> None:
        subscriptions = len(self.session.subscriptions or ())
        if subscriptions and self._unproven(event):
            return
        self._answer(event, subscriptions)

    def _on_letter(self, event: QosPublish) -> None:
        event.sender = self.session
        client = self.client
        try:
            if event.dedup_id is not None and client is not None and not client.is_new(event.dedup_id):
                self._answer(event, 1)  # it went out when it came first
                return
            receivers = self.hub.publish(event) if self._intake is None else self._intake.publish(event, self)
            if event.dedup_id is not None and client is not None:
                client.kept.receive(event.dedup_id)
        except Refusal as refusal:
            self._answer(event, refusal)
            return
        if event.tag is not None:
            self._answer(event, receivers)

    def _on_release(self, event: Release) -> None:
        client = self.client
        known = client is not None and event.dedup_id in client.kept.received
        if client is not None:
            client.kept.release(event.dedup_id)
        self._answer(event, known)

    def _on_ack(self, event: Ack) -> None:
        self._answer(event, self.client is not None and self.client.delivery.ack(event.id, event.stage))

    def _on_several(self, event: SubscriptionBatch) -> None:
        results: list[Any] = []
        retained = []
        for one in event.events:
            try:
                self._authorize()
                if isinstance(one, Fault):
                    raise one.refusal
                if isinstance(one, Subscribe):
                    retained.append((one, self._subscribe(one)))
                    results.append(None)
                else:
                    filter = self.named(one.filter)
                    results.append(filter in (self.session.subscriptions or ()))
                    self.unsubscribe(filter)
            except Refusal as refusal:
                self._refused(refusal)
                results.append(refusal)
        self._answer(event, results)
        for one, batches in retained:
            self._retained_for(one, batches)
        self._weigh(len(results))

    def _weigh(self, count: int) -> None:
        """What came as one was so many commands."""

    def _on_answer(self, event: Answer) -> None:
        self._write(event.data)

    def _on_fault(self, event: Fault) -> None:
        self._answer(event, event.refusal)

    def _on_notice(self, event: Notice) -> None:
        if self.context.notice is not None:
            self.context.notice(event.text)

    def _on_confirm(self, event: Confirm) -> None:
        if self.wire.proof is not None:
            self._proven = self.wire.proof.check(event.token)

    def _unproven(self, event: Any) -> bool:
        """Ask for a proof where one is needed and not given."""
        if self._proven:
            return False
        assert self.wire.proof is not None
        data = self.dialect.confirm(event, self.wire.proof.token())
        if data:
            self._write(data)
        return True

    def _on_become(self, event: SwitchDialect) -> None:
        self.dialect = event.dialect(self.context.dialect_context, self.session)
        if self.hub.traced is not None:
            self.hub.traced(self)
        self._wrap = self.wire.wrapper(event.dialect)
        self.outbox.full = self.context.full or event.dialect.full
        self._subscribe_as_told()
        self._act(iter(self.dialect.opened(self.heard)))
        self._act(iter(self.dialect.receive(event.head, self.heard, event.text) if event.head else ()))

    def _on_close(self, event: Close) -> None:
        if event.refusal is not None:
            self._refused(event.refusal)
        if self.client is not None:
            if event.session_expiry is not None:
                self.client.kept.expiry = min(event.session_expiry, limits.SESSION_SECONDS)
            self.part(event.will)
        self._finish(event.reason, event.refusal, event.data)


Link.ACTIONS = {
    Subscribe: Link._on_subscribe,
    Unsubscribe: Link._on_unsubscribe,
    Request: Link._on_request,
    QosPublish: Link._on_letter,
    Release: Link._on_release,
    Ack: Link._on_ack,
    SubscriptionBatch: Link._on_several,
    Connect: Link._on_open,
    AuthResponse: Link._on_step,
    Ping: Link._on_ping,
    Answer: Link._on_answer,
    Fault: Link._on_fault,
    Notice: Link._on_notice,
    Confirm: Link._on_confirm,
    SwitchDialect: Link._on_become,
    Close: Link._on_close,
}
