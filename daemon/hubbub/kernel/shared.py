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
from hubbub.events import Letter, Subscribe
from hubbub.kernel.delivery import Owing
from hubbub.kernel.session import AWAY, LOST, NOW, Batch, Session, Subscription, as_it_is
from hubbub.message import Message

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub


class Shared:
    """All groups of one hub, by their whole name: two filters in groups of one name are two groups."""

    __slots__ = ("_hub", "_shares")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._shares: dict[str, Share] = {}

    def __len__(self) -> int:
        return len(self._shares)

    def open(self, name: str, filter: str, box: Any) -> None:
        """See to it that there is a group for a kernel.session.Member. Raises Refusal."""
        if not hasattr(box, "room"):
            raise BadFilter("who takes part in a group has to say whether it has room")
        if name not in self._shares:
            self._shares[name] = Share(self._hub, filter)

    def join(self, name: str, member: Subscription) -> None:
        """Let a session take part; a second time replaces the first."""
        self._shares[name].members[member.session] = member
        if isinstance(member.box, Owing):
            member.box.share = name

    def leave(self, name: str, session: Session) -> None:
        """Let it take part no longer."""
        share = self._shares[name]
        del share.members[session]
        if not share.members:
            del self._shares[name]
            share.close()

    def pass_on(self, name: str, message: Message, least: int = AWAY) -> bool:
        """Give a message that its member doesn't get to another one with at least that much room, see Member."""
        share = self._shares.get(name)
        return share is not None and share.give(message, least)


class Share:
    """One group (kernel.session.Box). members: by session, whose turn it is first."""

    __slots__ = ("members", "_filter", "_hub", "_session")

    def __init__(self, hub: Hub, filter: str) -> None:
        self.members: OrderedDict[Session, Subscription] = OrderedDict()
        self._filter = filter
        self._hub = hub
        self._session = Session("", 0, "hub", "share")
        hub.subscribe(self._session, Subscribe(filter), hub.encoding(as_it_is, None, stream=False), self)

    def close(self) -> None:
        """Nobody takes part any more."""
        self._hub.unsubscribe(self._session, self._filter)

    def put(self, batch: Batch) -> None:
        """Give each message to one member."""
        for message in batch.messages:
            if not self.give(message, LOST):
                self._hub.counters.delivered -= 1
                self._hub.counters.uncarried += 1

    def miss(self, count: int) -> None:
        """A group takes any message."""

    def give(self, message: Message, least: int) -> bool:
        """Give a message to the member that has most room for it. False: nobody can take it."""
        unable: set[Session] = set()
        while (session := self._best(message, least, unable)) is not None:
            member = self.members[session]
            batch = self._encoded(member, message)
            if batch is not None:
                self.members.move_to_end(session)
                member.box.put(batch)
                return True
            unable.add(session)
        return False

    def _best(self, message: Message, least: int, unable: set[Session]) -> Session | None:
        best, most = None, least - 1
        for session, member in self.members.items():
            if session in unable or (session is message.sender and not member.wish.echo):
                continue
            box: Any = member.box
            room = box.room(message)
            if room > most:
                best, most = session, room
                if room == NOW:
                    break
        return best

    def _encoded(self, member: Subscription, message: Message) -> Batch | None:
        shown = message.left(self._hub.wall()) if isinstance(message, Letter) else message
        if shown is None:
            return None
        encoding = member.encoding
        _, frames = self._hub.encode_each(encoding, (shown,))
        return Batch((message,), frames, encoding.stream, encoding.full) if frames else None
