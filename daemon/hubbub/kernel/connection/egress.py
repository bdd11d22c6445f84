"""What goes out on one link: answers, messages of its subscriptions, messages for this client alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.dialect import Dialect, IdForm, Text
from hubbub.errors import BadFilter, Refusal
from hubbub.events import Subscribe, Unsubscribe
from hubbub.kernel.commits import Commits
from hubbub.kernel.connection.half_duplex import HalfDuplexQueue
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.connection.per_link_encoder import AdaptingReceiver, CountingReceiver, PerLinkEncoder
from hubbub.kernel.connection.replay import Gate, Replay, ReplayLink
from hubbub.kernel.history.history import History
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.subscription import Encoding, Receiver, Subscription
from hubbub.kernel.sessions.client import Client
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.qos import qos_of
from hubbub.kernel.sessions.qos_receiver import QosReceiver, framed
from hubbub.kernel.sessions.session import REPLIES, Session
from hubbub.kernel.steps import spread
from hubbub.message import Message
from hubbub.publish import QosPublish
from hubbub.topics import check_filter, check_topic, unshared


class Egress:
    """The way out of one link.

    replays  of the history, one after the other; the first has begun
    half_duplex  the queue of commands of a half-duplex link, or None
    mount   the prefix of the client's topics, or ""
    wrap    puts the transport's frame around a unit, or None
    proven  whether the client is known to be at its address; always, but over UDP
    """

    __slots__ = (
        "dialect", "half_duplex", "mount", "outbox", "proven", "replays", "wrap", "_hub", "_session",
    )  # fmt: skip

    def __init__(
        self, hub: Hub, session: Session, outbox: Outbox, half_duplex: HalfDuplexQueue | None, dialect: Dialect
    ) -> None:
        self.dialect = dialect
        self.half_duplex = half_duplex
        self.mount = ""
        self.outbox = outbox
        self.proven = True
        self.replays: deque[Replay] | None = None
        self.wrap: Callable[[bytes], bytes] | None = None
        self._hub = hub
        self._session = session

    # Answers

    def affords(self, frames: Sequence[bytes]) -> bool:
        """Return whether so much may be sent to the client's address."""
        return True

    def write(self, unit: bytes) -> None:
        """Write a unit that is no message."""
        self._write(unit)
        self._hub.turn.flush_first(self.outbox)

    def _write(self, unit: bytes) -> None:
        if self._session.subscriptions:
            self._hub.router.commit()  # messages from before the client's command stand before its answer
        self.outbox.answer(unit if self.wrap is None else self.wrap(unit))

    def _write_pieces(self, pieces: Sequence[bytes]) -> None:
        """Write a long unit, whose second piece other links share."""
        if self.wrap is not None:
            whole = b"".join(pieces)
            wrapped = self.wrap(Text(whole) if isinstance(pieces[0], Text) else whole)
            frame = wrapped[: len(wrapped) - len(whole)]
            pieces = (frame + pieces[0], *pieces[1:]) if wrapped.endswith(whole) else (wrapped,)
        if self._session.subscriptions:
            self._hub.router.commit()
        self.outbox.answer(pieces[0], pieces[1:])

    def gap(self, n: int) -> bytes:
        """Encode the notice that `n` messages were dropped."""
        notice = self.dialect.gap(n)
        return self.wrap(notice) if notice and self.wrap is not None else notice

    # Subscriptions

    def filter_in_hub(self, filter: str) -> str:
        """Return a client's filter as the hub names it. Raises BadFilter."""
        shared = unshared(filter)
        return check_filter(filter[: -len(shared)] + self.mount + shared)

    def id_of(self, event: Subscribe | Unsubscribe) -> Hashable:
        """Return the id of a client's subscription in the hub. Raises BadFilter."""
        return self.filter_in_hub(event.filter) if event.id is None else event.id

    def filter_of_client(self, filter: str) -> str:
        """Return the hub's filter as the client names it."""
        shared = unshared(filter)
        return filter[: -len(shared)] + shared.removeprefix(self.mount)

    def subscribe(self, event: Subscribe, client: Client | None, link: ReplayLink) -> Iterator[Batch | None]:
        """Subscribe, and return the retained messages encoded, with None for a step without one. Raises Refusal.

        A replay of the history begins once this turn has ended.
        """
        filter = self.filter_in_hub(event.filter)
        wish = Subscribe(
            filter, event.echo, event.full, event.options, None, event.qos, event.retained, event.id,
            event.answers, event.policy,
        )  # fmt: skip
        shared = unshared(filter)
        if self.outbox.searches >= limits.SEARCHES:
            raise Refusal("quota", "read your retained messages first: too many of your subscriptions wait for them")
        self._check_readable(shared)
        encoding, receiver = self._way(event, client)
        gate = None if event.history is None else self._gate(event, filter, encoding, receiver, client)
        known = event.retained == "new" and wish.key in (self._session.subscriptions or ())
        where = self._queued(receiver) if gate is None else gate
        subscription = self._hub.subscriptions.subscribe(self._session, wish, encoding, where)
        self._prepare(subscription, client)
        if client is not None:
            client.state.subscribe(wish)
        if gate is not None:
            gate.subscription = subscription
            self._replay(event, gate, link)
        elif self._hub.history is not None:
            event.position = self._hub.history.position_before(filter)
        if event.retained == "never" or gate is not None:
            return iter(())
        changes = client.delivery.changes if client is not None else None
        messages = self._hub.subscriptions.retained(wish, changes, known)
        return map(partial(self._encode_one, encoding, receiver), messages)

    def history(self) -> History:
        """Return the message history. Raises Refusal (bad-command): there is none."""
        if self._hub.history is None:
            raise Refusal("bad-command", "this hub keeps no history; --history FILTER does")
        return self._hub.history

    def _gate(
        self, event: Subscribe, filter: str, encoding: Encoding, receiver: Receiver, client: Client | None
    ) -> Gate:
        """Return what stands before a receiver until a replay is done. Raises Refusal."""
        self.history()
        assert event.history is not None
        if event.history.filters >= limits.HISTORY_FILTERS:
            raise Refusal("quota", f"one request for the history may have {limits.HISTORY_FILTERS} filters")
        event.history.filters += 1
        if unshared(filter) != filter:
            raise BadFilter("a shared subscription has no history")
        if self.half_duplex is not None:
            raise Refusal("bad-command", "a link with answer= gets no history")
        return Gate(event, filter, encoding, receiver, client.delivery if event.qos and client is not None else None)

    def _replay(self, event: Subscribe, gate: Gate, link: ReplayLink) -> None:
        """Have the history sent to a subscription, after the replays before it."""
        hub, replays = self._hub, self.replays
        assert event.history is not None
        if replays is None:
            replays = self.replays = deque()
        if not replays or replays[-1].request is not event.history:
            args = (self.history(), hub.turn, hub.router, hub.subscriptions, link, event.history, self._next_replay)
            replays.append(Replay(*args))
        replays[-1].add(gate)
        if len(replays) == 1 and not replays[0].begun:
            replays[0].begin()

    def end_replays(self) -> None:
        """The link has gone."""
        replays, self.replays = self.replays, None
        for replay in replays or ():
            replay.end()

    def _next_replay(self) -> None:
        """A replay is over."""
        if self.replays:
            self.replays.popleft()
        if self.replays:
            self.replays[0].begin()

    def _check_readable(self, filter: str) -> None:
        """Check that the client may receive what `filter` matches. Raises Refusal (not-authorized)."""
        if filter.startswith(REPLIES):
            raise Refusal("not-authorized", "a reply goes to the client that has sent the request")
        if self._session.rights is not None:
            self._session.rights.subscribe(filter)

    def fetch(self, topic: str) -> Message | None:
        """Return the retained message of a client's topic, as the client sees it. Raises Refusal."""
        name = check_topic(self.mount + topic)
        self._check_readable(name)
        message = next(self._hub.subscriptions.retained(Subscribe(name)), None)
        if isinstance(message, QosPublish):
            message = message.left(self._hub.turn.wall())
        return message.on(topic) if message is not None and self.mount else message

    def unsubscribe(self, id: Hashable, client: Client | None, after: int = 0) -> None:
        """End a subscription, if there is one of that id, once it has had `after` messages."""
        if after:
            receiver = self._receiver_of(id)
            if isinstance(receiver, AdaptingReceiver) and receiver.end_after(after, partial(self._exhausted, id)):
                return
        self._hub.subscriptions.unsubscribe(self._session, id)
        if client is not None:
            client.delivery.arrive()
            client.state.unsubscribe(id)
        self.dialect.ended(id)

    def _receiver_of(self, id: Hashable) -> Receiver | None:
        self._hub.router.commit()  # it has these messages already
        subscription: Subscription | None = (self._session.subscriptions or {}).get(id)
        return None if subscription is None else subscription.receiver

    def _exhausted(self, id: Hashable, receiver: Receiver) -> None:
        """A subscription has had as many messages as it should."""
        if self._receiver_of(id) is receiver:
            self.unsubscribe(id, None)

    def take_over(self, stand_in: Session, wish: Subscribe, client: Client) -> None:
        """Take over a subscription from the session that stood in for this client."""
        encoding, receiver = self._way(wish, client)
        self._hub.subscriptions.hand_over(stand_in, self._session, wish, encoding, receiver)
        assert self._session.subscriptions is not None
        subscription: Subscription = self._session.subscriptions[wish.key]
        self._prepare(subscription, client)

    def _prepare(self, subscription: Subscription, client: Client | None) -> None:
        """Set how subscriptions of this client that match one topic share a message."""
        subscription.copies = self.dialect.overlapping == "each"
        if client is not None:
            subscription.merge = partial(self._merge, client)

    def _merge(self, client: Client, several: Sequence[Subscription]) -> Subscription:
        """Merge subscriptions that match one topic, as the dialect says."""
        wish = self.dialect.merge([one.wish for one in several])
        if wish is None:
            return several[0]
        return Subscription(self._session, wish, *self._way(wish, client))

    def _queued(self, receiver: Receiver) -> Receiver:
        return receiver if self.half_duplex is None else self.half_duplex.before(receiver)

    def _way(self, event: Subscribe, client: Client | None) -> tuple[Encoding, Receiver]:
        """Return how messages of a subscription are encoded, and their receiver."""
        dialect = self.dialect
        form = dialect.form(event)
        around = dialect.encode_around if isinstance(form, IdForm) else None
        receiver, wrap = self._qos0_way(event)
        if event.qos and client is not None:
            receiver, wrap = QosReceiver(client.delivery, receiver, wrap, event), None
        stream = self.outbox.stream
        encoding = self._hub.subscriptions.encoding(
            dialect.encode_all, form, wrap, self.mount, stream, event.full, around
        )
        return encoding, receiver

    def _qos0_way(self, wish: Subscribe) -> tuple[Receiver, Callable[[bytes], bytes] | None]:
        """Return the receiver for messages of QoS 0, and the frame around each unit."""
        dialect, wrap = self.dialect, self.wrap
        if dialect.frames_per_link(wish):
            return PerLinkEncoder(self.outbox, dialect.frame_for_link, wrap, wish), None
        if dialect.counts:
            return CountingReceiver(self.outbox), wrap
        return self.outbox, wrap

    # Retained messages

    def retained(self, batches: Iterator[Batch | None]) -> None:
        """Deliver retained messages of QoS 0."""
        if self.half_duplex is None:
            self.outbox.retained(batches)
            return
        spread(self._hub.turn, "retained messages", self._line_up(self.half_duplex, batches))

    def _line_up(self, line: HalfDuplexQueue, batches: Iterator[Batch | None]) -> Iterator[None]:
        """Put retained messages into the line of a half-duplex link, which counts those that find no room."""
        for batch in batches:
            if self.outbox.stopped:
                return
            if batch is not None and batch.count:
                line.put(batch, self.outbox)
            yield

    def _encode_one(self, encoding: Encoding, receiver: Receiver, message: Message | None) -> Batch | None:
        shown = message.left(self._hub.turn.wall()) if isinstance(message, QosPublish) else message
        if message is None or shown is None or not message.topic.startswith(encoding.mount):
            return None
        carried, frames = self._hub.router.encode_each(encoding, (shown,))
        batch = Batch([message] if carried else carried, frames, encoding.stream, encoding.full)
        adapt = getattr(receiver, "adapt", None)
        return batch if adapt is None else adapt(batch)

    # Messages for this client alone

    def send(self, message: Message, client: Client | None) -> bool:
        """Deliver one message as if the client were subscribed to its topic. False: it can't be sent."""
        if not message.topic.startswith(self.mount):
            return False
        encoding, receiver = self._way(Subscribe(message.topic), client)
        carried, frames = self._hub.router.encode_each(encoding, (message,))
        if not frames or not self.affords(frames):
            return False
        self._hub.router.commit()
        self._queued(receiver).put(Batch(carried, frames, encoding.stream))
        self._hub.turn.schedule_flush()
        return True

    # Messages of QoS 1 and 2 (sessions.delivery.QosLink)

    def has_room(self) -> bool:
        """Return whether more may be sent in this turn."""
        return not self.outbox.paused and self.outbox.answers < limits.ANSWER_BYTES

    def await_room(self, one: object, then: Callable[[], None]) -> None:
        """Call `then`, for that one, once more may be sent."""
        self.outbox.await_room(one, then)

    def send_inflight(self, one: InflightMessage, frame: bytes | None) -> bool:
        """Send an in-flight message; `frame` is it, if it is encoded already. False: the dialect can't carry it."""
        dialect = self.dialect
        if one.received:
            self._write(dialect.encode_pubrel(one.id))
            return True
        if one.resent or one.qos > dialect.max_qos:
            one.qos = min(qos_of(one.message), one.wish.qos, dialect.max_qos)  # links may differ in their maximum
        if frame is None:
            found = self._encode_inflight(one)
            if not found:
                return False
            frame = found[0]
        if len(frame) > limits.ANSWER_BYTES:
            self._write_pieces(dialect.pieces_qos(frame, one.message, one.id, one.resent))
        else:
            self._write(dialect.frame_qos(frame, one.message, one.id, one.resent))
        self.outbox.sent += 1
        return True

    def _encode_inflight(self, one: InflightMessage) -> Sequence[bytes]:
        dialect, message = self.dialect, one.message
        shown: Message | None = message
        if isinstance(message, QosPublish):
            shown = message.left(self._hub.turn.wall(), one.resent)
        if shown is None:
            return ()
        encoding = self._hub.subscriptions.encoding(dialect.encode_all, dialect.form(one.wish), None, self.mount)
        return self._hub.router.encode_each(encoding, (shown,))[1]

    def send_qos0(self, batch: Batch, wish: Subscribe) -> None:
        """Send messages of QoS 0 of a subscription with a higher QoS."""
        receiver, wrap = self._qos0_way(wish)
        receiver.put(framed(batch, wrap, receiver))

    def fail(self, error: Exception) -> None:
        """The dialect has raised: close."""
        self.outbox.owner.fail(error)

    def hold(self, commits: Commits) -> None:
        """Send what follows once the open batch of a store is safe."""
        self.outbox.wait_for_commit(commits)

    def hold_for_stream(self) -> None:
        """Send what follows once the cluster's stream has all that was published up to now."""
        self.outbox.wait_for_commit(self._hub.turn.stream)


class DatagramEgress(Egress):
    """The way out to one UDP address. One that isn't validated gets a bounded number of bytes.

    peer  a connection.datagram_link.Peer
    """

    __slots__ = ("peer",)

    peer: Any

    def affords(self, frames: Sequence[bytes]) -> bool:
        """Another host may forge an address that was validated once: without a proof the answer is bounded."""
        return self.proven or bool(self.peer.affords(frames))

    def write(self, unit: bytes) -> None:
        if self.affords((unit,)):
            super().write(unit)
