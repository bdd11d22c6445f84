"""A client that follows the history: it comes back behind its last position whenever the daemon was killed."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from crash.outcome import Publisher

Output = list[tuple[str, int]]


class Follower:
    """Hears everything over json, in the order of its positions; `heard`: topic and number of each message."""

    def __init__(self, port: int, filter: str) -> None:
        self.output: Output = []
        self._ending = threading.Event()
        self._filter = filter
        self._port = port
        self._position = ""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                for message in read(self._port, self._filter, {"after": self._position}, self._ending):
                    if message["op"] == "message":
                        self.output.append((message["topic"], int(message["data"])))
                    self._position = message.get("position", self._position)
            except (OSError, ValueError):
                self._ending.wait(0.02)


def read(port: int, filter: str, asked: dict[str, Any], ending: threading.Event | None = None) -> Iterator[Any]:
    """Yield what comes for a subscription; without `ending` until it is live. Raises OSError, ValueError: cut off."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.settimeout(0.2 if ending is not None else 30)
        wish = {"op": "subscribe", "topic": filter, "meta": True, **asked}
        link.sendall(json.dumps(wish).encode() + b"\n")
        rest = b""
        while ending is None or not ending.is_set():
            try:
                data = link.recv(65_536)
            except TimeoutError:
                continue
            if not data:
                raise OSError("the daemon has gone")
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                message = json.loads(line)
                if message["op"] == "subscribed":  # its position is the end of the history, not of what has come
                    continue
                yield message
                if message["op"] == "live" and ending is None:
                    return


def is_part_of(found: Output, whole: Output) -> bool:
    """Return whether all that was found is in the whole, in that order."""
    rest = iter(whole)
    return all(one in rest for one in found)


def faults(replayed: Output, followed: Output, publishers: Sequence[Publisher]) -> Iterator[str]:
    """Yield what is wrong with a replay, in lines."""
    acknowledged = {topic: numbers for one in publishers for topic, numbers in one.acknowledged.items()}
    exact = {topic for one in publishers for topic in one.exact}
    by_topic: dict[str, list[int]] = {}
    for topic, number in replayed:
        by_topic.setdefault(topic, []).append(number)
    for topic, numbers in acknowledged.items():
        there = by_topic.get(topic, [])
        if lost := set(numbers) - set(there):
            yield f"{topic}: acknowledged, and not replayed: {sorted(lost)}"
        first = list(dict.fromkeys(there))
        if first != sorted(first):
            yield f"{topic}: replayed out of order"
        if topic in exact and len(first) < len(there):
            yield f"{topic}: kept twice"
    if not is_part_of(replayed, followed):
        yield "who followed has missed something, or got it in another order"
