"""The dialect json from the client's side, without I/O and without a clock; hubbub.dialects.json has its grammar.

    core = Core(None)
    core.publish({"topic": "a/b", "data": "hi"}, result)
    core.connected()                                        ->  [b'{"op":"publish",..."id":1}']
    core.receive(b'{"op":"published","id":1,"receivers":3}')    calls result.done(3)

What has no answer yet outlives a connection: subscriptions are made again, and publishes of QoS 1 and 2 sent again.
Each of these has an id of its own in `once`, by which the hub publishes it once. Where the hub has a history,
subscriptions go on where they were.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from hubbub import limits
from hubbub.client.errors import Busy, ClientError, Lost, Refused
from hubbub.client.feed import Feed, Start
from hubbub.client.message import Message, read
from hubbub.client.resumption import Resumption
from hubbub.option import shown

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("hubbub.client")


class Result(Protocol):
    """Takes the result of one command, once."""

    def done(self, value: Any) -> None: ...
    def fail(self, error: ClientError) -> None: ...


class Ignored:
    """For a command whose result doesn't matter."""

    def done(self, value: Any) -> None: ...
    def fail(self, error: ClientError) -> None: ...


@dataclass(slots=True)
class _Command:
    unit: bytes
    result: Result
    repeats: bool  # it is sent again over the next connection
    answer: str  # the op of what answers it, unless that is an error


_ANSWERS = {
    "auth": "authenticated", "ping": "pong", "publish": "published", "request": "reply", "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
}  # fmt: skip


class _Unit(Struct, frozen=True):
    op: str
    id: int | None = None
    topic: str = ""
    data: Raw = Raw()
    base64: bytes | None = None
    time: float | None = None
    retained: bool = False
    content_type: str | None = None
    properties: dict[str, str] = {}
    reply_to: str | None = None
    correlation: bytes | None = None
    qos: int = 0
    position: str = ""
    receivers: int = 0
    count: int = 0
    complete: bool = True
    code: str = ""
    reason: str = ""
    user: str = ""

    def message(self) -> Message:
        return Message(
            self.topic, read(self.data, self.base64), self.time, self.retained, self.content_type, self.properties,
            self.reply_to, self.correlation, self.qos, 0, self.position,
        )  # fmt: skip


_decode = msgspec.json.Decoder(_Unit).decode


