"""Plays the same bytes to NATS servers, and writes down what comes back.

A step is a client's name and what it sends. After each step every client pings, so that all has come that will.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

Step = tuple[str, bytes]
SECONDS = 20


class Player:
    """One client of a script."""

    def __init__(
        self, name: str, output: list[str], streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        self.name = name
        self.open = True
        self._output = output
        self._reader, self._writer = streams

    async def send(self, data: bytes) -> None:
        if self.open:
            self._writer.write(data)

    async def settle(self, word: bytes = b"PONG") -> None:
        """Wait for a line that begins with `word`, or for the end."""
        async with asyncio.timeout(SECONDS):
            while self.open:
                try:
                    line = await self._reader.readline()
                except ConnectionError:
                    line = b""
                if not line:
                    self.open = False
                    self._output.append(f"{self.name}: closed")
                elif line.startswith(word):
                    return
                elif not line.startswith((b"INFO", b"PING")):
                    self._output.append(f"{self.name}: {await self._unit(line)}")

    async def _unit(self, line: bytes) -> str:
        words = line.split()
        if words[0] not in (b"MSG", b"HMSG"):
            return line.decode(errors="replace").strip()
        body = await self._reader.readexactly(int(words[-1]) + 2)
        head = b" ".join(words).decode(errors="replace")
        return f"{head} {body[:-2]!r}"

    def close(self) -> None:
        self._writer.transport.abort()


async def play(port: int, prefix: str, steps: Sequence[Step]) -> list[str]:
    """Return what each client heard, in order; every `T` in what is sent stands for `prefix`."""
    output: list[str] = []
    players: dict[str, Player] = {}
    for name, data in steps:
        if name not in players:
            players[name] = Player(name, output, await asyncio.open_connection("127.0.0.1", port))
            await players[name].settle(b"INFO")
        await players[name].send(data.replace(b"T.", prefix.encode() + b"."))
        for one in sorted(players.values(), key=lambda one: one.name != name):  # who has sent comes first
            await one.send(b"PING\r\n")
            await one.settle()
    for one in players.values():
        one.close()
    return [line.replace(prefix + ".", "T.") for line in _in_order(output)]


def _in_order(output: list[str]) -> list[str]:
    """Sort what differs in the id of a subscription alone: no order of these is promised."""
    found: list[str] = []
    for _, copies in itertools.groupby(output, key=lambda line: line.split(" ")[:3] + line.split(" ")[4:]):
        found += sorted(copies)
    return found
