"""Which sessions wait for which stored messages, and which messages no session waits for any more.

An audience is the receivers of a message. The writer's thread alone uses what is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hubbub import limits
from hubbub.kernel.sessions.records import Progress, Way
from hubbub.storage.codec import Receivers, pack, pack_receivers


class Audience:
    """The receivers of some messages.

    id       its row
    members  the numbers of its sessions
    floor    no message before it is stored, but some of `pinned`, which were in flight at the last sweep
    last     the number of its newest message
    """

    __slots__ = ("floor", "id", "key", "last", "members", "pinned")

    def __init__(self, id: int, key: bytes, members: tuple[int, ...], floor: int, last: int) -> None:
        self.id = id
        self.key = key
        self.members = members
        self.floor = floor
        self.last = last
        self.pinned: frozenset[int] = frozenset()


class Sweep(NamedTuple):
    """What may be deleted for one audience, once that is committed: see Audience.floor.

    ranges  first and last number, both included
    ended   whether the audience has no message any more
    """

    audience: Audience
    ranges: list[tuple[int, int]]
    floor: int
    pinned: frozenset[int]
    ended: bool


class Audiences:
    """All audiences with messages, and how far each session is."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, Audience] = {}
        self._last_id = 0
        self._of_shared: dict[int, tuple[Mapping[int, Way], Audience]] = {}  # by the object
        self._next: dict[int, int] = {}
        self._inflight: dict[int, tuple[int, ...]] = {}
        self._unswept = 0  # audiences until all were looked at since a session has come further
        self._sweeping: Iterator[Audience] | None = None  # None: the next sweep begins anew

    def __len__(self) -> int:
        return len(self._by_key)

    def restore(self, id: int, receivers: Receivers, first: int, last: int) -> None:
        """Know an audience of an earlier process, which has messages from `first` to `last`."""
        key = pack(receivers)
        if key in self._by_key:  # one that had the same in another order
            key = pack((id, receivers))
        self._by_key[key] = Audience(id, key, tuple(number for number, _ in receivers), first, last)
        self._last_id = max(self._last_id, id)

    def advance(self, session: int, progress: Progress) -> None:
        """A session has come so far."""
        self._unswept = len(self._by_key)
        self._next[session] = progress.next
        if progress.inflight:
            self._inflight[session] = tuple([number for number, _, _ in progress.inflight])
        else:
            self._inflight.pop(session, None)

    def end(self, session: int) -> None:
        """A session has ended."""
        self._unswept = len(self._by_key)
        self._next.pop(session, None)
        self._inflight.pop(session, None)

    def take(
        self,
        number: int,
        receivers: Mapping[int, Way],
        shared: Sequence[Mapping[int, Way]],
        new: list[tuple[int, bytes]],
    ) -> int:
        """Return the id of the audience of a message; if it is new, its row is added to `new`.

        `shared` are more receivers. Messages have the same objects there, which never change, so they aren't packed
        again for each.
        """
        if len(shared) == 1 and not receivers:
            known = self._of_shared.get(id(shared[0]))
            if known is not None and self._by_key.get(known[1].key) is known[1]:
                known[1].last = number
                return known[1].id
        audience = self._find(number, [*receivers.items(), *[pair for one in shared for pair in one.items()]], new)
        if len(shared) == 1 and not receivers:
            if len(self._of_shared) >= limits.STORE_AUDIENCES:
                self._of_shared.clear()
            self._of_shared[id(shared[0])] = shared[0], audience  # which keeps that id from another object
        return audience.id

    def _find(self, number: int, receivers: Sequence[tuple[int, Way]], new: list[tuple[int, bytes]]) -> Audience:
        key = pack(receivers)
        audience = self._by_key.get(key)
        if audience is None:
            self._last_id += 1
            members = tuple([member for member, _ in receivers])
            audience = self._by_key[key] = Audience(self._last_id, key, members, number, number)
            new.append((audience.id, pack_receivers(receivers)))
        audience.last = number
        return audience

    # What no session waits for

    @property
    def unswept(self) -> bool:
        """Whether a sweep may find something."""
        return self._unswept > 0

    def sweep(self) -> Iterator[Sweep]:
        """Yield what may be deleted for some audiences; the next call goes on behind them."""
        if self._sweeping is None:
            self._sweeping = iter(list(self._by_key.values()))
        visited = 0
        for audience in self._sweeping:
            yield self._sweep(audience)
            self._unswept -= 1
            visited += len(audience.members)
            if visited >= limits.STORE_SWEEP:
                return
        self._sweeping = None

    def _sweep(self, audience: Audience) -> Sweep:
        after, nexts = audience.last + 1, self._next
        floor = min((nexts.get(member, after) for member in audience.members), default=after)
        floor = max(min(floor, after), audience.floor)
        known = self._inflight
        pinned = {one for member in audience.members for one in known.get(member, ()) if one < floor}
        ranges = list(_between(audience.floor, floor, sorted(pinned)))
        ranges += [(one, one) for one in audience.pinned - pinned]
        return Sweep(audience, ranges, floor, frozenset(pinned), floor == after and not pinned)

    def swept(self, done: Iterable[Sweep]) -> None:
        """What was yielded is deleted."""
        for one in done:
            audience = one.audience
            audience.floor, audience.pinned = one.floor, one.pinned
            if one.ended:
                del self._by_key[audience.key]


def _between(floor: int, end: int, pinned: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges from `floor` to before `end` without what is pinned."""
    for one in pinned:
        if one >= floor:
            if one > floor:
                yield floor, one - 1
            floor = one + 1
    if floor < end:
        yield floor, end - 1
