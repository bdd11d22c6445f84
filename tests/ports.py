"""Ports that stay free until a test binds them."""

from __future__ import annotations

import random
import socket

BELOW = 32_768  # where Linux begins with the ports that it gives to outgoing connections and to port 0 (ip(7))
ABOVE = 20_000


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
