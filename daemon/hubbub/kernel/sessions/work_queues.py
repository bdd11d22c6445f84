"""Work queues: groups that keep what is published on their topic until one of their members has acknowledged it.

    Router -> WorkQueue, the receiver of its topic -> lent to a member's Delivery -> acknowledged: gone
                                                             its client has gone: at the front again

A work queue is a ShareGroup with a PersistentSession of its own, so a durable store keeps it. Members say when they
have room, and get no more than that. A member at QoS 0 gets messages for good; it doesn't say so, and is asked.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.share_groups import SharedSubscriptions, ShareGroup
from hubbub.kernel.routing.subscription import NOW, Subscription
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.qos_receiver import QosReceiver
from hubbub.kernel.sessions.queued_bytes import QueuedBytes
from hubbub.kernel.sessions.records import StoredMessage
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.sessions.store import Store
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.publish import QosPublish
from hubbub.topics import unshared

_OVERFLOW = 1.25  # of its bounds: what was published before `open` has seen that it is full
MOUNT = "\1queue"  # in place of the mount point in the key of a session: no client's ends so


class WorkQueues:
    """All work queues, by the whole names of their groups."""

    def __init__(self, turn: Turn, router: Router, shared: SharedSubscriptions, queued_bytes: QueuedBytes) -> None:
        self.all: dict[str, WorkQueue] = {}
        self._queued_bytes = queued_bytes
        self._router = router
        self._shared = shared
        self._turn = turn

    def open(self, name: str, store: Store, needs_room: bool) -> None:
        """Let there be a work queue, with room for more if it `needs_room`. Raises Refusal (quota)."""
        queue = self.all.get(name)
        if queue is None:
            if len(self.all) >= limits.WORK_QUEUES:
                self._remove_idle()
            state = PersistentSession((MOUNT, None, name), Session("", 0, "hub", "queue"), store)
            state.expiry = math.inf
            state.save()
            self._install(name, state)
        elif needs_room and queue.is_full():
            raise Refusal("quota", f"the work queue {unshared(name)} is full: {len(queue.state.queue)} messages wait")

    def restore(self, state: PersistentSession) -> None:
        """Have a work queue of an earlier process; what was lent then is lent again."""
        state.requeue()
        self._queued_bytes.add(state.size)
        self._install(state.key[2], state)

    def _install(self, name: str, state: PersistentSession) -> None:
        queue = self.all[name] = WorkQueue(self._turn, self._router, state, self._queued_bytes)
        self._router.commit()
        self._shared.install(name, unshared(name), queue)

    def _remove_idle(self) -> None:
        """Make room for another one. Raises Refusal (quota)."""
        for name, queue in self.all.items():
            if queue.is_idle():
                queue.state.end()
                del self.all[name]
                self._router.commit()
                self._shared.remove(name)
                return
        raise Refusal("quota", f"{limits.WORK_QUEUES} work queues have messages or members already")


class WorkQueue(ShareGroup):
    """One work queue (sessions.inflight.Lender). `state`: its messages; those that are lent are in flight."""

    __slots__ = (
        "alarm_at", "state",
        "_fetching", "_last_loan", "_marked", "_queued_bytes", "_ready", "_refusals", "_silent", "_unable", "_wish",
    )  # fmt: skip

    stays = True
    puts_off = False  # it keeps all that comes, and lends some in each turn

    def __init__(self, turn: Turn, router: Router, state: PersistentSession, queued_bytes: QueuedBytes) -> None:
        super().__init__(turn, router)
        self.alarm_at: tuple[float, int] | None = None
        self.state = state
        self._fetching = False  # the store reads a page
        self._last_loan = 0
        self._marked = False  # for the end of this turn
        self._queued_bytes = queued_bytes
        self._ready: OrderedDict[Subscription, None] = OrderedDict()  # members that may have room
        self._silent: set[Subscription] = set()  # members at QoS 0
        self._refusals: dict[InflightMessage, int] = {}
        self._unable: set[Subscription] = set()  # members that can't carry the first message
        self._wish = Subscribe(state.key[2], qos=1)

    def is_full(self, more: float = 1.0) -> bool:
        """Return whether it has as much as it may have, or `more` times that."""
        state = self.state
        waiting = len(state.queue) + state.paged_count
        return waiting >= more * limits.QUEUE_MESSAGES or state.size >= more * state.max_bytes

    def is_idle(self) -> bool:
        """Return whether it has neither members nor messages."""
        state = self.state
        return not (self.members or self.away or state.queue or state.paged_count or state.inflight)

    # Messages in

    def give(self, message: Message, least: int) -> bool:
        """Keep a message. False: there is no room for it."""
        if self.is_full(_OVERFLOW):
            self._turn.counters.dropped += 1
            return False
        self._enqueue(InflightMessage(_qos1(message), self._wish, 1, self.state.key[2]))
        return True

    def _enqueue(self, one: InflightMessage) -> None:
        self.state.enqueue(one)
        self._queued_bytes.add(one.size)
        self._mark()

    def give_way(self, size: int) -> None:
        """Drop the oldest of those that aren't lent until `size` bytes are left."""
        state = self.state
        while (state.queue or state.paged_count) and state.size > size:
            self._drop_oldest()

    def drop_older(self) -> None:
        """Drop those that have waited for longer than `queue-age` (sessions.queue_ages.Queue)."""
        if age := self._turn.bounds.queue_age:
            while self.state.waits_since < self._turn.wall() - age:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        if self.state.queue:
            self._drop_first()
        else:
            self._queued_bytes.size -= self.state.drop_paged()
        self._turn.counters.dropped += 1

    def _drop_first(self) -> None:
        one = self.state.drop_oldest()
        self._queued_bytes.size -= one.size
        self._refusals.pop(one, None)
        self._try_again()

    # Members

    def join(self, member: Subscription) -> None:
        super().join(member)
        if member in self.members:
            if not isinstance(member.receiver, QosReceiver):
                self._silent.add(member)
            self._has_room(member)

    def leave(self, member: Subscription) -> None:
        super().leave(member)
        self._ready.pop(member, None)
        self._silent.discard(member)
        self._unable.discard(member)
        if isinstance(member.receiver, QosReceiver):
            member.receiver.forget(member)

    def _has_room(self, member: Subscription) -> None:
        self._ready[member] = None
        if self.state.queue or self.state.paged_count:
            self._mark()

    # Messages out

    def _mark(self) -> None:
        if not self._marked:
            self._marked = True
            self._turn.flush_later(self)

    def flush(self) -> None:
        """Lend messages to members that have room (kernel.turn.Flushable)."""
        self._marked = False
        left = limits.WORK_QUEUE_TURN
        while left and self.state.queue and self._ready:
            self._lend_first()
            left -= 1
        if self.state.paged_count and self._ready and not self._fetching:
            self._fetch()
        if self.state.queue and self._ready:
            self._mark()
        elif self.state.queue and self._silent:
            self._turn.alarms.at(self, self._turn.now() + limits.WORK_QUEUE_SECONDS)

    def _fetch(self) -> None:
        """Have the store read more of the queue before it runs empty."""
        if len(self.state.queue) < limits.PAGE_MESSAGES // 2:
            self._fetching = True
            self.state.fetch(self._take_page)

    def _take_page(self, last: int, page: list[StoredMessage]) -> None:
        """Go on with messages that the store has read."""
        self._fetching = False
        before = self.state.size
        self._turn.counters.dropped += self.state.take_page(last, page)
        self._queued_bytes.size += self.state.size - before
        self._mark()

    def alarm(self, now: float) -> None:
        """Ask members that don't say when they have room (kernel.alarms.AlarmTarget)."""
        self._ready.update(dict.fromkeys(self._silent))
        self._mark()

    def _lend_first(self) -> None:
        """Lend the first message to the first member that may have room, or take either out of the way."""
        one, member, turn = self.state.queue[0], next(iter(self._ready)), self._turn
        message, receiver = one.message, member.receiver
        if isinstance(message, QosPublish) and message.has_expired(turn.wall()):
            self._drop_first()
            turn.counters.dropped += 1
            return
        if self._room(member, message) < NOW:
            del self._ready[member]
            if isinstance(receiver, QosReceiver):
                receiver.wait_for_room(member, partial(self._has_room, member))
            return
        batch = self._encoded(member.encoding, message)
        if batch is None:
            self._cant_carry(member)
            return
        self._ready.move_to_end(member)
        self._try_again()
        self._last_loan += 1
        self.state.send_next(self._last_loan)
        if isinstance(receiver, QosReceiver):
            receiver.borrow(self, one, batch.frames[0])
        else:
            receiver.put(batch)
            self.settled(one)

    def _cant_carry(self, member: Subscription) -> None:
        del self._ready[member]
        self._unable.add(member)
        if len(self._unable) >= len(self.members):
            self._drop_first()
            self._turn.counters.uncarried += 1

    def _try_again(self) -> None:
        """Another message is the first: members may be able to carry that."""
        self._ready.update(dict.fromkeys(self._unable))
        self._unable.clear()

    # The fate of a loan (sessions.inflight.Lender)

    @property
    def recorded(self) -> bool:
        return self.state.recorded

    def settled(self, loan: InflightMessage) -> None:
        """A member has acknowledged it."""
        if self.state.inflight.get(loan.id) is loan:
            self.state.settle(loan)
            self._queued_bytes.size -= loan.size
            self._refusals.pop(loan, None)

    def returned(self, those: list[InflightMessage]) -> None:
        """The member that had them has gone: they are the first again."""
        self.state.take_back([one for one in those if self.state.inflight.get(one.id) is one])
        self._try_again()
        self._mark()

    def refused(self, loan: InflightMessage) -> None:
        """A member doesn't take it: it is the last again, a few times."""
        times = self._refusals.get(loan, 0) + 1
        self.settled(loan)
        if times >= limits.WORK_QUEUE_REFUSALS:
            self._turn.counters.dropped += 1
            return
        again = InflightMessage(loan.message, self._wish, 1, loan.share)
        self._refusals[again] = times
        self._enqueue(again)


def _qos1(message: Message) -> QosPublish:
    """Return a message with QoS 1, so that a member acknowledges it, whatever QoS it was published with."""
    if isinstance(message, QosPublish):
        if message.qos:
            return message
        copy: Any = message.on(message.topic)
        copy.qos = 1
        return copy  # type: ignore[no-any-return]
    copy = QosPublish(
        message.topic, message.payload, 1, None, message.retain, message.content_type, message.reply_to,
        message.properties,
    )  # fmt: skip
    copy.time, copy.sender, copy.hops = message.time, message.sender, message.hops
    return copy  # type: ignore[no-any-return]
