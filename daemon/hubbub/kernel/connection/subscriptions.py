"""What goes out on a link besides answers: its subscriptions, and what is sent to this client alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import QosPublish, Subscribe
from hubbub.kernel.connection.half_duplex import HalfDuplexQueue
from hubbub.kernel.connection.per_link_encoder import PerLinkEncoder
from hubbub.kernel.connection.shutdown import Ending
from hubbub.kernel.sessions.delivery import QosReceiver, framed
from hubbub.kernel.sessions.session import REPLIES, Batch, Encoding, Receiver, Session, Subscription
from hubbub.kernel.sessions.store import InflightMessage
from hubbub.message import Message
from hubbub.topics import check_filter, unshared


class Outgoing(Ending):
    """The ways out of one link. Base of Link."""

    __slots__ = ("_allowed", "half_duplex", "_mount", "_proven", "_wrap")

    _allowed: bool  # whether this client may do anything
    half_duplex: HalfDuplexQueue | None  # of a half-duplex link
    _mount: str  # what stands before each of its topics
    _proven: bool  # whether it is where it says
    _wrap: Callable[[bytes], bytes] | None

    def _subscribe_as_told(self) -> None:
        """Subscribe to what the listener names."""
        if self.context.subscribe is None or not self._allowed or not self._proven:
            return
        try:
            filter = check_filter(self.context.subscribe.fill(self.session.fields()))
            self._retained(self._subscribe(Subscribe(filter, echo=False)))
        except Refusal as refusal:
            self._refused(refusal)
            self.close(refusal.reason, refusal)

    def _subscribe(self, event: Subscribe) -> Iterator[Batch | None]:
        """Subscribe, and return the retained messages encoded, with None where the search takes a breath."""
        filter = self.named(event.filter)
        wish = Subscribe(filter, event.echo, event.full, event.options, None, event.qos, event.retained)
        shared = unshared(filter)
        if shared.startswith(REPLIES):
            raise Refusal("not-authorized", "a reply is for who has asked")
        if self.outbox.searches >= limits.SEARCHES:
            raise Refusal("quota", "read first what you are sent: too many of your subscriptions wait for that")
        if self.session.rights is not None:
            self.session.rights.subscribe(shared)
        encoding, receiver = self._way(event)
        known = event.retained == "new" and wish.filter in (self.session.subscriptions or ())
        retained = self.hub.subscribe(self.session, wish, encoding, self._in_line(receiver))
        if self.client is not None:
            self.session.subscriptions[wish.filter].merge = self.merged  # type: ignore[index]
            self.client.kept.subscribe(wish)
        if known or event.retained == "never":
            return iter(())
        return map(partial(self._alone, encoding, receiver), retained)

    def unsubscribe(self, filter: str) -> None:
        """End a subscription, named as in the hub; none is none."""
        self.hub.unsubscribe(self.session, filter)
        if self.client is not None:
            self.client.kept.unsubscribe(filter)

    def named(self, filter: str) -> str:
        """A client's filter as the hub names it. Raises BadFilter."""
        shared = unshared(filter)
        return check_filter(filter[: -len(shared)] + self._mount + shared)

    def merged(self, several: Sequence[Subscription]) -> Subscription:
        """Make one of several subscriptions that match the same, as the dialect wants it."""
        wish = self.dialect.merge([one.wish for one in several])
        if wish is None:
            return several[0]
        return Subscription(self.session, wish, *self._way(wish))

    def _retained_for(self, event: Subscribe, batches: Iterator[Batch | None]) -> None:
        """Deliver retained messages as a subscription wants them."""
        if self.client is not None and event.qos:
            self.client.delivery.pull(batches, event)
        else:
            self._retained(batches)

    def _retained(self, batches: Iterator[Batch | None]) -> None:
        """Deliver retained messages."""
        if self.half_duplex is None:
            self.outbox.retained(batches)
            return
        for batch in islice(batches, limits.RETAINED_AT_ONCE):
            if batch is not None and batch.count:
                self.half_duplex.put(batch, self.outbox)

    def _in_line(self, receiver: Receiver) -> Receiver:
        return receiver if self.half_duplex is None else self.half_duplex.before(receiver)

    def _alone(self, encoding: Encoding, receiver: Receiver, message: Message | None) -> Batch | None:
        shown = message.left(self.hub.wall()) if isinstance(message, QosPublish) else message
        if message is None or shown is None:
            return None
        carried, frames = self.hub.encode_each(encoding, (shown,))
        batch = Batch([message] if carried else carried, frames, encoding.stream, encoding.full)
        return receiver.own(batch) if isinstance(receiver, PerLinkEncoder) else batch

    def _way(self, event: Subscribe) -> tuple[Encoding, Receiver]:
        """How messages of a subscription are encoded, and where they are put."""
        dialect = self.dialect
        form = dialect.form(event)
        receiver, wrap = self._unassured(event)
        if event.qos and self.client is not None:
            receiver, wrap = QosReceiver(self.client.delivery, receiver, wrap, event), None
        return self.hub.encoding(dialect.encode, form, wrap, self._mount, self.outbox.stream, event.full), receiver

    def _unassured(self, wish: Subscribe) -> tuple[Receiver, Callable[[bytes], bytes] | None]:
        """Where messages of a subscription are put that nobody acknowledges, and what frames them before."""
        if self.dialect.frames_per_link():
            return PerLinkEncoder(self.outbox, self.dialect.frame_for_link, self._wrap, wish), None
        return self.outbox, self._wrap

    # What is owed to the client (kernel.sessions.delivery.Carrier)

    def room(self) -> bool:
        """Whether more may be handed over in this turn."""
        return not self.outbox.paused and self.outbox.answers < limits.ANSWER_BYTES

    def carry(self, owed: InflightMessage, frame: bytes | None) -> bool:
        """Send what is owed; `frame` is it, where it is encoded already. False: the dialect can't."""
        dialect = self.dialect
        if owed.received:
            self._write(dialect.encode_pubrel(owed.id))
            return True
        if frame is None:
            encoding = self.hub.encoding(dialect.encode, dialect.form(owed.wish), None, self._mount)
            message: Message | None = owed.message
            if isinstance(message, QosPublish):
                message = message.left(self.hub.wall(), owed.again)
            frames = [] if message is None else self.hub.encode_each(encoding, (message,))[1]
            if not frames:
                return False
            frame = frames[0]
        self._write(dialect.frame_qos(frame, owed.message, owed.id, owed.again))
        self.outbox.sent += 1
        return True

    def paused(self) -> bool:
        """Whether the transport takes no more for now."""
        return self.outbox.paused

    def send_qos0(self, batch: Batch, wish: Subscribe) -> None:
        """Send messages that nobody acknowledges."""
        receiver, wrap = self._unassured(wish)
        receiver.put(framed(batch, wrap, receiver))

    def part(self, will: bool) -> None:
        """The client's session goes on without this link, or ends with it."""
        client = self.client
        self.client = None
        if client is not None:
            client.leave(self, will)

    def renew(self, stand_in: Session, wish: Subscribe) -> None:
        """Take up a subscription that the client made on another link."""
        encoding, receiver = self._way(wish)
        self.hub.hand_over(stand_in, self.session, wish, encoding, receiver)
        self.session.subscriptions[wish.filter].merge = self.merged  # type: ignore[index]

    def send(self, message: Message) -> bool:
        """Deliver one message to this client alone, as if it were subscribed to that topic."""
        if not self.open or not message.topic.startswith(self._mount):
            return False
        try:
            encoding, receiver = self._way(Subscribe(message.topic))
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.fail(error)
            return False
        carried, frames = self.hub.encode_each(encoding, (message,))
        if not frames or not self._affords(frames):
            return False
        batch = Batch(carried, frames, encoding.stream)
        self.hub.commit()
        self._in_line(receiver).put(batch)
        self.hub.schedule_flush()
        return True

    def _affords(self, frames: Sequence[bytes]) -> bool:
        """Tell whether so much may be sent to where this client says that it is."""
        return True

    def gap(self, n: int) -> bytes:
        """Word the notice that `n` messages were dropped."""
        notice = self.dialect.gap(n)
        return self._wrap(notice) if notice and self._wrap is not None else notice

    def _write(self, unit: bytes) -> None:
        if self.session.subscriptions:
            self.hub.commit()  # what came for this client before its command stands before the answer
        self.outbox.answer(unit if self._wrap is None else self._wrap(unit))
