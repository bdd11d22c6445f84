"""What a full outbox drops, by its policy. Each function is given the outbox.

A unit without messages keeps its place and is never dropped. No function looks at more units than it drops, so a
message costs a full outbox the same whatever waits there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from hubbub import limits
from hubbub.kernel.connection.backlog import CONFLATED, OLDEST_GO, SEALED, Backlog
from hubbub.kernel.connection.units import Answers, Barrier, Keep, Latest, Pieces, Search, part_that
from hubbub.limits import QUEUE_MESSAGES

_NO_MESSAGES = (Answers, Barrier, Pieces, Search)
POLICIES = ("drop-oldest", "drop-newest", "latest", "disconnect")


# Messages come


def put(outbox: Any, batch: Any) -> bool:
    """Take messages, or drop some as the policy says. False: the policy is to disconnect."""
    full = batch.full or outbox.full
    if outbox.missed and batch.count > 1:  # the notice before the first message takes room too
        if full == "drop-newest":
            _put_while_there_is_room(outbox, batch)
            return True
        return put(outbox, batch.part(0, 1)) and put(outbox, batch.part(1, batch.count))
    if full == "latest" and outbox.latest is not None:
        _put_latest(outbox, outbox.latest, batch)
    elif _fits(outbox, batch):
        _append(outbox, batch)
    elif full == "disconnect":
        return False
    elif full == "drop-newest":
        _put_while_there_is_room(outbox, batch)
    elif full == "latest":
        _put_latest(outbox, _conflate(outbox), batch)
    else:
        _put_by_dropping(outbox, batch)
    return True


def _fits(outbox: Any, batch: Any) -> bool:
    """Return whether there is room; an empty outbox always takes one message."""
    count: int = outbox.count + batch.count
    return count == 1 or (outbox.size + batch.size <= outbox.limit and count <= QUEUE_MESSAGES)


def _append(outbox: Any, batch: Any) -> None:
    if outbox.missed:
        tell_missed(outbox)
    outbox.units.append(batch)
    outbox.size += batch.size
    outbox.count += batch.count


def _put_while_there_is_room(outbox: Any, batch: Any) -> None:
    """Drop each message for which there is no room."""
    at, count = 0, batch.count
    outbox.plain = False
    while at < count and outbox.count < QUEUE_MESSAGES:
        fit = min(batch.fitting(outbox.limit - outbox.size, at), QUEUE_MESSAGES - outbox.count)
        if not outbox.count:
            fit = max(fit, 1)
        if outbox.missed:
            fit = min(fit, 1)
        if fit:
            _append(outbox, batch.part(at, at + fit))
        else:
            _miss(outbox, 1)
        at += fit or 1
    _miss(outbox, count - at)


def _miss(outbox: Any, count: int) -> None:
    outbox.lose(count)
    outbox.missed += count


def tell_missed(outbox: Any) -> None:
    """Put the notice of what was dropped behind all that waits."""
    if outbox.missed:
        count, outbox.missed = outbox.missed, 0
        notice = outbox.notice(count)
        if notice:
            outbox.append_answer(notice)


def _put_by_dropping(outbox: Any, batch: Any) -> None:
    """Drop the oldest messages, of `batch` too where it alone is too much."""
    outbox.plain = False
    while not _fits(outbox, batch) and outbox.count:
        _drop_first(outbox, outbox.size + batch.size - outbox.limit, outbox.count + batch.count - QUEUE_MESSAGES)
    if not _fits(outbox, batch):
        drop = max(batch.freeing(outbox.size + batch.size - outbox.limit), batch.count - QUEUE_MESSAGES)
        drop = min(drop, batch.count - 1)
        _count_lost(outbox, drop)
        batch = batch.part(drop, batch.count)
    _append(outbox, batch)


def _drop_first(outbox: Any, size: int, count: int) -> None:
    """Drop as much of the first unit of messages as frees so many bytes and messages."""
    unit = first_messages(outbox)
    units = outbox.queue()
    units.popleft()
    drop = unit.count
    if size < unit.size and count < unit.count:
        drop = max(unit.freeing(size) if size > 0 else 0, count)
    if drop < unit.count:
        rest = unit.part(drop, unit.count)
        units.appendleft(rest)
        outbox.size += rest.size
    elif outbox.latest is not None:
        outbox.latest.remove(unit)
    outbox.size -= unit.size
    outbox.count -= drop
    _count_lost(outbox, drop)


def first_messages(outbox: Any) -> Any:
    """Return the first unit of messages; those before it go to the front."""
    units, front = outbox.queue(), outbox.front
    while not units[0].count:
        unit = units.popleft()
        if type(unit) is Answers and front and type(front[-1]) is Answers:
            front[-1].extend(unit)
        elif type(unit) in _NO_MESSAGES:
            front.append(unit)
        else:
            outbox.latest.dead -= 1
    return units[0]


def append_search(outbox: Any, search: Search) -> None:
    """Put a search behind all that waits."""
    tell_missed(outbox)
    outbox.units.append(search)
    outbox.searches += search.weight
    outbox.size += search.size
    outbox.plain = False


# The policy `latest`


def _put_latest(outbox: Any, latest: Latest, batch: Any) -> None:
    """Take messages in place of those that wait on their topics."""
    topics = batch.topics()
    if outbox.size + sum([longest for _, longest in topics.values()]) > outbox.limit:
        taken: Iterable[int] = range(batch.count)  # one of them may have to drop the oldest
    else:
        taken = [at for at, _ in topics.values()]
        _count_lost(outbox, batch.count - len(topics))
    for at in taken:
        one = batch.single(at)
        _supersede(outbox, latest, one.topic)
        while not _fits(outbox, one):
            _drop_first(outbox, outbox.size + one.size - outbox.limit, outbox.count + 1 - QUEUE_MESSAGES)
        _append(outbox, one)
        latest.add(one)


def _conflate(outbox: Any) -> Latest:
    """Keep the newest message of each topic, of those that wait under `latest`."""
    units, outbox.units = outbox.units, deque()
    outbox.plain = False
    latest = outbox.latest = Latest()
    lost = 0
    for unit in reversed(units):
        if not unit.count or (unit.full or outbox.full) != "latest":
            outbox.units.appendleft(unit)
            continue
        kept: list[int] = [at for topic, (at, _) in unit.topics().items() if latest.superseded(topic) is None]
        outbox.count -= unit.count - len(kept)
        outbox.size -= unit.size
        lost += unit.count - len(kept)
        for at in reversed(kept):
            one = unit.single(at)
            outbox.size += one.size
            outbox.units.appendleft(one)
            latest.add(one)
    _count_lost(outbox, lost)
    return latest


def _count_lost(outbox: Any, count: int) -> None:
    outbox.lost += count
    outbox.lose(count)


def _conflate_all(outbox: Any, found: list[tuple[int, Any]]) -> bool:
    """Take what waited in backlogs, and keep the newest of each topic. False: that would have dropped others too."""
    longest: dict[str, int] = {}
    for unit in [*outbox.units, *[unit for _, unit in found]]:
        for topic, (_, size) in unit.topics().items() if unit.count else ():
            longest[topic] = max(size, longest.get(topic, 0))
    if outbox.held + outbox.answers + sum(longest.values()) > outbox.limit or len(longest) > QUEUE_MESSAGES:
        return False
    for _, unit in found:
        _append(outbox, unit)
    _conflate(outbox)
    return True


def _supersede(outbox: Any, latest: Latest, topic: str) -> None:
    """Drop the message that waits on a topic."""
    old = latest.superseded(topic)
    if old is None:
        return
    latest.remove(old)
    outbox.size -= old.size
    outbox.count -= 1
    _count_lost(outbox, 1)
    old.empty()
    latest.dead += 1
    if latest.dead > 64 and latest.dead > len(outbox.units) // 4:
        outbox.units = deque([unit for unit in outbox.units if unit.count or type(unit) in _NO_MESSAGES])
        latest.dead = 0


# All outboxes hold too much


def give_way(outbox: Any, weight: int) -> bool:
    """Drop messages as the policy says until `weight` is left.

    False: the link is to be cut, by its policy or because other units than messages take that much.
    """
    if outbox.full == "drop-newest":
        return _drop_newest(outbox, weight)
    while outbox.weight > weight and outbox.count:
        if (first_messages(outbox).full or outbox.full) == "disconnect":
            return False
        _drop_first(outbox, outbox.weight - weight, 0)
    return bool(outbox.size <= weight)


def _drop_newest(outbox: Any, weight: int) -> bool:
    units, behind, count = outbox.queue(), deque[Any](), 0
    while outbox.weight + limits.UNIT_BYTES * len(behind) > weight and outbox.count:
        unit = units.pop()
        if not unit.count:
            behind.appendleft(unit)
            continue
        if (unit.full or outbox.full) == "disconnect":
            return False
        over = outbox.weight + limits.UNIT_BYTES * (1 + len(behind)) - weight  # as if none had been taken out
        keep = unit.fitting(unit.size - over) if over < unit.size else 0
        if keep:
            rest = unit.part(0, keep)
            units.append(rest)
            outbox.size += rest.size
        elif outbox.latest is not None:
            outbox.latest.remove(unit)
        outbox.size -= unit.size
        outbox.count -= unit.count - keep
        count += unit.count - keep
    if outbox.size > weight:
        return False
    outbox.lose(count)
    notice = outbox.notice(count) if count else b""
    if notice:
        outbox.append_answer(notice)
    units += behind
    return True


def purge(outbox: Any, keep: Keep) -> None:
    """Forget messages on topics that `keep` denies."""
    units, outbox.units = outbox.units, deque()
    for unit in (*outbox.front, *units):
        left = unit
        if type(unit) is Search:
            unit.purge(keep)
        elif unit.count and not all(keep(message.topic) for message in unit.messages):
            if outbox.latest is not None:
                outbox.latest.remove(unit)
            left = part_that(unit, keep)
            outbox.size += left.size - unit.size
            outbox.count += left.count - unit.count
        if left is unit or left.count:
            outbox.units.append(left)
    outbox.front = []


def stop(outbox: Any) -> None:
    """Take no messages any more: some of the link's subscriptions end in a later turn."""
    outbox.evict()
    outbox.stopped, outbox.plain = True, False


