"""A WAMP client in memory, which speaks raw messages; it writes and reads with the libraries themselves."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import msgpack

from hubbub.option import configure
from hubbub.testing import World
from hubbub_plugins.wamp import Wamp

ROLES = {
    "publisher": {},
    "subscriber": {},
    "caller": {"features": {"call_canceling": True}},
    "callee": {"features": {"call_canceling": True, "progressive_call_results": True}},
}
WRITE = {"json": lambda one: json.dumps(one).encode(), "msgpack": msgpack.packb, "cbor": cbor2.dumps}
READ = {"json": json.loads, "msgpack": msgpack.unpackb, "cbor": cbor2.loads}
NIBBLES = {"json": 1, "msgpack": 2, "cbor": 3}
HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE, ERROR = 1, 2, 3, 4, 5, 6, 8
PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT = 16, 17, 32, 33, 34, 35, 36
CALL, CANCEL, RESULT, REGISTER, REGISTERED, UNREGISTER, UNREGISTERED = 48, 49, 50, 64, 65, 66, 67
INVOCATION, INTERRUPT, YIELD = 68, 69, 70


class Client:
    """One connection. Each call returns the messages that have come since the last one."""

    def __init__(self, listener: Any, codec: str, batched: bool = False, nibble: int = 15, **more: Any) -> None:
        self.codec = codec
        self.batched = batched
        self.raw_socket = listener.transport == "tcp"
        self._requests = 0
        if not self.raw_socket:
            more.setdefault("subprotocol", f"wamp.2.{codec}" + (".batched" if batched else ""))
        self.end = listener.connect(**more)
        self._rest = b""
        if self.raw_socket:
            self.end.send(bytes((0x7F, nibble << 4 | NIBBLES[codec], 0, 0)))
            self.end.world.turn()
            self.handshake = self.end.received()

    def framed(self, *message: Any) -> bytes | str:
        data = WRITE[self.codec](list(message))
        if self.raw_socket:
            return len(data).to_bytes(4, "big") + data
        if self.codec == "json":
            return data.decode() + "\x1e" * self.batched
        return len(data).to_bytes(4, "big") + data if self.batched else data

    def say(self, *message: Any) -> list[Any]:
        self.end.send(self.framed(*message))
        self.end.world.turn()
        return self.output()

    def output(self) -> list[Any]:
        self.end.world.turn()
        received = self.end.received()
        if self.raw_socket:
            return self._read_raw(received)
        return [READ[self.codec](self._bare(one)) for one in received]

    def _bare(self, unit: Any) -> Any:
        if not self.batched:
            return unit
        return unit.rstrip("\x1e\x18") if isinstance(unit, str) else unit[4:]

    def _read_raw(self, data: bytes) -> list[Any]:
        self._rest += data
        found = []
        while len(self._rest) >= 4 and len(self._rest) >= 4 + (size := int.from_bytes(self._rest[1:4], "big")):
            found.append(READ[self.codec](self._rest[4 : 4 + size]))
            self._rest = self._rest[4 + size :]
        return found

    def ask(self, code: int, *more: Any) -> list[Any]:
        """Say a message that has a request id."""
        self._requests += 1
        return self.say(code, self._requests, *more)

    def hello(self, realm: str = "realm1", **details: Any) -> list[Any]:
        (answer,) = self.say(HELLO, realm, {"roles": ROLES, **details})
        self.id = answer[1] if answer[0] == WELCOME else 0
        return answer

    def subscribe(self, uri: str, **options: Any) -> int:
        answer = self.ask(SUBSCRIBE, options, uri)[0]
        assert answer[:2] == [SUBSCRIBED, self._requests], answer
        return answer[2]

    def publish(self, uri: str, *args: Any, **options: Any) -> list[Any]:
        return self.ask(PUBLISH, options, uri, list(args))

    def register(self, uri: str, **options: Any) -> int:
        answer = self.ask(REGISTER, options, uri)[0]
        assert answer[:2] == [REGISTERED, self._requests], answer
        return answer[2]

    def call(self, uri: str, *args: Any, **options: Any) -> list[Any]:
        return self.ask(CALL, options, uri, list(args))

    @property
    def closed(self) -> bool:
        return bool(self.end.closed)


class WampHub:
    """A hub with one listener for WAMP. `keys` are those of the listener."""

    def __init__(self, transport: str = "websocket", options: dict[str, object] | None = None, **keys: Any) -> None:
        self.world = World()
        self.kind = configure(Wamp, options or {})
        self.listener = self.world.listen(transport, self.kind, **keys)

    def stranger(self, codec: str = "json", **more: Any) -> Client:
        """A client that has said nothing."""
        return Client(self.listener, codec, **more)

    def client(self, codec: str = "json", batched: bool = False, **details: Any) -> Client:
        client = self.stranger(codec, batched=batched)
        answer = client.hello(**details)
        assert answer[0] == WELCOME, answer
        return client
