"""A connection in memory: the daemon's end behaves as Twisted's transports do, the client's end is the test's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

BUFFER_BYTES = 65_536  # bytes that wait before the producer is paused: FileDescriptor.bufferSize


class Turns(Protocol):
    """What a client's end needs of its world."""

    clock: Clock

    def turn(self) -> None:
        """End this turn and those that it causes."""


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryTransport:
    """The daemon's end: reads while it wants to, buffers what the client doesn't take, closes when all is written."""

    def __init__(self, clock: Clock, protocol: Any, client: TCPClient, host: str, port: int) -> None:
        self.protocol = protocol
        self.connected = True
        self.disconnecting = False
        self._clock = clock
        self._client = client
        self._peer = IPv4Address("TCP", host, port)
        self._incoming: deque[bytes | None] = deque()  # None: end of input
        self._outgoing = bytearray()
        self._reading = True
        self._producer: Any = None
        self._paused = False

    # From the client

    def push(self, data: bytes | None) -> None:
        """Put bytes, or the end of input, on their way."""
        self._incoming.append(data)

    def move(self) -> bool:
        """Hand over what has come, as far as the daemon reads; tell whether there was something."""
        moved = False
        while self._incoming and self._reading and self.connected:
            data = self._incoming.popleft()
            moved = True
            if data is not None:
                self.protocol.dataReceived(data)
            elif IHalfCloseableProtocol.providedBy(self.protocol):
                self._reading = False
                self.protocol.readConnectionLost()
            else:
                self.lose(ConnectionDone())
        return moved

    def drain(self) -> None:
        """Hand over what the client hasn't taken yet."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        if data:
            self._client.receive(data)
        if self._producer is not None and self._paused:
            self._paused = False
            self._producer.resumeProducing()
        self._close_when_done()

    def lose(self, reason: Exception) -> None:
        """End the connection at once."""
        if self.connected:
            self.connected = False
            self._incoming.clear()
            self._outgoing.clear()
            if self._producer is not None:
                producer, self._producer = self._producer, None
                producer.stopProducing()
            self.protocol.connectionLost(Failure(reason))

    # ITransport

    def write(self, data: bytes) -> None:
        """Send, or buffer."""
        if not self.connected:
            return
        if self._client.taking:
            self._client.receive(bytes(data))
            return
        self._outgoing += data
        if self._producer is not None and not self._paused and len(self._outgoing) > BUFFER_BYTES:
            self._paused = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close when all is written and no producer is left."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._reading = False
            self._clock.callLater(0, self._close_when_done)

    def abortConnection(self) -> None:
        """Close at once."""
        self._reading = False
        self._clock.callLater(0, self.lose, ConnectionAborted())

    def _close_when_done(self) -> None:
        if self.disconnecting and self._producer is None and not self._outgoing:
            self.lose(ConnectionDone())

    def getPeer(self) -> IPv4Address:
        """Tell where the client is."""
        return self._peer

    def getHost(self) -> IPv4Address:
        """Tell where the daemon is."""
        return IPv4Address("TCP", "192.0.2.1", 6999)

    # IConsumer, IPushProducer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have `producer` paused while too much waits. Raises RuntimeError where there is one already."""
        if self._producer is not None:
            raise RuntimeError(f"{self._producer} was never unregistered")
        assert streaming, "a pull producer isn't supported"
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Let go of the producer."""
        self._producer = None
        self._paused = False
        if self.disconnecting:
            self._clock.callLater(0, self._close_when_done)

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self._reading = False

    def resumeProducing(self) -> None:
        """Read on."""
        if self.connected and not self.disconnecting:
            self._reading = True

    def stopProducing(self) -> None:
        """End."""
        self.loseConnection()


class TCPClient:
    """A TCP client's end.

    taking  whether it reads; while it doesn't, what the daemon writes waits on the daemon's side
    """

    def __init__(self, world: Turns, protocol: Any, host: str, port: int) -> None:
        self.world = world
        self.host = host
        self.port = port
        self._taking = True
        self._received = bytearray()
        self.transport = MemoryTransport(world.clock, protocol, self, host, port)
        protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Put bytes on their way; they arrive in the next turn."""
        self.transport.push(data)

    def say(self, data: Any) -> Any:
        """Send, end the turn, and return what was received."""
        self.send(data)
        self.world.turn()
        return self.received()

    def received(self) -> Any:
        """Return the bytes that have come since the last look."""
        data = bytes(self._received)
        self._received.clear()
        return data

    def finish(self) -> None:
        """Send no more, and go on reading: end of input."""
        self.transport.push(None)

    def vanish(self) -> None:
        """Be gone, as when a cable is pulled and the kernel has noticed."""
        self.transport.lose(ConnectionLost())

    @property
    def taking(self) -> bool:
        """Whether it reads."""
        return self._taking

    @taking.setter
    def taking(self, on: bool) -> None:
        self._taking = on
        if on:
            self.transport.drain()

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return not self.transport.connected

    def receive(self, data: bytes) -> None:
        """Take what the daemon writes."""
        self._received += data

    def move(self) -> bool:
        """Hand over what waits; called by the world."""
        return self.transport.move()
