"""What the scripts about nats-server share: a client of its protocol on a plain socket."""

import socket
import sys
import time
from typing import BinaryIO


def client(connect: bytes = b'CONNECT {"verbose":false}\r\n') -> BinaryIO:
    """Return a connection to the port that the command line names, behind its CONNECT."""
    for _ in range(100):
        try:
            made = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    file: BinaryIO = made.makefile("rwb")
    assert file.readline().startswith(b"INFO")
    say(file, connect)
    return file


def say(file: BinaryIO, data: bytes) -> list[bytes]:
    """Send, and return what comes before the answer to a PING."""
    file.write(data + b"PING\r\n")
    file.flush()
    found = []
    while (line := file.readline()) != b"PONG\r\n":
        assert line, "closed"
        found.append(line)
    return found
