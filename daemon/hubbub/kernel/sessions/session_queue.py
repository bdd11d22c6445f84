"""The bounded queue of one session: what it drops, and its places in the logs of what waits for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hubbub import limits
from hubbub.events import Subscribe
from hubbub.kernel.sessions.away import AwayLog, Kept, Place
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.qos import qos_of
from hubbub.kernel.sessions.queued_bytes import QueuedBytes
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.turn import Turn


class SessionQueue:
    """Messages that wait for one PersistentSession.

    places  where it stands in logs, while there is no link
    alone   whether it takes each message itself: its client is there, or comes back
    """

    __slots__ = ("alone", "places", "_queued_bytes", "_state", "_turn")

    def __init__(self, turn: Turn, queued_bytes: QueuedBytes, state: PersistentSession) -> None:
        self.alone = False
        self.places: dict[AwayLog, Place] = {}
        self._queued_bytes = queued_bytes
        self._state = state
        self._turn = turn

    @property
    def empty(self) -> bool:
        """Whether nothing waits, but for what is in logs."""
        return not self._state.queue and not self._state.paged_count

    def add(self, one: InflightMessage) -> None:
        """Put a message at the end, or drop one as the policy says."""
        state = self._state
        while not self.empty and self.is_full(one.size):
            if state.full != "drop-oldest":
                self.refuse(one)
                return
            self.drop_oldest()
        state.enqueue(one)
        for log in self.places:
            log.stay_behind(state.newest)
        self._queued_bytes.add(one.size)

    def refuse(self, one: InflightMessage) -> None:
        """Count a new message as lost."""
        self._state.refuse(one)
        self.count_drops()

    def prepend(self, those: Sequence[InflightMessage]) -> None:
        """Put messages before all that waits, and drop the oldest for which there is no room."""
        state = self._state
        state.prepend(those)
        self._queued_bytes.add(sum([one.size for one in those]))
        while len(state.queue) > limits.QUEUE_MESSAGES or (
            len(state.queue) > 1 and state.size - state.inflight_bytes > state.max_bytes
        ):
            self.drop_oldest()

    def is_full(self, size: int) -> bool:
        """Return whether there is no room for so many bytes more."""
        state = self._state
        waiting = len(state.queue) + state.paged_count
        return waiting >= limits.QUEUE_MESSAGES or state.size - state.inflight_bytes + size > state.max_bytes

    def drop_oldest(self) -> None:
        """Take the first message out for good."""
        state = self._state
        self._queued_bytes.size -= state.drop_oldest().size if state.queue else state.drop_paged()
        self.count_drops()

    def take_out(self, unwanted: Callable[[InflightMessage], bool]) -> list[InflightMessage]:
        """Take messages out, and return them in their order; what is in logs or in the store alone stays."""
        found = [one for one in self._state.queue if unwanted(one)]
        if found:
            self._state.drop(set(found))
            self._queued_bytes.size -= sum(one.size for one in found)
        return found

    def count_drops(self, count: int = 1) -> None:
        """Count messages that were lost."""
        self._state.count_dropped(count)
        self._turn.counters.dropped += count

    def give_way(self, size: int) -> bool:
        """Drop the oldest of the queue until `size` bytes are left. False: more than that is in flight."""
        while not self.empty and self._state.size > size:
            self.drop_oldest()
        return self._state.size <= size

    def drop_older(self, oldest: float) -> None:
        """Drop what came before `oldest`, in Unix seconds."""
        for log in list(self.places):
            log.drop_older(oldest)
        while self._state.waits_since < oldest:
            self.drop_oldest()

    def keep_most(self) -> None:
        """Drop what a store has kept beyond the bound: an earlier process has dropped it, and hadn't noted that yet."""
        while len(self._state.queue) + self._state.paged_count > limits.QUEUE_MESSAGES:
            self.drop_oldest()

    # What waits for many sessions

    @property
    def waiting(self) -> int:
        """How many messages are queued or in flight."""
        state = self._state
        kept = sum([log.waiting(place) for log, place in self.places.items()])
        return len(state.queue) + state.paged_count + len(state.inflight) + kept

    @property
    def unsettled(self) -> int:
        """How many messages were dropped in logs, and aren't counted yet."""
        return sum([log.lost(place) for log, place in self.places.items()])

    def new_log(self, changed: Callable[[AwayLog], object]) -> AwayLog:
        """Return a log for sessions of which this is one."""
        return AwayLog(self._queued_bytes, self._state.store, changed)

    def stand_in(self, log: AwayLog, place: Place) -> bool:
        """Have a place in a log. False: this session takes its messages itself."""
        state = self._state
        if self.alone or state.paged_count or state.full != "drop-oldest" or log.store is not state.store:
            return False
        if log in self.places or len(self.places) >= limits.AWAY_PLACES:
            return False
        self.places[log] = place
        return True

    def settle(self) -> None:
        """Take what waits in logs as if it had come to this session alone."""
        found: list[tuple[int, Kept, Subscribe]] = []
        lost = 0
        for log, place in self.places.items():
            lost += log.lost(place)
            wish: Subscribe = place.receiver.wish
            found += [(one.order, one, wish) for one in log.take(place)]
        if len(self.places) > 1:
            found.sort(key=_order)
        if lost:
            self.forgo(lost, 0)
        for _, kept_one, wish in found:
            self._take(kept_one, wish)

    def _take(self, kept_one: Kept, wish: Subscribe) -> None:
        state = self._state
        one = InflightMessage(kept_one.message, wish, min(qos_of(kept_one.message), wish.qos))
        one.number = kept_one.number
        while state.queue and self.is_full(one.size):
            self.drop_oldest()
        state.take(one)
        self._queued_bytes.add(one.size)

    def forgo(self, count: int, number: int) -> None:
        """A log has forgotten so many messages: drop the older queue, and what a store has for it before `number`."""
        self.count_drops(count)
        while self._state.queue:
            self.drop_oldest()
        if number:
            self._state.forgo(number)

    def leave_logs(self) -> None:
        """The client comes back: take what waits in logs, and each message that comes from now on."""
        self.alone = True
        self.settle()
        for log, place in list(self.places.items()):
            log.send_home(place.receiver)

    def clear(self) -> None:
        """The session has ended."""
        self.alone = True
        for log, place in list(self.places.items()):
            log.remove(place.receiver)


def _order(found: tuple[int, Kept, Subscribe]) -> int:
    return found[0]
