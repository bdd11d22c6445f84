"""The client that every tutorial on sockets begins with: connect, send, recv, with nothing that marks a message."""

from __future__ import annotations

import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from running import Daemon

WELCOME = "欢迎访问!".encode()
ROUNDS = 200


@pytest.fixture(scope="module")
def daemon():
    with Daemon("--tcp", "tcp:0:dialect=raw:topic=echo", "--handler", "upper") as running:
        yield running


def dial(daemon):
    client = socket.socket()
    client.settimeout(30)
    client.connect(daemon.tcp[0])
    return client


def converse(client, meeting, reset_at=None):
    """Send and receive as the tutorial does; at round `reset_at` reset the connection instead."""
    with client:
        for count in range(ROUNDS):
            if count == ROUNDS // 2:
                meeting.wait()  # so that the reset falls into the others' conversations
            if count == reset_at:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return count
            client.send(WELCOME)
            assert client.recv(1024) == WELCOME
        return ROUNDS


def test_each_gets_its_own_back_while_one_is_reset(daemon):
    meeting = threading.Barrier(3, timeout=30)
    with ThreadPoolExecutor(3) as pool:
        staying = [pool.submit(converse, dial(daemon), meeting) for _ in range(2)]
        leaving = pool.submit(converse, dial(daemon), meeting, ROUNDS // 2)
        assert [one.result(30) for one in staying] == [ROUNDS, ROUNDS]
        assert leaving.result(30) == ROUNDS // 2
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("ß".encode(), b"SS"),
        ("é".encode(), "É".encode()),
        ("ŉ ﬁ ΐ".encode(), "ŉ ﬁ ΐ".upper().encode()),
        (b"\xff\xfe\x80abc", b"\xff\xfe\x80abc"),
        ("半".encode()[:2], "半".encode()[:2]),
        (bytes(range(256)), bytes(range(256))),
    ],
)
def test_upper_case_or_as_it_was(daemon, sent, answered):
    with dial(daemon) as client:
        client.send(sent)
        assert client.recv(1024) == answered
