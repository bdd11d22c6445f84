"""Shared subscriptions over all nodes: each message goes to one member of the whole group.

Live, the publisher's node gives a message to a member of its own that can take it at once, and says so on the message.
Of the other nodes with members NATS chooses one, as they subscribe as a queue group; it gives a message that no member
has yet to one of its members. So a message crosses NATS once, however many groups there are.

What the stream has of QoS 1 and 2 comes to each group by a consumer of its own: see group_loans.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.reserved import is_local
from hubbub.kernel.sessions.qos import qos_of
from hubbub.message import Message
from hubbub.nats_protocol.subjects import subjects_of
from hubbub.service.cluster.connection import NatsConnection, NatsSubscription
from hubbub.service.cluster.group_loans import GroupLoans
from hubbub.service.cluster.hand_overs import HandOvers
from hubbub.service.cluster.live import LiveMessages
from hubbub.service.cluster.message_stream import MessageStream
from hubbub.service.cluster.pull_consumer import consumer_of, digest
from hubbub.topics import matches


class ClusterGroups:
    """The groups of this node and of others (kernel.routing.subscription.Elsewhere).

    names    the groups that have members here
    changed  attribute: is called when these change
    others   attribute: tells whether another node has members of a group
    stream   attribute: what brings messages of QoS 1 and 2, or None
    """

    def __init__(self, reactor: Any, hub: Hub, connection: NatsConnection, live: LiveMessages) -> None:
        self.changed: Callable[[], object] = bool
        self.others: Callable[[str], bool] = bool
        self.session = live.session
        self.names: dict[str, list[NatsSubscription]] = {}
        self.stream: MessageStream | None = None
        self._connection = connection
        self._hub = hub
        self._live = live
        self._left: dict[str, int] = {}  # groups without members here, and how often `sweep` has seen them
        self._loans: dict[str, GroupLoans] = {}
        self._reactor = reactor

    def check_room(self) -> None:
        """Check that there may be one more group here, each of which has a consumer. Raises Refusal (quota)."""
        if len(self._loans) >= limits.WORK_QUEUES:
            most = limits.WORK_QUEUES
            raise Refusal("quota", f"the clients of one node of a cluster may have {most} shared subscriptions")

    def opened(self, name: str, filter: str) -> None:
        """Take what is for this group and has no member yet."""
        if is_local(filter):
            return
        # To NATS all subjects with one queue name are one group, so the name stands for the filter too.
        queue = f"hubbub.{digest(name)}"
        take = partial(self._take, name, filter)
        self.names[name] = [self._connection.listen(subject, take, queue) for subject in subjects_of(filter)]
        self.changed()
        if name in self._loans:
            self._loans[name].closing = None
        elif self.stream is not None and self._hub.shared.lending(name) is not None:
            self._loans[name] = self._begin(self.stream, name, filter)

    def joined(self, name: str) -> None:
        """A member is there, new or again."""
        if name in self._loans:
            self._loans[name].mark()

    def closed(self, name: str) -> None:
        """The last member here has gone."""
        if name in self.names:
            for one in self.names.pop(name):
                one.end()
            self.changed()
        if name in self._loans:
            self._loans[name].closing = partial(self._end, name)
            self._loans[name].mark()

    def stop(self) -> None:
        """Let other nodes have what isn't acknowledged."""
        for loans in self._loans.values():
            loans.stop()
        self._loans.clear()

    def _begin(self, stream: MessageStream, name: str, filter: str) -> GroupLoans:
        handed = HandOvers(self._reactor, self._hub.turn, stream.owners, name)
        loans = GroupLoans(self._hub, stream.reader, name, filter, self.has_members, handed)
        self._left.pop(name, None)
        loans.start(stream.pull(consumer_of(name), filter, lambda: loans.last, loans.take))
        return loans

    def _end(self, name: str) -> None:
        self._loans.pop(name).stop()
        if len(self._left) < limits.CLUSTER_GROUPS:
            self._left[name] = 0

    def sweep(self) -> None:
        """End the groups that have had no members anywhere for a lease: a session may be on its way to another node."""
        for name, times in list(self._left.items()):
            self._left[name] = times + 1
            if times:
                del self._left[name]
                if self.stream is not None and not self.others(name):
                    self.stream.forget(consumer_of(name))

    def brings(self, name: str, message: Message) -> bool:
        """Return whether the stream brings a message to that group."""
        return name in self._loans and qos_of(message) > 0 and self._hub.shared.lending(name) is not None

    def has_members(self, name: str) -> bool:
        """Return whether other nodes have members."""
        return self._connection.joined and self.others(name)

    def taken(self, name: str, message: Message) -> None:
        """A member here gets a message."""
        self._live.taken(name, message)

    def _take(self, name: str, filter: str, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        try:
            message, taken = self._live.decoded(subject, reply, block, payload)
            if name not in taken and not self.brings(name, message) and matches(filter, message.topic):
                self._hub.shared.take(name, message)
        except Refusal:
            self._live.plain.refused += 1
