"""The drawings of docs/design.md, "The path of a message", are traces."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import hubbub
import hubbub_plugins
from hubbub import line_dialect
from hubbub.dialects.lines import Lines
from hubbub.testing import World
from hubbub_plugins.mqtt import Mqtt, packets
from mqtt_client import Client

PAYLOAD = b"the payload"
FOLDERS = [Path(one.__file__).resolve().parent for one in (hubbub, hubbub_plugins)]
# The files of the objects that hold a message, and of what runs on the way.
NO_ROOMS = {"message", "publish", "events", "batch", "qos", "units", "turn", "inbound", "keep_alive", "faults"}
COMPILED = line_dialect.__file__.endswith(".so")  # what is compiled calls no profiler
PAGE = Path(__file__).parents[2] / "docs" / "design.md"


def holds(value: Any, depth: int = 3) -> bool:
    """Tell whether a value is the message: its bytes, an object that has them, or a list of these."""
    if isinstance(value, bytes | bytearray | memoryview):
        return PAYLOAD in bytes(value)
    if depth and isinstance(value, list | tuple | set):
        return any(holds(one, depth - 1) for one in value)
    if depth and type(value).__module__.startswith("hubbub"):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        parts = [getattr(value, name, None) for name in slots] + list(getattr(value, "__dict__", {}).values())
        return any(holds(one, depth - 1) for one in parts if not type(one).__module__.startswith("hubbub.testing"))
    return False


class Trace:
    """Follows the message through the files of hubbub: `rooms` has their names, with ^ behind a known one.

    A result counts where the caller works on it; one that is handed on doesn't. Between `Router.publish` and the end of
    the turn the message waits, and what runs is the answer to the publisher.
    """

    def __init__(self) -> None:
        self.rooms: list[str] = []
        self._now = ""
        self._result = ""
        self._waits = False

    def __call__(self, frame: FrameType, event: str, value: Any) -> None:
        if event == "return":
            self._result = self._room(frame.f_back) if holds(value) else ""
            return
        if event == "call" and frame.f_code.co_qualname in ("Router.publish", "Turn.flush"):
            self._waits = frame.f_code.co_qualname == "Router.publish"
            if self._waits:
                self._enter("router")
        if self._waits:
            return
        if self._result:
            self._enter(self._result)
            self._result = ""
        if event == "call" and (room := self._room(frame)) and any(map(holds, frame.f_locals.values())):
            self._enter(room)

    def _room(self, frame: FrameType | None) -> str:
        path = Path(frame.f_code.co_filename).resolve() if frame is not None else Path()
        inside = any(path.is_relative_to(folder) for folder in FOLDERS) and "testing" not in path.parts
        return path.stem if inside and path.stem not in NO_ROOMS else ""

    def _enter(self, room: str) -> None:
        if room != self._now:
            before = self._now and any(one.removesuffix("^") == room for one in self.rooms)
            self.rooms.append(f"{room}^" if before else room)
            self._now = room


def lines(transport: str) -> Callable[[], object]:
    """Return what publishes a line on a topic with a remembered route and one subscriber."""
    world = World()
    listener = world.listen(transport, Lines)
    publisher, subscriber = listener.connect(), listener.connect()
    end = b"\n" if transport == "tcp" else b""
    subscriber.send(b"SUB a" + end)
    publisher.send(b"PUB a x" + end)
    world.turn()
    line = b"PUB a " + PAYLOAD + end
    if transport == "websocket":  # one text frame whose mask is 0, so that the trace sees the payload
        publisher.send_bytes(b"\x81%c\0\0\0\0" % (0x80 | len(line)) + line)
    else:
        publisher.send(line)
    return world.turn


def mqtt() -> Callable[[], object]:
    """The same with MQTT at QoS 1."""
    world = World()
    listener = world.listen("tcp", Mqtt)
    publisher, subscriber = Client(listener), Client(listener)
    publisher.connect("a")
    subscriber.connect("b")
    subscriber.subscribe(packets.Subscription(filter="a", qos=1))
    publisher.publish("a", qos=1, id=1)
    publisher.end.send(packets.Publish(topic="a", payload=PAYLOAD, qos=1, id=2).encode(packets.V5))
    return world.turn


PATHS = {
    "TCP, lines, QoS 0": lambda: lines("tcp"),
    "WebSocket, lines": lambda: lines("websocket"),
    "UDP, lines": lambda: lines("udp"),
    "TCP, MQTT, QoS 1": mqtt,
}
BOUNDS = {"TCP, lines, QoS 0": (10, 3), "TCP, MQTT, QoS 1": (14, 8)}  # rooms, returns


@pytest.mark.parametrize("name", PATHS)
def test_a_drawing_is_a_trace(name):
    rooms, returns, path = drawing(name)
    if not COMPILED:
        move, follow = PATHS[name](), Trace()
        sys.setprofile(follow)
        try:
            move()
        finally:
            sys.setprofile(None)
        assert follow.rooms == [one for one in path if one.strip("^") != "udp_socket"]  # a world's datagrams have none
    assert (rooms, returns) == (len({one.strip("^") for one in path}), sum("^" in one for one in path))
    max_rooms, max_returns = BOUNDS.get(name, (rooms, returns))
    assert rooms <= max_rooms
    assert returns <= max_returns


def drawing(name: str) -> tuple[int, int, list[str]]:
    """Return the rooms, the returns and the path that docs/design.md has; `socket` is none of hubbub's files."""
    section = PAGE.read_text().partition("## The path of a message")[2].partition("\n## ")[0]
    found = re.search(rf"^{name}[^:]*: (\d+) rooms, (\d+) returns\..*?\n\n((?:    [^\n]+\n)+)", section, re.M | re.S)
    assert found is not None, name
    path = re.findall(r"\w+\^?", found[3])
    assert path.pop() == "socket"
    return int(found[1]), int(found[2]), [one for at, one in enumerate(path) if at == 0 or one != path[at - 1]]
