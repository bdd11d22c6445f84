"""Shared subscriptions, `$share/GROUP/FILTER`: each message goes to one member of the group (MQTT 5.0 section 4.8.2).

    Router -> ShareGroup, the receiver of one plain subscription to FILTER -> the receiver of one member

A member that can take a message at once comes before a slow one, and a slow one before one that is away; members with
equal room take turns. When a member goes away while others are there, or its session ends, what waits in its queue at
QoS 1 and 2 goes to another member. In-flight messages follow at QoS 1 when the session ends, but not at QoS 2
(MQTT-4.8.2-5).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.procedures import Procedure
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.subscription import (
    AWAY,
    LATER,
    LOST,
    NEVER,
    NOW,
    Elsewhere,
    Encoding,
    Subscription,
    as_is,
)
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.publish import QosPublish

Stand = OrderedDict[Subscription, int]
"""Members with the number of the last message that each was given, in the order of their turns."""

Put = Callable[[Subscription, Batch], object]
"""Gives a member a message."""


class SharedSubscriptions:
    """All groups, by their whole name: two filters in groups of one name are two groups.

    elsewhere  attribute: the members in other hubs, or None
    """

    __slots__ = ("elsewhere", "_encoding", "_groups", "_router", "_turn")

    def __init__(self, turn: Turn, router: Router) -> None:
        self.elsewhere: Elsewhere | None = None
        self._turn = turn
        self._router = router
        self._encoding = Encoding(as_is, None, stream=False)
        self._groups: dict[str, ShareGroup | Procedure] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def join(self, name: str, filter: str, member: Subscription, old: Subscription | None) -> None:
        """Let a subscription take part in a group, in place of `old` if that is one. `name` contains `filter`."""
        group = self._groups.get(name)
        if group is None:
            policy = member.wish.policy
            group = Procedure(self._turn, self._router, policy) if policy else ShareGroup(self._turn, self._router)
            self.install(name, filter, group)
        group.join(member)
        if old is not None:
            group.leave(old)
        enlist = getattr(member.receiver, "enlist", None)
        if enlist is not None:
            enlist(name)
        if self.elsewhere is not None:
            self.elsewhere.joined(name)

    def check(self, name: str, policy: str | None) -> None:
        """Check that a new member with that policy may take part in a group. Raises Refusal, such as quota."""
        group = self._groups.get(name)
        if isinstance(group, Procedure):
            group.check(policy)
        elif group is not None and policy:
            raise Refusal("bad-command", "others share that subscription without a policy")
        elif group is None and not policy and self.elsewhere is not None:
            self.elsewhere.check_room()

    def install(self, name: str, filter: str, group: ShareGroup | Procedure) -> None:
        """Let a group without members be the one of that name, with the members of the one before."""
        group.own = Subscription(Session("", 0, "hub", "share"), Subscribe(filter), self._encoding, group)
        group.name, group.elsewhere = name, self.elsewhere
        old = self._groups.get(name)
        self._groups[name] = group
        if old is None:
            self._router.add(filter, group.own)
            if self.elsewhere is not None:
                self.elsewhere.opened(name, filter)
            return
        self._router.replace(filter, old.own, group.own)
        for member in (*old.members, *old.away):
            group.join(member)

    def remove(self, name: str) -> None:
        """End a group, which has no members."""
        group = self._groups.pop(name)
        self._router.remove(group.own.wish.filter, group.own)
        if self.elsewhere is not None:
            self.elsewhere.closed(name)

    def leave(self, name: str, member: Subscription) -> None:
        """End the part of a subscription in a group."""
        group = self._groups[name]
        group.leave(member)
        if not group.stays and not group.members and not group.away:
            self.remove(name)

    def lending(self, name: str) -> ShareGroup | None:
        """Return a group that keeps nothing itself, so that it can give on what others lend; None: it isn't there."""
        group = self._groups.get(name)
        return group if type(group) is ShareGroup else None

    def take(self, name: str, message: Message) -> None:
        """Give a message from elsewhere to a member here."""
        group = self._groups.get(name)
        if group is not None:
            self._turn.schedule_flush()
            group.take(message)

    def pass_on(self, name: str, message: Message, least: int = AWAY) -> bool:
        """Give a message that its member doesn't get to another with at least that room, see GroupMember.room."""
        group = self._groups.get(name)
        return group is not None and group.give(message, least)


