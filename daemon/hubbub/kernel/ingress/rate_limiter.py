"""Which of a link's messages are let in: `rate=` says how many, `changed=` that they must say something new."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Publish, Request
from hubbub.kernel.sessions.session import REPLIES

if TYPE_CHECKING:
    from hubbub.kernel.connection.wire import ListenerContext
    from hubbub.kernel.hub import Hub

OVER = ("drop", "latest", "pause", "close")


class Rate(NamedTuple):
    """What `rate=` allows: so many messages in a second on average, and `burst` of them at once.

    over  what becomes of one beyond it, one of OVER
    """

    per_second: float
    burst: float
    over: str = "drop"

    def __str__(self) -> str:
        return f"{self.per_second:g}/s" if self.per_second >= 1 else f"{self.per_second * 60:g}/min"


class Source(Protocol):
    """Whose messages they are: a link."""

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
        """Take a token, where there is one."""
        if self.ready(now) > now:
            return False
        self._tokens -= 1
        return True

    def ready(self, now: float) -> float:
        """When there is a token: `now`, or later, in the same seconds."""
        gained = (now - self._at) * self._rate.per_second
        self._tokens = min(self._rate.burst, self._tokens + gained)
        self._at = now
        missing = 1 - self._tokens
        return now + missing / self._rate.per_second if missing > 1e-6 else now  # rounding wakes nobody for nothing


class Sieve:
    """What is remembered of one link's messages; over UDP of one address, whose links come and go."""

    __slots__ = ("alarm_at", "_bucket", "_hub", "_last", "_latest", "_latest_size", "_place", "_rate")

    def __init__(self, hub: Hub, context: ListenerContext) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self._hub = hub
        self._place = context
        self._rate = context.rate
        self._bucket = TokenBucket(context.rate, hub.now()) if context.rate is not None else None
        self._last: dict[bytes, bytes] = {}  # digest of a topic -> digest of its last payload
        self._latest: dict[str, Publish] = {}  # the newest of each topic that waits for room, with `over=latest`
        self._latest_size = 0  # bytes of these

    def publish(self, event: Publish, link: Source) -> int:
        """Publish `event` if it may go on; return how many sessions it goes to. Raises Refusal."""
        return self._let_in(event) if self.has_room(event, link) else 0

    def has_room(self, event: Publish, link: Source) -> bool:
        """Whether `event` may go on now. False: it waits for room. Raises Refusal."""
        bucket, rate, now = self._bucket, self._rate, self._hub.now()
        if bucket is None or rate is None:
            return True
        if not self._latest and bucket.take(now):
            if rate.over == "pause" and (ready := bucket.ready(now)) > now:
                link.rest(ready)
                self._place.held_back += 1
            return True
        refusal = Refusal("rate-limited", f"this listener takes {rate} of each client")
        if rate.over == "latest" and not isinstance(event, Request) and self._wait(event, refusal, bucket.ready(now)):
            return False
        if rate.over == "close":
            link.close(refusal.reason, refusal)
        raise refusal

    # The newest of each topic

    def _wait(self, event: Publish, refusal: Refusal, until: float) -> bool:
        """Keep `event` as the newest of its topic; `no` counts the one before it. False: too much waits already."""
        old = self._latest.get(event.topic)
        size = self._latest_size + _size(event) - (_size(old) if old is not None else 0)
        alone = len(self._latest) == (old is not None)
        if not alone and (size > limits.LATEST_BYTES or (old is None and len(self._latest) >= limits.LATEST_TOPICS)):
            return False
        if old is not None:
            self._refused(refusal)
        self._latest[event.topic] = event
        self._latest_size = size
        self._hub.alarms.at(self, until)
        return True

    def alarm(self, now: float) -> None:
        """There may be room for what waits (kernel.alarms.Sleeper)."""
        assert self._bucket is not None
        while self._latest and self._bucket.take(now):
            self._let_in_first()
        if self._latest:
            self._hub.alarms.at(self, self._bucket.ready(now))

    def _let_in_first(self) -> None:
        event = self._latest.pop(next(iter(self._latest)))
        self._latest_size -= _size(event)
        rights = getattr(event.sender, "rights", None)
        try:
            if rights is not None and not event.topic.startswith(REPLIES):
                rights.publish(event.topic)  # they may have changed meanwhile
            self._let_in(event)
        except Refusal as refusal:
            self._refused(refusal)

    def end(self) -> None:
        """The link has gone: the newest of each topic that waits is the last that will ever come."""
        self._hub.alarms.cancel(self)
        while self._latest:
            self._let_in_first()

    def _refused(self, refusal: Refusal) -> None:
        self._hub.counters.refused += 1
        self._place.refuse(refusal)

    # What is new

    def _let_in(self, event: Publish) -> int:
        if not self._place.changed or event.topic.startswith(REPLIES):
            return self._hub.publish(event)
        topic, payload = _digest(event.topic.encode()), _digest(event.payload)
        if self._last.get(topic) == payload:
            self._place.unchanged += 1
            return 0
        receivers = self._hub.publish(event)
        self._last.pop(topic, None)
        if len(self._last) >= limits.CHANGED_TOPICS:
            del self._last[next(iter(self._last))]  # the topic that changed the longest ago
        self._last[topic] = payload
        return receivers


class Sieves:
    """Those of a UDP listener's addresses; whoever was silent the longest is forgotten."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], Sieve] = {}

    def of(self, hub: Hub, context: ListenerContext, host: str, port: int) -> Sieve:
        """Return the sieve of an address."""
        sieve = self._found.pop((host, port), None)
        if sieve is None:
            sieve = Sieve(hub, context)
            if len(self._found) >= limits.UDP_SIEVES:
                del self._found[next(iter(self._found))]
        self._found[host, port] = sieve
        return sieve


def _size(event: Publish) -> int:
    return len(event.topic) + len(event.payload)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
