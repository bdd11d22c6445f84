"""A STOMP client in memory, which speaks raw frames; it reads with code of its own."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from hubbub.option import configure
from hubbub.testing import World
from hubbub_plugins.stomp import Stomp

_ESCAPED = {"\\n": "\n", "\\c": ":", "\\\\": "\\", "\\r": "\r"}
_ESCAPES = str.maketrans({value: key for key, value in _ESCAPED.items()})


class Frame(NamedTuple):
    """What the server said; the headers as they stand, unescaped."""

    command: str
    headers: dict[str, str]
    body: bytes

    def __getattr__(self, name: str) -> str:
        return self.headers[name.replace("_", "-")]


def write(command: str, body: bytes = b"", **headers: object) -> bytes:
    """Write a frame; `_` in a name is `-`, and values are escaped as of 1.2."""
    lines = [f"{name.replace('_', '-')}:{str(value).translate(_ESCAPES)}\n" for name, value in headers.items()]
    return f"{command}\n{''.join(lines)}\n".encode() + body + b"\0"


def read(data: bytes) -> tuple[list[Frame], bytes]:
    """Read whole frames, without heart-beats between them. Returns the rest too."""
    frames = []
    while data := data.lstrip(b"\n"):
        head, mark, rest = data.partition(b"\n\n")
        if not mark:
            break
        command, *lines = head.decode().split("\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = (unescape(part) for part in line.partition(":"))
            assert colon
            headers.setdefault(name, value)
        size = int(headers["content-length"]) if "content-length" in headers else rest.find(b"\0")
        if not 0 <= size < len(rest):
            break
        assert rest[size] == 0
        frames.append(Frame(command, headers, rest[:size]))
        data = rest[size + 1 :]
    return frames, data


def unescape(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPED[found[0]], text)


class Client:
    """One connection. Each call returns the frames that have come since the last one."""

    def __init__(self, door: Any, **more: Any) -> None:
        self.end = door.connect(**more)
        self.rest = b""

    def raw(self, data: bytes | str) -> list[Frame]:
        self.end.send(data)
        self.end.world.turn()
        return self.output()

    def say(self, command: str, body: bytes = b"", **headers: object) -> list[Frame]:
        return self.raw(write(command, body, **headers))

    def output(self) -> list[Frame]:
        received = self.end.received()
        if not isinstance(received, bytes):
            received = b"".join(one.encode() if isinstance(one, str) else one for one in received)
        frames, self.rest = read(self.rest + received)
        return frames

    def connect(self, version: str = "1.2", **headers: object) -> Frame:
        (frame,) = self.say("CONNECT", accept_version=version, host="h", **headers)
        return frame

    def subscribe(self, destination: str, id: object = 0, **headers: object) -> list[Frame]:
        return self.say("SUBSCRIBE", destination=destination, id=id, **headers)

    def publish(self, destination: str, body: bytes = b"x", **headers: object) -> list[Frame]:
        return self.say("SEND", body, destination=destination, **headers)

    @property
    def closed(self) -> bool:
        return bool(self.end.closed)


class StompHub:
    """A hub with one listener for STOMP. `keys` are those of the listener."""

    def __init__(self, transport: str = "tcp", options: dict[str, object] | None = None, **keys: Any) -> None:
        self.world = World()
        self.kind = configure(Stomp, options or {})
        self.transport = transport
        self.listener = self.world.listen(transport, self.kind, **keys)

    def stranger(self, **more: Any) -> Client:
        """A client that has said nothing."""
        return Client(self.listener, **more)

    def client(self, version: str = "1.2", **headers: object) -> Client:
        client = self.stranger()
        assert client.connect(version, **headers).command == "CONNECTED"
        return client
