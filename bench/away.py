"""Load for a broker that keeps what it acknowledges: MQTT publishers at QoS 1, and sessions whose clients are away.

    away.py port=N publishers=N window=N away=N size=N seconds=S [rate=N] [protocol=nats]

Prints a line of JSON as load.c does. With `rate` one publisher sends so many a second, and p99_us is the time until its
PUBACK, from the moment each was due. Every away session subscribes to the topic, and gets all of it.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Sequence

from usage import processor, waited

WARM = 0.3  # s
TOPIC = b"bench/away"
IDS = 60_000  # packet identifiers that one publisher takes in turn
EXPIRY = b"\x11\x00\x00\x0e\x10"  # an hour, section 3.1.2.11.2 of MQTT 5.0


def text(data: bytes) -> bytes:
    """Encode a string of MQTT."""
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    """Encode a packet."""
    length, rest = b"", len(body)
    while True:
        rest, digit = rest >> 7, rest & 0x7F
        length += bytes((digit | 0x80 if rest else digit,))
        if not rest:
            return bytes((first,)) + length + body


def connect(port: int, name: bytes, keeps: bool) -> socket.socket:
    """Return a connection that has its CONNACK; `keeps`: with a session that outlives it."""
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    properties = EXPIRY if keeps else b""
    clean = 0 if keeps else 2
    body = text(b"MQTT") + bytes((5, clean, 0, 0, len(properties))) + properties + text(name)
    link.sendall(packet(0x10, body))
    assert link.recv(1_000)[0] == 0x20
    return link


def leave(port: int, count: int) -> None:
    """Make sessions that wait for everything."""
    for n in range(count):
        link = connect(port, b"away%d" % n, keeps=True)
        link.sendall(packet(0x82, b"\0\1\0" + text(TOPIC) + b"\1"))
        assert link.recv(1_000)[0] == 0x90
        link.sendall(b"\xe0\0")
        link.close()


class Publisher:
    """Sends again whatever is acknowledged."""

    def __init__(self, port: int, number: int, size: int) -> None:
        self.link = connect(port, b"publisher%d" % number, keeps=False)
        self.size = size
        self.id = 0
        self.acknowledged = 0
        self.held = b""

    def send(self, count: int) -> None:
        packets = []
        for _ in range(count):
            self.id = self.id % IDS + 1
            packets.append(packet(0x32, text(TOPIC) + self.id.to_bytes(2, "big") + b"\0" + bytes(self.size)))
        self.link.sendall(b"".join(packets))

    def take(self) -> int:
        """Return how many PUBACKs have come: four bytes each, as all are plain ones."""
        data = self.held + self.link.recv(65_536)
        if not data:
            raise SystemExit(json.dumps({"error": "the broker has closed a link"}))
        whole = len(data) // 4
        self.held = data[whole * 4 :]
        self.acknowledged += whole
        return whole


class JetStreamPublisher:
    """The same with JetStream, whose acknowledgement is a reply; a file, one replica."""

    def __init__(self, port: int, number: int, size: int) -> None:
        self.link = socket.create_connection(("127.0.0.1", port))
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.sendall(b'CONNECT {"verbose":false}\r\nSUB _INBOX.%d 1\r\n' % number)
        stream = b'{"name":"BENCH","subjects":["bench.>"],"storage":"file","num_replicas":1}'
        self._request = b"PUB $JS.API.STREAM.CREATE.BENCH _INBOX.%d %d\r\n%b\r\n" % (number, len(stream), stream)
        self._message = b"PUB bench.away _INBOX.%d %d\r\n%b\r\n" % (number, size, bytes(size))
        self.acknowledged = 0
        self.held = b""
        if not number:
            self.link.sendall(self._request)
        while not number and b"_INBOX.0" not in (data := self.link.recv(65_536)):
            assert data

    def send(self, count: int) -> None:
        self.link.sendall(self._message * count)

    def take(self) -> int:
        """Return how many acknowledgements have come."""
        data = self.held + self.link.recv(65_536)
        if not data:
            raise SystemExit(json.dumps({"error": "the broker has closed a link"}))
        whole = data.count(b'"seq":')
        self.held = data[data.rfind(b'"seq":') + 6 :] if whole else data[-64:]
        self.acknowledged += whole
        return whole


def full(publishers: Sequence[Publisher | JetStreamPublisher], window: int, seconds: float) -> tuple[int, float, float]:
    """Keep `window` in flight of each. Returns what was acknowledged, the seconds, and those of the processor."""
    ready = selectors.DefaultSelector()
    for one in publishers:
        ready.register(one.link, selectors.EVENT_READ, one)
        one.send(window)
    began, before, used = time.monotonic(), 0, 0.0
    warm, end = began + WARM, began + WARM + seconds
    while (now := time.monotonic()) < end:
        if warm and now >= warm:
            began, before, warm, used = now, sum(one.acknowledged for one in publishers), 0.0, processor()
        for key, _ in ready.select(1.0):
            key.data.send(key.data.take())
    return sum(one.acknowledged for one in publishers) - before, time.monotonic() - began, processor() - used


def paced(publisher: Publisher, rate: float, seconds: float) -> tuple[list[float], float]:
    """Send one after the other when each is due. Returns the seconds until each PUBACK, and all of them."""
    began, taken = time.monotonic(), []
    for n in range(int(rate * seconds)):
        due = began + n / rate
        time.sleep(max(0.0, due - time.monotonic()))
        publisher.send(1)
        while not publisher.take():
            pass
        taken.append(time.monotonic() - due)
    return taken, time.monotonic() - began


def main() -> None:
    """Do what the arguments say."""
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    port, size, seconds = int(given["port"]), int(given.get("size", 100)), float(given["seconds"])
    if count := int(given.get("away", 1)):
        leave(port, count)
    before = waited()
    if "rate" in given:
        taken, took = paced(Publisher(port, 0, size), float(given["rate"]), seconds)
        told = {"acknowledged": len(taken), "seconds": took, "cpu": 0.0}
        told["p99_us"] = 1e6 * sorted(taken)[len(taken) * 99 // 100]
    else:
        kind = JetStreamPublisher if given.get("protocol") == "nats" else Publisher
        publishers = [kind(port, n, size) for n in range(int(given.get("publishers", 1)))]
        count, took, used = full(publishers, int(given.get("window", 10)), seconds)
        told = {"acknowledged": count, "seconds": took, "cpu": used}
    sys.stdout.write(json.dumps({**told, "waited": waited() - before}) + "\n")


if __name__ == "__main__":
    main()
