"""Secrets that a trace might show: in whatever pieces they come, and whenever somebody begins to look."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V5
from running import Daemon

MARK = "SeCrEt"
TOKEN = MARK * 1400  # 8,400 bytes
CONNECT = packets.Connect(client="c", user="ann", password=TOKEN.encode(), properties={}).encode(V5)
LOGINS = {
    "lines": f"AUTH TOKEN {TOKEN}\n".encode(),
    "lines-user": f"AUTH ann {TOKEN}\n".encode(),
    "json": json.dumps({"op": "auth", "token": TOKEN, "id": 1}).encode() + b"\n",
    "json-behind": json.dumps({"op": "auth", "user": "x" * 250, "password": TOKEN}).encode() + b"\n",
    "json-spaces": b'{"op":"auth","token"' + b" " * 5000 + b":" + b" " * 5000 + b'"%b"}\n' % TOKEN.encode(),
    "json-escapes": b'{"op":"auth","token":"' + rb"\"" * 3000 + b'%b"}\n' % TOKEN.encode(),
    "mqtt": CONNECT,
    "nats": b'CONNECT {"verbose":false,"auth_token":"%b"}\r\n' % TOKEN.encode(),
    "nats-user": b'CONNECT {"user":"ann","pass":"%b"}\r\n' % TOKEN.encode(),
    "wamp": b"\x7f\xf1\0\0"
    + b"".join(
        len(one).to_bytes(4, "big") + one for one in (b'[1,"realm1",{"roles":{}}]', b'[5, "%b",{}]' % TOKEN.encode())
    ),
    "wamp-msgpack": b"\x7f\xf2\0\0\0\0%b\x93\x05\xda\x20\xd0%b\x80" % (b"\x20\xd6", TOKEN.encode()),
    "stomp": b"CONNECT\naccept-version:1.2\nlogin:ann\npasscode:%b\n\n\0" % TOKEN.encode(),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    with Daemon("--tcp", "tcp:0:id=a", "--websocket", "tcp:0", "--control", str(folder / "control")) as one:
        one.control = str(folder / "control")
        yield one


class Trace:
    """One who looks on: what it was told of what came in."""

    def __init__(self, daemon):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(daemon.control)
        self.socket.sendall(b'{"command":"trace"}\n')
        self.reported = map(json.loads, self.socket.makefile("rb"))
        assert "tracing" in next(self.reported)
        self.shown = ""

    def next(self):
        """Read up to what came in next."""
        while "in" not in (record := next(self.reported)):
            self.shown += str(record)
        self.shown += str({name: value for name, value in record.items() if name != "hex"})
        self.shown += bytes.fromhex(record["hex"]).decode("latin-1")


def mark_in(text):
    """Whether a piece of a secret is in a text: its parts may be cut anywhere."""
    return MARK in text or any(MARK[at:] + MARK[:at] in text for at in range(1, len(MARK)))


@pytest.mark.parametrize("size", [200, 1448, 5000])
@pytest.mark.parametrize("login", LOGINS)
def test_a_long_secret_in_pieces(daemon, login, size):
    data = LOGINS[login]
    trace = Trace(daemon)
    with contextlib.closing(trace.socket), socket.create_connection(daemon.tcp[0]) as client:
        for at in range(0, len(data), size):
            client.sendall(data[at : at + size])
            trace.next()
    assert not mark_in(trace.shown)


@pytest.mark.parametrize("login", LOGINS)
def test_a_trace_that_begins_amid_a_secret(daemon, login):
    data = LOGINS[login]
    with socket.create_connection(daemon.tcp[0]) as client:
        with contextlib.closing(Trace(daemon).socket):
            client.sendall(data[:2000])
        first = Trace(daemon)
        client.sendall(data[2000:4000])
        first.next()
        second = Trace(daemon)
        client.sendall(data[4000:7000])
        second.next()
        first.next()
        first.socket.close()
        client.sendall(data[7000:])
        second.next()
        second.socket.close()
    assert not mark_in(first.shown + second.shown)


def test_a_response_of_http_is_shown_whole(daemon):
    """It comes over the listener of WebSocket, and has no header of a frame before it."""
    trace = Trace(daemon)
    with contextlib.closing(trace.socket), socket.create_connection(daemon.websocket[0]) as client:
        client.sendall(b"POST /topics/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1")
        out = next(record["out"] for record in trace.reported if "out" in record)
    assert out.startswith("HTTP/1.1 202 Accepted")
