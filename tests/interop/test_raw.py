"""raw over each transport: payloads alone, as they are, between devices that know no protocol."""

from __future__ import annotations

import socket

import pytest

from interop.clients import SECONDS, Udp, WebSocket
from running import Daemon

EVERY_BYTE = bytes(range(256))
RAW = "dialect=raw:topic=raw/{id}:subscribe=raw/#"
PAYLOADS = (EVERY_BYTE, b"", b"\r\n\0", "欢迎".encode(), EVERY_BYTE * 200)
TRANSPORTS = ("tcp", "udp", "websocket")


class Framed:
    """A TCP client that writes the length of each message before it, in four bytes."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=SECONDS)
        self.reader = self.socket.makefile("rb")

    def send(self, payload):
        self.socket.sendall(len(payload).to_bytes(4, "big") + payload)

    def receive(self):
        return self.reader.read(int.from_bytes(self.reader.read(4), "big"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.socket.close()


@pytest.fixture(scope="module")
def daemon():
    with Daemon(
        "--tcp", f"tcp:0:id=tcp:{RAW}:length=u32be", "--udp", f"udp:0:id=udp:{RAW}",
        "--websocket", f"tcp:0:id=web:{RAW}",
    ) as running:  # fmt: skip
        yield running


@pytest.mark.parametrize("publisher", TRANSPORTS)
def test_each_payload_reaches_the_others_as_it_is(daemon, publisher):
    with Framed(daemon.tcp[0]) as tcp, Udp(daemon.udp[0]) as udp, WebSocket(daemon.url(), None) as web:
        clients = {"tcp": tcp, "udp": udp, "websocket": web}
        tcp.send(b"TCP is here")
        web.expect(b"TCP is here")
        udp.send(b"UDP is here")  # a datagram makes a peer known, and with it its subscription
        assert {tcp.receive(), web.receive()} == {b"UDP is here"}
        here = clients.pop(publisher)
        for payload in PAYLOADS:
            here.send(payload)
            for there in clients.values():
                assert there.receive() == payload


def test_text_stays_text_on_a_websocket(daemon):
    with WebSocket(daemon.url(), None) as here, WebSocket(daemon.url(), None) as there:
        here.send("欢迎")
        there.expect("欢迎")
        here.send("欢迎".encode())
        there.expect("欢迎".encode())
        here.send("")
        there.expect("")
        here.send(b"")
        there.expect(b"")
