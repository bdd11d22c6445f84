"""Plays one script of STOMP to a server, and notes what comes back."""

from __future__ import annotations

import asyncio

from interop.stomp_scripts import GOODBYE

SETTLED = 1.5  # seconds of silence after which a server has said all; RabbitMQ drops what waits when a client goes
TOLD = ("version", "receipt-id", "subscription", "destination")


async def play(port: int, name: str, script: str) -> list[str]:
    """Return the frames that came, without what each server chooses itself, in the order of the alphabet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data, open = b"", True
    for part in (script, GOODBYE):
        if open:
            writer.write(part.replace("/T", f"/{name}").encode())
            more, open = await _read(reader)
            data += more
    writer.close()
    return [*sorted(_shown(data, name)), "open" if open else "closed"]


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Return what comes, and whether the connection stays open."""
    data = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65_536), SETTLED):
            data += piece
    except TimeoutError:
        return data, True
    except ConnectionError:
        pass
    return data, False


def _shown(data: bytes, name: str) -> list[str]:
    found = []
    while data := data.lstrip(b"\n"):
        head, _, rest = data.partition(b"\n\n")
        command, *lines = head.decode().split("\n")
        headers = {key: value for key, _, value in (line.partition(":") for line in reversed(lines))}
        size = int(headers.get("content-length", rest.find(b"\0")))
        body, data = rest[:size], rest[size + 1 :]
        said = [f"{key}:{headers[key]}" for key in TOLD if key in headers and command != "ERROR"]
        shown = [repr(body)[1:]] if command == "MESSAGE" else []
        found.append(" ".join([command, *said, *shown]).replace(f"/{name}", "/T"))
    return found
