"""The dialect json from the other side: hubbub.dialects.json has its grammar."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from hubbub.client.address import Address
from hubbub.service.client.base import Begin, Lost, Outgoing, Received, Refused
from hubbub.service.client.json_units import JsonUnit, carried, read, received
from hubbub.service.client.units import TCPUnits, UDPUnits, Units, WebSocketUnits

_encode = msgspec.json.Encoder().encode
_OPEN = 100  # publishes without an answer yet: enough for a connection that takes 50 ms
_RENEW_SECONDS = 20.0  # seconds between pings over UDP, a third of its lease

_KINDS: dict[str, Callable[[Address], Units]] = {
    "tcp": TCPUnits,
    "udp": UDPUnits,
    "ws": lambda address: WebSocketUnits(address, "hubbub.json"),
    "wss": lambda address: WebSocketUnits(address, "hubbub.json"),
}


class JsonClient:
    """A client of hubbub over TCP, UDP or WebSocket."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._commands: dict[int, dict[str, Any]] = {}  # that have no answer yet
        self._datagrams = address.scheme == "udp"
        self._messages: deque[Received | int] = deque()  # that came before an answer
        self._number = 0
        self._units = _KINDS[address.scheme](address)
        self._units.wait(address.seconds)
        if address.token is not None:
            self._answer({"op": "auth", "token": address.token})
        elif address.user is not None:
            self._answer({"op": "auth", "user": address.user, "password": address.password or ""})

    def publish(self, message: Outgoing) -> None:
        """Publish; the answer may be read later."""
        more = {"qos": message.qos} if message.qos else {}
        self._send({"op": "publish", "topic": message.topic, **carried(message), "retain": message.retain, **more})
        while len(self._commands) >= (1 if self._datagrams else _OPEN):
            self._read()

    def settle(self) -> None:
        """Wait until all that was published has its answer."""
        while self._commands:
            self._read()

    def subscribe(self, filters: Sequence[str], qos: int, begin: Begin | None = None) -> Iterator[Received | int]:
        """Yield messages, see Client."""
        asked = {} if begin is None else {begin.name: begin.value}
        for filter in filters:
            if not self._answer({"op": "subscribe", "topic": filter, "meta": True, **asked}).complete:
                yield 0
        self._units.wait(_RENEW_SECONDS if self._datagrams else None)
        while True:
            while self._messages:
                yield self._messages.popleft()
            try:
                self._read()
            except TimeoutError:
                self._send({"op": "ping"})

    def request(self, message: Outgoing, seconds: float) -> bytes:
        """Return the reply."""
        self._units.wait(seconds + self._address.seconds)
        command = {"op": "request", "topic": message.topic, **carried(message), "timeout": seconds}
        return self._answer(command).payload()

    def close(self) -> None:
        """Close the connection."""
        with suppress(Lost, TimeoutError):
            self._units.send(b'{"op":"bye"}')
        self._units.close()

    def _send(self, command: dict[str, Any]) -> int:
        self._number += 1
        command["id"] = self._number
        self._commands[self._number] = command
        self._units.send(_encode(command))
        return self._number

    def _answer(self, command: dict[str, Any]) -> JsonUnit:
        number = self._send(command)
        try:
            while True:
                answer = self._read()
                if answer.id == number and number not in self._commands:
                    return answer
        except TimeoutError:
            raise Lost(f"{self._address}: no answer") from None

    def _read(self) -> JsonUnit:
        """Read one unit, and act on what needs no caller. Raises Refused, Lost, TimeoutError."""
        text = self._units.receive()
        answer = read(text, self._address)
        if answer.op == "confirm":
            command = self._commands.get(answer.id or 0)
            if command is not None:
                self._units.send(_encode({**command, "confirm": answer.token}))
        elif answer.op in ("message", "gap", "lost"):
            self._messages.append(received(answer, text))
        elif answer.op == "bye":
            raise Lost(f"{self._address}: the hub has sent bye")
        else:
            self._commands.pop(answer.id or 0, None)
        if answer.op == "error":
            raise Refused(answer.code, answer.reason)
        return answer
