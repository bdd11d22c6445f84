"""The port of metrics: a web page that has pointed its own name here reads nothing (DNS rebinding)."""

from __future__ import annotations

import socket

import pytest

from running import Daemon
from system.clients import status


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    with Daemon("--tcp", "tcp:0", "--metrics", f"tcp:{number}", "--origin", "hub.example.org"):
        yield number


def asked(port, host, path="/metrics"):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        lines = [f"GET {path} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), "", ""]
        client.sendall("\r\n".join(lines).encode())
        return client.makefile("rb").read()


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "[::1]:{}", "localhost:{}", "192.0.2.7", "hub.example.org:{}"])
def test_who_asks_for_this_machine(port, host):
    assert status(asked(port, host.format(port))) == 200


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/"])
@pytest.mark.parametrize("host", ["evil.example:{}", "localhost.evil.example", "127.0.0.1.evil.example:{}", "[", "a@b"])
def test_dns_rebinding(port, host, path):
    answer = asked(port, host.format(port), path)
    assert status(answer) == 403
    assert b"--origin" in answer


def test_an_http_1_0_client_without_a_host_header(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert status(client.makefile("rb").read()) == 200
