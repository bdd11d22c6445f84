"""What the speakers of all dialects share; see matrix.speakers."""

from __future__ import annotations

from typing import Any, ClassVar

from hubbub.dialect import Dialect
from hubbub.testing import World

TRANSPORTS = ("tcp", "udp", "websocket")

Output = tuple[Any, ...]


class Speaker:
    """One client of one dialect on a listener of its own.

    script  where set, what it says is collected there, as bytes of the wire, instead of being sent
    """

    dialect: ClassVar[type[Dialect]]

    def __init__(self, world: World, transport: str, **keys: Any) -> None:
        self.world = world
        self.transport = transport
        self.listener = world.listen(transport, self.kind(), **keys)
        self.client = self.listener.connect()
        self.script: list[bytes] | None = None

    def kind(self) -> type[Dialect]:
        return self.dialect

    def tell(self, unit: bytes) -> None:
        """Send one unit."""
        whole = self.framed(unit)
        if self.script is None:
            self.client.send(whole)
        else:
            self.script.append(self.client.encode(whole) if self.transport == "websocket" else whole)

    def output(self) -> list[Output]:
        """End the turn, and return what has come."""
        self.world.turn()
        return [self.read(unit) for unit in self.units()]

    def units(self) -> list[bytes]:
        received = self.client.received()
        if self.transport == "tcp":
            return self.split(received)
        return [unit.encode() if isinstance(unit, str) else unit for unit in received]

    def message(self, topic: str, payload: bytes) -> Output:
        """What is heard of a message."""
        return ("message", topic, payload)

    def framed(self, unit: bytes) -> bytes | str:
        raise NotImplementedError

    def split(self, data: bytes) -> list[bytes]:
        raise NotImplementedError

    def read(self, unit: bytes) -> Output:
        raise NotImplementedError
