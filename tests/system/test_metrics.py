"""The figures of a real daemon: at their own endpoint, and to this machine alone at a WebSocket listener."""

from __future__ import annotations

import http.client
import re
import signal
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub_process import hubbub
from ports import free_port
from running import Daemon, LineClient
from system.clients import WebSocketClient, received


def get(port, path, host="127.0.0.1", **headers):
    one = http.client.HTTPConnection(host, port, timeout=30)
    try:
        one.request("GET", path, headers=headers)
        answer = one.getresponse()
        return answer.status, answer.read().decode()
    finally:
        one.close()


def metrics(port):
    status, text = get(port, "/metrics")
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found[one.name, frozenset(one.labels.items())] = one.value
    return found


def value(found, name, **labels):
    return sum(number for (one, said), number in found.items() if one == name and labels.items() <= dict(said).items())


@pytest.fixture(scope="module")
def daemon():
    port = free_port()
    with Daemon(
        "--tcp", "tcp:0:id=lines", "--udp", "udp:0:id=udp", "--websocket", "tcp:0:id=web",
        "--metrics", f"tcp:{port}", "--limit", "handshake=300ms",
    ) as running:  # fmt: skip
        running.metrics = port
        yield running


def test_a_message_over_every_transport_is_counted(daemon):
    before = metrics(daemon.metrics)
    with (
        LineClient(daemon.tcp[0]) as reader,
        WebSocketClient(daemon.websocket[0], protocol="hubbub.lines") as page,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        assert reader.ask("SUB m/#") == "OK SUB m/#"
        sender.connect(daemon.udp[0])
        sender.send(b"PUB m/udp 1")
        assert reader.line() == "MSG m/udp 1"
        page.send("PUB m/page 2")
        assert reader.line() == "MSG m/page 2"
        reader.send("PUB m/own 3", "PUB nobody/hears 4")
        assert reader.line() == "MSG m/own 3"
        found = metrics(daemon.metrics)
        assert value(found, "hubbub_links", listener="lines", transport="tcp", dialect="lines") == 1
        assert value(found, "hubbub_links", listener="web", transport="websocket", dialect="lines") == 1
        assert value(found, "hubbub_connections") >= 2

    def grown(name, **labels):
        return value(found, name, **labels) - value(before, name, **labels)

    assert grown("hubbub_sent_messages_total", listener="lines") == 3
    said = "OK SUB m/#\nMSG m/udp 1\nMSG m/page 2\nMSG m/own 3\n"
    assert grown("hubbub_sent_bytes_total", listener="lines") == len(said)
    assert grown("hubbub_received_messages_total", listener="udp") == 1
    assert grown("hubbub_received_bytes_total", listener="udp") == len("PUB m/udp 1")
    assert grown("hubbub_messages_published_total") == 4
    assert grown("hubbub_messages_unrouted_total") == 1
    assert grown("hubbub_latency_seconds_count") == 3
    assert grown("hubbub_latency_seconds_sum") < 60
    assert value(found, "hubbub_build_info") == 1
    assert value(found, "process_open_fds") > 5
    kernel = frozenset({("listener", "udp"), ("transport", "udp"), ("reason", "kernel")})
    assert ("hubbub_datagrams_dropped_total", kernel) in found


def test_health_and_what_is_not_there(daemon):
    assert get(daemon.metrics, "/healthz") == (200, "alive\n")
    assert get(daemon.metrics, "/readyz") == (200, "ready\n")
    assert get(daemon.metrics, "/")[0] == 404
    with socket.create_connection(("127.0.0.1", daemon.metrics), timeout=30) as one:
        one.sendall(b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert one.recv(100).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 200),
    ({"Host": "localhost:8999"}, 200),
    ({"Host": "rebound.example"}, 404),
    ({"X-Forwarded-For": "127.0.0.1"}, 404),
    ({"Via": "1.1 proxy"}, 404),
])  # fmt: skip
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_a_websocket_listener_shows_them_to_this_machine(daemon, path, headers, status):
    assert get(daemon.websocket[0][1], path, **headers)[0] == status


