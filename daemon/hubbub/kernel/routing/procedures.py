"""Groups whose members answer requests: each request goes to one member, chosen by the policy of the group.

    Router -> Procedure, the receiver of one plain subscription to a topic -> the receiver of one member

Messages that want no reply aren't for them (WAMP, "Shared Registration").
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from hubbub.errors import Refusal
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.subscription import Elsewhere, Subscription
from hubbub.kernel.turn import Turn
from hubbub.message import Message


class Procedure:
    """One group (routing.subscription.Receiver).

    members  in the order in which they came; policy: one of Subscribe.POLICIES
    own      attribute: the group's subscription to its topic; name: its whole name
    elsewhere  attribute: its members in other hubs, or None
    """

    __slots__ = ("away", "elsewhere", "members", "name", "own", "policy", "_next", "_router", "_turn")

    stays = False
    own: Subscription

    def __init__(self, turn: Turn, router: Router, policy: str) -> None:
        self.away: dict[Subscription, None] = {}  # no member waits for its client
        self.elsewhere: Elsewhere | None = None
        self.name = ""
        self.members: dict[Subscription, None] = {}
        self.policy = policy
        self._next = 0
        self._router = router
        self._turn = turn

    def check(self, policy: str | None) -> None:
        """Check that a member with that policy may come. Raises Refusal (quota, bad-command)."""
        if policy != self.policy:
            raise Refusal("bad-command", f"others answer there with the policy {self.policy}")
        if policy == "single":
            raise Refusal("quota", "another client answers there, alone")

    def join(self, member: Subscription) -> None:
        """Let a subscription take part."""
        self.members[member] = None

    def leave(self, member: Subscription) -> None:
        """End the part of a subscription."""
        self.members.pop(member, None)

    def put(self, batch: Batch) -> None:
        """Give each request to one member."""
        messages, elsewhere = batch.messages, self.elsewhere
        if elsewhere is not None:
            messages = [one for one in messages if one.sender is not elsewhere.session]
        given = self._give([one for one in messages if one.reply_to is not None])
        missed = len(messages) - len(given)
        if missed:
            counters = self._turn.counters
            counters.delivered -= missed
            counters.delivered_bytes -= _size(messages) - _size(given)
            counters.uncarried += missed
        if elsewhere is not None:
            for one in given:
                elsewhere.taken(self.name, one)

    def take(self, message: Message) -> None:
        """Give a request from elsewhere to a member here."""
        if message.reply_to is None or not self._give((message,)):
            self._turn.counters.uncarried += 1

    def miss(self, count: int) -> None:
        """A group takes any message."""

    def give(self, message: Message, least: int) -> bool:
        """Take no message that another member of a group doesn't get (share_groups.ShareGroup)."""
        return False

    def _give(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Give requests to one member each, all at once to a lone one. Returns those that could be encoded."""
        if len(self.members) > 1 and len(messages) > 1:
            return [given for one in messages for given in self._give((one,))]
        if not messages:
            return messages
        member = self._choose()
        encoding = member.encoding
        carried, frames = self._router.encode(encoding, messages)
        if frames:
            member.receiver.put(Batch(carried, frames, encoding.stream, encoding.full))
        return carried

    def _choose(self) -> Subscription:
        if len(self.members) == 1:
            return next(iter(self.members))
        if self.policy == "last":
            return next(reversed(self.members))
        if self.policy == "random":
            return random.choice(list(self.members))  # noqa: S311  nothing depends on it being unforeseeable
        if self.policy == "roundrobin":
            members = list(self.members)
            self._next = (self._next + 1) % len(members)
            return members[self._next - 1]
        return next(iter(self.members))


def _size(messages: Sequence[Message]) -> int:
    return sum([len(one.payload) for one in messages])
