"""What a group gets of the stream: messages of QoS 1 and 2, for its members here.

    PullConsumer -> waiting -> a member that can take one at once: at QoS 1 as a loan -> acknowledged, to JetStream too
                                                                   at QoS 2 for good -> hand_overs

See "Shared subscriptions" in docs/cluster.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.share_groups import ShareGroup
from hubbub.kernel.routing.subscription import Subscription
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.qos_receiver import QosReceiver
from hubbub.kernel.steps import spread
from hubbub.message import Message
from hubbub.publish import QosPublish
from hubbub.service.cluster.hand_overs import HandOvers, Offer
from hubbub.service.cluster.pull_consumer import PullConsumer, silence_seconds, sure_seconds
from hubbub.service.cluster.stream_reader import StreamReader
from hubbub.topics import matches

_AGAIN = 3  # times in silence_seconds() that a node says what it works on
_SLOW = 0.6  # of silence_seconds(): the age of a fetch, which has ended then, whose messages are fetched again


class GroupLoans:
    """The messages of one group at this node (sessions.inflight.Lender, kernel.turn.Flushable).

    closing  attribute: is called once nothing is lent any more; None: the group has members here
    handed   hands messages of QoS 2 over
    last     the sequence of the newest message that has come; 0: none has
    lent     what members have at QoS 1, and what each is acknowledged by
    """

    recorded = False

    def __init__(
        self,
        hub: Hub,
        reader: StreamReader,
        name: str,
        filter: str,
        has_others: Callable[[str], bool],
        handed: HandOvers,
    ) -> None:
        self._asked = 0.0  # monotonic seconds when the last fetch was sent: JetStream has given its messages since then
        self._ahead = limits.WORK_QUEUE_TURN  # how many may wait here for a member
        self.alarm_at: tuple[float, int] | None = None
        self.closing: Callable[[], object] | None = None
        self.handed = handed
        handed.decided = self.mark
        self.last = 0
        self.lent: dict[InflightMessage, str] = {}
        self._consumer: PullConsumer
        self._ended = False
        self._filter = filter
        self._has_others = has_others
        self._hub = hub
        self._marked = False
        self._moved = 0.0  # monotonic seconds when nothing waited, or a message was lent
        self._name = name
        self._reader = reader
        self._rests_until = 0.0  # monotonic seconds before which nothing is fetched
        self._said = 0.0  # monotonic seconds when it was last said what this node works on
        self._waiting: deque[Offer] = deque()

    def start(self, consumer: PullConsumer) -> None:
        """Get messages from there."""
        self._consumer = consumer
        self.handed.start(consumer)
        consumer.start(self.mark)

    def stop(self) -> None:
        """Give all back that isn't acknowledged."""
        self._ended = True
        self._hub.turn.alarms.cancel(self)
        self.handed.stop()
        self._give_back()
        self.returned(list(self.lent))
        self._consumer.stop()

    def mark(self) -> None:
        """Go on at the end of this turn."""
        if not self._marked and not self._ended:
            self._marked = True
            self._hub.turn.flush_later(self)

    # Messages in

    def take(self, subject: bytes, payload: bytes, block: bytes, seq: int, by: str) -> None:
        """Take a message that was fetched."""
        self.last = max(self.last, seq)
        try:
            message: Message | None = self._reader.decode_stored(subject, payload, block)
        except Refusal:
            message = None
        if not isinstance(message, QosPublish) or not message.qos or not matches(self._filter, message.topic):
            self._consumer.acknowledge(by)  # it has expired, or comes live, or begins with $, which NATS doesn't know
            return
        message.time, message.number = self._hub.turn.time, self._reader.numbers.of(seq)
        self._waiting.append(Offer(message, seq, by, self._asked))
        self.mark()

    # Messages out

    def flush(self) -> None:
        """Lend what waits to members that have room, and fetch more."""
        self._marked = False
        if self._ended:
            return
        group = self._hub.shared.lending(self._name)
        if group is None or not group.members:
            self._give_back()
        else:
            self._lend(group)
        self._come_back()

    def _drop_old(self) -> None:
        """Leave what may be another node's to JetStream: this one was paused, or is away from NATS."""
        until = self._hub.turn.now() - sure_seconds()
        while self._waiting and self._waiting[0].asked <= until:
            self._waiting.popleft()

    def _give_back(self) -> None:
        self._drop_old()
        while self._waiting:
            self._consumer.give_back(self._waiting.popleft().by)

    def _lend(self, group: ShareGroup) -> None:
        self._drop_old()
        left, now = limits.WORK_QUEUE_TURN, self._hub.turn.now()
        if not self._waiting:
            self._moved = now
        while self._waiting and left and self._lend_first(group):
            left -= 1
            self._moved, self._ahead = now, min(2 * self._ahead, limits.WORK_QUEUE_TURN)
        if not left:
            self.mark()
        if self._waiting and now - self._moved > limits.CLUSTER_BEAT_SECONDS and self._has_others(self._name):
            self._give_back()  # members here are slow; by one message it shows whether they still are
            self._ahead, self._moved, self._rests_until = 1, now, now + limits.CLUSTER_BEAT_SECONDS
        elif self._waiting and now - self._waiting[0].asked > _SLOW * silence_seconds():
            self._give_back()  # and fetch it again, while it is this node's for sure
        if len(self.lent) + len(self.handed.pending) < limits.QUEUE_MESSAGES and now >= self._rests_until:
            self._fetch(now)

    def _fetch(self, now: float) -> None:
        if self._consumer.fetch(self._ahead - len(self._waiting)):
            self._asked = now

    def _come_back(self) -> None:
        """Look again for room, where that isn't told; that members acknowledge loans is told."""
        alarms, now = self._hub.turn.alarms, self._hub.turn.now()
        if self._waiting or now < self._rests_until:
            alarms.at(self, now + limits.WORK_QUEUE_SECONDS)
        elif self.lent or self.handed.pending or self._consumer.unsettled:
            alarms.at(self, now + silence_seconds() / _AGAIN)
        elif self.closing is not None:
            self.closing()

    def _lend_first(self, group: ShareGroup) -> bool:
        """Lend the first message, or take it out of the way. False: no member has room for it."""
        offer, turn = self._waiting[0], self._hub.turn
        if offer.message.has_expired(turn.wall()):
            turn.counters.dropped += 1
            self._consumer.acknowledge(offer.by)
        elif offer.seq not in self.handed.pending:  # else it has come again before it was decided
            done = group.lend(offer.message, partial(self._put, offer))
            if done is False:
                return False
            if done is None:
                turn.counters.uncarried += 1
                self._consumer.acknowledge(offer.by)
        self._waiting.popleft()
        return True

    def _put(self, offer: Offer, member: Subscription, batch: Batch) -> None:
        receiver, qos = member.receiver, min(offer.message.qos, member.wish.qos)
        if not qos or not isinstance(receiver, QosReceiver):
            receiver.put(batch)
            self._consumer.acknowledge(offer.by)
        elif qos > 1:
            self.handed.begin(receiver, offer)
        else:
            loan = InflightMessage(offer.message, member.wish, qos, self._name)
            self.lent[loan] = offer.by
            receiver.borrow(self, loan, batch.frames[0])

    def alarm(self, now: float) -> None:
        """Go on; now and then say what this node still works on (kernel.alarms.AlarmTarget)."""
        if now - self._said >= silence_seconds() / _AGAIN:
            self._said = now
            spread(self._hub.turn, "cluster", self._say())
        self.mark()

    def _say(self) -> Iterator[None]:
        handed = [one.offer.by for one in self.handed.pending.values()]
        for by in [*self.lent.values(), *handed, *self._consumer.unsettled]:
            self._consumer.work_on(by)
            yield

    # The fate of a loan (kernel.sessions.inflight.Lender)

    def settled(self, loan: InflightMessage) -> None:
        """A member has acknowledged it."""
        by = self.lent.pop(loan, None)
        if by is not None:
            self._consumer.acknowledge(by)
            self.mark()

    def returned(self, those: list[InflightMessage]) -> None:
        """The session that had them has ended, or is another node's: another member gets them."""
        for loan in those:
            by = self.lent.pop(loan, None)
            if by is not None:
                self._consumer.give_back(by)
        self.mark()

    def refused(self, loan: InflightMessage) -> None:
        """A member doesn't take it."""
        by = self.lent.pop(loan, None)
        if by is not None and not self._consumer.refuse(by):
            self._hub.turn.counters.dropped += 1
        self.mark()
