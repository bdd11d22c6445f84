"""Load of WAMP sessions over RawSocket, in JSON, for routers whose ids have no fixed length, as load.c needs it.

    sessions.py port=N kind=call|publish groups=N subscribers=N window=N size=N seconds=S

call: each of `groups` callers has `window` calls in flight to a callee of its own. publish: each of `groups` publishers
has as many events in flight to `subscribers` of its own. Prints a line of JSON as load.c does.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable

from usage import processor, waited

WARM = 0.5  # s
ROLES = {role: {} for role in ("publisher", "subscriber", "caller", "callee")}
EVENT, RESULT, INVOCATION = 36, 50, 68


def message(*parts: object) -> bytes:
    """Encode a message with its head."""
    data = json.dumps(parts, separators=(",", ":")).encode()
    return len(data).to_bytes(4, "big") + data


class Session:
    """One session; `told` is called with each message that comes, as bytes, and returns what it answers."""

    def __init__(self, port: int, told: Callable[[bytes], bytes]) -> None:
        self.told = told
        self._held = bytearray()
        self.link = socket.create_connection(("127.0.0.1", port))
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.sendall(b"\x7f\xf1\0\0")
        assert len(self.link.recv(4)) == 4
        self.ask(message(1, "realm1", {"roles": ROLES}), 2)

    def ask(self, data: bytes, code: int) -> None:
        """Send a message, and wait for its answer."""
        self.link.sendall(data)
        while not (found := self._messages()):
            pass
        if not found[0].startswith(b"[%d," % code):
            raise SystemExit(json.dumps({"error": found[0].decode()[:200].replace('"', "'")}))

    def turn(self) -> None:
        """Answer what has come."""
        answers = b"".join([self.told(one) for one in self._messages()])
        if answers:
            self.link.sendall(answers)

    def _messages(self) -> list[bytes]:
        data = self.link.recv(262_144)
        if not data:
            raise SystemExit(json.dumps({"error": "the router has closed a link"}))
        held = self._held
        held += data
        found, at = [], 0
        while len(held) - at >= 4:
            end = at + 4 + int.from_bytes(held[at : at + 4], "big")
            if end > len(held):
                break
            found.append(bytes(held[at + 4 : end]))
            at = end
        del held[:at]
        return found


class Calls:
    """A caller and its callee."""

    def __init__(self, port: int, number: int, plan: dict[str, int]) -> None:
        self.done = 0
        self._id = 0
        self._tail = b',{},"bench.call%d",["%b"]]' % (number, b"x" * plan["size"])
        callee = Session(port, self._invoked)
        callee.ask(message(64, 1, {}, f"bench.call{number}"), 65)
        self._caller = Session(port, self._returned)
        self.sessions = [callee, self._caller]

    def begin(self, window: int) -> None:
        """Fill the window."""
        self._caller.link.sendall(b"".join([self._call() for _ in range(window)]))

    def _call(self) -> bytes:
        self._id += 1
        data = b"[48,%d%b" % (self._id, self._tail)
        return len(data).to_bytes(4, "big") + data

    def _invoked(self, data: bytes) -> bytes:
        data = b'[70,%b,{},["x"]]' % data.split(b",", 2)[1]
        return len(data).to_bytes(4, "big") + data

    def _returned(self, data: bytes) -> bytes:
        if not data.startswith(b"[50,"):
            raise SystemExit(json.dumps({"error": data.decode()[:200].replace('"', "'")}))
        self.done += 1
        return self._call()


class Events:
    """A publisher and its subscribers; `done` counts what they get."""

    def __init__(self, port: int, number: int, plan: dict[str, int]) -> None:
        self.done = 0
        topic = f"bench.topic{number}"
        self._data = message(16, 1, {}, topic, ["x" * plan["size"]])
        self._count, self._reached = plan["subscribers"], 0
        self.sessions = [Session(port, self._event) for _ in range(self._count)]
        for one in self.sessions:
            one.ask(message(32, 1, {}, topic), 33)
        self._publisher = Session(port, lambda data: b"")
        self.sessions.append(self._publisher)

    def begin(self, window: int) -> None:
        """Fill the window."""
        self._publisher.link.sendall(self._data * window)

    def _event(self, data: bytes) -> bytes:
        self.done += 1
        self._reached += 1
        if self._reached == self._count:  # as many as one message has receivers: room for one more
            self._reached = 0
            self._publisher.link.sendall(self._data)
        return b""


KINDS = {"call": Calls, "publish": Events}


def main() -> None:
    """Do what the arguments say."""
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    plan = {name: int(given.get(name, 1)) for name in ("port", "groups", "subscribers", "window", "size")}
    groups = [KINDS[given["kind"]](plan["port"], number, plan) for number in range(plan["groups"])]
    ready = selectors.DefaultSelector()
    for group in groups:
        for one in group.sessions:
            ready.register(one.link, selectors.EVENT_READ, one)
    for group in groups:
        group.begin(plan["window"])
    used, kept, before, began, warm = 0.0, 0.0, 0, time.monotonic(), True
    end = began + WARM + float(given["seconds"])
    while (now := time.monotonic()) < end:
        if warm and now >= began + WARM:
            warm, began, before = False, now, sum(group.done for group in groups)
            used, kept = processor(), waited()
        for key, _ in ready.select(1.0):
            key.data.turn()
    told = {"deliveries": sum(group.done for group in groups) - before, "seconds": time.monotonic() - began}
    sys.stdout.write(json.dumps({**told, "cpu": processor() - used, "waited": waited() - kept}) + "\n")


if __name__ == "__main__":
    main()