def forget_all(outbox: Any) -> None:
    """Forget all that waits: messages, and answers, which are what messages of QoS 1 and 2 leave as."""
    outbox.evict()
    outbox.units, outbox.front, outbox.latest = deque(), [], None
    outbox.size = outbox.held
    outbox.count = outbox.answers = outbox.searches = outbox.lost = outbox.missed = 0


# Backlogs


def settle(outbox: Any) -> list[Backlog]:
    """Take what waits in backlogs as if it had been put here when it came. Returns those backlogs."""
    full, over = next(iter(outbox.places)).policy(outbox), outbox.is_over()
    places, outbox.places = outbox.places, None
    found: list[tuple[int, Any]] = []
    lost = missed = 0
    dead = False
    for backlog, place in places.items():
        come = backlog.end - place.begin
        if place.kind == SEALED:
            missed += come
        elif place.kind == CONFLATED:
            newest = backlog.newest_since(place)
            lost += come - len(newest)
            found += newest
        else:
            gone = max(backlog.first - place.begin, 0)
            dead = dead or gone > 0
            lost += gone
            found += backlog.since(place)
        backlog.remove(outbox, place)
    if len(places) > 1:
        found.sort(key=_number)
    while dead and outbox.count:
        _drop_first(outbox, outbox.size, outbox.count)
    _count_lost(outbox, lost)
    _miss(outbox, missed)
    if full == "latest" and outbox.latest is None and over and _conflate_all(outbox, found):
        return list(places)
    for _, unit in found:
        if not put(outbox, unit):
            outbox.owner.on_overflow()
            return []
    return list(places)


def _number(found: tuple[int, Any]) -> int:
    return found[0]


def depth(outbox: Any) -> tuple[int, int]:
    """Return how many messages and bytes wait here and in backlogs, at most."""
    count, size = outbox.count, outbox.size
    for backlog, place in outbox.places.items():
        more, bytes_more = backlog.waiting(place)
        count += more
        size += bytes_more
    return count, size


def lost_in_backlogs(outbox: Any) -> int:
    """Return how many messages have been dropped in backlogs, at least."""
    lost = 0
    for backlog, place in outbox.places.items():
        if place.kind == OLDEST_GO:
            lost += max(backlog.first - place.begin, 0)
        elif place.kind in (SEALED, CONFLATED):
            lost += backlog.end - place.begin - backlog.waiting(place)[0]
    return lost
