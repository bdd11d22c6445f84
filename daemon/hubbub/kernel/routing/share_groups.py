"""Shared subscriptions, `$share/GROUP/FILTER`: each message goes to one member of the group (MQTT 5.0 section 4.8.2).

    hub -> Share, the box of one plain subscription to FILTER -> the box of one member

Whoever can take a message at once comes before who is slow, and who is slow before who is away; among equals each has
its turn. What waits for a member of quality 1 and 2 goes to another one when it goes away while others are there, or
when its session ends; what is on its way then too at quality 1, and is nobody else's at quality 2 (MQTT-4.8.2-5).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from hubbub.errors import BadFilter
from hubbub.events import QosPublish, Subscribe
from hubbub.kernel.sessions.delivery import QosReceiver
from hubbub.kernel.sessions.session import AWAY, LATER, LOST, NOW, Batch, Encoding, Session, Subscription, as_is
from hubbub.message import Message

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub


class SharedSubscriptions:
    """All groups of one hub, by their whole name: two filters in groups of one name are two groups."""

    __slots__ = ("_hub", "_shares")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._shares: dict[str, ShareGroup] = {}

    def __len__(self) -> int:
        return len(self._shares)

    def open(self, name: str, filter: str, receiver: Any) -> None:
        """See to it that there is a group for a kernel.sessions.session.Member. Raises Refusal."""
        if not hasattr(receiver, "room"):
            raise BadFilter("who takes part in a group has to say whether it has room")
        if name not in self._shares:
            self._shares[name] = ShareGroup(self._hub, filter)

    def join(self, name: str, member: Subscription) -> None:
        """Let a session take part; a second time replaces the first."""
        self._shares[name].join(member)
        if isinstance(member.receiver, QosReceiver):
            member.receiver.share = name

    def leave(self, name: str, session: Session) -> None:
        """Let it take part no longer."""
        share = self._shares[name]
        share.leave(session)
        if not share.members and not share.away:
            del self._shares[name]
            share.close()

    def pass_on(self, name: str, message: Message, least: int = AWAY) -> bool:
        """Give a message that its member doesn't get to another one with at least that much room, see Member."""
        share = self._shares.get(name)
        return share is not None and share.give(message, least)


class ShareGroup:
    """One group (kernel.sessions.session.Box).

    members  those who are there, away: those whose session waits for them; both by session, whose turn it is first
    """

    __slots__ = ("away", "members", "_filter", "_hub", "_session")

    def __init__(self, hub: Hub, filter: str) -> None:
        self.away: OrderedDict[Session, Subscription] = OrderedDict()
        self.members: OrderedDict[Session, Subscription] = OrderedDict()
        self._filter = filter
        self._hub = hub
        self._session = Session("", 0, "hub", "share")
        hub.subscribe(self._session, Subscribe(filter), hub.encoding(as_is, None, stream=False), self)

    def close(self) -> None:
        """Nobody takes part any more."""
        self._hub.unsubscribe(self._session, self._filter)

    def put(self, batch: Batch) -> None:
        """Give each message to one member."""
        for message in batch.messages:
            if not self.give(message, LOST):
                counters = self._hub.counters
                counters.delivered -= 1
                counters.delivered_bytes -= len(message.payload)
                counters.uncarried += 1

    def miss(self, count: int) -> None:
        """A group takes any message."""

    def join(self, member: Subscription) -> None:
        """Let a session take part; a second time replaces the first."""
        receiver = member.receiver
        away = isinstance(receiver, QosReceiver) and not receiver.there
        (self.away if away else self.members)[member.session] = member

    def leave(self, session: Session) -> None:
        """Let it take part no longer."""
        if self.members.pop(session, None) is None:
            del self.away[session]

    def give(self, message: Message, least: int) -> bool:
        """Give a message to the member that has most room for it. False: nobody can take it."""
        tried: dict[Encoding, Batch | None] = {}
        others: dict[int, list[Subscription]] = {LATER: [], AWAY: [], LOST: []}
        for member in self.members.values():
            room = self._room(member, message)
            if room == NOW:
                if self._put(member, message, tried):
                    return True
            elif room >= least:
                others[room].append(member)
        if any(self._put(member, message, tried) for member in others[LATER] + others[AWAY]):
            return True
        for member in self.away.values() if least <= AWAY else ():
            room = self._room(member, message)
            if room > LOST:
                if self._put(member, message, tried):
                    return True
            elif room >= least:
                others[LOST].append(member)
        return any(self._put(member, message, tried) for member in others[LOST])

    def _room(self, member: Subscription, message: Message) -> int:
        """Tell what would become of a message there; less than LOST: it isn't for that member."""
        if member.session is message.sender and not member.wish.echo:
            return LOST - 1
        receiver: Any = member.receiver
        return int(receiver.room(message))

    def _put(self, member: Subscription, message: Message, tried: dict[Encoding, Batch | None]) -> bool:
        """Give a message to one member. False: it can't be carried there. `tried` is what it comes to for each."""
        encoding, session = member.encoding, member.session
        if encoding not in tried:
            tried[encoding] = self._encoded(encoding, message)
        batch = tried[encoding]
        if batch is None:
            return False
        (self.members if session in self.members else self.away).move_to_end(session)
        member.receiver.put(batch)
        return True

    def _encoded(self, encoding: Encoding, message: Message) -> Batch | None:
        shown = message.left(self._hub.wall()) if isinstance(message, QosPublish) else message
        if shown is None:
            return None
        _, frames = self._hub.encode_each(encoding, (shown,))
        return Batch((message,), frames, encoding.stream, encoding.full) if frames else None
