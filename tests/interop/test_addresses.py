"""Unix sockets, and IPv6 for each transport."""

from __future__ import annotations

import stat

import pytest

from interop.clients import Program, Tcp, Udp, WebSocket
from running import Daemon


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("unix") / "hub.sock"


@pytest.fixture(scope="module")
def daemon(path, ipv6):
    with Daemon(
        "--tcp", f"unix:{path}:mode=660", "--websocket", f"unix:{path}.web:mode=600",
        "--tcp", "tcp6:0", "--udp", "udp6:0", "--websocket", "tcp6:0",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def ear(daemon):
    with Tcp(daemon.tcp[0]) as client:
        assert client.ask("SUB a/#") == "OK SUB a/#"
        yield client


def test_the_mode_of_a_unix_socket_is_as_asked(daemon, path):
    status = path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert stat.S_IMODE(path.with_name("hub.sock.web").stat().st_mode) == 0o600


def test_ready_names_each_address(daemon, path):
    ready = daemon.wait_for("ready: ")
    assert f"tcp {path}," in ready
    assert [host for host, _ in (*daemon.tcp, *daemon.udp, *daemon.websocket)] == ["::1"] * 3


def test_lines_over_a_unix_socket(path, ear, need):
    with (
        Tcp(str(path)) as plain,
        Program(need("nc"), "-U", path) as nc,
        Program(need("socat"), "-", f"UNIX-CONNECT:{path}") as socat,
    ):
        for client in (plain, nc, socat):
            client.send("PUB a/b 欢迎")
            ear.expect("MSG a/b 欢迎")
            client.send("SUB a/c")
            client.expect("OK SUB a/c")
        ear.send("PUB a/c " + "x" * 300_000)
        for client in (plain, nc, socat):
            client.expect("MSG a/c " + "x" * 300_000)


def test_websocket_over_a_unix_socket(path, ear):
    from websockets.sync.client import unix_connect

    with unix_connect(f"{path}.web", "ws://localhost/", subprotocols=["hubbub.lines"]) as client:
        client.send("PUB a/b over a Unix socket")
        ear.expect("MSG a/b over a Unix socket")


def test_ipv6(daemon, ear):
    with Tcp(daemon.tcp[0]) as tcp, Udp(daemon.udp[0]) as udp, WebSocket(daemon.url()) as web:
        for client in (tcp, udp, web):
            client.send("PUB a/b over IPv6")
            ear.expect("MSG a/b over IPv6")
            client.send("SUB a/c")
            client.expect("OK SUB a/c")
        ear.send("PUB a/c hello")
        for client in (tcp, udp, web):
            client.expect("MSG a/c hello")


def test_nc_over_ipv6(daemon, ear, need):
    host, port = daemon.udp[0]
    with Program(need("nc"), "-u", host, port, end=b"") as nc:
        nc.send("PUB a/b by nc")
        ear.expect("MSG a/b by nc")


def test_a_unix_socket_is_gone_after_the_end(tmp_path):
    path = tmp_path / "end.sock"
    with Daemon("--tcp", f"unix:{path}:mode=660"):
        assert path.exists()
    assert not path.exists()
