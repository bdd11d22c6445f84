"""The ways in which a right ends, and a daemon with clients in all states whose right ends in one of them.

All that concerns the client whose right ends has a topic below `ann/`.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt

from certificates import Authority
from hostile.mqtt import MqttClient
from hubbub.service.commands.client import ask
from hubbub_plugins.mqtt import packets
from running import Daemon, LineClient
from service.test_passwords import cheap
from system.clients import CLOSE, TEXT, Datagrams, WebSocketClient
from waiting import wait_until

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = bytes(range(32))
TOKEN_SECONDS = 8  # in which all clients have to be there
DEVICE_SECONDS = 10
JWT = "jwt:algorithms=HS256:key=secret:leeway=0s"

CONFIG = """
control = "{folder}/control"
auth = ["hubbub:passwords", "{jwt}", "certificate"]
permissions = "permissions.toml"
[[tcp]]
endpoint = "tcp:0"
id = "open"
anonymous = true
[[tcp]]
endpoint = "tcp:0"
id = "login"
[[tcp]]
endpoint = "ssl:0:privateKey=hub.pem"
id = "tls"
client-ca = "clients.crt"
[[tcp]]
endpoint = "tcp:0"
id = "named"
as = "ann"
[[tcp]]
endpoint = "tcp:0"
id = "anybody"
anonymous = true
[[udp]]
endpoint = "udp:0"
id = "signed"
[[udp]]
endpoint = "udp:0"
id = "named-udp"
as = "ann"
[[udp]]
endpoint = "udp:0"
id = "anybody-udp"
anonymous = true
[[websocket]]
endpoint = "tcp:0"
id = "login-web"
[[websocket]]
endpoint = "tcp:0"
id = "named-web"
as = "ann"
[[websocket]]
endpoint = "tcp:0"
id = "anybody-web"
anonymous = true
[[connect]]
endpoint = "tcp:127.0.0.1:{device}"
id = "device"
as = "ann"
end = "lf"
subscribe = "ann/device"
"""
ALLOWED = '[[rule]]\nwho = "everyone"\nallow.subscribe = "#"\nallow.publish = "#"\n'
DENIED = ALLOWED + '[[rule]]\nwho.user = "ann"\ndeny.subscribe = "ann/#"\ndeny.publish = "ann/#"\n'


class Scene:
    """A daemon, its files, and the clients of who is about to lose a right. `kind`: how these are let in."""

    def __init__(self, folder: Path, kind: str, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.kind = kind
        self.stack = stack
        self.authority = Authority(folder)
        self.authority.issue("hub.pem", "hub", ("localhost",))
        clients = Authority(folder, "Clients")
        clients.issue("ann.pem", "ann")
        clients.file.rename(folder / "clients.crt")
        (folder / "passwords").write_text(f"ann:{cheap('a')}:key={KEY.hex()}\nben:{cheap('b')}\n")
        (folder / "secret").write_bytes(SECRET)
        (folder / "permissions.toml").write_text(ALLOWED)
        self.device = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.device.settimeout(DEVICE_SECONDS)
        self.config = folder / "hubbub.toml"
        self.config.write_text(CONFIG.format(folder=folder, jwt=JWT, device=self.device.getsockname()[1]))
        self.daemon = stack.enter_context(Daemon("--config", str(self.config), folder=folder))
        self.at = dict(zip(("open", "login", "tls", "named", "anybody"), self.daemon.tcp, strict=True))
        self.token = jwt.encode({"sub": "ann", "exp": time.time() + TOKEN_SECONDS}, SECRET, "HS256")

    # What a test may change

    def write(self, name: str, text: str | bytes) -> None:
        (self.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def ask(self, command: str) -> dict[str, Any]:
        return next(ask(self.folder / "control", {"command": command}))

    def reload(self) -> str:
        return self.ask("reload")["changed"]

    def away(self) -> int:
        return self.ask("status")["status"]["sessions"]["away"]

    # Clients

    def dial(self) -> socket.socket:
        at = {"password": "login", "token": "login", "certificate": "tls"}.get(self.kind, self.kind)
        link = self.stack.enter_context(socket.create_connection(self.at[at], timeout=30))
        if self.kind != "certificate":
            return link
        context = ssl.create_default_context(cafile=self.authority.file)
        context.load_cert_chain(self.folder / "ann.pem")
        return self.stack.enter_context(context.wrap_socket(link, server_hostname="localhost"))

    def lines(self) -> LineClient:
        client = self.stack.enter_context(LineClient(self.dial()))
        if self.kind == "password":
            assert client.ask("AUTH ann a") == "OK AUTH ann"
        elif self.kind == "token":
            assert client.ask(f"AUTH TOKEN {self.token}") == "OK AUTH ann"
        return client

    def json(self) -> LineClient:
        client = self.stack.enter_context(LineClient(self.dial()))
        said = {"password": {"user": "ann", "password": "a"}, "token": {"token": self.token}}.get(self.kind)
        if said is not None:
            assert "authenticated" in client.ask(json.dumps({"op": "auth", **said}))
        return client

    def mqtt(self, name: str, will: str | None = None, delay: int = 0) -> MqttClient:
        more: dict[str, Any] = {}
        if self.kind == "password":
            more = {"user": "ann", "password": b"a"}
        elif self.kind == "token":
            more = {"password": self.token.encode()}
        if will is not None:
            properties = {"will_delay_interval": delay} if delay else {}
            more["will"] = packets.Will(topic=will, payload=b"will", properties=properties)
        return MqttClient(self.dial(), name, **more)

    def open(self) -> LineClient:
        """A client that loses nothing."""
        return self.stack.enter_context(LineClient(self.at["open"]))

    def open_mqtt(self, name: str) -> MqttClient:
        """Another, by MQTT."""
        return MqttClient(self.stack.enter_context(socket.create_connection(self.at["open"])), name)

    def page(self) -> WebSocketClient | None:
        """A client over WebSocket, which says in its handshake who it is; None: none says it by a certificate."""
        at = {"password": 0, "token": 0, "named": 1, "anybody": 2}.get(self.kind)
        if at is None:
            return None
        said = {"password": f"Basic {b64encode(b'ann:a').decode()}", "token": f"Bearer {self.token}"}.get(self.kind)
        headers = [f"Authorization: {said}"] if said else []
        client = WebSocketClient(self.daemon.websocket[at], *headers, protocol="hubbub.lines")
        return self.stack.enter_context(client)

    def datagrams(self) -> Datagrams | None:
        """A client over UDP; None: there are none that come in like that."""
        at = {"password": 0, "named": 1, "anybody": 2}.get(self.kind)
        return None if at is None else self.stack.enter_context(Datagrams(self.daemon.udp[at]))

    def datagram(self, command: str, proof: str = "") -> str:
        if self.kind != "password":
            return f"{proof}\n{command}" if proof else command
        head = f"SIGN ann {time.time_ns() // 1000}"
        content = f"{proof}\n{command}" if proof else command
        mac = hmac.new(KEY, f"{head}\n{content}".encode(), "sha256").hexdigest()[:32]
        return f"{head} {mac}\n{content}"


WAYS: dict[str, tuple[str, Callable[[Scene], object]]] = {
    "the user is removed": ("password", lambda scene: scene.write("passwords", f"ben:{cheap('b')}\n")),
    "the password has changed": (
        "password", lambda scene: scene.write("passwords", f"ann:{cheap('z')}:key={bytes(32).hex()}\n"),
    ),
    "that kind of login is removed": ("password", lambda scene: scene.edit('"hubbub:passwords", ', "")),
    "the key is rotated": ("token", lambda scene: scene.write("secret", SECRET[::-1])),
    "the kind of tokens is removed": ("token", lambda scene: scene.edit(f'"{JWT}", ', "")),
    "the token has expired": ("token", lambda scene: wait_until(lambda: scene.away() == 1)),
    "another authority": (
        "certificate", lambda scene: scene.write("clients.crt", Authority(scene.folder, "Others").file.read_bytes()),
    ),
    "the permission is revoked": ("password", lambda scene: scene.write("permissions.toml", DENIED)),
    "the listener names another user": ("named", lambda scene: scene.edit('as = "ann"', 'as = "dan"')),
    "the listener wants a login": (
        "anybody", lambda scene: [
            scene.edit(f'id = "{id}"\nanonymous = true', f'id = "{id}"\nanonymous = false')
            for id in ("anybody", "anybody-udp", "anybody-web")
        ],
    ),
}  # fmt: skip
"""How clients are let in, and what ends that; a reload follows."""


def lines_of(client: LineClient, ping: str = "PING") -> Iterator[str]:
    """What still comes to a client, to the end of the connection or the answer to a ping."""
    with contextlib.suppress(OSError):
        client.send(ping)
    with contextlib.suppress(OSError, AssertionError):
        while "pong" not in (line := client.line()).lower():
            yield line


def messages_of(page: WebSocketClient) -> Iterator[str]:
    """What still comes to a page, to the end of the connection or the answer to a ping."""
    with contextlib.suppress(OSError, EOFError):
        page.send("PING")
        while (received := page.receive()) != (TEXT, b"PONG") and received[0] != CLOSE:
            yield received[1].decode()


def trace(scene: Scene) -> Iterator[dict[str, Any]]:
    """What a trace of everybody tells, from now on."""
    link = scene.stack.enter_context(socket.socket(socket.AF_UNIX))
    link.settimeout(30)
    link.connect(str(scene.folder / "control"))
    link.sendall(b'{"command":"trace"}\n')
    reported = map(json.loads, link.makefile("rb"))
    assert "tracing" in next(reported)
    return reported
