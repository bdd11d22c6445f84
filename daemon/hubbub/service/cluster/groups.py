"""Shared subscriptions over all nodes: each message goes to one member of the whole group.

The publisher's node gives a message to a member of its own that can take it at once, and says so on the message. Of the
other nodes with members NATS chooses one, as they subscribe as a queue group; it gives a message that no member has yet
to one of its members. So a message crosses NATS once, however many groups there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from hubbub.errors import Refusal
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.reserved import is_local
from hubbub.message import Message
from hubbub.nats_protocol.subjects import subjects_of
from hubbub.service.cluster.connection import NatsConnection, NatsSubscription
from hubbub.service.cluster.live import LiveMessages
from hubbub.topics import matches


class ClusterGroups:
    """The groups of this node and of others (kernel.routing.subscription.Elsewhere).

    names    the groups that have members here
    changed  attribute: is called when these change
    others   attribute: tells whether another node has members of a group
    """

    def __init__(self, hub: Hub, connection: NatsConnection, live: LiveMessages) -> None:
        self.changed: Callable[[], object] = bool
        self.others: Callable[[str], bool] = bool
        self.session = live.session
        self.names: dict[str, list[NatsSubscription]] = {}
        self._connection = connection
        self._hub = hub
        self._live = live

    def opened(self, name: str, filter: str) -> None:
        """Take what is for this group and has no member yet."""
        if is_local(filter):
            return
        # To NATS all subjects with one queue name are one group, so the name stands for the filter too.
        queue = f"hubbub.{blake2b(name.encode(), digest_size=16).hexdigest()}"
        take = partial(self._take, name, filter)
        self.names[name] = [self._connection.listen(subject, take, queue) for subject in subjects_of(filter)]
        self.changed()

    def closed(self, name: str) -> None:
        """The last member here has gone."""
        if name in self.names:
            for one in self.names.pop(name):
                one.end()
            self.changed()

    def has_members(self, name: str) -> bool:
        """Return whether other nodes have members."""
        return self._connection.joined and self.others(name)

    def taken(self, name: str, message: Message) -> None:
        """A member here gets a message."""
        self._live.taken(name, message)

    def _take(self, name: str, filter: str, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        try:
            message, taken = self._live.decoded(subject, reply, block, payload)
            if name not in taken and matches(filter, message.topic):
                self._hub.shared.take(name, message)
        except Refusal:
            self._live.plain.refused += 1