class ShareGroup:
    """One group (routing.subscription.Receiver).

    Its members stand by what room they had when they were last asked, and by their encoding, each stand in the order of
    their turns. In each turn of the reactor some of those that had little are asked again, so that a message costs the
    same however many they are.

    members  the subscriptions of connected clients; away: those of clients without a link
    own      attribute: the group's subscription to its filter; name: its whole name
    stays    whether it is there without members; puts_off: whether it may give messages later than they come
    elsewhere  attribute: its members in other hubs, or None
    """

    __slots__ = (
        "away", "elsewhere", "members", "name", "own", "_coming", "_given", "_router", "_stands", "_turn", "_turns",
    )  # fmt: skip

    durable = True  # its members' sessions may be
    stays = False
    waits = False
    puts_off = True
    own: Subscription

    def __init__(self, turn: Turn, router: Router) -> None:
        self.away: dict[Subscription, None] = {}
        self.elsewhere: Elsewhere | None = None
        self.name = ""
        self._coming: list[Batch] = []
        self.members: dict[Subscription, None] = {}
        self._router = router
        self._given = 0  # messages
        self._stands: dict[int, dict[Encoding, Stand]] = {room: {} for room in (NOW, LATER, AWAY, LOST)}
        self._turn = turn
        self._turns = turn.number  # when some of those in LATER and LOST were asked again

    def put(self, batch: Batch) -> None:
        """Give each message to one member; later if the turn has handed over enough, unless a store keeps some."""
        turn = self._turn
        enough = turn.handed >= limits.DELIVERIES_AT_ONCE and not turn.commits.open and self.elsewhere is None
        if not (self._coming or (enough and self.puts_off)):
            self._take_all(batch)
            return
        if not self._coming:
            turn.flush_later(self)
        elif len(self._coming) >= limits.PUT_OFF:
            self._take_all(self._coming.pop(0))
        self._coming.append(batch)

    def flush(self) -> None:
        """Give what was put off (kernel.turn.Flushable)."""
        coming, self._coming = self._coming, []
        for batch in coming:
            self._take_all(batch)

    def _take_all(self, batch: Batch) -> None:
        counters, elsewhere = self._turn.counters, self.elsewhere
        self._turn.handed += batch.count
        for message in batch.messages:
            if elsewhere is None:
                given = self.give(message, LOST)
            elif message.sender is elsewhere.session or elsewhere.brings(self.name, message):
                given = True
            else:
                given = self._give_here(message, elsewhere)
            if not given:
                counters.delivered -= 1
                counters.delivered_bytes -= len(message.payload)
                counters.uncarried += 1

    def _give_here(self, message: Message, elsewhere: Elsewhere) -> bool:
        """Give a message to a member here, unless that would wait and there are others elsewhere."""
        others = elsewhere.has_members(self.name)
        if self.give(message, NOW if others else LOST):
            elsewhere.taken(self.name, message)
            return True
        return others

    def take(self, message: Message) -> None:
        """Give a message from elsewhere to a member here."""
        if not self.give(message, LOST):
            self._turn.counters.uncarried += 1

    def miss(self, count: int) -> None:
        """A group takes any message."""

    def join(self, member: Subscription) -> None:
        """Let a subscription take part."""
        room = _first_stand(member)
        self._stand(room, member.encoding)[member] = self._given
        (self.members if room == NOW else self.away)[member] = None

    def leave(self, member: Subscription) -> None:
        """End the part of a subscription."""
        self.members.pop(member, None)
        self.away.pop(member, None)
        for stands in self._stands.values():
            stand = stands.get(member.encoding)
            if stand is not None:
                stand.pop(member, None)
                if not stand:
                    del stands[member.encoding]

    def _stand(self, room: int, encoding: Encoding) -> Stand:
        stands = self._stands[room]
        stand = stands.get(encoding)
        if stand is None:
            stand = stands[encoding] = OrderedDict()
        return stand

    def give(self, message: Message, least: int) -> bool:
        """Give a message to the member with most room for it. False: no member has as much as `least`."""
        return self._choose(message, least, _put, {})

    def lend(self, message: Message, put: Put) -> bool | None:
        """Have `put` called with a member that can take a message at once. None: those that could can't carry it."""
        tried: dict[Encoding, Batch | None] = {}
        return self._choose(message, NOW, put, tried) or (None if tried else False)

    def _choose(self, message: Message, least: int, put: Put, tried: dict[Encoding, Batch | None]) -> bool:
        if self._turns != self._turn.number:
            self._turns = self._turn.number
            self._ask_again(LATER)
            self._ask_again(LOST)
        return any(self._give_to(room, message, put, tried) for room in (NOW, LATER, AWAY, LOST) if room >= least)

    def _ask_again(self, room: int) -> None:
        """Let some members that had little room have their turn before the others."""
        for encoding, stand in self._stands[room].items():
            some = [stand.popitem(last=False) for _ in range(min(len(stand), limits.SHARED_ASKED))]
            for member, last in reversed(some):
                first = self._stand(_first_stand(member), encoding)
                first[member] = last
                first.move_to_end(member, last=False)

    def _give_to(self, stood: int, message: Message, put: Put, tried: dict[Encoding, Batch | None]) -> bool:
        """Give a message to a member that stands there; one that has less room now goes to another stand."""
        passed, batch = [], None
        while batch is None:
            stand = _whose_turn(self._stands[stood], tried)
            if stand is None:
                break
            member, last = stand.popitem(last=False)
            room = self._room(member, message)
            if LOST <= room < stood:
                self._stand(room, member.encoding)[member] = last
                continue
            batch = self._carried(member.encoding, message, tried) if room >= stood else None
            if batch is None:
                passed.append((member, last, stand))
        for one, last, its in reversed(passed):  # a member that can't have this one keeps its turn
            its[one] = last
            its.move_to_end(one, last=False)
        if batch is None:
            return False
        assert stand is not None
        self._given += 1
        stand[member] = self._given
        put(member, batch)
        return True

    def _room(self, member: Subscription, message: Message) -> int:
        """Return what would happen to a message there."""
        if member.session is message.sender and not member.wish.echo:
            return NEVER
        receiver: Any = member.receiver
        return int(receiver.room(message))

    def _carried(self, encoding: Encoding, message: Message, tried: dict[Encoding, Batch | None]) -> Batch | None:
        """Return a message encoded, or None if it can't be carried. `tried` keeps that for each encoding."""
        if encoding not in tried:
            tried[encoding] = self._encoded(encoding, message)
        return tried[encoding]

    def _encoded(self, encoding: Encoding, message: Message) -> Batch | None:
        shown = message.left(self._turn.wall()) if isinstance(message, QosPublish) else message
        if shown is None:
            return None
        _, frames = self._router.encode_each(encoding, (shown,))
        return Batch((message,), frames, encoding.stream, encoding.full) if frames else None


def _put(member: Subscription, batch: Batch) -> None:
    member.receiver.put(batch)


def _first_stand(member: Subscription) -> int:
    return NOW if getattr(member.receiver, "there", True) else AWAY


def _whose_turn(stands: dict[Encoding, Stand], tried: dict[Encoding, Batch | None]) -> Stand | None:
    """Return the stand whose first member has waited the longest, of those whose encoding may carry the message."""
    found, least = None, 0
    for encoding, stand in stands.items():
        if stand and (encoding not in tried or tried[encoding] is not None):
            last = next(iter(stand.values()))
            if found is None or last < least:
                found, least = stand, last
    return found
