"""Open files: the limit is raised at the start, and at the limit clients are refused with a word, nobody spins."""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path

from hub_process import hubbub
from running import RUN, Daemon, LineClient

LIMIT = 128
# A shell's `ulimit -n`, soft and hard, then the daemon.
LIMITED = ("sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh", *RUN)


def limits_of(daemon: Daemon) -> list[str]:
    lines = Path(f"/proc/{daemon.process.pid}/limits").read_text().splitlines()
    return next(line for line in lines if line.startswith("Max open files")).split()[3:5]


def processor(daemon: Daemon) -> float:
    """Seconds of processor time that it has used."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_the_soft_limit_is_raised_to_the_hard_one():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    command = ("sh", "-c", 'ulimit -Sn 100; exec "$@"', "sh", *RUN)
    with Daemon("--tcp", "tcp:0", command=command) as daemon:
        soft, found = limits_of(daemon)
        assert soft == found == ("unlimited" if hard == resource.RLIM_INFINITY else str(hard))


def test_at_the_limit_clients_are_refused_politely_and_then_let_in_again(tmp_path):
    control = tmp_path / "control"
    options = ("--tcp", "tcp:0", "--websocket", "tcp:0", "--control", str(control))
    with Daemon(*options, command=LIMITED) as daemon, contextlib.ExitStack() as stack:
        first = stack.enter_context(LineClient(daemon.tcp[0]))
        assert first.ask("PING") == "PONG"
        answers = []
        for _ in range(LIMIT + 50):
            client = stack.enter_context(LineClient(daemon.tcp[0]))
            with contextlib.suppress(ConnectionError):  # it is refused before it asks
                client.send("PING")
            answers.append(client.reader.readline().decode())
        taken = answers.count("PONG\n")
        assert LIMIT // 2 < taken < LIMIT
        assert answers[:taken] == ["PONG\n"] * taken, "who is in stays in"
        assert all(answer.startswith("ERR unavailable ") for answer in answers[taken:]), answers[taken:]
        with socket.create_connection(daemon.websocket[0]) as web:
            web.settimeout(30)
            web.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert web.recv(100).startswith(b"HTTP/1.1 503 ")
        done = hubbub("status", "--control", control)
        assert done.returncode == 0, done.stderr
        assert first.ask("PING") == "PONG"
        assert daemon.descriptors() < LIMIT
        stack.pop_all().close()
        answer = ""
        for _ in range(200):  # until the daemon has seen that they have gone
            with LineClient(daemon.tcp[0]) as again, contextlib.suppress(ConnectionError):
                again.send("PING")
                answer = again.line()
            if answer == "PONG":
                break
        assert answer == "PONG"
        assert "Traceback" not in daemon.log


def test_without_any_descriptor_left_nothing_spins_and_all_recovers(tmp_path):
    """A plugin has taken them all: who connects is closed at once, in the kernel's queue nobody waits for nothing."""
    (tmp_path / "greedy.py").write_text(
        "import os\nfrom hubbub import Handler, on\n\nclass Greedy(Handler):\n    taken = []\n"
        "    @on('take')\n    def take(self, message):\n"
        "        try:\n            while True:\n                self.taken.append(os.open('/dev/null', os.O_RDONLY))\n"
        "        except OSError:\n            message.reply(str(len(self.taken)))\n"
        "    @on('give')\n    def give(self, message):\n"
        "        while self.taken:\n            os.close(self.taken.pop())\n        message.reply('0')\n"
    )
    options = ("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "greedy")
    with Daemon(*options, command=LIMITED) as daemon, LineClient(daemon.tcp[0]) as client:
        client.send("PUB take")
        assert int(client.line().removeprefix("MSG take ")) > 50
        before = processor(daemon)
        for _ in range(300):
            with LineClient(daemon.tcp[0]) as other:
                assert other.reader.read() == b""
        assert processor(daemon) - before < 2
        waiting = processor(daemon)
        for _ in range(100):
            assert client.ask("PING") == "PONG"
        assert processor(daemon) - waiting < 1
        assert client.ask("PUB give") == "MSG give 0"
        with LineClient(daemon.tcp[0]) as other:
            assert other.ask("PING") == "PONG"
        assert 0 < daemon.log.count("Closed socket") <= 20, "a line for each stranger fills the disk"
