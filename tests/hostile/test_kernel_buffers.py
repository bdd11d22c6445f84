"""What a client that doesn't read still gets once its permission has ended: what the kernel has, which is little."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from certificates import Authority
from hubbub.service.commands.client import ask
from running import Daemon, LineClient
from system.clients import WebSocketClient, connect

RECEIVE = 16 * 1024  # bytes that the client's own kernel is asked to keep; it keeps twice that
MOST = 256 * 1024 + 2 * RECEIVE
ALLOWED = '[[rule]]\nwho = "everyone"\nallow.subscribe = "#"\nallow.publish = "#"\n'
DENIED = ALLOWED + '[[rule]]\nwho.listener = ["plain", "proxied", "tls", "web"]\ndeny.subscribe = "flood/#"\n'
OPTIONS = (
    "--permissions", "rules.toml", "--trust-proxy", "127.0.0.1", "--tcp", "tcp:0:id=plain",
    "--tcp", "haproxy:tcp:0:id=proxied:anonymous=yes", "--tcp", "ssl:0:privateKey=hub.pem:id=tls",
    "--tcp", "tcp:0:id=open", "--websocket", "tcp:0:id=web",
)  # fmt: skip
PROXY = b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n"


@pytest.fixture(scope="module")
def come(tmp_path_factory):
    """What each client that has read nothing can read after the reload that has ended its right."""
    folder = tmp_path_factory.mktemp("buffers")
    authority = Authority(folder)
    authority.issue("hub.pem", "hub", ("localhost",))
    (folder / "rules.toml").write_text(ALLOWED)
    with (
        Daemon(*OPTIONS, "--control", str(folder / "control"), folder=folder) as hub,
        contextlib.ExitStack() as stack,
    ):
        links = [connect(hub.tcp[at], RECEIVE) for at in range(3)]
        links[1].sendall(PROXY)
        links[2] = ssl.create_default_context(cafile=authority.file).wrap_socket(links[2], server_hostname="localhost")
        clients = dict(zip(("plain", "proxied", "tls"), map(LineClient, links), strict=True))
        clients["web"] = WebSocketClient(hub.websocket[0], protocol="hubbub.lines", buffer=RECEIVE)
        for one in clients.values():
            assert stack.enter_context(one).ask("SUB flood/#") == "OK SUB flood/#"
        with LineClient(hub.tcp[3]) as publisher:
            for _ in range(700):
                publisher.send("PUB flood/a " + "x" * 10_000)
            assert publisher.ask("PING") == "PONG"
        (folder / "rules.toml").write_text(DENIED)
        assert "4 subscriptions ended" in next(ask(folder / "control", {"command": "reload"}))["changed"]
        yield {name: read(one) for name, one in clients.items()}


def read(client):
    """Return the bytes of the messages that still come, up to the word that there are no more."""
    size = 0
    while not (line := client.line()).startswith("ERR not-authorized you may no longer receive"):
        size += len(line)
    return size


@pytest.mark.parametrize("kind", ["plain", "proxied", "tls", "web"])
def test_what_can_still_be_read(come, kind):
    assert 0 < come[kind] < MOST
