"""Messages on their way in: events that are messages. See hubbub.events for the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from hubbub import limits
from hubbub.message import Message


@mypyc_attr(allow_interpreted_subclasses=True)
class Publish(Message):
    """A message on its way in. It gets an answer if it has a `tag`, and if it fails.

    The result is the number of sessions that it goes to, an int, or a Refusal.
    """

    __slots__ = ("tag",)

    def __init__(
        self,
        topic: str,
        payload: bytes,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
        tag: Any = None,
    ) -> None:
        # Written out: a call of Message.__init__ costs as much as all the rest, for each message.
        self.topic = topic
        self.payload = payload
        self.retain = retain
        self.content_type = content_type
        self.reply_to = reply_to
        self.properties = properties
        self.retained = False
        self.time = 0.0
        self.sender = None
        self.hops = 0
        self.position = ""
        self.path = ""
        self.tag = tag


class QosPublish(Publish):
    """A message with a QoS, an expiry, or correlation data.

    qos             int: 0 at most once, 1 at least once, 2 exactly once (MQTT 5.0 section 4.3)
    dedup_id        int or None: a further message with this number is not published again until its Release
    message_expiry  float or None: seconds after its arrival at the hub when the message expires
    expires         float or None: Unix seconds when it expires; on arrival it sets `message_expiry`
    correlation     bytes or None: correlation data, which the reply repeats (MQTT 5.0 section 4.10)
    number          int: counts the messages of a cluster's stream, see sessions.store.Store.enqueue; 0: it isn't there
    """

    __slots__ = ("qos", "dedup_id", "message_expiry", "expires", "correlation", "number")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        dedup_id: int | None = None,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
        tag: Any = None,
        message_expiry: float | None = None,
        correlation: bytes | None = None,
    ) -> None:
        super().__init__(topic, payload, retain, content_type, reply_to, properties, tag)
        self.qos = qos
        self.dedup_id = dedup_id
        self.message_expiry = message_expiry
        self.expires: float | None = None
        self.correlation = correlation
        self.number = 0

    def extra(self) -> int:
        """Return the bytes that it has beyond those of every message."""
        return len(self.correlation or b"")

    def on(self, topic: str) -> Message:
        """Return a copy under another topic."""
        copy = QosPublish(
            topic, self.payload, self.qos, None, self.retain, self.content_type, self.reply_to, self.properties
        )
        copy.retained, copy.time, copy.sender, copy.hops = self.retained, self.time, self.sender, self.hops
        copy.message_expiry, copy.expires, copy.correlation = self.message_expiry, self.expires, self.correlation
        copy.position, copy.path, copy.number = self.position, self.path, self.number
        return copy

    def expires_at(self) -> float | None:
        """Return the Unix seconds when it expires, None: never. It has arrived."""
        if self.expires is None and self.message_expiry is not None:
            return self.time + self.message_expiry
        return self.expires

    def has_expired(self, now: float) -> bool:
        """Return whether it has expired at `now`, a Unix time in seconds (MQTT 5.0 section 3.3.2.3.3)."""
        return self.message_expiry is not None and self.time + self.message_expiry - now <= 0

    def left(self, now: float, sent: bool = False) -> QosPublish | None:
        """Return the message with the expiry that remains at `now`, a Unix time. None: it has expired.

        A message that was `sent` before is sent again even if it has expired, with an expiry of 0.
        """
        if self.message_expiry is None:
            return self
        copy = self.on(self.topic)
        assert isinstance(copy, QosPublish)
        copy.expires = self.expires_at()
        copy.message_expiry = max(0.0, self.time + self.message_expiry - now)
        return copy if copy.message_expiry or sent else None


def number_of(message: Message) -> int:
    """Return the number of a message in the cluster's stream; 0: it has none."""
    return message.number if isinstance(message, QosPublish) else 0


class SelectivePublish(Publish):
    """A message for some sessions alone.

    chosen   session -> bool: whether it gets the message; the publisher's own is asked too
    private  whether it is for these alone: then it is neither retained nor kept in the history, where others would see
             it later
    """

    __slots__ = ("chosen", "private")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        chosen: Callable[[Any], bool],
        retain: bool = False,
        content_type: str | None = None,
        properties: Mapping[str, str] | None = None,
        tag: Any = None,
        private: bool = True,
    ) -> None:
        super().__init__(topic, payload, retain, content_type, None, properties, tag)
        self.chosen = chosen
        self.private = private


class Announcement(Publish):
    """A message of the dialect itself about its clients: no right of the client is needed. It has no result.

    chosen  session -> bool: whether it gets the message, as in SelectivePublish
    """

    __slots__ = ("chosen",)

    def __init__(
        self,
        topic: str,
        payload: bytes,
        chosen: Callable[[Any], bool],
        content_type: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(topic, payload, False, content_type, None, properties)
        self.chosen = chosen


class PartialReply(Publish):
    """A reply that further replies to the same request follow. It reaches a Request that is `partial`, and no other."""

    __slots__ = ()


class Request(Publish):
    """A message that wants one reply within `timeout` seconds. The result is the reply, a Message, or a Refusal.

    If `blocking`, later events wait for its result; otherwise up to limits.REQUESTS_PER_LINK requests run at once. If
    `partial`, each PartialReply before the reply is a result too, and the timeout begins again with it.
    """

    __slots__ = ("timeout", "blocking", "partial")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        timeout: float = limits.REQUEST_SECONDS,
        blocking: bool = True,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
        tag: Any = None,
        partial: bool = False,
    ) -> None:
        super().__init__(topic, payload, retain, content_type, reply_to, properties, tag)
        self.timeout = timeout
        self.blocking = blocking
        self.partial = partial
