"""What the hub knows of one client: who it is and what it subscribed to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from hubbub.events import Publish, Subscribe
from hubbub.identity import Identity
from hubbub.message import Message
from hubbub.topics import check_topic

REPLIES = "$reply/"  # each request has its own topic below, which can't be guessed


class Encoding:
    """How one group of subscribers gets its messages; they share what it makes.

    encode  message, form -> unit or None; form: what the dialect's `form` said
    wrap    what the transport puts around a unit, or None
    mount   the prefix that is taken off a topic on its way out, or ""
    stream  whether units may be joined into one write
    full    the policy that the subscription asked for, or None
    key     all of these: what makes two the same; uses: subscriptions that have it
    """

    __slots__ = ("encode", "form", "wrap", "mount", "stream", "full", "key", "uses")

    def __init__(
        self,
        encode: Callable[[Message, Any], bytes | None],
        form: Hashable,
        wrap: Callable[[bytes], bytes] | None,
        mount: str,
        stream: bool,
        full: str | None,
    ) -> None:
        self.encode = encode
        self.form = form
        self.wrap = wrap
        self.mount = mount
        self.stream = stream
        self.full = full
        self.key = (encode, form, wrap, mount, stream, full)
        self.uses = 0

    def frames(self, messages: Sequence[Message]) -> tuple[Sequence[Message], list[bytes]]:
        """Encode each message once. Returns those that could be carried, and their frames."""
        encode, form, wrap = self.encode, self.form, self.wrap
        if self.mount:
            below = map(self._below_mount, messages)
            found = [None if shown is None else encode(shown, form) for shown in below]
        else:
            found = [encode(message, form) for message in messages]
        frames: list[Any] = found
        if None in found:
            messages = [message for message, frame in zip(messages, found, strict=True) if frame is not None]
            frames = [frame for frame in found if frame is not None]
        if wrap is not None:
            frames = [wrap(frame) for frame in frames]
        return messages, frames

    def _below_mount(self, message: Message) -> Message | None:
        """Show a message as seen from the mount point; what `a/#` matches as `a` itself can't be seen from `a/`."""
        mount, reply_to = self.mount, message.reply_to
        if not message.topic.startswith(mount):
            return None
        shown = message.on(message.topic[len(mount) :])
        if reply_to and not reply_to.startswith(REPLIES):
            shown.reply_to = reply_to[len(mount) :] if reply_to.startswith(mount) else None
        return shown


class Batch:
    """Messages that go the same way one after the other, encoded, shared by all outboxes that they wait in.

    data  their frames joined, for streams; size: bytes
    """

    __slots__ = ("messages", "frames", "data", "size", "count", "full")

    def __init__(
        self, messages: Sequence[Message], frames: Sequence[bytes], stream: bool = True, full: str | None = None
    ) -> None:
        self.messages = messages
        self.frames = frames
        self.count = len(messages)
        self.full = full
        if stream:
            self.data = frames[0] if len(frames) == 1 else b"".join(frames)
            self.size = len(self.data)
        else:
            self.data = b""
            self.size = sum(map(len, frames))

    def singles(self, stream: bool) -> list[Batch]:
        """The same, one message each."""
        return [
            Batch((message,), (frame,), stream, self.full)
            for message, frame in zip(self.messages, self.frames, strict=True)
        ]


class Receiver(Protocol):
    """Where the hub puts what is for one session: a link's outbox, a handler's inbox, a waiting request."""

    def put(self, batch: Batch) -> None:
        """Take `batch`, or drop of it or before it what the policy says. Never raises."""

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried to this session."""


LOST, AWAY, LATER, NOW = 0, 1, 2, 3  # what `Member.room` says


class GroupMember(Receiver, Protocol):
    """A Box that can take part in a shared subscription."""

    def room(self, message: Message) -> int:
        """Tell what would become of `message` here.

        NOW: it leaves at once; LATER: it waits for others; AWAY: it waits for its client; LOST: something is dropped.
        """


def as_is(message: Message, form: None) -> bytes:
    """Encode for those who take messages themselves: handlers, requests."""
    return message.payload


class Subscription:
    """One session's interest in one filter, and the way of its messages.

    merge  makes one of several of the session that match the same; None: the one with the fewest wildcards counts
    """

    __slots__ = ("session", "wish", "encoding", "receiver", "merge")

    def __init__(self, session: Session, wish: Subscribe, encoding: Encoding, receiver: Receiver) -> None:
        self.merge: Callable[[Sequence[Subscription]], Subscription] | None = None
        self.session = session
        self.wish = wish
        self.encoding = encoding
        self.receiver = receiver


class Rights(Protocol):
    """What one client may do. All take names as the hub sees them; the first two raise Refusal (not-authorized)."""

    def publish(self, topic: str) -> None: ...
    def subscribe(self, filter: str) -> None: ...
    def receives(self, topic: str) -> bool: ...


class Session:
    """One client. What handlers may know of it is in `message.Sender`.

    id      what logs, `hubbub status` and `hubbub kick` call its link; 0: it has none
    rights  what it may do; None: everything
    groups, grants, expires, holds  what its login learned, see identity.Identity
    send    delivers one message to this client alone, and tells whether it could be taken; None once it has gone
    levels  of its filters with wildcards, all together
    """

    __slots__ = (
        "id", "host", "port", "transport", "listener", "client", "user", "rights", "subscriptions", "levels", "send",
        "groups", "grants", "expires", "holds",
    )  # fmt: skip

    def __init__(self, host: str, port: int, transport: str, listener: str, user: str | None = None) -> None:
        self.id = 0
        self.host = host
        self.port = port
        self.transport = transport
        self.listener = listener
        self.client = ""
        self.user = user
        self.rights: Rights | None = None
        self.groups: frozenset[str] = frozenset()
        self.grants: Mapping[str, tuple[str, ...]] | None = None
        self.expires: float | None = None
        self.holds: Callable[[], bool] | None = None
        self.subscriptions: dict[str, Subscription] | None = None
        self.levels = 0
        self.send: Callable[[Message], bool] | None = None

    def __str__(self) -> str:
        where = f"{self.host}:{self.port}" if self.port else self.host
        return f"{self.listener} {where}" + (f" ({self.user})" if self.user else "")

    def admit(self, identity: Identity) -> None:
        """Take up what a login learned."""
        self.user = identity.user
        self.groups = identity.groups
        self.grants = identity.grants
        self.expires = identity.expires
        self.holds = identity.holds

    def double(self) -> Session:
        """The same client without a link."""
        double = Session(self.host, self.port, self.transport, self.listener, self.user)
        double.client, double.groups, double.grants = self.client, self.groups, self.grants
        return double

    def fields(self) -> dict[str, str]:
        """What templates may say of this client."""
        return {
            "id": self.listener,
            "host": self.host,
            "port": str(self.port),
            "user": self.user or "",
            "client": self.client,
        }


def mounted(event: Publish, mount: str) -> None:
    """Put a mount point before the topics of a message. Raises BadTopic."""
    if not event.topic.startswith(REPLIES):
        event.topic = check_topic(mount + event.topic)
    if event.reply_to and not event.reply_to.startswith(REPLIES):
        event.reply_to = check_topic(mount + event.reply_to)


def permit(event: Publish, rights: Rights, retain: bool) -> None:
    """Look whether a client may send a message, whose topics are the hub's. Raises Refusal (not-authorized)."""
    if event.topic.startswith(REPLIES):
        return
    rights.publish(event.topic)
    if event.reply_to and retain and not event.reply_to.startswith(REPLIES):
        rights.publish(event.reply_to)  # once it is retained nobody is left to be asked
