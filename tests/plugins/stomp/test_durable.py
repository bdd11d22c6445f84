"""Work queues and a durable store: what was acknowledged is there, and is gone, after the daemon was killed."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from running import Daemon
from stomp_client import read, write

JOBS = "/queue/jobs"


class Client:
    """One over a real socket."""

    def __init__(self, daemon):
        self.socket = socket.create_connection(daemon.tcp[0], timeout=30)
        self.rest = b""
        self.send(write("CONNECT", accept_version="1.2"))
        assert self.frame().command == "CONNECTED"

    def send(self, data):
        self.socket.sendall(data)

    def frame(self):
        """The next frame."""
        while not (found := read(self.rest)[0]):
            data = self.socket.recv(65_536)
            assert data, "the connection has ended"
            self.rest += data
        end = self.rest.index(b"\0") + 1
        self.rest = self.rest[end:]
        return found[0]

    def ask(self, data):
        """Send a frame that wants a receipt, and wait for that."""
        self.send(data)
        assert self.frame().command == "RECEIPT"

    def close(self):
        self.socket.close()


@pytest.fixture
def killed(tmp_path):
    """Start a daemon in the place of one that was killed."""
    running = []

    def kill():
        if running:
            daemon = running.pop()
            daemon.process.kill()
            daemon.process.wait(30)
            daemon.__exit__(None, None, None)
        running.append(
            Daemon("--tcp", "tcp:0", "--state", str(tmp_path / "state"), "--durability", "process").__enter__()
        )
        return running[0]

    yield kill
    running[0].__exit__(None, None, None)


def test_a_daemon_that_is_killed(killed):
    with closing(Client(killed())) as client:
        for n in range(3):
            client.ask(write("SEND", b"%d" % n, destination=JOBS, receipt=n))
    with closing(Client(killed())) as client:
        client.ask(write("SUBSCRIBE", destination=JOBS, id=1, ack="client-individual", receipt="s"))
        frames = [client.frame() for _ in range(3)]
        assert [frame.body for frame in frames] == [b"0", b"1", b"2"]
        client.ask(write("ACK", id=frames[1].ack, receipt="a"))
        daemon = killed()
    with closing(Client(daemon)) as client:
        client.ask(write("SUBSCRIBE", destination=JOBS, id=1, ack="client", receipt="s"))
        frames = [client.frame() for _ in range(2)]
        assert [frame.body for frame in frames] == [b"0", b"2"]
        client.ask(write("ACK", id=frames[1].ack, receipt="a"))
    with closing(Client(killed())) as client:
        client.ask(write("SEND", b"3", destination=JOBS, receipt="3"))
        client.ask(write("SUBSCRIBE", destination=JOBS, id=1, receipt="s"))
        assert client.frame().body == b"3"
