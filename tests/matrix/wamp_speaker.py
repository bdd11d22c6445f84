"""A client of WAMP; see matrix.speakers."""

from __future__ import annotations

import json
from typing import Any

import wamp_client as wamp
from hubbub.testing import World
from hubbub_plugins.wamp import Wamp
from hubbub_plugins.wamp.uris import topic_of, uri_of
from matrix.speaker import Output, Speaker
from wamp_client import READ, ROLES, WRITE

CODEC = "msgpack"


def pattern_of(filter: str) -> tuple[str, str]:
    """How a filter is said: URI and match."""
    if filter.endswith("#"):
        return ".".join(_uri(level) for level in filter[:-1].rstrip("/").split("/")) if filter != "#" else "", "prefix"
    if "+" in filter:
        return ".".join("" if level == "+" else _uri(level) for level in filter.split("/")), "wildcard"
    return uri_of(filter), "exact"


def _uri(level: str) -> str:
    return uri_of(level) if level else "%"


def args_of(payload: bytes) -> list[Any]:
    try:
        return [payload.decode()]
    except UnicodeDecodeError:
        return [payload]


def payload_of(args: list[Any]) -> bytes:
    """The payload that one argument stands for."""
    value = args[0] if args else b""
    return (
        value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    )


class WampSpeaker(Speaker):
    """It wants to be told of what it publishes, and retained events of what it subscribes to."""

    dialect = Wamp

    def __init__(self, world: World, transport: str, **keys: Any) -> None:
        super().__init__(world, transport, **keys)
        self._requests = 0
        self._meant: dict[int, Output] = {}  # what an answer means, by request
        self._topics: dict[int, str] = {}  # by subscription
        self._ids: dict[str, int] = {}  # by filter
        self._shaken = transport != "tcp"
        if not self._shaken:
            self.client.send(b"\x7f\xf2\0\0")
        self.say(wamp.HELLO, "realm1", {"roles": ROLES})
        self.welcome = self.reported()

    def say(self, *message: Any) -> None:
        self.tell(WRITE[CODEC](list(message)))

    def ask(self, code: int, *more: Any, meaning: Output = ()) -> None:
        self._requests += 1
        self._meant[self._requests] = meaning
        self.say(code, self._requests, *more)

    def subscribe(self, filter: str) -> None:
        uri, match = pattern_of(filter)
        self.ask(wamp.SUBSCRIBE, {"match": match, "get_retained": True}, uri, meaning=("subscribed", filter))

    def unsubscribe(self, filter: str) -> None:
        self.ask(wamp.UNSUBSCRIBE, self._ids.get(filter, 99), meaning=("unsubscribed", filter))

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        options = {"acknowledge": True, "exclude_me": False, **({"retain": True} if retain else {})}
        self.ask(wamp.PUBLISH, options, _loose(topic), args_of(payload))

    def request(self, topic: str, payload: bytes) -> None:
        self.ask(wamp.CALL, {"timeout": 2_000}, uri_of(topic), args_of(payload))

    def register(self, topic: str) -> None:
        self.ask(wamp.REGISTER, {}, uri_of(topic))

    def reported(self) -> list[Any]:
        """The messages that have come."""
        self.world.turn()
        return self.units()

    def output(self) -> list[Output]:
        return [one for one in super().output() if one]

    def units(self) -> list[Any]:
        return [READ[CODEC](unit) for unit in super().units()]

    def split(self, data: bytes) -> list[bytes]:
        if not self._shaken and data:
            data, self._shaken = data[4:], True
        found = []
        while data:
            size = int.from_bytes(data[1:4], "big")
            found.append(data[4 : 4 + size])
            data = data[4 + size :]
        return found

    def framed(self, unit: bytes) -> bytes:
        return len(unit).to_bytes(4, "big") + unit if self.transport == "tcp" else unit

    def read(self, message: Any) -> Output:
        code = message[0]
        if code == wamp.EVENT:
            topic = message[3].get("topic")
            name = topic_of(topic) if topic else self._topics[message[1]]
            return ("message", name, payload_of(message[4] if len(message) > 4 else []))
        if code == wamp.SUBSCRIBED:
            meaning = self._meant[message[1]]
            self._topics[message[2]], self._ids[meaning[1]] = meaning[1], message[2]
            return meaning
        if code == wamp.RESULT:
            return ("reply", payload_of(message[3] if len(message) > 3 else []))
        if code == wamp.ERROR:
            return ("error", _code(message[4], message[1]))
        if code in (wamp.ABORT, wamp.GOODBYE):
            return ("error", _code(message[2], 0))
        return self._meant.get(message[1], ())


def _loose(topic: str) -> str:
    """The URI of what may be no topic."""
    return uri_of(topic) if topic and "+" not in topic and "#" not in topic else topic


_CODES = {
    "not_authorized": "not-authorized", "authentication_failed": "not-authorized", "timeout": "timeout",
    "no_such_procedure": "no-responders", "invalid_argument": "bad-payload", "payload_size_exceeded": "too-long",
    "protocol_violation": "bad-command",
}  # fmt: skip


def _code(uri: str, code: int) -> str:
    word = uri.rpartition(".")[2]
    if word == "invalid_uri":
        return "bad-filter" if code == wamp.SUBSCRIBE else "bad-topic"
    return _CODES.get(word) or word.replace("_", "-")