class Core:
    """The commands and subscriptions of one client.

    login   the members of `auth`, or None
    ended   is called with the refusal when the hub refuses the login
    """

    def __init__(self, login: dict[str, str] | None, ended: Callable[[ClientError], None]) -> None:
        self._login = login
        self._ended = ended
        self._commands: dict[int, _Command] = {}  # that have no answer yet, in the order of their numbers
        self._bytes = 0  # of these
        self._feeds: list[Feed] = []
        self._resumption = Resumption()
        self._number = 0
        self._connected = False
        self._later: list[bytes] = []  # units to send once the one that has come is acted on
        self._client = secrets.token_urlsafe(12)  # what the ids of its publishes begin with

    # Commands: each returns the units to send now, none while there is no connection.

    def publish(self, command: dict[str, Any], result: Result) -> list[bytes]:
        """Publish; `result` gets the number of receivers. Raises Busy."""
        self._check_room()
        repeats = command.get("qos", 0) > 0
        if repeats:
            command = {**command, "once": f"{self._client}-{self._number + 1}"}
        return self._send("publish", command, result, repeats=repeats)

    def request(self, command: dict[str, Any], result: Result) -> list[bytes]:
        """Ask; `result` gets the reply as a Message. Raises Busy."""
        self._check_room()
        return self._send("request", command, result)

    def ping(self, result: Result) -> list[bytes]:
        """Ask whether the hub is there."""
        return self._send("ping", {}, result)

    def subscribe(self, feed: Feed) -> list[bytes]:
        """Have messages put into `feed`. Raises ValueError where its history would come to another feed too."""
        for other in self._feeds:
            feed.check_beside(other)
        self._feeds.append(feed)
        return self._subscribe(feed.filters, [feed]) if self._connected else []

    def unsubscribe(self, feed: Feed) -> list[bytes]:
        """Have no more messages put into `feed`."""
        if feed not in self._feeds:
            return []
        self._feeds.remove(feed)
        feed.end()
        left = {filter for one in self._feeds for filter in one.filters}
        filters = [filter for filter in feed.filters if filter not in left]
        for filter in filters:
            self._resumption.forget(filter)
        if not self._connected:
            return []
        return [unit for filter in filters for unit in self._send("unsubscribe", {"topic": filter}, Ignored())]

    # Connections

    def connected(self) -> list[bytes]:
        """Return the units that begin a connection."""
        self._connected = True
        repeated = [command.unit for command in self._commands.values()]
        first = self._send("auth", dict(self._login), _Login(self.end)) if self._login is not None else []
        filters = dict.fromkeys(filter for feed in self._feeds for filter in feed.filters)
        return [*first, *self._subscribe(filters, self._feeds), *repeated]

    def lost(self, error: Lost) -> None:
        """The connection is lost: commands that can't be repeated fail."""
        self._connected = False
        self._resumption.lost()
        for number, command in list(self._commands.items()):
            if not command.repeats:
                self._finish(number).result.fail(error)

    def end(self, error: ClientError) -> None:
        """Let every command and every feed fail, and say so to the owner."""
        self._connected = False
        for number in list(self._commands):
            self._finish(number).result.fail(error)
        for feed in self._feeds:
            feed.end(error)
        self._feeds.clear()
        self._ended(error)

    def receive(self, text: bytes) -> list[bytes]:
        """Act on one unit. Returns the units to send. Raises Lost."""
        try:
            unit = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Lost(f"this is no JSON of hubbub: {text[:40]!r}") from None
        if unit.op == "message":
            self._put(unit)
        elif unit.op == "live":
            self._resumption.live(unit.topic, unit.position)
        elif unit.op == "lost":
            self._miss(unit.topic)
        elif unit.op == "gap":
            for feed in self._feeds:
                feed.miss(unit.count)
        elif unit.op == "bye":
            raise Lost("the hub is going away")
        elif unit.id in self._commands:
            if unit.op not in ("error", self._commands[unit.id].answer):
                raise Lost(f"the hub gave the wrong answer: {shown(unit.op)}")
            self._answer(unit, self._finish(unit.id).result)
        elif unit.op == "error":
            _log.warning("the hub refuses something: %s: %s", shown(unit.code), shown(unit.reason))
        later, self._later = self._later, []
        return later

    def _put(self, unit: _Unit) -> None:
        if unit.position and not unit.retained and not self._resumption.take(unit.topic, unit.position):
            return
        message = unit.message()
        for feed in self._feeds:
            if feed.matches(message.topic):
                feed.put(message)

    def _miss(self, filter: str) -> None:
        """The history doesn't have all that was asked for of a filter."""
        for feed in self._feeds:
            if filter in feed.filters:
                feed.miss(1)

    def _answer(self, unit: _Unit, result: Result) -> None:
        if unit.op == "error":
            result.fail(Refused(unit.code, unit.reason))
        elif unit.op == "reply":
            result.done(unit.message())
        elif unit.op == "subscribed":
            result.done(unit)
        else:
            result.done(unit.receivers)

    def _subscribe(self, filters: Iterable[str], feeds: Sequence[Feed]) -> list[bytes]:
        """Subscribe to filters of these feeds, each once."""
        found: list[bytes] = []
        for filter in filters:
            those = [feed for feed in feeds if filter in feed.filters]
            begins = self._begins(filter, those[0].start)
            members = {"topic": filter, "meta": True, **begins}
            found += self._send("subscribe", members, _Subscribing(self, filter, those, begins))
        return found

    def _begins(self, filter: str, start: Start | None) -> dict[str, Any]:
        """Return the members that say where a filter begins; none: with what is new."""
        if after := self._resumption.after(filter):
            return {"after": after}
        return {} if start is None else start.members()

    def subscribed(self, filter: str, unit: _Unit, begins: dict[str, Any]) -> None:
        """The hub has taken a filter. `begins`: the members that said where."""
        if not begins:
            self._resumption.subscribed(filter, unit.position)
            return
        self._resumption.replaying(filter)
        if not unit.complete:
            self._miss(filter)

    def refused(self, filter: str, feeds: Sequence[Feed], error: Refused, begins: dict[str, Any]) -> None:
        """The hub refuses a filter. One that has no history any more begins with what is new."""
        if "after" in begins and error.code == "bad-command":
            self._resumption.forget(filter)
            for feed in feeds:
                feed.start = None
            self._miss(filter)
            self._later += self._subscribe([filter], feeds)
            return
        for feed in feeds:
            feed.end(error)
            self._later += self.unsubscribe(feed)

    def _send(self, op: str, members: dict[str, Any], result: Result, *, repeats: bool = False) -> list[bytes]:
        if not (self._connected or repeats):
            result.fail(Lost("there is no connection"))
            return []
        self._number += 1
        unit = _encode({"op": op, **members, "id": self._number})
        self._commands[self._number] = _Command(unit, result, repeats, _ANSWERS[op])
        self._bytes += len(unit)
        return [unit] if self._connected else []

    def _check_room(self) -> None:
        if len(self._commands) >= limits.CLIENT_COMMANDS or self._bytes >= limits.CLIENT_BYTES:
            raise Busy(f"{len(self._commands)} commands wait for their answers: await some of them first")

    def _finish(self, number: int) -> _Command:
        command = self._commands.pop(number)
        self._bytes -= len(command.unit)
        return command


@dataclass(frozen=True, slots=True)
class _Login:
    refused: Callable[[ClientError], None]

    def done(self, value: Any) -> None: ...

    def fail(self, error: ClientError) -> None:
        if isinstance(error, Refused):
            self.refused(error)


@dataclass(frozen=True, slots=True)
class _Subscribing:
    core: Core
    filter: str
    feeds: Sequence[Feed]
    begins: dict[str, Any]

    def done(self, value: Any) -> None:
        self.core.subscribed(self.filter, value, self.begins)
        for feed in self.feeds:
            feed.begin(self.filter)

    def fail(self, error: ClientError) -> None:
        if isinstance(error, Refused):
            self.core.refused(self.filter, self.feeds, error, self.begins)
