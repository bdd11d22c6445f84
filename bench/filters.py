"""Load for a cluster: distinct filters at one node, and how long until a message of another node finds the last one.

    filters.py port=N to=N filters=N

Clients of lines subscribe at `to`, and a message is published at `port` again and again until it has come. It prints a
line of JSON: the filters, and the seconds from the first SUB.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from usage import processor, waited

_EACH = 1_000  # filters of one client
_AT_ONCE = 100  # of one write
_PAUSE = 0.02  # s until the message is published again


def subscribe(port: int, first: int, count: int) -> socket.socket:
    """Return a link with filters of those numbers, once the node has answered."""
    link = socket.create_connection(("127.0.0.1", port))
    with link.makefile("rb") as answers:
        for at in range(first, first + count, _AT_ONCE):
            link.sendall(b"".join(b"SUB bench/%d/+\n" % number for number in range(at, at + _AT_ONCE)))
            for _ in range(_AT_ONCE):
                answer = answers.readline()
                if not answer.startswith(b"OK SUB "):
                    raise SystemExit(json.dumps({"error": f"the hub answers {answer.decode().strip()}"}))
    return link


def main() -> None:
    """Do what the arguments say."""
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    filters = int(given["filters"])
    mouth = socket.create_connection(("127.0.0.1", int(given["port"])))
    began, before, used = time.monotonic(), waited(), processor()
    links = [subscribe(int(given["to"]), first, _EACH) for first in range(0, filters, _EACH)]
    answered = time.monotonic() - began
    links[-1].settimeout(_PAUSE)
    while True:
        mouth.sendall(b"PUB bench/%d/x 1\n" % (filters - 1))
        try:
            if links[-1].recv(100):
                break
        except TimeoutError:
            continue
    seconds = time.monotonic() - began
    told = {"filters": filters, "answered": answered, "seconds": seconds, "cpu": processor() - used}
    sys.stdout.write(json.dumps(told | {"waited": waited() - before}) + "\n")


if __name__ == "__main__":
    main()
