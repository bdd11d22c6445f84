"""Messages of QoS 1 and 2 on their way to one client (MQTT 5.0 section 4.3).

    Router -> QosReceiver, a subscription's receiver -> Delivery: queue, in flight -> link -> client -> Delivery.ack

A message waits in the bounded queue until it may be sent: at most `receive_maximum` are in flight, and none is sent
while the transport is paused. In-flight messages are sent again after a reconnect. A Delivery outlives its link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.subscription import AWAY, LATER, LOST, NEVER, NOW
from hubbub.kernel.sessions.inflight import InflightMessage, Lender
from hubbub.kernel.sessions.other_members import give_all, give_to_others, give_while_away
from hubbub.kernel.sessions.qos import STAGES, PassOn, QosBatches, QosLink, qos_of
from hubbub.kernel.sessions.queued_bytes import QueuedBytes
from hubbub.kernel.sessions.records import StoredMessage
from hubbub.kernel.sessions.retained_changes import RetainedChanges
from hubbub.kernel.sessions.retained_searches import RetainedSearches
from hubbub.kernel.sessions.session_queue import SessionQueue
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.steps import spread_later
from hubbub.kernel.turn import Turn
from hubbub.message import Message, cost
from hubbub.publish import QosPublish


class Delivery:
    """Sends the messages of one PersistentSession.

    link             the client's link, or None
    receive_maximum  messages in flight at once; max_id: the highest packet identifier
    queue            the bounded queue of its messages
    changes          of retained messages while there is no link; None: the client asks for those that it wants
    suppliers        what to call once there is room, by the member of the work queue that has found none
    ended            whether the session has ended: it takes nothing any more
    coming           messages that were put off, with the subscription's receiver of each
    """

    __slots__ = (
        "changes", "coming", "ended", "link", "max_id", "queue", "receive_maximum", "state", "suppliers",
        "turn", "_fetching", "_keep", "_last_id", "_marked", "_pass_on", "_queued_bytes", "_resend", "_searches",
    )  # fmt: skip

    def __init__(self, turn: Turn, queued_bytes: QueuedBytes, state: PersistentSession, pass_on: PassOn) -> None:
        self.changes: RetainedChanges | None = None
        self.coming: list[tuple[QosBatches, Batch, Sequence[int]]] = []
        self.link: QosLink | None = None
        self.ended = False
        self.max_id = limits.PACKET_IDS
        self.queue = SessionQueue(turn, queued_bytes, state)
        self.state = state
        self.receive_maximum = limits.INFLIGHT_MESSAGES
        self.suppliers: dict[object, Callable[[], object]] = {}
        self._resend: deque[InflightMessage] = deque()  # in flight, and still to be sent on this link
        self.turn = turn
        self._fetching = False  # the store reads a page
        self._keep: Callable[[str], bool] | None = None  # of the last `purge`, for messages that are read later
        self._last_id = next(reversed(state.inflight), 0)
        self._marked = False  # for the end of this turn
        self._pass_on = pass_on
        self._queued_bytes = queued_bytes
        self._searches = RetainedSearches()

    # Outgoing

    def flush_later(self) -> None:
        """Go on at the end of this turn, or later if there are many others."""
        if not self._marked:
            self._marked = True
            self.turn.flush_later(self)

    def arrive(self) -> None:
        """Take what was put off, before anything else: a store has it already, and numbers grow."""
        coming, self.coming = self.coming, []
        for receiver, batch, numbers in coming:
            receiver.take(batch, numbers)

    def add(self, one: InflightMessage, frame: bytes | None) -> None:
        """Send a message, or put it into the queue, or drop one as the policy says."""
        queue = self.queue
        self.turn.handed += (limits.RECORDED_DELIVERY if self.state.number else 1) + one.size // limits.PIECE_BYTES
        if queue.places:
            queue.settle()
        if queue.empty and self._may_send():
            self._send_new(one, frame)
        else:
            queue.add(one)

    def borrow(self, lender: Lender, loan: InflightMessage, wish: Subscribe, frame: bytes, share: str) -> None:
        """Send a message that is lent: there is room for it."""
        self.arrive()
        one = InflightMessage(loan.message, wish, loan.qos, share)
        one.lender, one.loan = lender, loan
        self._send_new(one, frame)

    def hand_over(self, one: InflightMessage) -> None:
        """Have a message in flight for which there is room; it is sent once it is released."""
        self.arrive()
        one.pending, one.id = True, self._free_id()
        self._queued_bytes.add(one.size)
        self.state.send_new(one)

    def has(self, one: InflightMessage) -> bool:
        """Return whether a message is in flight."""
        return not self.ended and self.state.inflight.get(one.id) is one

    def release(self, one: InflightMessage) -> None:
        """Send a message that was handed over, unless the session has it no more."""
        one.pending = False
        if self.link is not None and self.has(one):
            self._resend.append(one)
            try:
                self._send_again()
                self._mark_if_more()
            except Exception as error:  # noqa: BLE001  a plugin's dialect
                self.link.fail(error)

    def withdraw(self, one: InflightMessage) -> None:
        """Take back a message that was handed over: another client gets it."""
        if self.has(one):
            self._remove(one)
            self.ask_later()

    def room(self, message: Message) -> int:
        """Return what would happen to one more message (routing.subscription.GroupMember)."""
        state, queue = self.state, self.queue
        self.arrive()
        if queue.places:
            queue.settle()
        if queue.empty and self._may_send():
            return NOW
        if self.link is None and not self.state.owner.is_valid(self.turn.wall()):
            return NEVER
        if not queue.empty and queue.is_full(cost(message) + limits.QUEUED_MESSAGE_BYTES):
            return LOST
        # A group gets back what only the store has once the session ends, not when the client goes.
        return AWAY if self.link is None or state.paged_count else LATER

    def _may_send(self) -> bool:
        state, link = self.state, self.link
        if link is None or self._resend or len(state.inflight) >= self.receive_maximum:
            return False
        return state.inflight_bytes <= state.max_bytes and link.has_room()

    def _send_new(self, one: InflightMessage, frame: bytes | None) -> None:
        if self._has_expired(one.message):
            self.queue.refuse(one)
            return
        one.id = self._free_id()
        if one.lender is None:  # else it counts there
            self._queued_bytes.add(one.size)
        self.state.send_new(one)
        self._send(one, frame)

    def _send_next(self) -> None:
        if self._has_expired(self.state.queue[0].message):
            self.queue.drop_oldest()
        else:
            self._send(self.state.send_next(self._free_id()))

    def _has_expired(self, message: Message) -> bool:
        if not isinstance(message, QosPublish) or message.message_expiry is None:
            return False
        return message.has_expired(self.turn.wall())

    def _send(self, one: InflightMessage, frame: bytes | None = None) -> None:
        assert self.link is not None
        state = self.state
        if state.recorded and one.qos >= state.store.held_qos:
            self.link.hold(state.store.commits)  # or the packet identifier could be forgotten
        if not self.link.send_inflight(one, frame):
            self._settle(one)
            self.turn.counters.uncarried += 1
        one.resent = True

    def _settle(self, one: InflightMessage) -> None:
        self._remove(one)
        if one.lender is not None and one.loan is not None:
            one.lender.settled(one.loan)

    def _remove(self, one: InflightMessage) -> None:
        self.state.settle(one)
        if one.lender is None:
            self._queued_bytes.size -= one.size

    def _free_id(self) -> int:
        while True:
            self._last_id = self._last_id % self.max_id + 1
            if self._last_id not in self.state.inflight:
                return self._last_id

    def go_on(self) -> None:
        """Send as many messages as may be sent."""
        if not self._waits():
            return
        state = self.state
        if self._resend:
            self._send_again()
        while state.queue and self._may_send():
            self._send_next()
        if state.paged_count and self.link is not None and not self._fetching:
            self._fetch()
        waits = state.queue or state.paged_count
        if self._searches.waiting and not waits:
            self._send_retained()
        if self.suppliers and not waits and self._may_send():
            self._ask_suppliers()
        self._mark_if_more()

    def _ask_suppliers(self) -> None:
        """Ask as many as there is room for; if these have nothing, others are asked in the next turn."""
        free = self.receive_maximum - len(self.state.inflight)
        for member in list(islice(self.suppliers, free)):
            self.suppliers.pop(member)()

    def _fetch(self) -> None:
        """Have the store read more of the queue before it runs empty."""
        if len(self.state.queue) < limits.PAGE_MESSAGES // 2:
            self._fetching = True
            self.state.fetch(self._take_page)

    def _take_page(self, last: int, page: list[StoredMessage]) -> None:
        """Go on with messages that the store has read."""
        self._fetching = False
        state, before = self.state, self.state.size
        if self.ended:
            return
        if lacking := state.take_page(last, page):
            self.queue.count_drops(lacking)
        self._queued_bytes.size += state.size - before
        if self._keep is not None:
            self.purge(self._keep)
        self.ask_later()

    def _send_again(self) -> None:
        """Send what is in flight already, in order, within the receive maximum (MQTT-4.4.0-1, MQTT-4.6.0-1)."""
        resend, inflight, link = self._resend, self.state.inflight, self.link
        while resend and link is not None and link.has_room() and len(inflight) - len(resend) < self.receive_maximum:
            one = resend.popleft()
            if inflight.get(one.id) is one:  # not acknowledged meanwhile
                self._send(one)

    def _waits(self) -> bool:
        """Return whether there is anything to send."""
        state = self.state
        return bool(state.queue or self._resend or state.paged_count or self.suppliers or self._searches.waiting)

    def _mark_if_more(self) -> None:
        state = self.state
        if state.queue or self._resend or (not state.paged_count and (self._searches.waiting or self.suppliers)):
            self.ask_later()  # with a paged queue, the page goes on that the store reads

    def ask_later(self) -> None:
        """Go on at the end of this turn, or once the link has room; acknowledgements and `resume` go on too."""
        link, state = self.link, self.state
        if self._marked or link is None or len(state.inflight) - len(self._resend) >= self.receive_maximum:
            return
        if state.inflight_bytes > state.max_bytes:
            return
        if not link.has_room():
            link.await_room(self, self.flush)
            return
        self._marked = True
        if state.queue or self._resend or not self._searches.waiting:
            self.turn.flush_later(self)
        else:
            self.turn.do_later("retained messages", self.flush)

    def flush(self) -> None:
        """Go on at the end of the turn (kernel.turn.Flushable)."""
        self._marked = False
        self._searches.renew()
        self.arrive()
        link = self.link
        if link is None:
            return
        try:
            self.go_on()
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            link.fail(error)

    def send_retained(self, batches: Iterator[Batch | None], wish: Subscribe) -> None:
        """Send retained messages as there is room for them."""
        self._searches.add(batches, wish)
        self.go_on()

    def _send_retained(self) -> None:
        self.arrive()
        for batch, wish in self._searches.take(self.turn.number, self._may_send):
            if not batch.count:
                self.turn.counters.uncarried += 1
                continue
            message = batch.messages[0]
            qos = min(qos_of(message), wish.qos)
            if qos:
                self._send_new(InflightMessage(message, wish, qos), batch.frames[0])
            elif self.link is not None:
                self.link.send_qos0(batch, wish)

    # The client comes and goes

    def attach(self, link: QosLink, receive_maximum: int) -> None:
        """The client is there: send in-flight messages again, then go on."""
        self.link = link
        self.receive_maximum = min(receive_maximum, limits.INFLIGHT_MESSAGES)
        self._resend = deque([one for one in self.state.inflight.values() if not one.pending])
        self.go_on()

    def detach(self) -> None:
        """The client has gone. Its messages stay; retained ones it can ask for again."""
        self.queue.alone = False
        self.link = None
        self.arrive()
        self._resend.clear()
        self._searches.clear()

    def pass_queue_on(self) -> None:
        """The client has gone: members of its groups with a link may have the messages of its queue."""
        if shared := [one for one in self.state.queue if one.share]:
            spread_later(self.turn, "shared messages", give_while_away(self, self._pass_on, shared))

    def clear(self, ended: Callable[[], object]) -> None:
        """The session has ended. Other members of its groups may have its queue, and what is in flight at QoS 1.

        `ended` is called once they have it; until then a store keeps it for this session.
        """
        self._close()
        give_all(self.turn, self._pass_on, self.state, ended)

    def leave(self) -> None:
        """Another node has the session now, with all its messages but those that work queues here have lent."""
        self._close()
        give_to_others(self._pass_on, [one for one in self.state.inflight.values() if one.lender is not None])

    def _close(self) -> None:
        self.arrive()
        self.ended = True
        self.detach()
        self.queue.clear()
        lent = sum([one.size for one in self.state.inflight.values() if one.lender is not None])  # they count there
        self._queued_bytes.size -= self.state.size - lent

    # Incoming

    def ack(self, id: int, stage: str) -> bool | Refusal:
        """Take an acknowledgement, see events.Ack. False: no message with that id is in flight."""
        one = self.state.inflight.get(id)
        if one is None or one.pending:
            return False
        if stage not in STAGES[one.qos + one.received]:
            return Refusal("bad-command", "an acknowledgement that isn't the one for this QoS and stage (MQTT 4.3)")
        if stage == "received":
            self.state.mark_received(one)
            return True
        if stage == "returned":
            self._remove(one)
            self._return(one)
        else:
            self._settle(one)
        if one.lender is not None and one.lender.recorded and self.link is not None:
            self.link.hold(self.turn.commits)  # or the client could be told before that is kept
        self.go_on()
        return True

    def _return(self, one: InflightMessage) -> None:
        """The client doesn't take a message."""
        if one.lender is not None and one.loan is not None:
            one.lender.refused(one.loan)
        else:
            self.queue.count_drops()

    def purge(self, keep: Callable[[str], bool] | None) -> None:
        """Drop messages of the queue on topics that `keep` denies, or give them to other members of its groups.

        In-flight ones are with the client already. None: it may have all topics.
        """
        self.arrive()
        self._keep = keep
        if keep is None:
            return
        self.queue.settle()
        give_to_others(self._pass_on, self.queue.take_out(lambda one: not keep(one.message.topic)))
        self._searches.purge(keep)

    def withhold(self, keep: Callable[[str], bool]) -> None:
        """Don't send in-flight messages again on topics that `keep` denies, unless PUBREC has come."""
        found = [one for one in self.state.inflight.values() if not one.received and not keep(one.message.topic)]
        for one in found:
            self._remove(one)
        give_to_others(self._pass_on, found)
