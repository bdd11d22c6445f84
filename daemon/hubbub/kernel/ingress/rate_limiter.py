"""Limits what one client publishes: `rate=` how often, `changed=` only payloads that differ from the last one."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.routing.router import Router
from hubbub.kernel.sessions.session import REPLIES, Session
from hubbub.kernel.turn import Turn
from hubbub.publish import Publish, Request

OVER = ("drop", "latest", "pause", "close")


class Rate(NamedTuple):
    """What `rate=` allows: so many messages in a second on average, and `burst` of them at once.

    over  what happens to a message beyond it, one of OVER
    """

    per_second: float
    burst: float
    over: str = "drop"

    def __str__(self) -> str:
        return f"{self.per_second:g}/s" if self.per_second >= 1 else f"{self.per_second * 60:g}/min"


class Limited(Protocol):
    """The listener whose keys hold, and whose counters count (connection.listener_context.ListenerContext)."""

    rate: Rate | None
    changed: bool
    held_back: int
    unchanged: int

    def refuse(self, refusal: Refusal) -> None: ...


class Source(Protocol):
    """The link that publishes."""

    def rest(self, until: float) -> None:
        """Act on nothing more, and read nothing, until then."""

    def close(self, reason: str, refusal: Refusal | None = None) -> None:
        """Close the link."""


class TokenBucket:
    """A token bucket: it holds `burst` tokens at most and gains `per_second`; each message takes one."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        if self.ready(now) > now:
            return False
        self._tokens -= 1
        return True

    def ready(self, now: float) -> float:
        """Return when there is a token: `now`, or later, in the same seconds."""
        gained = (now - self._at) * self._rate.per_second
        self._tokens = min(self._rate.burst, self._tokens + gained)
        self._at = now
        missing = 1 - self._tokens
        return (
            now + missing / self._rate.per_second if missing > 1e-6 else now
        )  # or rounding would set an alarm too early


class ChangeFilter:
    """Remembers the last payload of each topic, as digests."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[bytes, bytes] = {}

    def is_unchanged(self, event: Publish) -> bool:
        """Return whether the last message of that topic had the same payload."""
        return self._last.get(_digest(event.topic.encode())) == _digest(event.payload)

    def remember(self, event: Publish) -> None:
        """A message was published."""
        topic = _digest(event.topic.encode())
        self._last.pop(topic, None)
        if len(self._last) >= limits.CHANGED_TOPICS:
            del self._last[next(iter(self._last))]  # the topic that changed the longest ago
        self._last[topic] = _digest(event.payload)


class RateLimiter:
    """Applies `rate=` and `changed=` to one link; over UDP to one address and user, whose links come and go."""

    __slots__ = ("alarm_at", "_bucket", "_changes", "_context", "_latest", "_latest_size", "_rate", "_router", "_turn")

    def __init__(self, turn: Turn, router: Router, context: Limited) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self._turn = turn
        self._router = router
        self._context = context
        self._rate = context.rate
        self._bucket = TokenBucket(context.rate, turn.now()) if context.rate is not None else None
        self._changes = ChangeFilter()
        self._latest: dict[str, Publish] = {}  # with `over=latest`, the newest message of each topic that waits
        self._latest_size = 0  # bytes of these

    def publish(self, event: Publish, link: Source) -> int:
        """Publish `event` if it is within the rate; return how many sessions it goes to. Raises Refusal."""
        return self._publish(event) if self.admits(event, link) else 0

    def admits(self, event: Publish, link: Source) -> bool:
        """Return whether `event` is within the rate. False: it waits. Raises Refusal."""
        bucket, rate, now = self._bucket, self._rate, self._turn.now()
        if bucket is None or rate is None:
            return True
        if not self._latest and bucket.take(now):
            if rate.over == "pause" and (ready := bucket.ready(now)) > now:
                link.rest(ready)
                self._context.held_back += 1
            return True
        refusal = Refusal("rate-limited", f"this listener takes {rate} of each client")
        waits = rate.over == "latest" and not isinstance(event, Request)
        if waits and self._wait(event, refusal, bucket.ready(now)):
            return False
        if rate.over == "close":
            link.close(refusal.reason, refusal)
        raise refusal

    # The newest message of each topic

    def _wait(self, event: Publish, refusal: Refusal, until: float) -> bool:
        """Keep `event` as the newest of its topic; `refusal` counts the one before. False: too much waits already."""
        old = self._latest.get(event.topic)
        size = self._latest_size + _size(event) - (_size(old) if old is not None else 0)
        alone = len(self._latest) == (old is not None)
        if not alone and (size > limits.LATEST_BYTES or (old is None and len(self._latest) >= limits.LATEST_TOPICS)):
            return False
        if old is not None:
            self._count_refused(refusal)
        self._latest[event.topic] = event
        self._latest_size = size
        self._turn.alarms.at(self, until)
        return True

    def alarm(self, now: float) -> None:
        """Publish what waits, as far as the rate allows (kernel.alarms.AlarmTarget)."""
        assert self._bucket is not None
        while self._latest and self._bucket.take(now):
            self._publish_first()
        if self._latest:
            self._turn.alarms.at(self, self._bucket.ready(now))

    def _publish_first(self) -> None:
        event = self._latest.pop(next(iter(self._latest)))
        self._latest_size -= _size(event)
        sender: Any = event.sender
        rights = getattr(sender, "rights", None)
        if isinstance(sender, Session) and not sender.is_valid(self._turn.wall()):
            return
        try:
            if rights is not None and not event.topic.startswith(REPLIES):
                rights.publish(event.topic)  # they may have changed meanwhile
            self._publish(event)
        except Refusal as error:
            self._count_refused(error)

    def end(self) -> None:
        """The link has gone: what waits is the last of its topics, so it is published now."""
        self._turn.alarms.cancel(self)
        while self._latest:
            self._publish_first()

    def _count_refused(self, refusal: Refusal) -> None:
        self._turn.counters.refused += 1
        self._context.refuse(refusal)

    def _publish(self, event: Publish) -> int:
        if not self._context.changed or event.topic.startswith(REPLIES):
            return self._router.publish_any(event)
        if self._changes.is_unchanged(event):
            self._context.unchanged += 1
            return 0
        receivers = self._router.publish_any(event)
        self._changes.remember(event)
        return receivers


class RateLimiters:
    """Those of a UDP listener's clients, bounded: the one that was silent the longest is forgotten.

    A client is an address and the user that signs: datagrams of other users from that address don't count.
    """

    def __init__(self) -> None:
        self._by_client: dict[tuple[str, int, str | None], RateLimiter] = {}

    def get(self, turn: Turn, router: Router, context: Limited, session: Session) -> RateLimiter:
        """Return the one of a session's client."""
        client = (session.host, session.port, session.user)
        limiter = self._by_client.pop(client, None)
        if limiter is None:
            limiter = RateLimiter(turn, router, context)
            if len(self._by_client) >= limits.UDP_RATE_LIMITERS:
                del self._by_client[next(iter(self._by_client))]
        self._by_client[client] = limiter
        return limiter


def _size(event: Publish) -> int:
    return len(event.topic) + len(event.payload)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
