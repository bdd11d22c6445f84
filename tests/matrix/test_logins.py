"""Login, refusal and anonymity, alike over each pair of transport and dialect; and that no pair lacks a row.

Each pair has a listener that wants a login, one with anonymous=yes and one with as=plant, all below seat/{id}/{user}:
what a watcher of seat/# hears tells who published.
"""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import socket
import ssl
import time
from contextlib import suppress

import pytest
from websockets.exceptions import InvalidStatus, WebSocketException

from certificates import Authority
from hubbub.service.plugins.discovery import Plugins
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.codes import BAD_USER_NAME_OR_PASSWORD, NOT_AUTHORIZED
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.reader import Reader
from interop.clients import SansIO
from running import Daemon, LineClient
from service.test_passwords import cheap
from stomp_client import read as read_frames
from stomp_client import write as write_frame

KEY = bytes(range(32))
CARRIERS = {"tcp": "tcp", "tls": "tcp", "unix": "tcp", "ws": "websocket", "wss": "websocket", "udp": "udp"}
DIALECTS = {one.name: one.load() for one in Plugins() if one.kind == "dialect"}
PAIRS = [(one, name) for one in CARRIERS for name, kind in DIALECTS.items() if CARRIERS[one] in kind.transports]

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
}
AUTH = {
    "auto": "AUTH ann {}",
    "lines": "AUTH ann {}",
    "json": '{{"op":"auth","user":"ann","password":"{}"}}',
    "mqtt": "{}",  # see Packets
    "nats": "{}",  # see Operations
    "stomp": "{}",  # see Frames
}


def ways(transport, dialect):
    """How a client of that pair can say who it is; where there is none, the listener does with as=."""
    if transport == "udp":
        return ["sign"]
    found = ["auth"] if dialect in AUTH else []
    found += ["header"] if transport in ("ws", "wss") else []
    return found + (["certificate"] if transport in ("tls", "wss") else [])


TABLE = {pair: ways(*pair) for pair in PAIRS}
LOGINS = [(*pair, way) for pair, found in TABLE.items() for way in found]


class LoginHub:
    """The daemon, and what a client needs to reach it."""

    def __init__(self, daemon, folder, authority):
        self.daemon = daemon
        self.folder = folder
        self.authority = authority
        self.watcher = LineClient(str(folder / "watch.sock"))
        self.watcher.ask("SUB seat/#")
        self.numbers = itertools.count()
        self.ports = {"tcp": iter(daemon.tcp), "udp": iter(daemon.udp), "websocket": iter(daemon.websocket)}
        self.addresses = {}

    def heard(self):
        """Who was heard since the last look, as (listener, user)."""
        mark = f"MSG mark {next(self.numbers)}"
        self.watcher.send("SUB mark", f"PUB mark {mark.split()[-1]}")
        found = []
        while (line := self.watcher.line()) != mark:
            if line.startswith("MSG seat/"):
                found.append(tuple(line.split(" ")[1].split("/")[1:3]))
        return found

    def trust(self, way):
        context = ssl.create_default_context(cafile=self.authority.file)
        if way == "certificate":
            context.load_cert_chain(self.folder / "ann.pem")
        elif way == "wrong certificate":
            context.load_cert_chain(self.folder / "eve.pem")
        return context


