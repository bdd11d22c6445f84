"""A UDP port in memory, and the clients that send to it."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.error import MessageLengthError

from hubbub import limits
from hubbub.testing.streams import Turns


class DatagramPort:
    """The daemon's end: it sends to any address, and clients receive at theirs."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.clients: dict[tuple[str, int], UDPClient] = {}
        protocol.transport = self

    def write(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Send one datagram; one to an address without a client is lost. Raises MessageLengthError."""
        if len(datagram) > limits.DATAGRAM_BYTES:
            raise MessageLengthError(f"{len(datagram)} bytes")
        client = self.clients.get((address[0], address[1]))
        if client is not None:
            client.receive(bytes(datagram))


class UDPClient:
    """A UDP client's end: one address."""

    def __init__(self, world: Turns, port: DatagramPort, host: str, number: int) -> None:
        self.world = world
        self.host = host
        self.port = number
        self._port = port
        self._sent: deque[bytes] = deque()
        self._received: list[bytes] = []
        port.clients[(host, number)] = self

    def send(self, datagram: bytes) -> None:
        """Put a datagram on its way; it arrives in the next turn."""
        self._sent.append(datagram)

    def say(self, datagram: bytes) -> list[bytes]:
        """Send, end the turn, and return what was received."""
        self.send(datagram)
        self.world.turn()
        return self.received()

    def received(self) -> list[bytes]:
        """Return the datagrams that have come since the last look."""
        datagrams, self._received = self._received, []
        return datagrams

    def vanish(self) -> None:
        """Be gone: what is sent there gets lost."""
        self._port.clients.pop((self.host, self.port), None)

    def receive(self, datagram: bytes) -> None:
        """Take what the daemon sends."""
        self._received.append(datagram)

    def move(self) -> bool:
        """Hand over what waits; called by the world."""
        moved = bool(self._sent)
        while self._sent:
            self._port.protocol.datagramReceived(self._sent.popleft(), (self.host, self.port))
        return moved
