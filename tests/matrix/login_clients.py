"""A client of each pair of transport and dialect, which says who it is in one way; see test_logins."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import time
from contextlib import suppress

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.codes import BAD_USER_NAME_OR_PASSWORD, NOT_AUTHORIZED
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.reader import Reader
from interop.clients import SansIO
from stomp_client import read as read_frames
from stomp_client import write as write_frame

KEY = bytes(range(32))

# How a client of each dialect says one message, and its keys where it needs some.
SAYS = {
    "auto": ("PUB a/b hello", ""),
    "lines": ("PUB a/b hello", ""),
    "json": ('{"op":"publish","topic":"a/b","data":"hello"}', ""),
    "raw": ("hello", ":end=lf"),
    "statsd": ("hello:1|c", ""),
    "influx": ("hello world=1", ""),
    "gelf": ('{"version":"1.1","host":"host","short_message":"hello"}', ""),
    "graphite": ("hello 1 1700000000", ""),
    "syslog": ("<13>1 2026-11-22T10:00:00Z host app - - - hello", ""),
    "nmea": ("$GPGLL,4916.45,N,12311.12,W,225444,A*31", ""),
    "mqtt": ("hello", ""),  # see Packets
    "nats": ("hello", ""),  # see Operations
    "stomp": ("hello", ""),  # see Frames
    "wamp": ("hello", ""),  # see Sessions
}
AUTH = {
    "auto": "AUTH ann {}",
    "lines": "AUTH ann {}",
    "json": '{{"op":"auth","user":"ann","password":"{}"}}',
    "mqtt": "{}",  # see Packets
    "nats": "{}",  # see Operations
    "stomp": "{}",  # see Frames
    "wamp": "{}",  # see Sessions
}


class Client:
    """One client of a pair, who says who it is in one way, or not at all ("")."""

    def __init__(self, hub, transport, dialect, kind, way="", right=True):
        self.hub = hub
        self.transport = transport
        self.dialect = dialect
        self.kind = kind
        self.way = way
        self.right = right
        self.address = hub.addresses[f"{transport}-{dialect}-{kind}"]
        trust = hub.trust(way if right else f"wrong {way}")
        if transport in ("ws", "wss"):
            headers = {}
            if way == "header":
                password = "right" if right else "wrong"
                headers["Authorization"] = "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()
            url = f"{transport}://localhost:{self.address[1]}/"
            self.end = SansIO(url, self.address, trust if transport == "wss" else None, headers)
        elif transport == "udp":
            self.end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.end.connect(self.address)
        elif transport == "unix":
            self.end = socket.socket(socket.AF_UNIX)
            self.end.connect(self.address)
        else:
            self.end = socket.create_connection(self.address)
            if transport == "tls":
                self.before_tls()
                self.end = trust.wrap_socket(self.end, server_hostname="localhost")
        if hasattr(self.end, "settimeout"):
            self.end.settimeout(30)
        self.begin()

    def before_tls(self):
        """Do what a client does between TCP and TLS: nothing."""

    def begin(self):
        """Log in, where that is said in the dialect."""
        if self.way == "auth":
            self.send(AUTH[self.dialect].format("right" if self.right else "wrong"))
            self.said = self.receive()

    def send(self, text):
        if self.transport in ("ws", "wss"):
            self.end.send(text)
        elif self.transport == "udp":
            self.end.send(self.signed(text) if self.way == "sign" else text.encode())
        else:
            self.end.sendall(text.encode() + b"\n")

    def signed(self, text):
        head = b"SIGN ann %d" % (time.time_ns() // 1000)
        rest = b"\n" + text.encode()
        mac = hmac.new(KEY if self.right else b"wrong", head + rest, "sha256").hexdigest()[:32]
        return head + b" " + mac.encode() + rest

    def receive(self):
        if self.transport in ("ws", "wss"):
            return self.end.receive()
        if self.transport == "udp":
            return self.end.recv(65_536).decode()
        return self.end.makefile("r", encoding="utf-8").readline()

    def publish(self):
        """Say one message."""
        self.send(SAYS[self.dialect][0])

    def finish(self):
        """Leave, and wait until the daemon has taken all that was said."""
        if self.transport in ("ws", "wss"):
            self.end.close()
            return
        if self.transport == "udp":  # the socket takes datagrams in their order
            last = Client(self.hub, "udp", self.dialect, self.kind, "sign")
            last.publish()
            assert "/ann/" in self.hub.watcher.line()
            last.end.close()
        elif self.transport == "tls":
            self.end.unwrap().close()
        else:
            with suppress(OSError):  # the daemon may have closed it
                self.end.shutdown(socket.SHUT_WR)
            while self.end.recv(65_536):
                pass
        self.end.close()


class Greeting(Client):
    """One who says who it is at once, and whose message is answered: `said` is the answer to the greeting."""

    unread = False

    def end_send(self, data):
        self.end.send(data) if self.transport in ("ws", "wss") else self.end.sendall(data)

    def end_receive(self):
        data = self.end.receive() if self.transport in ("ws", "wss") else self.end.recv(65_536)
        assert data
        return data.encode() if isinstance(data, str) else data

    def publish(self):
        if not self.said:  # else the connection has ended
            self.say()
            self.unread = True

    def receive(self):
        self.unread = False
        return self.said or self.answer()

    def finish(self):
        if self.unread:
            self.receive()
        super().finish()


class Packets(Greeting):
    """One of MQTT. Its PUBLISH has QoS 1, and so is answered."""

    def begin(self):
        self.reader, self.packets = Reader(1_000), []
        login = {"user": "ann", "password": b"right" if self.right else b"wrong"} if self.way == "auth" else {}
        self.end_send(packets.Connect(client=self.kind, **login).encode(V5))
        self.said = self.answer()

    def answer(self):
        """Say in the hub's words what the next packet is an answer of."""
        while not self.packets:
            self.packets = self.reader.feed(self.end_receive())[0]
        found = packets.decode(*self.packets.pop(0), V5)
        return "not-authorized" if found.code in (BAD_USER_NAME_OR_PASSWORD, NOT_AUTHORIZED) else ""

    def say(self):
        self.end_send(packets.Publish(topic="a/b", payload=SAYS["mqtt"][0].encode(), qos=1, id=1).encode(V5))


