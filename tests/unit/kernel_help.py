"""A hub with its own clock, a wire without a network, and the smallest dialect: what the kernel's tests stand on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from hubbub.dialect import Dialect, DialectContext
from hubbub.errors import BadFilter, BadTopic, Refusal
from hubbub.events import Answer, Close, Fault, Ping, Subscribe, SwitchDialect, Unsubscribe
from hubbub.framing import EndReader
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.sessions.session import Session
from hubbub.publish import Publish, Request
from hubbub.topics import check_filter, check_topic

LEVELS = st.sampled_from(["a", "b", "", "$x", "é"])
TOPICS = (
    st.lists(LEVELS, min_size=1, max_size=4)
    .map("/".join)
    .filter(bool)
)  # fmt: skip
FILTERS = (
    st.tuples(st.lists(LEVELS | st.just("+"), max_size=4), st.sampled_from([[], [], ["#"]]))
    .map(lambda parts: "/".join(parts[0] + parts[1]))
    .filter(bool)
)


class World:
    """A hub whose time is `clock`, and whose turns end when the test says so."""

    def __init__(self, **more: Any) -> None:
        self.clock = 1_000.0
        self.wakes = 0
        self.armed: list[float] = []
        self.hub = Hub(self._wake, lambda: 1.7e9 + self.clock, lambda: self.clock, self.armed.append, **more)

    def _wake(self) -> None:
        self.wakes += 1

    def turn(self, turns: int = 100) -> None:
        """End this turn and those that it causes."""
        while self.wakes and turns:
            self.wakes = 0
            turns -= 1
            self.hub.turn.flush()

    def sleep(self, seconds: float) -> None:
        self.clock += seconds
        self.hub.turn.alarms.ring(self.clock)
        self.turn()

    def link(self, dialect: type[Dialect] | None = None, transport: str = "tcp", **more: Any) -> Link:
        wire = more.pop("wire", None) or FakeWire()
        context = ListenerContext("here", DialectContext(transport), **more)
        link = wire.link = Link(self.hub, context, wire, dialect or Tiny, "192.0.2.7", 4711)
        link.start()
        return link

    def say(self, link: Link, data: bytes) -> bytes:
        """Let the client say `data`, and return what it hears by the end of the turn."""
        link.receive(data)
        self.turn()
        return link.wire.output()

    def session(self) -> Session:
        session = Session("192.0.2.1", 1, "test", "test")
        self.hub.subscriptions.join(session)
        return session

    def subscribe(self, session: Session, filter: str, receiver: Any, echo: bool = True, form: Any = None) -> list[Any]:
        encoding = self.hub.subscriptions.encoding(payloads_of, form)
        wish = Subscribe(filter, echo)
        self.hub.subscriptions.subscribe(session, wish, encoding, receiver)
        return list(self.hub.subscriptions.retained(wish))

    def publish(self, topic: str, payload: bytes = b"x", sender: Any = None, **more: Any) -> int:
        event = Publish(topic, payload, **more)
        event.sender = sender
        return self.hub.router.publish(event)


def payloads_of(messages: Any, form: Any) -> list[bytes | None]:
    """An encoding: the payloads; `none` can't be carried."""
    return [None if message.payload == b"none" else message.payload for message in messages]


