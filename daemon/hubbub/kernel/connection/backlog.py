"""What waits for many links that have stopped reading, kept once for all of them.

    Router -> ReceiverGroup -> Backlog (each stalled outbox has a place in it) -> Outbox, when its link reads again

A message costs a backlog the same however many outboxes stand in it. What an outbox is to drop is found out when it
takes its part: it then gets what came since its place, in order, as if each message had been put into it when it came.
What no outbox could still want is forgotten before. A backlog begins with limits.BACKLOG_LINKS outboxes, and an outbox
stands in as many backlogs at most, so that all together keep no more than the outboxes would by themselves.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hubbub.kernel.connection.slow_consumers import SlowConsumers, weigh
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.turn import Turn
from hubbub.limits import BACKLOG_LINKS, QUEUE_MESSAGES

WITHIN, OLDEST_GO, SEALED, CONFLATED = range(4)


class Place:
    """Where one outbox stands in a backlog.

    begin  number of the first message of the backlog that is for it; begin_size: bytes that came before
    kind   WITHIN: all is for it, and it leaves once that is more than fits; OLDEST_GO: the newest that fit are;
           SEALED: it is full, and each message is lost; CONFLATED: the newest of each topic is
    """

    __slots__ = ("begin", "begin_size", "kind")

    def __init__(self, begin: int, begin_size: int, kind: int) -> None:
        self.begin = begin
        self.begin_size = begin_size
        self.kind = kind


class Backlog:
    """The messages of one group of receivers since some of them have stopped reading.

    group        the routing.routes.ReceiverGroup
    places       the outboxes that stand in it
    first, end   numbers of the first message that is kept and of the next that comes
    size         bytes that are kept; dropped: messages that were trimmed for all
    """

    unsettled = 0  # its outboxes tell theirs

    __slots__ = (
        "dropped", "end", "first", "group", "limit", "places", "size",
        "_batches", "_due", "_end_size", "_kinds", "_look_at", "_look_at_size", "_marked", "_needed", "_newest",
        "_newest_size", "_room", "_room_count", "_sealed_room", "_slow", "_turn",
    )  # fmt: skip

    def __init__(self, turn: Turn, slow: SlowConsumers, group: Any) -> None:
        self.dropped = 0
        self.end = 0
        self.first = 0
        self.group = group
        self.limit = 0
        self.places: dict[Any, Place] = {}
        self.size = 0
        self._batches: deque[tuple[int, Batch]] = deque()  # each with a number that grows over all backlogs
        self._due: list[Any] = []  # those WITHIN that have more than fits
        self._end_size = 0
        self._kinds = [0, 0, 0, 0]  # how many places are of each kind
        self._look_at = 0  # the message, and the byte, at which those WITHIN are looked at
        self._look_at_size = 0
        self._marked = False
        self._needed = 0  # the first message that one of those WITHIN may need
        self._newest: dict[str, tuple[int, int, Any]] = {}  # by topic: number of the batch, of the message, the unit
        self._newest_size = 0
        self._room = self._room_count = 0  # bytes and messages that each of those CONFLATED has room for
        self._sealed_room = -1  # bytes of a message that one of those SEALED has room for
        self._slow = slow
        self._turn = turn

    # Messages come

    def put(self, batch: Batch, number: int) -> None:
        """Take messages; `number` is larger than that of any batch before."""
        if self._kinds[SEALED] and self._sealed_room > 0 and min(map(len, batch.frames)) <= self._sealed_room:
            self._put_apart(SEALED, batch)
        if self._kinds[CONFLATED]:
            if self._newest_size + batch.size > self._room or len(self._newest) + batch.count > self._room_count:
                self._put_apart(CONFLATED, batch)
            else:
                self._conflate(batch, number)
        self._batches.append((number, batch))
        self.end += batch.count
        self._end_size += batch.size
        self.size += batch.size
        if self._kinds[WITHIN] and (self.end >= self._look_at or self._end_size >= self._look_at_size):
            self._look()
        self._trim()
        if not self._marked:
            self._marked = True
            self._turn.flush_later(self)

    def _conflate(self, batch: Batch, number: int) -> None:
        newest, end = self._newest, self.end
        for topic, (at, _) in batch.topics().items():
            one = batch.single(at)
            old = newest.pop(topic, None)
            self._newest_size += one.size - (0 if old is None else old[2].size)
            newest[topic] = (number, end + at, one)

    def _put_apart(self, kind: int, batch: Batch) -> None:
        """Put a batch into each outbox of a kind itself."""
        for outbox in [outbox for outbox, place in self.places.items() if place.kind == kind]:
            outbox.put(batch)

    def _trim(self) -> None:
        """Forget what no outbox could still want."""
        batches, kinds = self._batches, self._kinds
        while batches:
            head = batches[0][1]
            enough = self.end - self.first - head.count >= QUEUE_MESSAGES or self.size - head.size >= self.limit
            if (kinds[WITHIN] or kinds[OLDEST_GO]) and not enough:
                break
            if kinds[WITHIN] and self._needed < self.first + head.count:
                if self.size >= 2 * self.limit or self.end - self.first >= 2 * QUEUE_MESSAGES:
                    self._settle_first()
                break
            self._forget_first()

    def _forget_first(self) -> None:
        _, head = self._batches.popleft()
        self.first += head.count
        self.size -= head.size

    # Outboxes come and go

    def join(self, outbox: Any) -> bool:
        """Give a stalled outbox a place. False: it stands in too many, or in one with another policy."""
        places, full = outbox.places, self.policy(outbox)
        if places is None:
            places = outbox.places = {}
        elif len(places) >= BACKLOG_LINKS or any(one.policy(outbox) != full for one in places):
            return False
        kind = _kind(outbox, full)
        if not self._kinds[CONFLATED]:
            self._room, self._room_count = outbox.limit, QUEUE_MESSAGES
        if kind == CONFLATED:
            self._room = min(self._room, (outbox.limit - outbox.size) // BACKLOG_LINKS)
            self._room_count = min(self._room_count, (QUEUE_MESSAGES - outbox.count) // BACKLOG_LINKS)
        elif kind == SEALED:
            room = -1 if outbox.count >= QUEUE_MESSAGES else outbox.limit - outbox.size
            self._sealed_room = max(room, self._sealed_room) if self._kinds[SEALED] else room
        elif kind == WITHIN and not self._kinds[WITHIN]:
            self._needed = self.end
            self._look_later()
        self._kinds[kind] += 1
        self.limit = max(self.limit, outbox.limit)
        self.places[outbox] = places[self] = Place(self.end, self._end_size, kind)
        outbox.plain = False
        return True

    def policy(self, outbox: Any) -> str:
        """Return the overflow policy of an outbox here."""
        full: str = self.group.encoding.full or outbox.full
        return full

    def remove(self, outbox: Any, place: Place) -> None:
        """An outbox has taken its part, or its link has gone."""
        if self.places.pop(outbox, None) is not None:
            self._kinds[place.kind] -= 1
            if not self._kinds[CONFLATED]:
                self._newest, self._newest_size = {}, 0
            if not self.places:
                self._slow.forget(self)
                self._batches.clear()
                self.first, self.size = self.end, 0

    def send_home(self, outbox: Any) -> None:
        """Let an outbox get each message itself again."""
        self.group.receivers.append(outbox)

    # What an outbox has here

    def waiting(self, place: Place) -> tuple[int, int]:
        """Return how many messages and bytes are kept for an outbox, at most."""
        if place.kind == SEALED:
            return 0, 0
        if place.kind == CONFLATED:
            return len(self._newest), self._newest_size
        return self.end - max(place.begin, self.first), min(self._end_size - place.begin_size, self.size)

    def since(self, place: Place) -> list[tuple[int, Batch]]:
        """Return the batches that came since, with their numbers, as far as they are kept."""
        found = []
        start = self.end
        for pair in reversed(self._batches):
            if start <= place.begin:
                break
            found.append(pair)
            start -= pair[1].count
        found.reverse()
        return found

    def newest_since(self, place: Place) -> list[tuple[int, Any]]:
        """Return the newest message of each topic that came since."""
        return [(number, one) for number, at, one in self._newest.values() if at >= place.begin]

    # Outboxes that have more than fits

    def _look_later(self) -> None:
        self._look_at = self.end + QUEUE_MESSAGES // BACKLOG_LINKS
        self._look_at_size = self._end_size + self.limit // BACKLOG_LINKS

    def _look(self) -> None:
        """Find those WITHIN that have more than fits: they take it in later turns, some in each."""
        within = [(outbox, place) for outbox, place in self.places.items() if place.kind == WITHIN]
        self._needed = min([place.begin for _, place in within])
        self._look_later()
        idle = not self._due
        self._due = [outbox for outbox, _ in within if outbox.is_over()]
        if self._due and idle:
            self._turn.do_later("slow consumers", self.settle_due)

    def settle_due(self) -> None:
        """Let some of those that have more than fits take it, and drop what they do (kernel.scheduler.Job)."""
        turn = self._turn
        while self._due:
            if self._settle_one() and turn.now() >= turn.scheduler.ends:
                break
        if self._due:
            turn.do_later("slow consumers", self.settle_due)

    def _settle_one(self) -> bool:
        """Let one of those take it. Returns whether it still had to."""
        outbox = self._due.pop()
        place = self.places.get(outbox)
        if place is None or place.kind != WITHIN:
            return False
        outbox.settle()
        return True

    def _settle_first(self) -> None:
        """More than twice of what fits is kept: let a few of those take it now, so that a message costs no more."""
        if not self._due:
            self._look()
        for _ in range(min(BACKLOG_LINKS, len(self._due))):
            self._settle_one()

    # The memory of all slow consumers (slow_consumers.Trimmable)

    def flush(self) -> None:
        """Count what waits, at the end of a turn that brought something."""
        self._marked = False
        for _, batch in reversed(self._batches):
            if not batch.pack():
                break
        if self.places:
            self._slow.count(self)

    @property
    def weight(self) -> int:
        """Bytes of memory that what is kept takes."""
        newest = len(self._newest)
        units, messages = len(self._batches) + newest, self.end - self.first + newest
        return weigh(self.size + self._newest_size, units, messages)

    def give_way(self, weight: int) -> bool:
        """Keep at most that; of those that can't lose the oldest, some take their part first.

        If there are more such, it keeps more than that, and is asked again in the next turn.
        """
        within = [outbox for outbox, place in self.places.items() if place.kind == WITHIN]
        for outbox in within[:BACKLOG_LINKS]:
            outbox.evict()
        while self.weight > weight and self._batches and len(within) <= BACKLOG_LINKS:
            self.dropped += self._batches[0][1].count * self._kinds[OLDEST_GO]
            self._forget_first()
        return True


def _kind(outbox: Any, full: str) -> int:
    if full == "drop-oldest":
        return OLDEST_GO
    if full == "latest" and outbox.latest is not None:
        return CONFLATED
    return SEALED if full == "drop-newest" and outbox.missed else WITHIN
