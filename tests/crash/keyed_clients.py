"""Publishers that send a message again, with its idempotency key, until they have an answer: json, lines and HTTP.

Each message has QoS 2, as far as the dialect has one, so that it comes once if it was published once.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any

from crash.mqtt_clients import RATE

SECONDS = 5.0  # until an answer counts as lost
PAUSE = 0.02  # seconds between two tries
ACCEPTED = (200, 202)


class Refused(Exception):
    """The hub takes it later."""


class KeyedPublisher:
    """One message at a time (crash.outcome.Publisher).

    connect  returns a link; ask: publishes a number on a topic by it, and returns once it is acknowledged
    """

    def __init__(self, name: str, connect: Callable[[], Any], ask: Callable[[Any, str, str, int], None]) -> None:
        self.topic = f"crash/{name}/2"
        self.acknowledged: dict[str, list[int]] = {self.topic: []}
        self.exact = {self.topic}
        self.total = 0
        self.retries = 0
        self._ask = ask
        self._connect = connect
        self._ending = threading.Event()
        self._link: Any = None
        self._giving_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __str__(self) -> str:
        return f"{self.topic}: {len(self.acknowledged[self.topic])} of {self.total} acknowledged"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.wait(random.expovariate(RATE)):
            n, self.total = self.total, self.total + 1
            while not self._publish(n):
                self.retries += 1
                if self._giving_up.wait(PAUSE):
                    return

    def _publish(self, n: int) -> bool:
        try:
            if self._link is None:
                self._link = self._connect()
            self._ask(self._link, self.topic, f"{self.topic}-{n}", n)
        except Refused:
            return False
        except (OSError, HTTPException, EOFError, ValueError):
            if self._link is not None:
                with contextlib.suppress(OSError):
                    self._link.close()
                self._link = None
            return False
        self.acknowledged[self.topic].append(n)
        return True

    def end(self, until: float) -> bool:
        """Publish no more; tell whether everything was acknowledged."""
        self._ending.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        self._giving_up.set()
        self._thread.join()
        return len(self.acknowledged[self.topic]) == self.total

    def go(self) -> None:
        """Leave."""
        if self._link is not None:
            self._link.close()


class Lines:
    """A connection of lines; what it says last may be cut off by a kill."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._file = self._socket.makefile("rb")

    def ask(self, line: str) -> str:
        """Send a line, and return the answer. Raises OSError, EOFError."""
        self._socket.sendall(line.encode() + b"\n")
        answer = self._file.readline()
        if not answer.endswith(b"\n"):
            raise EOFError
        return answer.decode().rstrip("\n")

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._socket.close()


def json_publisher(port: int) -> KeyedPublisher:
    """One that speaks json over TCP."""

    def ask(link: Lines, topic: str, key: str, n: int) -> None:
        answer = json.loads(
            link.ask(json.dumps({"op": "publish", "topic": topic, "data": n, "qos": 2, "once": key, "id": n}))
        )
        if answer["op"] != "published" or answer["id"] != n:
            raise Refused

    return KeyedPublisher("json", lambda: Lines(port), ask)


def http_publisher(port: int) -> KeyedPublisher:
    """One that speaks HTTP."""

    def ask(link: HTTPConnection, topic: str, key: str, n: int) -> None:
        link.request("POST", f"/topics/{topic}?qos=2", str(n), {"Idempotency-Key": f'"{key}"'})
        response = link.getresponse()
        response.read()
        if response.status not in ACCEPTED:
            raise Refused

    return KeyedPublisher("http", lambda: HTTPConnection("127.0.0.1", port, timeout=SECONDS), ask)


def line_publisher(port: int) -> KeyedPublisher:
    """One that speaks lines, whose messages have QoS 0: a kill may lose or double one that is on its way."""

    def ask(link: Lines, topic: str, key: str, n: int) -> None:
        if link.ask(f"ONCE {key} PUB {topic} {n}") != f"OK ONCE {key}":
            raise Refused

    return KeyedPublisher("lines", lambda: Lines(port), ask)
