"""Shared subscriptions, `$share/GROUP/FILTER`: each message goes to one member of the group (MQTT 5.0 section 4.8.2).

    Router -> ShareGroup, the receiver of one plain subscription to FILTER -> the receiver of one member

A member that can take a message at once comes before a slow one, and a slow one before one that is away; members with
equal room take turns. When a member goes away while others are there, or its session ends, what waits in its queue at
QoS 1 and 2 goes to another member. In-flight messages follow at QoS 1 when the session ends, but not at QoS 2
(MQTT-4.8.2-5).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from hubbub.events import Subscribe
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.subscription import AWAY, LATER, LOST, NEVER, NOW, Encoding, Subscription, as_is
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.publish import QosPublish


class SharedSubscriptions:
    """All groups, by their whole name: two filters in groups of one name are two groups."""

    __slots__ = ("_encoding", "_groups", "_router", "_turn")

    def __init__(self, turn: Turn, router: Router) -> None:
        self._turn = turn
        self._router = router
        self._encoding = Encoding(as_is, None, stream=False)
        self._groups: dict[str, ShareGroup] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def join(self, name: str, filter: str, member: Subscription, old: Subscription | None) -> None:
        """Let a subscription take part in a group, in place of `old` if that is one. `name` contains `filter`."""
        group = self._groups.get(name)
        if group is None:
            group = ShareGroup(self._turn, self._router)
            self.install(name, filter, group)
        group.join(member)
        if old is not None:
            group.leave(old)
        enlist = getattr(member.receiver, "enlist", None)
        if enlist is not None:
            enlist(name)

    def install(self, name: str, filter: str, group: ShareGroup) -> None:
        """Let a group without members be the one of that name, with the members of the one before."""
        group.own = Subscription(Session("", 0, "hub", "share"), Subscribe(filter), self._encoding, group)
        old = self._groups.get(name)
        self._groups[name] = group
        if old is None:
            self._router.add(filter, group.own)
            return
        self._router.replace(filter, old.own, group.own)
        for member in (*old.members, *old.away):
            group.join(member)

    def remove(self, name: str) -> None:
        """End a group, which has no members."""
        group = self._groups.pop(name)
        self._router.remove(group.own.wish.filter, group.own)

    def leave(self, name: str, member: Subscription) -> None:
        """End the part of a subscription in a group."""
        group = self._groups[name]
        group.leave(member)
        if not group.stays and not group.members and not group.away:
            self.remove(name)

    def pass_on(self, name: str, message: Message, least: int = AWAY) -> bool:
        """Give a message that its member doesn't get to another with at least that room, see GroupMember.room."""
        group = self._groups.get(name)
        return group is not None and group.give(message, least)


class ShareGroup:
    """One group (routing.subscription.Receiver).

    members  the subscriptions of connected clients, in the order of their turns; away: those of clients without a link
    own      attribute: the group's subscription to its filter
    stays    whether it is there without members
    """

    __slots__ = ("away", "members", "own", "_router", "_turn")

    durable = True  # its members' sessions may be
    stays = False
    own: Subscription

    def __init__(self, turn: Turn, router: Router) -> None:
        self.away: OrderedDict[Subscription, None] = OrderedDict()
        self.members: OrderedDict[Subscription, None] = OrderedDict()
        self._router = router
        self._turn = turn

    def put(self, batch: Batch) -> None:
        """Give each message to one member."""
        for message in batch.messages:
            if not self.give(message, LOST):
                counters = self._turn.counters
                counters.delivered -= 1
                counters.delivered_bytes -= len(message.payload)
                counters.uncarried += 1

    def miss(self, count: int) -> None:
        """A group takes any message."""

    def join(self, member: Subscription) -> None:
        """Let a subscription take part."""
        there = getattr(member.receiver, "there", True)
        (self.members if there else self.away)[member] = None

    def leave(self, member: Subscription) -> None:
        """End the part of a subscription."""
        if member in self.members:
            del self.members[member]
        else:
            del self.away[member]

    def give(self, message: Message, least: int) -> bool:
        """Give a message to the member with most room for it. False: no member can take it."""
        tried: dict[Encoding, Batch | None] = {}
        others: dict[int, list[Subscription]] = {LATER: [], AWAY: [], LOST: []}
        for member in self.members:
            room = self._room(member, message)
            if room == NOW:
                if self._put(member, message, tried):
                    return True
            elif room >= least:
                others[room].append(member)
        if any(self._put(member, message, tried) for member in others[LATER] + others[AWAY]):
            return True
        for member in self.away if least <= AWAY else ():
            room = self._room(member, message)
            if room > LOST:
                if self._put(member, message, tried):
                    return True
            elif room >= least:
                others[LOST].append(member)
        return any(self._put(member, message, tried) for member in others[LOST])

    def _room(self, member: Subscription, message: Message) -> int:
        """Return what would happen to a message there."""
        if member.session is message.sender and not member.wish.echo:
            return NEVER
        receiver: Any = member.receiver
        return int(receiver.room(message))

    def _put(self, member: Subscription, message: Message, tried: dict[Encoding, Batch | None]) -> bool:
        """Give a message to one member. False: that can't carry it. `tried` keeps the batch for each encoding."""
        encoding = member.encoding
        if encoding not in tried:
            tried[encoding] = self._encoded(encoding, message)
        batch = tried[encoding]
        if batch is None:
            return False
        (self.members if member in self.members else self.away).move_to_end(member)
        member.receiver.put(batch)
        return True

    def _encoded(self, encoding: Encoding, message: Message) -> Batch | None:
        shown = message.left(self._turn.wall()) if isinstance(message, QosPublish) else message
        if shown is None:
            return None
        _, frames = self._router.encode_each(encoding, (shown,))
        return Batch((message,), frames, encoding.stream, encoding.full) if frames else None
