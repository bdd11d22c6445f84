"""What routing works on: a subscription, how its messages are encoded, and where they go."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from hubbub.events import Subscribe
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.sessions.session import REPLIES, Session
from hubbub.message import Message

Encode = Callable[[Sequence[Message], Any], Sequence[bytes | None]]
"""Messages, the format -> a unit for each; None: the dialect can't carry the message."""


class Encoding:
    """How a group of subscribers gets its messages: equal encodings share their frames.

    encode  messages, form -> a unit or None for each; form: what the dialect's `form` returned
    wrap    puts the transport's frame around a unit, or None
    mount   the prefix that is taken off a topic on its way out, or ""
    stream  whether units may be joined into one write
    full    the overflow policy of the subscription, or None
    around  of an IdForm: message, its `shared` -> what comes before the id and behind it, or None
    key     all others of these, which make two encodings equal; uses: the number of its subscriptions
    """

    __slots__ = ("encode", "form", "wrap", "mount", "stream", "full", "around", "key", "uses")

    def __init__(
        self,
        encode: Encode,
        form: Hashable,
        wrap: Callable[[bytes], bytes] | None = None,
        mount: str = "",
        stream: bool = True,
        full: str | None = None,
        around: Callable[[Message, Any], tuple[bytes, bytes] | None] | None = None,
    ) -> None:
        self.encode = encode
        self.form: Any = form
        self.wrap = wrap
        self.mount = mount
        self.stream = stream
        self.full = full
        self.around = around
        self.key = (encode, form, wrap, mount, stream, full)
        self.uses = 0

    def visible(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages that the subscribers may know of: not those on the topic of the mount point itself."""
        return [message for message in messages if message.topic.startswith(self.mount)]

    def below_mount(self, message: Message) -> Message:
        """Return a visible message as seen from the mount point."""
        mount, reply_to = self.mount, message.reply_to
        shown = message.on(message.topic[len(mount) :])
        if reply_to and not reply_to.startswith(REPLIES):
            shown.reply_to = reply_to[len(mount) :] if reply_to.startswith(mount) else None
        return shown


class Receiver(Protocol):
    """Where a subscription's messages go: a link's outbox, a handler's inbox, a pending request."""

    def put(self, batch: Batch) -> None:
        """Take `batch`; a full receiver drops as its policy says. Never raises."""

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried to this subscriber."""


class Keeper(Protocol):
    """Keeps messages in the history (history.history.Recorder). `order`: of several the lowest keeps a message."""

    @property
    def order(self) -> int: ...

    def check(self, message: Message) -> None:
        """Check that a message can be kept. Raises Refusal (unavailable)."""

    def append(self, message: Message) -> None:
        """Keep a message, and give it its position."""


class Backlog(Protocol):
    """Messages that wait for many receivers (connection.backlog.Backlog).

    group   the routing.routes.ReceiverGroup; places: those that have a place
    """

    group: Any
    places: dict[Any, Any]

    def put(self, batch: Batch, number: int) -> None:
        """Take messages; `number` is larger than that of any batch before."""

    def join(self, outbox: Any) -> bool:
        """Give a receiver a place, or return False."""


class AwayLog(Protocol):
    """Messages that wait for many sessions without a link (sessions.away.AwayLog)."""

    @property
    def places(self) -> dict[Any, Any]: ...

    @property
    def size(self) -> int: ...

    def put(self, batch: Batch, order: int) -> None:
        """Take messages; `order` is larger than that of any batch before."""

    def gather(self, receivers: list[Any]) -> list[Any]:
        """Let exactly these receivers stand here. Returns those that can't."""

    def give_way(self, size: int) -> None:
        """Keep at most so many bytes."""


NEVER, LOST, AWAY, LATER, NOW = -1, 0, 1, 2, 3  # what `GroupMember.room` returns


class GroupMember(Receiver, Protocol):
    """A Receiver that can take part in a shared subscription."""

    def room(self, message: Message) -> int:
        """Return what would happen to `message` here.

        NOW: it leaves at once; LATER: it waits for others; AWAY: it waits for its client; LOST: something is dropped;
        NEVER: it isn't for this member.
        """


def as_is(messages: Sequence[Message], form: None) -> list[bytes]:
    """Encode for receivers that take messages themselves: handlers, requests, groups."""
    return [message.payload for message in messages]


class Subscription:
    """A session's subscription to one filter.

    id         what it is called within its session; its filter, unless the dialect gives it another
    wish       the Subscribe event, with the filter as the hub names it
    encoding   how its messages are encoded; receiver: where they go
    copies     whether it gets a copy of its own of a message that other subscriptions of its session match too
    merge      else: merges those subscriptions; None: the one with the fewest wildcards counts
    """

    __slots__ = ("session", "id", "wish", "encoding", "receiver", "copies", "merge")

    def __init__(self, session: Session, wish: Subscribe, encoding: Encoding, receiver: Receiver) -> None:
        self.copies = False
        self.merge: Callable[[Sequence[Subscription]], Subscription] | None = None
        self.session = session
        self.id = wish.key
        self.wish = wish
        self.encoding = encoding
        self.receiver = receiver


class SubscriptionObserver(Protocol):
    """Gets each subscription that begins or ends at the router; not one that takes another's place."""

    def added(self, filter: str, subscription: Subscription) -> None: ...
    def removed(self, filter: str, subscription: Subscription) -> None: ...


class Elsewhere(Protocol):
    """The members of groups in other hubs, such as the nodes of a cluster.

    session  the sender of what comes from there: its hub decides which groups get that
    """

    session: Session

    def check_room(self) -> None:
        """Check that there may be one more group here. Raises Refusal (quota)."""

    def opened(self, name: str, filter: str) -> None:
        """There is a group here now."""

    def joined(self, name: str) -> None:
        """A member is there, new or again."""

    def closed(self, name: str) -> None:
        """The last member has gone."""

    def brings(self, name: str, message: Message) -> bool:
        """Return whether that group gets a message in another way, by the stream of a cluster."""

    def has_members(self, name: str) -> bool:
        """Return whether that group has connected members elsewhere."""

    def taken(self, name: str, message: Message) -> None:
        """A member here gets a message: none elsewhere does."""