class Frames(Greeting):
    """One of STOMP. Its SEND wants a receipt."""

    def begin(self):
        login = {"login": "ann", "passcode": "right" if self.right else "wrong"} if self.way == "auth" else {}
        self.end_send(write_frame("CONNECT", accept_version="1.2", **login))
        self.said = self.answer()

    def answer(self):
        """Say the code of the next frame, if that is an ERROR."""
        data = b""
        while not (found := read_frames(data)[0]):
            data += self.end_receive()
        return found[0].headers.get("code", "")

    def say(self):
        self.end_send(write_frame("SEND", SAYS["stomp"][0].encode(), destination="a/b", receipt=1))


class Operations(Greeting):
    """One of NATS, which logs in by CONNECT. A PING behind each operation is answered after it."""

    greeted = False

    def before_tls(self):
        """INFO comes in the clear, unless the listener has handshake-first=yes."""
        self.greeted = self.end.makefile("rb").readline().startswith(b"INFO ")

    def begin(self):
        self.lines = []
        assert self.greeted or "INFO" in self.line()
        login = {"user": "ann", "pass": "right" if self.right else "wrong"} if self.way == "auth" else {}
        self.operate("CONNECT " + json.dumps({"verbose": False, **login}))
        self.said = self.answer()

    def operate(self, text):
        self.end_send(text.encode() + b"\r\nPING\r\n")

    def line(self):
        while not self.lines:
            self.lines = self.end_receive().decode().splitlines()
        return self.lines.pop(0)

    def answer(self):
        return "not-authorized" if "Authorization Violation" in self.line() else ""

    def say(self):
        self.operate("PUB a.b 5\r\nhello")


class Sessions(Greeting):
    """One of WAMP, which logs in with a ticket. Its PUBLISH is acknowledged."""

    def begin(self):
        self.data = b""
        if self.transport not in ("ws", "wss"):
            self.end_send(b"\x7f\xf1\0\0")
            while len(self.data) < 4:
                self.data += self.end_receive()
            assert self.data[:1] == b"\x7f"
            self.data = self.data[4:]
        login = {"authid": "ann", "authmethods": ["ticket"]} if self.way == "auth" else {}
        self.tell(1, "realm1", {"roles": {"publisher": {}}, **login})
        self.said = self.answer()

    def tell(self, *message):
        data = json.dumps(message).encode()
        stream = self.transport not in ("ws", "wss")
        self.end_send(len(data).to_bytes(4, "big") + data if stream else data.decode())

    def message(self):
        if self.transport in ("ws", "wss"):
            return json.loads(self.end_receive())
        while len(self.data) < 4 or len(self.data) < 4 + int.from_bytes(self.data[:4], "big"):
            self.data += self.end_receive()
        size = 4 + int.from_bytes(self.data[:4], "big")
        found, self.data = self.data[4:size], self.data[size:]
        return json.loads(found)

    def answer(self):
        found = self.message()
        if found[0] == 4:
            self.tell(5, "right" if self.right else "wrong", {})
            found = self.message()
        return "not-authorized" if found[0] in (3, 8) else ""

    def say(self):
        self.tell(16, 1, {"acknowledge": True}, "a.b", ["hello"])


OWN = {"mqtt": Packets, "stomp": Frames, "nats": Operations, "wamp": Sessions}


def client_of(hub, transport, dialect, *more, **named):
    return OWN.get(dialect, Client)(hub, transport, dialect, *more, **named)
