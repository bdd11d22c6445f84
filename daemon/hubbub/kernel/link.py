"""One connected client: its transport's end, its dialect, its session, its outbox.

    bytes -> Link.receive -> dialect.receive -> events, acted on in order -> hub
    hub -> Outbox -> Wire.write

An event whose result is pending holds back those after it and pauses reading. So does a link that doesn't take the
answers to its own commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, wraps
from typing import Any

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import (
    Answer,
    Become,
    Close,
    Confirm,
    Fault,
    Open,
    Ping,
    Publish,
    Request,
    Subscribe,
    Unsubscribe,
)
from hubbub.kernel.deadlines import Deadlines
from hubbub.kernel.hub import Hub
from hubbub.kernel.outbox import DatagramOutbox, Outbox, OwnUnits
from hubbub.kernel.session import REPLIES, Batch, Box, Encoding, Session
from hubbub.kernel.wire import Place, Wire
from hubbub.message import Message
from hubbub.topics import check_filter, check_topic


def own_fault(method: Callable[..., None]) -> Callable[..., None]:
    """Let what a plugin's dialect raises in `method` cost its own link, and nobody else."""

    @wraps(method)
    def guarded(link: Link, *arguments: Any) -> None:
        try:
            method(link, *arguments)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises
            link.fail(error)

    return guarded


