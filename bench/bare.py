"""What Twisted and Autobahn do with nothing of hubbub on top.

python bare.py datagrams UDP_PORT TCP_PORT    counts datagrams; a connection to TCP_PORT is told the count
python bare.py autobahn WEBSOCKET_PORT TCP_PORT    topics in the words of hubbub's lines: SUB, PUB, MSG
"""

from __future__ import annotations

import socket
import sys
from collections import defaultdict
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.protocol import DatagramProtocol, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

BACKLOG = 4096
RECEIVE_BUFFER = 4 << 20  # bytes, as hubbub asks for
DATAGRAM_MAX = 65_535


class Counter(DatagramProtocol):
    """Counts."""

    count = 0

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """One more."""
        self.count += 1


class Tell(Protocol):
    """Writes the count and closes."""

    factory: TellFactory
    transport: Any

    def connectionMade(self) -> None:
        """All there is to say."""
        self.transport.write(b"%d\n" % self.factory.counter.count)
        self.transport.loseConnection()


class TellFactory(ServerFactory):
    """Knows the counter."""

    protocol: Any = Tell

    def __init__(self, counter: Counter) -> None:
        """`counter` is what its links tell."""
        self.counter = counter


class PubSub(WebSocketServerProtocol):
    """Topics by a dictionary, one `sendMessage` for each delivery."""

    links: defaultdict[bytes, dict[PubSub, None]] = defaultdict(dict)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One command."""
        command, _, rest = payload.rstrip(b"\n").partition(b" ")
        if command == b"PUB":
            topic = rest.partition(b" ")[0]
            for link in self.links[topic]:
                link.sendMessage(b"MSG " + rest)
        elif command == b"SUB":
            self.links[rest][self] = None
            self.sendMessage(b"OK SUB " + rest)
        else:
            self.sendMessage(b"PONG")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget its subscriptions."""
        for links in self.links.values():
            links.pop(self, None)
        super().connectionLost(reason)


def main(kind: str, port: int, tcp: int) -> None:
    """Serve until ended."""
    from twisted.internet import reactor as installed

    reactor: Any = installed

    counter = Counter()
    if kind == "datagrams":
        listener = socket.socket(type=socket.SOCK_DGRAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        listener.bind(("127.0.0.1", port))
        listener.setblocking(False)
        reactor.adoptDatagramPort(listener.fileno(), socket.AF_INET, counter, DATAGRAM_MAX)
    else:
        factory: Any = WebSocketServerFactory()
        factory.protocol = PubSub
        reactor.listenTCP(port, factory, backlog=BACKLOG, interface="127.0.0.1")
    reactor.listenTCP(tcp, TellFactory(counter), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