def test_a_websocket_listener_shows_them_to_loopback_alone(own_address):
    with Daemon("--websocket", "tcp:0:interface=0.0.0.0:anonymous=yes") as daemon:
        port = daemon.websocket[0][1]
        assert get(port, "/metrics")[0] == 200
        assert get(port, "/metrics", host=own_address)[0] == 404
        assert get(port, "/", host=own_address)[0] == 200


@pytest.fixture
def own_address():
    """An address of this machine that isn't loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # sends nothing
        except OSError as error:
            pytest.skip(f"this machine has loopback alone: {error.strerror}")
        return one.getsockname()[0]


def test_a_handler_that_takes_too_long_is_counted(daemon):
    before = value(metrics(daemon.metrics), "hubbub_links_cut_total", listener="web", reason="handshake")
    with socket.create_connection(daemon.websocket[0], timeout=30) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert received(slow) == b""
    found = metrics(daemon.metrics)
    assert value(found, "hubbub_links_cut_total", listener="web", reason="handshake") == before + 1


def test_what_a_udp_connector_loses_is_counted():
    port = free_port()
    connector = "udp:127.0.0.1:9:id=gps:subscribe=gps"
    with Daemon("--tcp", "tcp:0", "--connect", connector, "--metrics", f"tcp:{port}") as one:
        one.wait_for("gps: connected")
        with LineClient(one.tcp[0]) as client:
            client.send("PUBB gps " + "AAAA" * 22_000)  # longer than a datagram
            assert client.ask("PING") == "PONG"
        found = metrics(port)
        assert value(found, "hubbub_datagrams_dropped_total", listener="gps", reason="unsent") == 1
        reasons = {dict(said)["reason"] for name, said in found if name == "hubbub_datagrams_dropped_total"}
        assert reasons == {"unsent", "kernel"}


def test_it_is_alive_but_not_ready_while_it_stops():
    port = free_port()
    with Daemon("--tcp", "tcp:0", "--metrics", f"tcp:{port}", "--drain", "20s") as daemon:
        with socket.create_connection(daemon.tcp[0], timeout=20) as client:
            client.sendall(b"SUB a\n")
            assert client.recv(100) == b"OK SUB a\n"
            daemon.process.send_signal(signal.SIGTERM)
            assert client.recv(100) == b"BYE\n"  # and it doesn't close its side
            assert get(port, "/healthz")[0] == 200
            assert get(port, "/readyz") == (503, "not ready\n")


@pytest.mark.parametrize(("spec", "says"), [
    ("9100", "--metrics 9100: unknown endpoint kind '9100', there are tcp "),
    ("tcp:9100:dialect=lines", "--metrics tcp:9100:dialect=lines: unknown key dialect="),
    ("tcp:9100:interface=198.51.100.1", "can't listen: Cannot assign requested address"),
])  # fmt: skip
def test_a_mistake_is_one_line(spec, says):
    done = hubbub("run", "--tcp", "tcp:0", "--metrics", spec)
    assert done.returncode == 1
    line = [one for one in done.stderr.splitlines() if one.startswith("hubbub: ")]
    assert len(line) == 1
    assert says in line[0]
    assert "Traceback" not in done.stderr
    assert not re.search("ready: ", done.stdout)


def test_the_endpoint_moves_with_a_reload(tmp_path):
    old, new = free_port(), free_port()
    file = tmp_path / "hubbub.toml"
    text = 'metrics = "tcp:{}"\ntcp = ["tcp:0"]\n[limits]\nsubscriptions = {}\n'
    file.write_text(text.format(old, 5))
    with Daemon("--config", str(file)) as daemon, LineClient(daemon.tcp[0]) as client:
        assert get(old, "/healthz")[0] == 200
        client.send("SUB a", "SUB b")
        assert [client.line(), client.line()] == ["OK SUB a", "OK SUB b"]
        file.write_text(text.format(new, 2))
        daemon.process.send_signal(signal.SIGHUP)
        said = daemon.wait_for("reloaded: ")
        assert "limits" in said
        assert "metrics" in said
        assert get(new, "/healthz")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            get(old, "/healthz")
        assert client.ask("SUB c").startswith("ERR quota one client may have 2 subscriptions")