class Receiver:
    """Keeps what the hub puts into it."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.missed = 0

    def put(self, batch: Batch) -> None:
        self.batches.append(batch)

    def miss(self, count: int) -> None:
        self.missed += count

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for batch in self.batches for message in batch.messages]


class Inbox:
    """A handler in small: publishes what it is told, at the end of the turn."""

    def __init__(self, world, act):
        self.world = world
        self.act = act
        self.waiting = []
        self.session = world.session()

    def put(self, batch):
        if not self.waiting:
            self.world.hub.turn.inboxes.append(self)
        self.waiting += batch.messages

    def miss(self, count):
        pass

    def flush(self):
        waiting, self.waiting = self.waiting, []
        for message in waiting:
            self.act(self, message)


class FakeWire:
    """A transport's end that the test holds in its hands. While `full`, a write pauses the link."""

    proof: Any = None

    def __init__(self, wrap: Any = None) -> None:
        self.link: Link | None = None
        self.wrap = wrap
        self.writes: list[bytes] = []
        self.full = False
        self.is_reading = True
        self.held = 0
        self.pings = 0
        self.can_ping = True
        self.is_there = True
        self.closed: tuple[str, Any] | None = None
        self.aborted = False

    def wrapper(self, dialect: type[Dialect]) -> Any:
        return self.wrap

    def write(self, data: bytes) -> bool:
        self.writes.append(data)
        if self.full:
            self.held = len(data)
            self.link.transport_paused(self.held)
        return True

    def reading(self, on: bool) -> None:
        self.is_reading = on

    def unsent(self) -> int:
        return self.held

    def there(self) -> bool:
        return self.is_there

    def ping(self) -> bool:
        self.pings += 1
        return self.can_ping

    def close(self, reason: str, refusal: Any) -> None:
        assert self.closed is None
        self.closed = (reason, refusal)

    def abort(self) -> None:
        self.aborted = True

    def output(self) -> bytes:
        """What has been written since the last look."""
        data = b"".join(self.writes)
        self.writes.clear()
        return data

    def room(self) -> None:
        """The socket takes everything again."""
        self.full, self.held = False, 0
        self.link.transport_resumed()


class Tiny(Dialect):
    """A line a command: `sub F`, `nosub F` (no echo), `unsub F`, `pub T P`, `tag T P`, `req T P`, `side T P`, ..."""

    write_after_eof = True
    full = "drop-oldest"

    def __init__(self, dialect_context: DialectContext, peer: Any) -> None:
        super().__init__(dialect_context, peer)
        self.reader = EndReader(b"\n", 100_000)

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Any]:
        return [self.event(line.decode().split(" ", 2)) for line in self.reader.feed(data)]

    def eof(self, now: float) -> list[Any]:
        rest = self.reader.rest()
        return [self.event(rest.decode().split(" ", 2))] if rest else []

    def event(self, words: list[str]) -> Any:
        command, *rest = words
        try:
            return self.command(command, rest)
        except (BadTopic, BadFilter) as refusal:
            return Fault(refusal)

    def command(self, command: str, rest: list[str]) -> Any:
        if command in ("sub", "nosub"):
            return Subscribe(check_filter(rest[0]), echo=command == "sub", full=rest[1] if rest[1:] else None)
        if command == "unsub":
            return Unsubscribe(check_filter(rest[0]))
        if command in ("pub", "keep", "tag"):
            return Publish(
                check_topic(rest[0]), rest[1].encode(), retain=command == "keep", tag=command == "tag" or None
            )
        if command in ("req", "side"):
            return Request(check_topic(rest[0]), rest[1].encode(), blocking=command == "req")
        if command == "rep":
            return Publish(rest[0], rest[1].encode())
        if command == "say":
            return Answer(rest[0].encode() * int(rest[1]) + b"\n")
        if command == "become":
            return SwitchDialect(Loud, " ".join(rest).encode())
        return {"ping": Ping(), "quit": Close("quit", b"bye\n")}[command]

    def outcome(self, event: Any, result: Any) -> bytes:
        if isinstance(result, Refusal):
            return f"no {result.code}\n".encode()
        if isinstance(event, Request):
            return b"reply %b\n" % result.payload
        if isinstance(event, Publish):
            return b"sent %d\n" % result
        if isinstance(event, Ping):
            return b"pong %d\n" % result
        return b"ok %b\n" % event.filter.encode()

    @classmethod
    def encode(cls, message: Any, form: Any) -> bytes | None:
        if message.payload == b"none":
            return None
        reply = f" <{message.reply_to}>" if message.reply_to else ""
        return b"%b=%b%b\n" % (message.topic.encode(), message.payload, reply.encode())

    def gap(self, n: int) -> bytes:
        return b"gap %d\n" % n

    def encode_close(self, reason: str) -> bytes:
        return b"closing %b\n" % reason.encode()


class Loud(Tiny):
    """What Tiny can become."""

    full = "drop-newest"

    @classmethod
    def encode(cls, message: Any, form: Any) -> bytes | None:
        return message.payload.upper() + b"\n"


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """`data` in pieces that end at the given places."""
    return [data[start:end] for start, end in pairwise([0, *at, len(data)])]
