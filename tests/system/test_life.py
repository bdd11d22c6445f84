"""The life of a daemon: it opens what was asked for, says once that it is ready, and goes politely."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time

import pytest

from hubbub import limits
from ports import default_ports
from running import TWISTD, Daemon, LineClient
from system.clients import CLOSE, WebSocketClient, connect, status, upgrade

DRAIN = 4  # seconds, what is given as --drain


def stop(daemon: Daemon) -> float:
    """Stop it politely. Returns the seconds that it took."""
    before = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.wait(20)
    return time.monotonic() - before


@pytest.mark.parametrize("command", [{}, {"command": TWISTD}], ids=["hubbub run", "twistd -n hubbub"])
def test_without_options(command, tmp_path):
    with default_ports(), Daemon(folder=tmp_path, **command) as daemon:
        assert daemon.tcp == daemon.udp == [("127.0.0.1", 6999)]
        assert daemon.websocket == [("127.0.0.1", 8999)]
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("PING") == "PONG"
        stop(daemon)
    assert daemon.process.returncode == 0
    assert daemon.log.count("ready: ") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "kind"), [(None, "hubbub.service.process.reactor.HubbubReactor"), ("asyncio", "AsyncioSelectorReactor")]
)
def test_twistd_has_the_reactor_of_hubbub_or_the_one_that_it_names(option, kind):
    named = () if option is None else (f"--reactor={option}",)
    with Daemon("--tcp", "tcp:0", command=(*TWISTD[:-2], *named, *TWISTD[-2:])) as daemon:
        assert re.search(rf"reactor class: [\w.]*{kind}", daemon.log)
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("PING") == "PONG"


def test_ready_means_open(tmp_path, ipv6):
    """When the line is there each listener answers, and the line came once."""
    options = ("--tcp", "tcp:0", "--tcp", "tcp6:0:id=six", "--tcp", f"unix:{tmp_path}/hub.sock")
    with Daemon(*options, "--udp", "udp:0", "--websocket", "tcp:0") as daemon:
        assert [host for host, _ in daemon.tcp] == ["127.0.0.1", "::1"]
        for address in (*daemon.tcp, str(tmp_path / "hub.sock")):
            with LineClient(address) as client:
                assert client.ask("PING") == "PONG"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(30)
            client.sendto(b"PING\n", daemon.udp[0])
            assert client.recv(100) == b"PONG 0"
        with WebSocketClient(daemon.websocket[0]) as client:
            assert client.ask("PING") == "PONG"
    assert daemon.log.count("ready: ") == 1


def test_sigterm_says_goodbye(tmp_path):
    spec = f"unix:{tmp_path}/hub.sock"
    with Daemon("--tcp", "tcp:0", "--tcp", spec, "--websocket", "tcp:0") as daemon:
        with (
            LineClient(daemon.tcp[0]) as lines,
            LineClient(daemon.tcp[0]) as json,
            LineClient(str(tmp_path / "hub.sock")) as unix,
            WebSocketClient(daemon.websocket[0]) as web,
        ):
            for client in (lines, unix, web):
                assert client.ask("PING") == "PONG"
            assert json.ask('{"op":"ping"}') == '{"op":"pong"}'
            daemon.process.send_signal(signal.SIGTERM)
            assert lines.line() == unix.line() == web.line() == "BYE"
            assert json.line() == '{"op":"bye"}'
            assert lines.ended()
            assert json.ended()
            assert unix.ended()
            opcode, data = web.receive()
            assert (opcode, data[:2]) == (CLOSE, (1012).to_bytes(2, "big"))
        daemon.process.wait(20)
    assert daemon.process.returncode == 0
    assert not list(tmp_path.iterdir())


def test_no_client_keeps_it_from_stopping():
    """Neither a client that doesn't close, nor one that doesn't read: it waits a little, and goes."""
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", "--drain", f"{DRAIN}s") as daemon:
        with LineClient(daemon.tcp[0]) as idle, WebSocketClient(daemon.websocket[0]) as web, stuck(daemon):
            assert idle.ask("PING") == web.ask("PING") == "PONG"
            assert DRAIN <= stop(daemon) < DRAIN + 5
    assert daemon.process.returncode == 0
    assert "Traceback" not in daemon.log


def test_a_device_that_never_closes_its_side_delays_no_shutdown():
    """Its machine has the last word: nothing is lost by not waiting for it to close."""
    with Daemon("--tcp", "tcp:0") as daemon, LineClient(daemon.tcp[0]) as device:
        assert device.ask("PING") == "PONG"
        assert stop(daemon) < limits.CLOSE_SECONDS
        assert device.line() == "BYE"
    assert daemon.process.returncode == 0


def test_a_client_on_the_way_to_a_websocket_gets_a_goodbye_too():
    """It was let in before the stop, and asks for its upgrade after it: the next daemon never hears of it."""
    with Daemon("--websocket", "tcp:0") as daemon, connect(daemon.websocket[0]) as late:
        asked = upgrade("127.0.0.1")
        late.sendall(asked[:20])
        with WebSocketClient(daemon.websocket[0]) as client:  # so `late` has been accepted
            assert client.ask("PING") == "PONG"
            daemon.process.send_signal(signal.SIGTERM)
            assert client.line() == "BYE"
            assert client.closed() == 1012
        late.sendall(asked[20:])
        with WebSocketClient.__new__(WebSocketClient) as other:
            other.socket, other.reader = late, late.makefile("rb")
            assert status(other.response()) == 101
            assert other.closed() == 1012
        daemon.process.wait(20)
    assert daemon.process.returncode == 0
    assert "Traceback" not in daemon.log


def test_a_client_on_the_way_to_a_listener_that_a_reload_removes_gets_a_goodbye_too(tmp_path):
    config = tmp_path / "hubbub.toml"
    config.write_text('tcp = ["tcp:0"]\nwebsocket = ["tcp:0"]\n')
    with Daemon("--config", str(config)) as daemon, connect(daemon.websocket[0]) as late:
        asked = upgrade("127.0.0.1")
        late.sendall(asked[:20])
        WebSocketClient(daemon.websocket[0]).close()
        config.write_text('tcp = ["tcp:0"]\n')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("reloaded: listener websocket-0 removed")
        late.sendall(asked[20:])
        with WebSocketClient.__new__(WebSocketClient) as other:
            other.socket, other.reader = late, late.makefile("rb")
            assert status(other.response()) == 101
            assert other.closed() == 1012


PID_FILE = (*TWISTD[:-1], "--pidfile=hub.pid", TWISTD[-1])


@pytest.mark.parametrize("command", [{}, {"command": PID_FILE}], ids=["run", "twistd"])
def test_a_second_sigterm_ends_it_at_once_and_leaves_no_file(command, tmp_path):
    options = ("--tcp", "tcp:0", "--tcp", f"unix:{tmp_path}/hub.sock", "--control", str(tmp_path / "control"))
    with Daemon(*options, folder=tmp_path, **command) as daemon, stuck(daemon):
        assert len(list(tmp_path.iterdir())) >= 3  # Twisted has a lock beside a Unix socket
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("stopping: SIGTERM")
        assert stop(daemon) < limits.DRAIN_SECONDS / 2
        assert daemon.process.returncode == -signal.SIGTERM
        assert not list(tmp_path.iterdir())
    assert "Traceback" not in daemon.log


def test_a_second_sigterm_ends_one_that_is_stuck(tmp_path):
    (tmp_path / "stuck.py").write_text(
        "import time\nfrom hubbub import Handler, on\n\nclass Stuck(Handler):\n"
        "    @on('stuck')\n    def stuck(self, message):\n        print('it is stuck')\n        time.sleep(600)\n"
    )
    options = ("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "stuck")
    with Daemon(*options) as daemon, LineClient(daemon.tcp[0]) as client:
        client.send("PUB stuck x")
        daemon.wait_for("it is stuck")
        daemon.process.send_signal(signal.SIGINT)  # two of one number that nobody has looked at yet are one
        assert stop(daemon) < limits.DRAIN_SECONDS / 2
    assert daemon.process.returncode == -signal.SIGALRM


@contextlib.contextmanager
def stuck(daemon: Daemon):
    """A client that has more waiting for it than it reads."""
    with LineClient(daemon.tcp[0]) as client, LineClient(daemon.tcp[0]) as other:
        assert client.ask("SUB stuck") == "OK SUB stuck"
        other.send(*["PUB stuck " + "x" * 1_000_000] * 12)
        assert other.ask("PING") == "PONG"
        yield


def test_sigint_is_like_sigterm():
    with Daemon("--tcp", "tcp:0") as daemon, LineClient(daemon.tcp[0]) as client:
        assert client.ask("PING") == "PONG"
        daemon.process.send_signal(signal.SIGINT)
        assert client.line() == "BYE"
        assert client.ended()
        client.close()
        daemon.process.wait(20)
    assert daemon.process.returncode == 0


def test_sighup_is_survived():
    with Daemon("--tcp", "tcp:0") as daemon, LineClient(daemon.tcp[0]) as client:
        for _ in range(2):
            daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("SIGHUP")
        assert client.ask("PING") == "PONG"
        with LineClient(daemon.tcp[0]) as other:
            assert other.ask("PING") == "PONG"
    assert daemon.process.returncode == 0


def test_files_and_options(tmp_path):
    """The file, conf.d beside it, a plugin folder beside it; an option takes the place of its list."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/shout.py").write_text(
        "from hubbub import Handler, on\n\nclass Shout(Handler):\n"
        "    @on('shout')\n    def shout(self, message):\n        message.reply(message.text + '!')\n"
    )
    (tmp_path / "hubbub.toml").write_text(
        '[[tcp]]\nendpoint = "tcp:0"\nid = "first"\n\n[[udp]]\nendpoint = "udp:0"\n\n[[handler]]\nname = "shout"\n'
    )
    (tmp_path / "conf.d/10-more.toml").write_text(
        'plugin-dir = ["../mine"]\n\n[[tcp]]\nendpoint = "tcp:0"\nid = "more"\n'
    )
    (tmp_path / "conf.d/20-off.toml.bak").write_text("nonsense")
    with Daemon("--config", "hubbub.toml", "--udp", "udp:0:interface=127.0.0.2", folder=tmp_path) as daemon:
        assert len(daemon.tcp) == 2
        assert [host for host, _ in daemon.udp] == ["127.0.0.2"]
        for address in daemon.tcp:
            with LineClient(address) as client:
                assert client.ask("PUB shout hey") == "MSG shout hey!"


def test_two_in_one_folder(tmp_path):
    with Daemon("--tcp", "tcp:0", folder=tmp_path) as one, Daemon("--tcp", "tcp:0", folder=tmp_path) as two:
        for daemon in (one, two):
            with LineClient(daemon.tcp[0]) as client:
                assert client.ask("PING") == "PONG"
    assert not list(tmp_path.iterdir())
