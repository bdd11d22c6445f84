"""A daemon and its supervisor: a socket that reads what systemd would."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest

from ports import free_port
from running import RUN, Daemon, LineClient

STUCK = """
import time
from hubbub import Handler, on

class Stuck(Handler):
    @on("stuck")
    def stuck(self, message):
        time.sleep(4)
"""


class Supervisor:
    """What systemd does for a service of Type=notify, as far as a socket goes."""

    def __init__(self, folder) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.address = str(folder / "notify")

    def command(self, watchdog: float | None = None) -> tuple[str, ...]:
        more = [] if watchdog is None else [f"WATCHDOG_USEC={int(watchdog * 1e6)}"]
        return ("env", f"NOTIFY_SOCKET={self.address}", *more, *RUN)

    def reported(self, seconds: float = 20) -> str | None:
        """The next notification, None if there is none in that time."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(tmp_path)
    yield made
    made.socket.close()


def test_ready_means_that_all_listeners_are_open(supervisor):
    taken = free_port()
    specs = ("--tcp", f"tcp:{taken}", "--websocket", "tcp:0", "--udp", "udp:0")
    with Daemon(*specs, command=supervisor.command()) as daemon:
        assert supervisor.reported().startswith("READY=1\nSTATUS=serving, links: 0")
        with LineClient(("127.0.0.1", taken)) as client:
            assert client.ask("PING") == "PONG"
            daemon.process.send_signal(signal.SIGHUP)
            assert supervisor.reported().startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert supervisor.reported() == "READY=1\nSTATUS=serving, links: 1"
            daemon.process.send_signal(signal.SIGTERM)
            assert supervisor.reported() == "STOPPING=1\nSTATUS=draining, links: 1"
            assert client.line() == "BYE"
            assert client.ended()
        daemon.process.wait(20)
    assert daemon.process.returncode == 0


def test_a_daemon_that_can_not_listen_is_never_ready(supervisor):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        daemon = Daemon("--tcp", f"tcp:{taken.getsockname()[1]}", "--udp", "udp:0", command=supervisor.command())
        with pytest.raises(AssertionError, match="already in use"):
            daemon.__enter__()
    assert supervisor.reported(0.1) is None


def test_a_refused_reload_is_over_too(supervisor, tmp_path):
    """Else systemd would wait for its end."""
    config = tmp_path / "hubbub.toml"
    config.write_text('[[tcp]]\nendpoint = "tcp:0"\n')
    with Daemon("--config", str(config), command=supervisor.command()) as daemon:
        supervisor.reported()
        config.write_text("nonsense")
        daemon.process.send_signal(signal.SIGHUP)
        assert supervisor.reported().startswith("RELOADING=1")
        assert supervisor.reported().startswith("READY=1")
        daemon.wait_for("not reloaded")


def test_a_reactor_that_is_stuck_feeds_no_watchdog(supervisor, tmp_path):
    (tmp_path / "stuck.py").write_text(STUCK)
    options = ("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "stuck")
    with Daemon(*options, command=supervisor.command(watchdog=2)) as daemon, LineClient(daemon.tcp[0]) as client:
        assert supervisor.reported().startswith("READY=1")
        for _ in range(3):
            assert supervisor.reported(2) == "WATCHDOG=1"
        client.send("PUB stuck now")
        fed = []
        while (reported := supervisor.reported(2)) is not None:  # what was sent before the message had come
            fed.append(reported)
        assert len(fed) <= 2
        assert client.ask("PING") == "PONG", "it goes on by itself; systemd would have ended it by now"
        assert supervisor.reported(2) == "WATCHDOG=1"


def test_it_is_fed_while_draining(supervisor):
    with Daemon("--tcp", "tcp:0", "--drain", "4s", command=supervisor.command(watchdog=1)) as daemon:
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("PING") == "PONG"
            supervisor.reported()
            before = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)  # the client hears BYE, and doesn't close
            daemon.process.wait(20)
            drained = time.monotonic() - before
    reported = []
    while (one := supervisor.reported(0.1)) is not None:
        reported.append(one)
    after = reported[next(at for at, one in enumerate(reported) if one.startswith("STOPPING=1")) :]
    assert after.count("WATCHDOG=1") >= drained
    assert daemon.process.returncode == 0
    assert Path(supervisor.address).exists(), "it is the supervisor's"
