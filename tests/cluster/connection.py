"""A plain connection to a nats-server for tests (service.cluster.wire.Connection)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, ReconnectingClientFactory

from hubbub import limits
from hubbub.nats_protocol.headers import read_headers
from hubbub.nats_protocol.wire import PING, PONG, Reader
from hubbub.service.cluster.wire import NO_HEADERS, Received, new_inbox

Take = Callable[[Received], object]


class _Link(Protocol):
    def __init__(self, owner: Nats) -> None:
        self.owner = owner
        self.reader = Reader((b"MSG", b"HMSG"), limits.MESSAGE_BYTES)

    def dataReceived(self, data: bytes) -> None:
        assert self.reader.feed(data, [], self._act) is None

    def _act(self, line: bytes, words: list[bytes], rest: bytes, events: list[Any]) -> None:
        if words[0] == b"INFO":
            said = {"verbose": False, "pedantic": False, "echo": False, "headers": True, "no_responders": True}
            self.transport.write(b"CONNECT " + json.dumps(said).encode() + b"\r\n" + PING)
        elif words[0] == b"PING":
            self.transport.write(PONG)
        elif words[0] == b"PONG":
            self.owner.connected(self)
        elif words[0] == b"MSG":
            self.owner.received(words[1], words[2], words[3:-1], rest, NO_HEADERS)
        elif words[0] == b"HMSG":
            size = int(words[-2])
            self.owner.received(words[1], words[2], words[3:-2], rest[size:], read_headers(rest[:size])[0])
        else:
            raise AssertionError(line)

    def connectionLost(self, reason: object = None) -> None:
        self.owner.lost(self)


class _Links(ReconnectingClientFactory):
    noisy = False

    def __init__(self, owner: Nats) -> None:
        self.owner = owner

    def buildProtocol(self, address: object) -> _Link:
        return _Link(self.owner)

    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        if self.continueTrying:
            self.owner.dial()

    clientConnectionFailed = clientConnectionLost


class Nats:
    """One client of some servers; it goes to the next when a connection is lost.

    loses  the next message whose reply subject begins so is lost, or ""
    """

    def __init__(self, reactor: Any, *ports: int) -> None:
        self.reactor = reactor
        self.ready: Deferred[None] = Deferred()
        self.links: list[_Link] = []
        self.loses = ""
        self._ports = count()
        self._known = ports
        self._subscribed: dict[bytes, tuple[str, Take]] = {}
        self._ids = count(1)
        self._factory: Factory = _Links(self)
        self._connector: Any = None
        self.dial()

    def dial(self) -> None:
        port = self._known[next(self._ports) % len(self._known)]
        self.reactor.callLater(0.05, self._dial, port)

    def _dial(self, port: int) -> None:
        if self._factory.continueTrying:
            self._connector = self.reactor.connectTCP("127.0.0.1", port, self._factory, timeout=2)

    def connected(self, link: _Link) -> None:
        self.links.append(link)
        for id, (subject, _) in self._subscribed.items():
            self._write(b"SUB %b %b\r\n" % (subject.encode(), id))
        if not self.ready.called:
            self.ready.callback(None)

    def lost(self, link: _Link) -> None:
        if link in self.links:
            self.links.remove(link)

    def close(self) -> None:
        self._factory.stopTrying()
        if self._connector is not None:
            self._connector.disconnect()

    def cut(self) -> None:
        """Lose the connection, and make another."""
        for link in self.links:
            link.transport.abortConnection()

    def _write(self, data: bytes) -> None:
        if self.links:
            self.links[0].transport.write(data)

    def received(self, subject: bytes, id: bytes, reply: list[bytes], payload: bytes, headers: Any) -> None:
        if id in self._subscribed:
            back = reply[0].decode() if reply else ""
            if self.loses and back.startswith(self.loses):
                self.loses = ""
                return
            self._subscribed[id][1](Received(subject.decode(), payload, back, headers))

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] = NO_HEADERS) -> None:
        head = f"PUB {subject} {reply} ".replace("  ", " ")
        block = b""
        if headers:
            lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
            block = f"NATS/1.0\r\n{''.join(lines)}\r\n".encode()
            head = f"H{head}{len(block)} "
        self._write(f"{head}{len(block) + len(payload)}\r\n".encode() + block + payload + b"\r\n")

    def subscribe(self, subject: str, received: Take) -> Callable[[], object]:
        id = b"%d" % next(self._ids)
        self._subscribed[id] = subject, received
        self._write(b"SUB %b %b\r\n" % (subject.encode(), id))

        def end() -> None:
            if self._subscribed.pop(id, None):
                self._write(b"UNSUB %b\r\n" % id)

        return end

    def request(self, subject: str, payload: bytes, headers: Mapping[str, str] = NO_HEADERS) -> Deferred[Received]:
        answered: Deferred[Received] = Deferred()
        inbox = new_inbox()
        ends = self.subscribe(inbox, lambda answer: answered.called or answered.callback(answer))
        answered.addTimeout(limits.CLUSTER_REQUEST_SECONDS, self.reactor, onTimeoutCancel=_late)
        answered.addBoth(lambda result: (ends(), result)[1])
        self.publish(subject, payload, inbox, headers)
        return answered


def _late(result: Any, seconds: float) -> None:
    raise TimeoutError(seconds)