def specs(folder):
    """Yield the option, the spec and the id of each listener."""
    hub = folder / "hub.pem"
    for transport, dialect in PAIRS:
        kinds = {"login": "", "anonymous": ":anonymous=yes", "as": ":as=plant"}
        if "certificate" in TABLE[transport, dialect]:
            kinds["certificate"] = f":client-ca={folder}/Test-authority.crt"
        for kind, keys in kinds.items():
            id = f"{transport}-{dialect}-{kind}"
            endpoint = {
                "tls": f"ssl:0:privateKey={hub}", "wss": f"ssl:0:privateKey={hub}",
                "unix": f"unix:{folder}/{transport}{dialect}{kind}", "udp": "udp:0",
            }.get(transport, "tcp:0")  # fmt: skip
            more = SAYS[dialect][1] if CARRIERS[transport] == "tcp" else ""
            yield (
                CARRIERS[transport],
                f"{endpoint}:id={id}:dialect={dialect}:prefix=seat/{{id}}/{{user}}{keys}{more}",
                id,
            )


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    authority, stranger = Authority(folder), Authority(folder, "Stranger")
    authority.issue("hub.pem", "hub", ("localhost", "127.0.0.1"))
    authority.issue("ann.pem", "ann")
    stranger.issue("eve.pem", "ann")
    (folder / "passwords").write_text(f"ann:{cheap('right')}:key={KEY.hex()}\n")
    found = list(specs(folder))
    options = [word for option, spec, _ in found for word in (f"--{option}", spec)]
    watch = ("--tcp", f"unix:{folder}/watch.sock:anonymous=yes")
    auth = ("--auth", f"hubbub:{folder}/passwords", "--auth", "certificate")
    with Daemon(*options, *watch, *auth) as daemon:
        made = LoginHub(daemon, folder, authority)
        for option, _, id in found:
            made.addresses[id] = str(folder / id.replace("-", "")) if id[:4] == "unix" else next(made.ports[option])
        yield made
        made.watcher.close()


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
            self.end.settimeout(10)
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


OWN = {"mqtt": Packets, "stomp": Frames, "nats": Operations}


def client_of(hub, transport, dialect, *more, **named):
    return OWN.get(dialect, Client)(hub, transport, dialect, *more, **named)


def test_no_pair_lacks_a_row():
    assert set(SAYS) == set(DIALECTS)
    assert {CARRIERS[transport] for transport, _ in TABLE} == {"tcp", "udp", "websocket"}
    assert [pair for pair, found in TABLE.items() if not found] == [
        (transport, dialect) for transport, dialect in PAIRS if transport in ("tcp", "unix") and dialect not in AUTH
    ], "and those have as="


@pytest.mark.parametrize(("transport", "dialect", "way"), LOGINS)
def test_login(hub, transport, dialect, way):
    kind = "certificate" if way == "certificate" else "login"
    client = client_of(hub, transport, dialect, kind, way)
    client.publish()
    assert f"/{transport}-{dialect}-{kind}/ann/" in hub.watcher.line()
    client.finish()
    assert hub.heard() == []


@pytest.mark.parametrize(("transport", "dialect", "way"), LOGINS)
def test_refusal(hub, transport, dialect, way):
    kind = "certificate" if way == "certificate" else "login"
    if way == "header":
        with pytest.raises(InvalidStatus) as found:
            client_of(hub, transport, dialect, kind, way, right=False)
        assert found.value.response.status_code == 401
    elif way == "certificate":
        said = ""
        with suppress(OSError, EOFError, WebSocketException):  # whichever comes first: the alert or the end
            client = client_of(hub, transport, dialect, kind, way, right=False)
            client.publish()
            said = client.receive()
        assert said == ""
    else:
        client = client_of(hub, transport, dialect, kind, way, right=False)
        if way == "auth":
            assert "not-authorized" in client.said
        client.publish()
        if dialect in AUTH:
            assert "not-authorized" in client.receive()
        client.finish()
    assert hub.heard() == []


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_without_a_login(hub, pair):
    transport, dialect = pair
    client = client_of(hub, *pair, "login")
    client.publish()
    if dialect in AUTH:
        assert "not-authorized" in client.receive()
    client.finish()
    assert hub.heard() == []
    for kind, user in (("anonymous", "-"), ("as", "plant")):
        client = client_of(hub, *pair, kind)
        client.publish()
        assert f"/{transport}-{dialect}-{kind}/{user}/" in hub.watcher.line()
        client.end.close()


@pytest.mark.parametrize("dialect", [one for one in AUTH if "udp" in DIALECTS[one].transports])
def test_over_udp_a_password_is_not_taken(hub, dialect):
    client = client_of(hub, "udp", dialect, "login", "auth")
    assert "not-authorized" in client.said
    assert "SIGN" in client.said
    assert hub.heard() == []
