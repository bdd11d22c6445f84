"""HTTP on a WebSocket listener: what isn't a WebSocket, and how a page that is refused is seen."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest

from running import Daemon
from system.clients import WebSocketClient, connect, received, status, upgrade
from system.controlled import Controlled, output

ELSEWHERE = (
    "pages of http://app.example may not connect here; start hubbub with --origin http://app.example to let them"
)


@pytest.fixture(scope="module")
def daemon():
    with Daemon("--websocket", "tcp:0") as running:
        yield running


def ask(daemon, request):
    """Send a request, and return all that comes."""
    with connect(daemon.websocket[0]) as client:
        client.sendall(request)
        return b"".join(iter(lambda: received(client), b""))


# HTTP


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (upgrade("127.0.0.1").replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
        (upgrade("127.0.0.1", method="POST"), 405),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET /x HTTP/1.0\r\n\r\n", 404),
        (b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ],
    ids=["upgrade of 1.0", "upgrade by POST", "page", "no page", "method"],
)
def test_what_is_no_handshake(daemon, request_, code):
    assert status(ask(daemon, request_)) == code


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/nothing"])
def test_head_is_get_without_the_body(daemon, path):
    """And writes nothing into the log."""
    head, get = (
        ask(daemon, f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()).partition(b"\r\n\r\n")
        for method in ("HEAD", "GET")
    )
    assert status(head[0]) == status(get[0])
    assert head[2] == b""
    lengths = [line for line in head[0].split(b"\r\n") if line.lower().startswith(b"content-length")]
    assert len(lengths) == 1
    if path != "/metrics":  # whose figures change
        assert int(lengths[0].partition(b":")[2]) == len(get[2])
    assert "HEAD" not in daemon.log


def test_head_with_an_upgrade_is_head(daemon):
    assert status(ask(daemon, upgrade("127.0.0.1", method="HEAD"))) == 200


# The console


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/console/main.js", "text/javascript"),
        ("/console/style.css", "text/css"),
        ("/client/hubbub.js", "text/javascript"),
    ],
)
def test_the_files_of_the_console(daemon, path, kind):
    """No script of another place, and nothing is sent again that the browser has."""
    said = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    answer = ask(daemon, said.encode() + b"\r\n").decode()
    head = dict(line.lower().split(": ", 1) for line in answer.partition("\r\n\r\n")[0].split("\r\n")[1:])
    assert head["content-type"] == f"{kind}; charset=utf-8"
    assert head["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in head["content-security-policy"]
    assert head["x-content-type-options"] == "nosniff"
    again = ask(daemon, f"{said}If-None-Match: {head['etag']}\r\n\r\n".encode())
    assert status(again) == 304
    assert again.endswith(b"\r\n\r\n")


def test_its_files_come_over_one_connection_and_other_pages_say_that_theirs_ends(daemon):
    get = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answers = ask(daemon, "".join(get.format(path) for path in ("/console/main.js", "/console/hub.js", "/")).encode())
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"Connection: close") == 1


def test_no_other_file(daemon):
    for path in (
        "/console/",
        "/client/core.py",
        "/client/../core.py",
        "/console/nothing.js",
        "/console/../console.py",
        "/console/%2e%2e/console.py",
    ):
        assert status(ask(daemon, f"GET {path} HTTP/1.0\r\n\r\n".encode())) == 404


# Pages that may not connect


def knock(daemon, origin):
    host, port = daemon.websocket[0]
    answer = ask(daemon, upgrade(f"{host}:{port}", f"Origin: {origin}"))
    assert status(answer) == 403
    return answer.rpartition(b"\r\n\r\n")[2].decode()


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        ("http://app.example", f"P{ELSEWHERE[1:]}.\n"),
        ("capacitor://localhost", "--origin capacitor://localhost to let them.\n"),
        ("file://", "--origin file:// to let them.\n"),
        ("null", "--origin null lets them, and with them every page, as any page can open such a frame.\n"),
        ("", "The Origin header is empty.\n"),
        ("http://[", "The Origin or the Host header is malformed.\n"),
    ],
)
def test_the_answer_says_what_to_do(daemon, origin, says):
    assert knock(daemon, origin).endswith(says)


@pytest.mark.parametrize("origin", ["capacitor://localhost", "file://", "null", "http://app.example"])
def test_what_it_says_helps(origin):
    with Daemon("--websocket", "tcp:0", "--origin", origin) as daemon:
        with WebSocketClient(daemon.websocket[0], f"Origin: {origin}") as client:
            assert client.ask("PING") == "PONG"


def test_the_log_says_so_and_not_each_time():
    with Daemon("--websocket", "tcp:0:id=web") as daemon:
        for _ in range(20):
            knock(daemon, "http://app.example")
        daemon.wait_for("web: page 16 refused")
        lines = [line for line in daemon.log.splitlines() if "refused" in line]
    assert [json.loads(line)["count"] for line in lines] == [1, 2, 4, 8, 16]
    assert f"web: page 1 refused, in a browser at 127.0.0.1: {ELSEWHERE}" in lines[0]


def test_status_and_metrics_count_them_and_a_trace_shows_them(tmp_path):
    with Controlled(tmp_path, "--websocket", "tcp:0:id=web", "--tcp", "tcp:0:id=a") as daemon:
        command = [sys.executable, "-m", "hubbub", "trace", "--listener", "{}", "--control", str(daemon.control)]
        traces = [
            subprocess.Popen([word.format(id) for word in command], stdout=subprocess.PIPE, text=True)
            for id in ("web", "a")
        ]
        for trace in traces:
            assert trace.stdout.readline().startswith("tracing ")
        knock(daemon, "http://app.example")
        assert traces[0].stdout.readline()[13:] == f"web 127.0.0.1 refused: {ELSEWHERE}\n"
        text = output(daemon.ask("status"))
        metrics = ask(daemon, b"GET /metrics HTTP/1.0\r\n\r\n").decode()
        for trace in traces:
            trace.send_signal(signal.SIGINT)
        assert traces[1].communicate()[0] == ""
        traces[0].communicate()
    assert "\nrefused   1 (1 origin)\n" in text
    assert 'hubbub_refused_total{listener="web",reason="origin",transport="websocket"} 1.0' in metrics


@pytest.mark.parametrize(
    ("options", "host", "refused"),
    [
        ((), "hub.example", True),
        ((), "hub.example:8999", True),
        ((), "127.0.0.1:8999", False),
        ((), "localhost", False),
        ((), "[::1]:8999", False),
        (("--origin", "hub.example"), "hub.example:8999", False),
        (("--origin", "https://hub.example"), "hub.example", False),
        (("--origin", "https://hub.example"), "hub.example:8999", True),
    ],
)
def test_the_page_says_why_its_own_socket_will_be_refused(options, host, refused):
    with Daemon("--websocket", "tcp:0", *options) as daemon:
        answer = ask(daemon, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).decode()
    assert (
        f"may not connect here; start hubbub with --origin {host.partition(':8')[0]} to let them." in answer
    ) == refused


def test_tls_listens_on_127_0_0_1(tmp_path):
    """As each listener does that names no interface."""
    from certificates import Authority

    authority = Authority(tmp_path)
    authority.issue("names/localhost.pem", "localhost", ("localhost", "127.0.0.1"))
    with Daemon("--tcp", f"tls:{tmp_path}/names:0") as daemon:
        assert daemon.tcp[0][0] == "127.0.0.1"
        with socket.create_connection(daemon.tcp[0]):
            pass
