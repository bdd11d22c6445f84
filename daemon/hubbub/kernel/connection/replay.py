"""Sends a client what the history has for its subscriptions, then lets live messages come.

    pages of the store -> the tail in memory -> live, without a gap, a duplicate or another order

Until a replay is done it stands in the place of each receiver, and drops live messages that the history has: they come
in their order. It reads as the client takes: while there is no room it holds one page. The subscriptions of one
HistoryRequest are one replay, so that a position which a client has seen is one before which it has seen all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.events import Subscribe
from hubbub.history_request import HistoryRequest
from hubbub.kernel.connection.commands import say
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.history.history import History, Plan
from hubbub.kernel.history.last import LastMessages
from hubbub.kernel.history.store import Page, position
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.subscription import NOW, Encoding, Receiver, Subscription
from hubbub.kernel.routing.subscriptions import Subscriptions
from hubbub.kernel.sessions.delivery import Delivery
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.publish import QosPublish
from hubbub.topics import matches


class ReplayLink(Protocol):
    """The link of a replay (connection.link.Link)."""

    dialect: Dialect
    outbox: Outbox
    session: Session

    def fail(self, error: Exception) -> None:
        """The dialect has raised."""


class Gate:
    """The receiver of a subscription while its replay goes on (routing.subscription.Receiver).

    wish, encoding, receiver  as the client has asked, how its messages are encoded, and where they go
    delivery  of its messages of QoS 1 and 2, or None
    """

    __slots__ = ("delivery", "encoding", "filter", "receiver", "subscription", "wish")
    waits = False  # its client is there

    def __init__(
        self, wish: Subscribe, filter: str, encoding: Encoding, receiver: Receiver, delivery: Delivery | None
    ) -> None:
        self.wish = wish
        self.filter = filter
        self.encoding = encoding
        self.receiver = receiver
        self.delivery = delivery
        self.subscription: Subscription | None = None

    @property
    def durable(self) -> bool:
        return bool(getattr(self.receiver, "durable", False))

    def put(self, batch: Batch) -> None:
        """Take live messages that the history doesn't have."""
        left = [at for at, message in enumerate(batch.messages) if not message.position]
        if left:
            messages, frames = [batch.messages[at] for at in left], [batch.frames[at] for at in left]
            self.receiver.put(Batch(messages, frames, self.encoding.stream, batch.full))

    def miss(self, count: int) -> None:
        """The replay comes to them."""

    def is_current(self, session: Session) -> bool:
        """Return whether the subscription is still there."""
        one = self.subscription
        return one is not None and (session.subscriptions or {}).get(one.id) is one


