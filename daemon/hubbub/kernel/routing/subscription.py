"""What routing works on: a subscription, how its messages are encoded, and a batch of encoded messages."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from hubbub.dialect import Splice
from hubbub.events import Subscribe
from hubbub.kernel.sessions.session import REPLIES, Session
from hubbub.message import Message


class Encoding:
    """How a group of subscribers gets its messages: equal encodings share their frames.

    encode  message, form -> unit or None; form: what the dialect's `form` returned
    wrap    puts the transport's frame around a unit, or None
    mount   the prefix that is taken off a topic on its way out, or ""
    stream  whether units may be joined into one write
    full    the overflow policy of the subscription, or None
    id_bytes  the length of the id that each subscription inserts into a unit, see dialect.Splice; None: none does
    key     all of these, which make two encodings equal; uses: the number of its subscriptions
    """

    __slots__ = ("encode", "form", "wrap", "mount", "stream", "full", "id_bytes", "key", "uses")

    def __init__(
        self,
        encode: Callable[[Message, Any], bytes | None],
        form: Hashable,
        wrap: Callable[[bytes], bytes] | None = None,
        mount: str = "",
        stream: bool = True,
        full: str | None = None,
        id_bytes: int | None = None,
    ) -> None:
        self.encode = encode
        self.form = form
        self.wrap = wrap
        self.mount = mount
        self.stream = stream
        self.full = full
        self.id_bytes = id_bytes
        self.key = (encode, form, wrap, mount, stream, full, id_bytes)
        self.uses = 0

    def visible(self, messages: list[Message]) -> list[Message]:
        """Return the messages that the subscribers may know of: not those on the topic of the mount point itself."""
        return [message for message in messages if message.topic.startswith(self.mount)]

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
            n = self.id_bytes
            frames = [wrap(frame) for frame in frames] if n is None else [wrap_splice(one, wrap, n) for one in frames]
        return messages, frames

    def _below_mount(self, message: Message) -> Message | None:
        """Return a message as seen from the mount point; None for the topic of the mount point itself."""
        mount, reply_to = self.mount, message.reply_to
        if not message.topic.startswith(mount):
            return None
        shown = message.on(message.topic[len(mount) :])
        if reply_to and not reply_to.startswith(REPLIES):
            shown.reply_to = reply_to[len(mount) :] if reply_to.startswith(mount) else None
        return shown


class Batch:
    """Consecutive messages to the same receivers, encoded; all outboxes share it.

    data   their frames joined, for streams; size: bytes
    parts  what stands between the ids that each subscription inserts, see dialect.Splice
    """

    __slots__ = ("messages", "frames", "data", "size", "count", "full", "parts")

    def __init__(
        self, messages: Sequence[Message], frames: Sequence[bytes], stream: bool = True, full: str | None = None
    ) -> None:
        self.messages = messages
        self.frames = frames
        self.parts: list[bytes] | None = None
        self.count = len(messages)
        self.full = full
        if stream:
            self.data = frames[0] if len(frames) == 1 else b"".join(frames)
            self.size = len(self.data)
        else:
            self.data = b""
            self.size = sum(map(len, frames))

    def splice(self) -> list[bytes]:
        """Return the data in the pieces that an id joins; made once for all subscriptions."""
        if self.parts is None:
            self.parts, rest = [], b""
            for frame in self.frames:
                at = getattr(frame, "at", len(frame))
                self.parts.append(rest + frame[:at])
                rest = frame[at:]
            self.parts.append(rest)
        return self.parts

    def singles(self, stream: bool) -> list[Batch]:
        """Return the same messages in batches of one."""
        return [
            Batch((message,), (frame,), stream, self.full)
            for message, frame in zip(self.messages, self.frames, strict=True)
        ]


class Receiver(Protocol):
    """Where a subscription's messages go: a link's outbox, a handler's inbox, a pending request."""

    def put(self, batch: Batch) -> None:
        """Take `batch`; a full receiver drops as its policy says. Never raises."""

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried to this subscriber."""


NEVER, LOST, AWAY, LATER, NOW = -1, 0, 1, 2, 3  # what `GroupMember.room` returns


class GroupMember(Receiver, Protocol):
    """A Receiver that can take part in a shared subscription."""

    def room(self, message: Message) -> int:
        """Return what would happen to `message` here.

        NOW: it leaves at once; LATER: it waits for others; AWAY: it waits for its client; LOST: something is dropped;
        NEVER: it isn't for this member.
        """


def as_is(message: Message, form: None) -> bytes:
    """Encode for receivers that take messages themselves: handlers, requests, groups."""
    return message.payload


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


def wrap_splice(unit: bytes, wrap: Callable[[bytes], bytes], id_bytes: int) -> Splice:
    """Put the transport's frame around a unit that is to get an id of so many bytes."""
    at = getattr(unit, "at", len(unit))
    whole = wrap(unit[:at] + bytes(id_bytes) + unit[at:])
    start = len(whole) - len(unit) - id_bytes + at
    return Splice(whole[:start] + whole[start + id_bytes :], start)
