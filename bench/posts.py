"""Load of HTTP requests: `links` connections that stay, each with one POST of `size` bytes in flight.

    posts.py port=N links=N size=N seconds=S

Prints a line of JSON as load.c does.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

from usage import processor, waited

WARM = 0.5  # s
ANSWER_MAX = 4_096  # bytes, of a whole answer
GOOD = (b"HTTP/1.1 200", b"HTTP/1.1 202")


def main() -> None:
    """Do what the arguments say."""
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    size = int(given.get("size", 100))
    links = [socket.create_connection(("127.0.0.1", int(given["port"]))) for _ in range(int(given["links"]))]
    poll, requests = select.epoll(), {}
    for number, link in enumerate(links):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST /topics/bench/{number:06} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
        requests[link.fileno()] = (link, head.encode() + b"x" * size)
        link.sendall(requests[link.fileno()][1])
        poll.register(link, select.EPOLLIN)
    done, used, kept, began, warm = 0, 0.0, 0.0, time.monotonic(), True
    end = began + WARM + float(given["seconds"])
    while (now := time.monotonic()) < end:
        if warm and now >= began + WARM:
            warm, began, done, used, kept = False, now, 0, processor(), waited()
        for number, _ in poll.poll(1.0):
            link, request = requests[number]
            answer = link.recv(ANSWER_MAX)  # whole, as it is short and was sent at once
            if not answer.startswith(GOOD):
                raise SystemExit(json.dumps({"error": answer.decode("latin-1")[:200]}))
            done += 1
            link.sendall(request)
    told = {"deliveries": done, "seconds": time.monotonic() - began}
    sys.stdout.write(json.dumps({**told, "cpu": processor() - used, "waited": waited() - kept}) + "\n")


if __name__ == "__main__":
    main()