class Replay:
    """One replay. `ended`: is called when it is over.

    request  what its client has asked for
    """

    def __init__(
        self,
        history: History,
        turn: Turn,
        router: Router,
        subscriptions: Subscriptions,
        link: ReplayLink,
        request: HistoryRequest,
        ended: Callable[[], object],
    ) -> None:
        self.gates: list[Gate] = []
        self.request = request
        self.begun = False
        self._history = history
        self._turn = turn
        self._router = router
        self._subscriptions = subscriptions
        self._link = link
        self._ended: Callable[[], object] | None = ended
        self._plan: Plan | None = None
        self._changes = history.changes  # of the rules, as of `_plan`
        self._after = 0  # all up to this number has been sent or waits in `_batches` or `_messages`
        self._told = 0  # up to this number the client knows that something is lost
        self._page: Page | None = None  # that has come
        self._messages: deque[Message] = deque()  # of a page
        self._batches: deque[tuple[Gate, Batch]] = deque()
        self._asked = self._marked = False
        self._last: LastMessages | None = None
        self._newest = 0  # number of the newest message when the client asked
        self._allowed: dict[str, bool] = {}
        self._rights: Any = None

    def add(self, gate: Gate) -> None:
        """Take one more subscription of the same request, before it begins."""
        self.gates.append(gate)
        self._plan = plan = self._history.plan(self.request, [one.filter for one in self.gates])
        self._changes, self._after, self._told = self._history.changes, plan.after, plan.lost
        self._newest = self._history.store.newest

    def begin(self) -> None:
        """Begin with the next turn."""
        self.begun = True
        self.schedule()

    def schedule(self) -> None:
        """Go on in this turn or the next."""
        if not self._marked and self._ended is not None:
            self._marked = True
            self._turn.do_later("history", self._step)

    @property
    def gone(self) -> bool:
        """Whether it is over (history.store.Asker)."""
        return self._ended is None

    def end(self) -> None:
        """The replay is over."""
        ended, self._ended, self._page = self._ended, None, None
        self._messages.clear()
        self._batches.clear()
        for gate in self.gates:
            if gate.delivery is not None:
                gate.delivery.suppliers.pop(self, None)
        if ended is not None:
            ended()

    def _step(self) -> None:
        """Send some messages (kernel.scheduler.Job)."""
        self._marked = False
        if self._ended is None:
            return
        session = self._link.session
        if not any(gate.is_current(session) for gate in self.gates) or session.link is None:
            self.end()
            return
        try:
            self._go_on()
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.end()
            self._link.fail(error)

    def _go_on(self) -> None:
        scheduler, now = self._turn.scheduler, self._turn.now
        while self._ended is not None:
            if self._batches:
                if not self._put():
                    return
            elif self._messages:
                self._encode(self._some_of_page())
            elif self._page is not None:
                self._begin_page(self._page)
            elif self._asked or not self._look():
                return
            if now() >= scheduler.ends:
                self.schedule()
                return

    # What comes from the history

    def _look(self) -> bool:
        """Take the next messages, ask the store for them, or end. Returns whether there may be more to do now."""
        plan, history = self._current_plan(), self._history
        if plan.last is not None:
            self._find_last(plan)
        elif self._last is not None and self._last.left:
            self._asked = True
            self._last.read(plan.wanted, self._take)
        elif self._after > history.store.newest:
            self._asked = True
            history.store.when_there(self._after, self._reached, self)
        elif self._after >= history.tail.floor:
            page = history.tail.after(plan.wanted, self._after, limits.REPLAY_AT_ONCE)
            if page.end == self._after:
                self._join()
                return False
            self._advance(page)
            self._encode(page.messages)
            return True
        else:
            self._asked = True
            history.store.read(plan.wanted, self._after, self._take, self)
        return False

    def _reached(self) -> None:
        """This node has read as far as its client had at another one."""
        self._asked = False
        self.schedule()

    def _current_plan(self) -> Plan:
        """Return the plan with the rules that are there now. What one that has gone had kept is lost."""
        plan, history = self._plan, self._history
        assert plan is not None
        if self._changes != history.changes:
            self._changes, wanted = history.changes, plan.wanted
            rules = history.rules_of(wanted.filters)
            self._plan = plan = plan._replace(wanted=wanted._replace(rules=rules))
            if not set(wanted.rules) <= set(rules):
                self._advance(Page((), self._after, history.store.newest))
        return plan

    def _find_last(self, plan: Plan) -> None:
        assert plan.last is not None
        self._asked = True
        self._last = LastMessages(self._turn, self._history, self._newest, self)
        self._last.find(plan.wanted, plan.last, self._found_last)

    def _found_last(self) -> None:
        assert self._plan is not None
        assert self._last is not None
        self._asked = False
        self._plan = self._plan._replace(last=None)
        self._after = self._told = self._last.end
        self.schedule()

    def _take(self, page: Page) -> None:
        """Take a page of the store."""
        self._asked = False
        self._page = page
        self.schedule()

    def _begin_page(self, page: Page) -> None:
        self._page = None
        self._advance(page)
        self._messages.extend(page.messages)

    def _advance(self, page: Page) -> None:
        """Note how far a page goes, and tell the client if messages were dropped before the replay came to them."""
        before, self._after = self._after, max(self._after, page.end)
        if page.lost <= max(before, self._told):
            return
        self._told = page.lost
        where = position(self._history.store, page.lost)
        for gate in self._there():
            say(self._link, self._link.dialect.encode_lost(gate.wish, where))

    def _some_of_page(self) -> list[Message]:
        found: list[Message] = []
        size, messages = 0, self._messages
        while messages and len(found) < limits.REPLAY_AT_ONCE and size < limits.REPLAY_BYTES:
            message = messages.popleft()
            size += len(message.payload)
            found.append(message)
        return found

    # What goes to the client

    def _there(self) -> list[Gate]:
        session = self._link.session
        return [gate for gate in self.gates if gate.is_current(session)]

    def _encode(self, messages: Sequence[Message]) -> None:
        """Encode messages for the subscription of each, as far as its client may have them."""
        now, gates = self._turn.wall(), self._there()
        kept = [one for one in messages if not (isinstance(one, QosPublish) and one.has_expired(now))]
        allowed = [one for one in kept if self._may_receive(one.topic)]
        self._turn.counters.replayed += len(allowed)
        if len(gates) == 1:
            self._encode_run(gates[0], allowed, now)
            return
        run: list[Message] = []
        last: Gate | None = None
        for message in allowed:
            gate = next((gate for gate in gates if matches(gate.filter, message.topic)), None)
            if gate is not last and last is not None:
                self._encode_run(last, run, now)
                run = []
            last = gate
            if gate is not None:
                run.append(message)
        if last is not None:
            self._encode_run(last, run, now)

    def _encode_run(self, gate: Gate, messages: Sequence[Message], now: float) -> None:
        encoding = gate.encoding
        if encoding.mount:
            messages = encoding.visible(list(messages))
        if not messages:
            return
        if any(type(one) is QosPublish and one.message_expiry is not None for one in messages):
            batches: Iterator[Batch] = (self._encode_aging(encoding, one, now) for one in messages)
        else:
            batches = iter((Batch(*self._router.encode(encoding, messages), encoding.stream, encoding.full),))
        for batch in batches:
            if batch.count:
                self._batches.append((gate, batch))

    def _encode_aging(self, encoding: Encoding, message: Message, now: float) -> Batch:
        """Encode a message with the expiry that it has left."""
        shown = message.left(now) if isinstance(message, QosPublish) else message
        assert shown is not None
        carried, frames = self._router.encode(encoding, (shown,))
        return Batch([message] if carried else [], frames, encoding.stream, encoding.full)

    def _may_receive(self, topic: str) -> bool:
        rights = self._link.session.rights
        if rights is not self._rights:
            self._rights = rights
            self._allowed.clear()
        if rights is None:
            return True
        allowed = self._allowed.get(topic)
        if allowed is None:
            if len(self._allowed) >= limits.RIGHTS_TOPICS:
                self._allowed.clear()
            allowed = self._allowed[topic] = rights.receives(topic)
        return allowed

    def _put(self) -> bool:
        """Put the first batch into its receiver, as far as there is room. Returns whether it was all."""
        gate, batch = self._batches[0]
        if not gate.is_current(self._link.session):
            self._batches.popleft()
            return True
        taken = self._put_some(gate, batch)
        if taken == batch.count:
            self._batches.popleft()
            return True
        if taken:
            rest = _slice(batch, taken, batch.count, gate.encoding)
            self._batches[0] = gate, rest
        return False

    def _put_some(self, gate: Gate, batch: Batch) -> int:
        """Put as many messages as there is room for, and have this called again once there is more."""
        outbox, taken = self._link.outbox, 0
        room = outbox.room_for_replay()
        if gate.delivery is None:
            if room > 0:
                taken = min(batch.count, max(batch.fitting(room), 0 if outbox.count else 1))
                gate.receiver.put(batch if taken == batch.count else _slice(batch, 0, taken, gate.encoding))
        else:
            gate.delivery.suppliers[self] = self.schedule
            while taken < batch.count and room > 0 and gate.delivery.room(batch.messages[taken]) == NOW:
                gate.receiver.put(_slice(batch, taken, taken + 1, gate.encoding))
                room, taken = outbox.room_for_replay(), taken + 1
        if taken < batch.count:
            outbox.await_room(self, self.schedule)
        return taken

    def _join(self) -> None:
        """All that is kept was sent: let live messages come."""
        session = self._link.session
        there = self._there()
        for gate in there:
            assert gate.subscription is not None
            self._subscriptions.redirect(session, gate.subscription, gate.receiver)
        end = self._history.end
        self.end()
        for gate in there:
            say(self._link, self._link.dialect.replayed(gate.wish, end))


def _slice(batch: Batch, start: int, end: int, encoding: Encoding) -> Batch:
    return Batch(batch.messages[start:end], batch.frames[start:end], encoding.stream, batch.full)
