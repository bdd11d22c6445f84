"""A hub with one UDP port, in memory."""

from __future__ import annotations

import errno
from ipaddress import ip_network
from typing import Any

from twisted.internet.error import MessageLengthError

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.transports.udp import UDPProtocol
from unit.kernel_help import Receiver, World

ANN, BOB, EVE = ("192.0.2.1", 4001), ("192.0.2.2", 4002), ("198.51.100.9", 4009)
HERE = ("127.0.0.1", 5001)
AUTO = Auto.among([Json, Lines], Lines)


class UdpHub:
    """A hub with one UDP port; its streets are lists."""

    def __init__(self, dialect: type[Dialect] = AUTO, peers: Any = (), answers: bool = True, **context: Any) -> None:
        self.world = World()
        self.context = ListenerContext("udp-1", DialectContext("udp"), **context)
        self.sent: list[tuple[bytes, Any]] = []
        self.broken: set[Any] = set()
        self.protocol = UDPProtocol(
            new_link=lambda wire, dialect, host, port: DatagramLink(
                self.world.hub, self.context, wire, dialect, host, port
            ),
            choose=dialect.choose if issubclass(dialect, Auto) else lambda data: dialect,
            now=self.world.hub.turn.now,
            peers=[ip_network(peer) for peer in peers],
            secret=b"not so secret",
            answers=answers,
        )
        self.protocol.makeConnection(self)

    def write(self, data: bytes, address: Any) -> None:
        """Be the socket."""
        if address in self.broken:
            raise OSError(errno.ENETUNREACH, "unreachable")
        if len(data) > limits.DATAGRAM_BYTES:
            raise MessageLengthError("too long")
        self.sent.append((data, address))

    def say(self, data: bytes, address: Any = ANN) -> list[bytes]:
        """Let `address` send a datagram, and return what it gets by the end of the turn."""
        self.protocol.datagramReceived(data, address)
        return self.receive(address)

    def receive(self, address: Any) -> list[bytes]:
        self.world.turn()
        got = [data for data, to in self.sent if to == address]
        self.sent = [(data, to) for data, to in self.sent if to != address]
        return got

    def token(self, address: Any = ANN) -> str:
        (answer,) = self.say(b"SUB a/b/c", address)
        assert answer.startswith(b"CONFIRM ")
        return answer.removeprefix(b"CONFIRM ").decode()

    def prove(self, data: bytes, address: Any = ANN) -> list[bytes]:
        return self.say(f"CONFIRM {self.token(address)}\n".encode() + data, address)

    def handler(self, filter: str = "echo/#") -> Receiver:
        receiver = Receiver()
        self.world.subscribe(self.world.session(), filter, receiver)
        return receiver

    @property
    def known(self) -> int:
        return len(self.protocol._known)
