"""Load for a hub with a history: fills it over lines, and reads it as one client.

    history.py port=N messages=N size=N

Prints a line of JSON: the messages that were replayed, and the seconds from SUB to LIVE.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from usage import processor, waited

_AT_ONCE = 1_000  # messages of one write
_BYTES = 1 << 20


def fill(link: socket.socket, messages: int, size: int) -> None:
    """Publish, and wait until the hub has taken all."""
    batch = b"PUB bench/replay %b\n" % (b"x" * size) * _AT_ONCE
    for _ in range(messages // _AT_ONCE):
        link.sendall(batch)
    link.sendall(b"PING\n")
    if link.recv(_BYTES)[:4] != b"PONG":
        raise SystemExit(json.dumps({"error": "the hub has refused a message"}))


def replay(link: socket.socket) -> tuple[int, float]:
    """Return how many messages came, and in how many seconds."""
    began, count, rest = time.monotonic(), -1, b""  # the answer is no message
    link.sendall(b"SUB # SINCE 24h\n")
    while True:
        data = link.recv(_BYTES)
        if not data:
            raise SystemExit(json.dumps({"error": "the hub has closed the link"}))
        count += data.count(b"\n")
        rest = rest[-64:] + data
        if b"\nLIVE " in rest[-200:] and data.endswith(b"\n"):
            return count - 2, time.monotonic() - began  # LOST and LIVE are none either


def main() -> None:
    """Do what the arguments say."""
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    with socket.create_connection(("127.0.0.1", int(given["port"]))) as link:
        fill(link, int(given["messages"]), int(given.get("size", 100)))
    before, used = waited(), processor()
    with socket.create_connection(("127.0.0.1", int(given["port"]))) as link:
        count, seconds = replay(link)
    told = {"deliveries": count, "seconds": seconds, "cpu": processor() - used, "waited": waited() - before}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
