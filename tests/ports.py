"""Ports that stay free until a test binds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator

BELOW = 32_768  # where Linux begins with the ports that it gives to outgoing connections and to port 0 (ip(7))
ABOVE = 20_000
_HELD: list[socket.socket] = []


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port that nothing is bound to, and that the system gives to no socket by itself.

    A port that was free a moment ago, taken from port 0, may be another test's by the time it is bound.
    """
    while True:
        port = random.randrange(ABOVE, BELOW)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port


def hold_port() -> int:
    """Return a free port that no `free_port` of any process returns until this process ends.

    Between two daemons on one port nothing listens there, and another test could take it. What binds it needs
    SO_REUSEADDR, as servers over TCP set it: a socket that is bound like that and doesn't listen is in nobody's way.
    """
    while True:
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = free_port()
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        _HELD.append(holder)
        return port


@contextlib.contextmanager
def default_ports() -> Iterator[None]:
    """The default ports, for one test of this machine at a time."""
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)  # a file in it would belong to one user, and shut out others
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
