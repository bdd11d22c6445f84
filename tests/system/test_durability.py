"""`--state`: what a daemon that was killed has promised, the next one keeps."""

from __future__ import annotations

import resource
import signal
import subprocess

from hub_process import hubbub
from running import Daemon, LineClient

AWAY = ("-V", "5", "-c", "-x", "3600", "-i", "display", "-q", "1")


def mosquitto(command: str, daemon: Daemon, *arguments: str) -> str:
    port = str(daemon.tcp[0][1])
    done = subprocess.run(
        [f"mosquitto_{command}", "-p", port, *arguments], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout


def kill(daemon: Daemon) -> None:
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(30)


def test_what_was_acknowledged_outlives_the_process(tmp_path):
    for durability in ("fsync", "process"):
        options = ("--tcp", "tcp:0", "--state", str(tmp_path / durability), "--durability", durability)
        with Daemon(*options) as daemon:
            assert f"kept in {tmp_path / durability}, durability {durability}" in daemon.log
            mosquitto("sub", daemon, *AWAY, "-t", "a/#", "-E")
            mosquitto("pub", daemon, "-q", "1", "-t", "a/1", "-m", "once")
            mosquitto("pub", daemon, "-q", "2", "-t", "a/2", "-m", "exactly", "-r")
            kill(daemon)
        with Daemon(*options) as daemon:
            assert mosquitto("sub", daemon, *AWAY, "-t", "a/#", "-C", "2", "-v") == "a/1 once\na/2 exactly\n"
            assert mosquitto("sub", daemon, "-t", "a/2", "-C", "1") == "exactly\n"


def test_a_polite_end_keeps_everything_in_one_file(tmp_path):
    options = ("--tcp", "tcp:0", "--state", str(tmp_path / "state"))
    with Daemon(*options) as daemon, LineClient(daemon.tcp[0]) as client:
        client.send("PUB! a 1")
        assert client.ask("PING") == "PONG"
    assert daemon.process.returncode == 0
    assert sorted(one.name for one in (tmp_path / "state").iterdir()) == ["hubbub.db", "lock"]
    with Daemon(*options) as daemon, LineClient(daemon.tcp[0]) as client:
        client.send("SUB a")
        assert [client.line(), client.line()] == ["OK SUB a", "MSG a 1"]


def test_two_daemons_on_one_folder(tmp_path):
    options = ("--tcp", "tcp:0", "--state", str(tmp_path / "state"))
    with Daemon(*options):
        second = hubbub("run", *options)
    assert second.returncode == 1
    assert f"hubbub: --state {tmp_path / 'state'}: another daemon has it; each needs a folder of its own" in (
        second.stderr.splitlines()
    )


def test_the_queue_of_a_bridge_outlives_the_process_and_ends_with_its_option(tmp_path):
    state = ("--state", str(tmp_path / "state"), "--control", str(tmp_path / "control.sock"))
    with Daemon("--tcp", "tcp:0") as far:
        port = far.tcp[0][1]
    bridge = ("--connect", f"tcp:127.0.0.1:{port}:id=far:dialect=mqtt:push=a/#")
    with Daemon("--tcp", "tcp:0", *bridge, *state) as daemon:
        mosquitto("pub", daemon, "-q", "1", "-t", "a/1", "-m", "before")
        kill(daemon)
    with Daemon("--tcp", f"tcp:{port}") as far, LineClient(far.tcp[0]) as ear:
        assert ear.ask("SUB a/#") == "OK SUB a/#"
        with Daemon("--tcp", "tcp:0", *bridge, *state):
            assert ear.line() == "MSG a/1 before"
    with Daemon("--tcp", "tcp:0", *state):
        text = hubbub("status", "--control", tmp_path / "control.sock").stdout
    assert "sessions  0 offline, 0 messages queued" in text


def test_without_a_folder_the_log_says_so():
    with Daemon("--tcp", "tcp:0") as daemon:
        assert "are kept in memory, and end with this process; --state DIR keeps them" in daemon.log


def test_mistakes_are_one_line(tmp_path):
    for options, mistake in (
        (("--durability", "some"), "--durability some: expected fsync or process"),
        (("--state", tmp_path / "no" / "such"), f"--state {tmp_path / 'no' / 'such'}: there is no folder"),
    ):
        done = hubbub("check", "--tcp", "tcp:0", *options)
        assert done.returncode == 1
        assert mistake in done.stderr


def test_a_disk_that_takes_nothing_and_then_does_again(tmp_path):
    """The daemon may write no file beyond its length now: EFBIG, where a full disk says ENOSPC."""
    state = tmp_path / "state"
    with Daemon("--tcp", "tcp:0", "--state", str(state), "--control", str(tmp_path / "control.sock")) as daemon:
        mosquitto("sub", daemon, *AWAY, "-t", "a", "-E")
        length = (state / "hubbub.db-wal").stat().st_size
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))
        with LineClient(daemon.tcp[0]) as ear:
            assert ear.ask("SUB plain") == "OK SUB plain"
            publisher = subprocess.Popen(
                ["mosquitto_pub", "-p", str(daemon.tcp[0][1]), "-q", "1", "-t", "a", "-m", "kept"]
            )
            daemon.wait_for("the store can't write, so hubbub acknowledges nothing that it must store: ")
            mosquitto("pub", daemon, "-t", "plain", "-m", "live")
            assert ear.line() == "MSG plain live"
            assert publisher.poll() is None
            ear.send("SUB $SYS/broker/store/failing")
            assert ear.line() == "OK SUB $SYS/broker/store/failing"
            assert ear.line().startswith(f"MSG $SYS/broker/store/failing {state / 'hubbub.db'}: ")
        assert "; NOTHING CAN BE WRITTEN: " in hubbub("status", "--control", tmp_path / "control.sock").stdout
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert publisher.wait(20) == 0
        daemon.wait_for("the store writes again")
        assert daemon.log.count("the store can't write") == 1
        assert mosquitto("sub", daemon, *AWAY, "-t", "a", "-C", "1") == "kept\n"


def test_a_damaged_file(tmp_path):
    state = tmp_path / "state"
    options = ("--tcp", "tcp:0", "--state", str(state))
    with Daemon(*options):
        pass
    (state / "hubbub.db").write_bytes(b"x" * 100_000)
    refused = hubbub("run", *options, "--on-damage", "refuse")
    assert refused.returncode == 1
    assert f"hubbub: {state / 'hubbub.db'} is damaged: " in refused.stderr
    with Daemon(*options) as daemon:
        assert f"{state / 'hubbub.db'} is damaged: " in daemon.log
    (aside,) = [one for one in state.iterdir() if ".damaged-" in one.name]
    assert aside.read_bytes() == b"x" * 100_000
