"""What the scripts about clients of MQTT 5 share: the server's side of a link, packet by packet, on a plain socket."""

import itertools
import socket
from collections.abc import Iterator

CONNECT, PUBLISH, PINGREQ = 1, 3, 12

Packets = Iterator[tuple[int, bytes]]  # (first byte, body) of each


def listen() -> tuple[socket.socket, int]:
    """Return a socket that listens, and its port."""
    made = socket.create_server(("127.0.0.1", 0))
    made.settimeout(20)
    return made, made.getsockname()[1]


def accept(listener: socket.socket, properties: bytes = b"") -> tuple[socket.socket, bytes, Packets]:
    """Answer a CONNECT with these properties; return the link, the client identifier and the packets that follow."""
    link, _ = listener.accept()
    link.settimeout(20)
    coming = _packets(link)
    head, body = next(coming)
    assert head >> 4 == CONNECT
    name = 11 + body[10]  # behind the protocol's name, level, flags, keep alive and properties of fewer than 128 bytes
    link.sendall(packet(0x20, bytes((0, 0, len(properties))) + properties))
    return link, body[name + 2 :][: body[name + 1]], coming


def packet(head: int, body: bytes) -> bytes:
    """Return a packet of fewer than 128 bytes."""
    return bytes((head, len(body))) + body


def _packets(link: socket.socket) -> Packets:
    """Yield what comes until the link ends."""
    stream = link.makefile("rb")
    while head := stream.read(1):
        length = 0
        for shift in itertools.count(0, 7):
            byte = stream.read(1)[0]
            length |= (byte & 127) << shift
            if byte < 128:
                break
        yield head[0], stream.read(length)