class Link(Deadlines):
    """One client. Transports call `receive`, `ended`, `lost`, `pause`, `resume`; everything else follows from those."""

    __slots__ = (
        "hub", "place", "wire", "session", "dialect", "outbox", "open",
        "_allowed", "_stamps", "_mount", "_held", "_busy", "_requests", "_proven", "_close", "_last", "_wrap",
    )  # fmt: skip

    def __init__(self, hub: Hub, place: Place, wire: Wire, dialect: type[Dialect], host: str, port: int) -> None:
        super().__init__(hub.now())
        self.hub = hub
        self.place = place
        self.wire = wire
        self.session = Session(host, port, place.setting.transport, place.name, place.user)
        self.session.send = self.send
        self.dialect = dialect(place.setting, self.session)
        self._wrap = wire.wrapper(dialect)
        box = DatagramOutbox if place.setting.transport == "udp" else Outbox
        self.outbox = box(hub, self, wire.write, place.full or dialect.full, place.queue)
        self.open = True
        self._mount = place.prefix.fill(self.session.fields()) + "/" if place.prefix is not None else ""
        self._identify()
        self._held: deque[Any] | None = None
        self._busy = False
        self._requests = 0
        self._proven = wire.proof is None
        self._close: tuple[str, Refusal | None] = ("", None)
        self._last = b""
        hub.counters.links += 1

    def _identify(self) -> None:
        """Look at what this client may do, now that it is known who it is."""
        place, session = self.place, self.session
        self._allowed = place.anonymous or session.user is not None
        session.rights = place.rights(session) if place.rights is not None else None
        changes = self._mount or place.retain or place.content_type
        self._stamps = bool(changes or session.rights is not None or not self._allowed)

    @own_fault
    def start(self) -> None:
        """Join the hub, with the subscription that the listener names."""
        self.place.links.add(self)
        self.hub.join(self.session)
        self.act(self.dialect.opened(self.heard))
        self.set_alarm()
        if self.dialect.decided:
            self._subscribe_as_told()

    def _subscribe_as_told(self) -> None:
        """Subscribe to what the listener names."""
        if self.place.subscribe is None or not self._allowed or not self._proven:
            return
        try:
            filter = check_filter(self.place.subscribe.fill(self.session.fields()))
            self.outbox.retained(self._subscribe(Subscribe(filter, echo=False)))
        except Refusal as no:
            self.hub.counters.refused += 1
            self.close(no.reason, no)

    # What the transport tells

    @own_fault
    def receive(self, data: bytes, text: bool | None = None) -> None:
        """Take what the client sent: a piece of a stream, or one whole unit."""
        if self.open and not self._finishing:
            self.heard = now = self.hub.now()
            self._received(self.dialect.receive(data, now, text), len(data))

    @own_fault
    def receive_units(self, units: Sequence[tuple[bytes, bool | None]]) -> None:
        """Take whole units that came at once, as (data, text)."""
        if len(units) == 1 or not self.dialect.decided:  # the first unit tells who takes the others
            self.receive(*units[0])
            units = units[1:]
        if units and self.open and not self._finishing:
            self.heard = now = self.hub.now()
            self._received(self.dialect.receive_units(units, now), sum([len(data) for data, _ in units]))

    def _received(self, events: list[Any], size: int) -> None:
        place = self.place
        place.received += len(events)
        place.received_bytes += size
        if self._held is None:
            self._act(iter(events))
        else:
            self._held.extend(events)
        if self.dialect.deadline is not None:
            self.hub.alarms.at(self, self.dialect.deadline)

    @own_fault
    def ended(self) -> None:
        """The client has said its last, and may still listen."""
        if not self.open or self._ended or self._finishing:
            return
        self._ended = True
        dialect = self.dialect
        self.act(dialect.eof(self.heard))
        if self.dialect is not dialect:  # the end of input has told which dialect it is
            self.act(self.dialect.eof(self.heard))
        self._finish_if_done()
        self.set_alarm()

    def lost(self) -> None:
        """The transport has gone."""
        if self.open:
            self.open = False
            self.place.links.discard(self)
            self.hub.leave(self.session)
            self.session.send = None
            self.hub.alarms.cancel(self)
            self.outbox.clear()
            self._held = None

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

    def sign_of_life(self) -> None:
        """The client has answered a ping of the transport."""
        self.heard = self.hub.now()
        self._asked = False

    def settle(self) -> None:
        """Send at once what this turn has brought so far."""
        self.hub.flush()

    @property
    def stays(self) -> bool:
        """Whether the link stays open for writing after the client's end of input."""
        return self.dialect.stays and bool(self.session.subscriptions)

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
                    receivers = publish(self._stamp(event) if self._stamps else event)
                    if event.tag is None:
                        continue
                    self._answer(event, receivers)
                except Refusal as no:
                    self._answer(event, no)
            elif self.open:
                self._ACTIONS[type(event)](self, event)
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
        if not self._finishing:
            self.outbox.drained = None
        held, self._held = self._held, None
        if held is not None and self.open:
            self._act(iter(held))
            if self._held is None and not self._finishing:
                self._let_go()
                self.wire.reading(True)
        self._finish_if_done()

    def _stamp(self, event: Publish) -> Publish:
        """Apply what the listener says of all that comes in. Raises Refusal."""
        self._authorize()
        if self._mount:
            if not event.topic.startswith(REPLIES):
                event.topic = check_topic(self._mount + event.topic)
            if event.reply_to and not event.reply_to.startswith(REPLIES):
                event.reply_to = check_topic(self._mount + event.reply_to)
        if self.session.rights is not None and not event.topic.startswith(REPLIES):
            self.session.rights.publish(event.topic)
        event.retain = event.retain or self.place.retain
        event.content_type = self.place.content_type or event.content_type
        return event

    def _authorize(self) -> None:
        if not self._allowed:
            raise Refusal("not-authorized", "this listener wants a login")

    def _answer(self, event: Any, result: Any) -> None:
        """Let the dialect word the outcome of an event, and send that."""
        if isinstance(result, Refusal):
            self.hub.counters.refused += 1
        if self.open:
            data = self.dialect.outcome(event, result)
            if data:
                self._write(data)

    def _write(self, unit: bytes) -> None:
        self.outbox.answer(unit if self._wrap is None else self._wrap(unit))

    def _on_subscribe(self, event: Subscribe) -> None:
        if self._unproven(event):
            return
        try:
            self._authorize()
            retained = self._subscribe(event)
        except Refusal as no:
            self._answer(event, no)
            return
        self._answer(event, None)
        self.outbox.retained(retained)

    def _subscribe(self, event: Subscribe) -> Iterator[Batch | None]:
        """Subscribe, and return the retained messages encoded, with None where the search takes a breath."""
        wish = Subscribe(check_filter(self._mount + event.filter), event.echo, event.full, event.options)
        if wish.filter.startswith(REPLIES):
            raise Refusal("not-authorized", "a reply is for who has asked")
        if self.session.rights is not None:
            self.session.rights.subscribe(wish.filter)
        encoding, box = self._way(event)
        retained = self.hub.subscribe(self.session, wish, encoding, box)
        return (self._alone(message, encoding, box) for message in retained)

    def _alone(self, message: Message | None, encoding: Encoding, box: Box) -> Batch | None:
        if message is None:
            return None
        batch = Batch(*self.hub.encode_each(encoding, (message,)), stream=encoding.stream, full=encoding.full)
        return box.own(batch) if isinstance(box, OwnUnits) else batch

    def _way(self, event: Subscribe) -> tuple[Encoding, Box]:
        """How messages of a subscription are encoded, and where they are put."""
        dialect, box, wrap = self.dialect, self.outbox, self._wrap
        form = dialect.form(event)
        if type(dialect).deliver is Dialect.deliver:
            return self.hub.encoding(dialect.encode, form, wrap, self._mount, box.stream, event.full), box
        own = OwnUnits(box, dialect.deliver, wrap, event)
        return self.hub.encoding(dialect.encode, form, None, self._mount, box.stream, event.full), own

    def _on_unsubscribe(self, event: Unsubscribe) -> None:
        if self._unproven(event):
            return
        try:
            self._authorize()
            self.hub.unsubscribe(self.session, check_filter(self._mount + event.filter))
        except Refusal as no:
            self._answer(event, no)
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
            self.hub.request(self._stamp(event), partial(self._replied, event))  # type: ignore[arg-type]
        except Refusal as no:
            self._answer(event, no)
        else:
            self._requests += 1
            self._busy = event.alone

    @own_fault
    def _replied(self, event: Request, result: Message | Refusal) -> None:
        self._requests -= 1
        self._answer(event, result)
        if event.alone:
            self._busy = False
            self._go_on()
        else:
            self._finish_if_done()

    def _on_open(self, event: Open) -> None:
        if event.user is None and event.token is None:
            try:
                self._authorize()
            except Refusal as no:
                self._answer(event, no)
            else:
                self._logged_in(event, self.session.user)
        elif self.place.login is None:
            self._answer(event, Refusal("not-authorized", "this hub knows no users"))
        else:
            self._busy = True
            self.place.login(event, self.session, partial(self._checked, event))

    @own_fault
    def _checked(self, event: Open, result: str | Refusal) -> None:
        """The credentials of `event` were looked at."""
        self._busy = False
        if self.open:
            if isinstance(result, Refusal):
                self._answer(event, result)
            else:
                self._logged_in(event, result)
            self._go_on()

    def _logged_in(self, event: Open, user: str | None) -> None:
        self.session.client = event.client or ""
        self.session.user = user
        self._identify()
        self._answer(event, user or "")

    def _on_ping(self, event: Ping) -> None:
        subscriptions = len(self.session.subscriptions or ())
        if subscriptions and self._unproven(event):
            return
        self._answer(event, subscriptions)

    def _on_answer(self, event: Answer) -> None:
        self._write(event.data)

    def _on_fault(self, event: Fault) -> None:
        self._answer(event, event.refusal)

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

    def _on_become(self, event: Become) -> None:
        self.dialect = event.dialect(self.place.setting, self.session)
        self._wrap = self.wire.wrapper(event.dialect)
        self.outbox.full = self.place.full or event.dialect.full
        self._subscribe_as_told()
        self._act(iter(self.dialect.opened(self.heard)))
        self._act(iter(self.dialect.receive(event.head, self.heard, event.text) if event.head else ()))

    def _on_close(self, event: Close) -> None:
        if event.refusal is not None:
            self.hub.counters.refused += 1
        self._finish(event.reason, event.refusal, event.data)

    _ACTIONS: dict[type, Callable[[Link, Any], None]] = {
        Subscribe: _on_subscribe,
        Unsubscribe: _on_unsubscribe,
        Request: _on_request,
        Open: _on_open,
        Ping: _on_ping,
        Answer: _on_answer,
        Fault: _on_fault,
        Confirm: _on_confirm,
        Become: _on_become,
        Close: _on_close,
    }

    # What goes out besides subscriptions

    def send(self, message: Message) -> bool:
        """Deliver one message to this client alone, as if it were subscribed to that topic."""
        if not self.open or not message.topic.startswith(self._mount):
            return False
        try:
            encoding, box = self._way(Subscribe(message.topic))
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.fail(error)
            return False
        carried, frames = self.hub.encode_each(encoding, (message,))
        if not frames:
            return False
        batch = Batch(carried, frames, encoding.stream)
        self.hub.commit()
        box.put(batch)
        self.hub.rouse()
        return True

    def gap(self, n: int) -> bytes:
        """Word the notice that `n` messages were dropped."""
        notice = self.dialect.gap(n)
        return self._wrap(notice) if notice and self._wrap is not None else notice

    # The end

    @own_fault
    def close(self, reason: str, refusal: Refusal | None = None) -> None:
        """Close the link for the hub's own reasons, after its dialect's last words."""
        if self.open and not self._finishing:
            self._finish(reason, refusal, self.dialect.closing(reason))

    def burst(self) -> None:
        """The outbox is full, and the policy is to disconnect."""
        self.abort()

    def fail(self, error: Exception) -> None:
        """Its dialect has raised: that costs this link, and nobody else."""
        self.hub.fail(error)
        self.abort()

    def abort(self) -> None:
        """Cut the link."""
        self.wire.abort()
        self.lost()

    def _finish_if_done(self) -> None:
        if self._ended and not self.stays and self._held is None and not self._busy and not self._requests:
            self._finish("end of input", None)

    def _finish(self, reason: str, refusal: Refusal | None, last: bytes = b"") -> None:
        """Flush what waits, say the last word, then close."""
        if self._finishing or not self.open:
            return
        self._finishing = True
        self._held = None
        self._close, self._last = (reason, refusal), last
        self._close_at = self.hub.now() + limits.CLOSE_SECONDS
        self.outbox.drained = self._shut
        self.outbox.mark()
        self.set_alarm()

    def _shut(self) -> None:
        if self.hub.inboxes or not self.outbox.empty:  # handlers still work on what it may have caused
            self.outbox.mark()
            return
        self.hub.leave(self.session)  # nothing follows the last word
        last, self._last = self._last, b""
        if last:
            self._write(last)
            return
        self.outbox.drained = None
        self.outbox.paused = True
        self.wire.close(*self._close)
