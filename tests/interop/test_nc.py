"""nc and socat as people and scripts use them: one line in, an answer out, the end of input, a tail that is killed."""

from __future__ import annotations

import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from hostile.oracle import wait_for_descriptors
from interop.clients import Program, Tcp
from running import Daemon

WATCH = '''
from hubbub import Handler

class Watch(Handler):
    """Tell on `gone` which client has gone."""

    def peer_left(self, peer):
        self.publish("gone", str(peer.port))
'''
SHELLS = 8
ROUNDS = 125


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "watch.py").write_text(WATCH)
    with Daemon("--tcp", "tcp:0", "--handler", "watch", "--plugin-dir", str(folder)) as running:
        yield running


@pytest.fixture
def nc(daemon, need):
    host, port = daemon.tcp[0]
    return [need("nc"), "-N", host, str(port)]


def say(nc, text):
    """`printf TEXT | nc -N HOST PORT`."""
    return subprocess.run(nc, input=text, capture_output=True, text=True, timeout=30, check=False).stdout


def test_ping_is_answered_a_thousand_times_of_a_thousand(nc):
    script = rf"for i in $(seq {ROUNDS}); do printf 'PING\n' | {shlex.join(nc)}; done"
    run = lambda _: subprocess.run(["sh", "-c", script], capture_output=True, timeout=50, check=True)  # noqa: E731
    with ThreadPoolExecutor(SHELLS) as pool:
        answers = b"".join(done.stdout for done in pool.map(run, range(SHELLS)))
    assert answers == b"PONG\n" * (SHELLS * ROUNDS)


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("PING", "PONG\n"),
        ("PING\r\nping", "PONG\nPONG\n"),
        ("SUB nc/end\nUNSUB nc/end\nPING", "OK SUB nc/end\nOK UNSUB nc/end\nPONG\n"),
        ("QUIT\n", "BYE\n"),
        ("QUIT", "BYE\n"),
        ("PING\nQUIT\nPING\n", "PONG\nBYE\n"),
        ("SUB nc/end\nQUIT\n", "OK SUB nc/end\nBYE\n"),
        ("", ""),
        ("REQ nc/nobody x", "ERR no-responders no client is subscribed to that topic\n"),
    ],
)
def test_what_is_asked_before_the_end_of_input_is_answered(nc, said, answered):
    assert say(nc, said) == answered


def test_what_is_published_before_the_end_of_input_arrives(daemon, nc):
    with Tcp(daemon.tcp[0]) as client:
        assert client.ask("SUB nc/last") == "OK SUB nc/last"
        assert say(nc, "PUB nc/last 1\nPUB nc/last 2") == ""
        client.expect("MSG nc/last 1")
        client.expect("MSG nc/last 2")


@pytest.mark.parametrize("program", ["nc", "socat"])
def test_a_subscriber_tails_after_its_end_of_input(daemon, nc, need, program):
    host, port = daemon.tcp[0]
    command = nc if program == "nc" else [need("socat"), "-t60", "-", f"TCP:{host}:{port}"]
    with Program(*command) as tail, Tcp(daemon.tcp[0]) as client:
        tail.send(f"SUB {program}/#")
        tail.hang_up()
        tail.expect(f"OK SUB {program}/#")
        for count in range(100):
            client.send(f"PUB {program}/tail {count}")
            tail.expect(f"MSG {program}/tail {count}")


def test_a_link_goes_when_nc_is_killed(daemon, nc):
    """One with a subscription may as well have ended its input only; what is sent to it tells the difference."""
    with Tcp(daemon.tcp[0]) as observer, Program(*nc) as idle, Program(*nc) as open_tail, Program(*nc) as tail:
        observer.send("SUB gone")
        observer.expect("OK SUB gone")
        idle.send("PING")
        idle.expect("PONG")
        for program in (open_tail, tail):
            program.send("SUB quiet/#")
            program.expect("OK SUB quiet/#")
        tail.hang_up()
        observer.send("PUB quiet/x still there")
        for program in (open_tail, tail):
            program.expect("MSG quiet/x still there")
        links = daemon.descriptors()
        idle.close()
        assert observer.line().startswith("MSG gone ")
        wait_for_descriptors(daemon, links - 1)
        for program in (open_tail, tail):
            program.close()
        observer.send("PUB quiet/x gone?", "PING")  # what nobody reads any more is answered with a reset
        observer.expect("PONG")
        observer.send("PUB quiet/x gone?")
        for _ in (open_tail, tail):
            assert observer.line().startswith("MSG gone ")
        assert daemon.descriptors() == links - 3
