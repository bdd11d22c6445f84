"""A relay between a node and its NATS server, which a test shuts: what comes meanwhile goes on once it is open."""

from __future__ import annotations

from twisted.internet.protocol import ClientFactory, Factory, Protocol


class _Side(Protocol):
    """One connection, to the node or to the server; the gate has the other one."""

    def __init__(self, gate, other=None):
        self.gate = gate
        self.other = other

    def connectionMade(self):
        from twisted.internet import reactor

        if self.other is None:
            self.transport.pauseProducing()
            reactor.connectTCP("127.0.0.1", self.gate.server, _Out(self))
        else:
            self.other.other = self
            self.other.transport.resumeProducing()

    def dataReceived(self, data):
        self.gate.take(self, data)

    def connectionLost(self, reason):
        if self.other is not None:
            self.other.transport.abortConnection()


class _Out(ClientFactory):
    noisy = False

    def __init__(self, side):
        self._side = side

    def buildProtocol(self, address):
        return _Side(self._side.gate, self._side)


class _In(Factory):
    noisy = False

    def __init__(self, gate):
        self._gate = gate

    def buildProtocol(self, address):
        self._gate.node = _Side(self._gate)
        return self._gate.node


class Gate:
    """The relay.

    node    its connection to the node; server: the port of the server
    is_shut  whether nothing goes on
    """

    def __init__(self, server):
        from twisted.internet import reactor

        self.is_shut = False
        self.node = None
        self.server = server
        self._after = self._before = None
        self._held = []
        self._port = reactor.listenTCP(0, _In(self), interface="127.0.0.1")

    @property
    def url(self):
        return f"nats://127.0.0.1:{self._port.getHost().port}"

    def shut(self, before=None, after=None):
        """Be shut as soon as the node says something: `before` that goes on, or `after`."""
        self._before, self._after = before, after

    def take(self, side, data):
        if side is self.node and self._before is not None and self._before in data:
            self.is_shut = True
        if self.is_shut:
            self._held.append((side, data))
        elif side.other is not None:
            side.other.transport.write(data)
        if side is self.node and self._after is not None and self._after in data:
            self.is_shut = True

    def open(self):
        """Let go on what has come."""
        self.is_shut, self._before, self._after = False, None, None
        held, self._held = self._held, []
        for side, data in held:
            self.take(side, data)

    def close(self):
        self._held.clear()
        if self.node is not None:
            self.node.transport.abortConnection()
        return self._port.stopListening()
