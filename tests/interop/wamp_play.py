"""Plays one script of WAMP to a router, over RawSocket in JSON, and notes what each session hears."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from interop.wamp_scripts import HELLO, Step

SETTLED = 0.7  # seconds of silence after which a router has said all
MAGIC = b"\x7f\xf1\0\0"  # messages of up to 16 MiB, in JSON
NAMES = {
    2: "WELCOME", 3: "ABORT", 6: "GOODBYE", 8: "ERROR", 17: "PUBLISHED", 33: "SUBSCRIBED", 35: "UNSUBSCRIBED",
    36: "EVENT", 50: "RESULT", 65: "REGISTERED", 67: "UNREGISTERED", 68: "INVOCATION", 69: "INTERRUPT",
}  # fmt: skip
REMEMBERED = {"SUBSCRIBED": ("$sub", 2), "REGISTERED": ("$reg", 2), "INVOCATION": ("$inv", 1)}
CHOSEN = {
    "EVENT": (1, 2), "INVOCATION": (1, 2), "INTERRUPT": (1,), "SUBSCRIBED": (2,), "REGISTERED": (2,), "PUBLISHED": (2,),
}  # fmt: skip
"""The places of ids that the router chooses."""


class Player:
    """One session of a script; `ids`: those of all."""

    def __init__(self, name: str, output: list[str], ids: dict[str, Any], streams: Any) -> None:
        self.name = name
        self.open = True
        self._output = output
        self._ids = ids
        self._own: dict[str, Any] = {}
        self._reader, self._writer = streams
        self._writer.write(MAGIC)

    async def begin(self) -> None:
        """Take the handshake, and join unless it is a raw session."""
        await self._reader.readexactly(4)
        if self.name != "raw":
            self.send(HELLO)
            self._hear(await self._read(), quiet=True)

    def send(self, message: Any) -> None:
        """Send a message, with the ids that it names, or bytes."""
        data = message if isinstance(message, bytes) else json.dumps(self._named(message)).encode()
        self._writer.write(len(data).to_bytes(4, "big") + data)

    async def settle(self) -> None:
        """Read until nothing comes any more."""
        while self.open:
            try:
                self._hear(await asyncio.wait_for(self._read(), SETTLED))
            except TimeoutError:
                return

    def close(self) -> None:
        """Go without a word."""
        self._writer.transport.abort()

    def _named(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._named(one) for one in value]
        if isinstance(value, dict):
            return {key: self._named(one) for key, one in value.items()}
        return {**self._ids, **self._own}.get(value, value) if isinstance(value, str) else value

    async def _read(self) -> Any:
        try:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            return json.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open = False
            self._writer.close()  # as clients do; a router may wait for it
            return None

    def _hear(self, message: Any, *, quiet: bool = False) -> None:
        if message is None:
            self._output.append(f"{self.name}: closed")
            return
        kind = NAMES.get(message[0], str(message[0]))
        if kind == "WELCOME":
            self._ids[f"${self.name}"] = message[1]
            message = message[:1]
        if kind in REMEMBERED:
            name, at = REMEMBERED[kind]
            self._own[name] = message[at]
        if not quiet:
            self._output.append(f"{self.name}: {kind} {self._shown(kind, message[1:])}".rstrip())

    def _shown(self, kind: str, parts: list[Any]) -> str:
        """Return a message without what each router chooses: ids, and texts for people."""
        for at in CHOSEN.get(kind, ()):
            parts[at - 1] = "#"
        if kind in ("ABORT", "GOODBYE"):
            parts = parts[1:2]
        elif kind == "ERROR" and not parts[3].startswith("T."):
            parts = [parts[0], parts[1], parts[3]]
        names = {one: name for name, one in self._ids.items()}
        return json.dumps([_without_ids(one, names) for one in parts])[1:-1]


def _without_ids(value: Any, names: dict[Any, str]) -> Any:
    if isinstance(value, dict):
        shown = {key: one for key, one in sorted(value.items()) if not key.startswith("callee")}  # no feature of WAMP
        return {key: "#" if key.endswith("_authid") else _without_ids(one, names) for key, one in shown.items()}
    if isinstance(value, list):
        return [_without_ids(one, names) for one in value]
    return names.get(value, value) if type(value) is int else value


async def play(port: int, prefix: str, steps: Sequence[Step]) -> list[str]:
    """Return what each session heard; every `T.` in what is sent stands for `prefix`."""
    output: list[str] = []
    ids: dict[str, Any] = {}
    players: dict[str, Player] = {}
    for name in dict.fromkeys(name for name, _ in steps):
        players[name] = Player(name, output, ids, await asyncio.open_connection("127.0.0.1", port))
        await players[name].begin()
    for name, message in steps:
        if players[name].open:
            players[name].send(_prefixed(message, prefix))
        for one in players.values():
            await one.settle()
    for one in players.values():
        one.close()
    return [line.replace(f"{prefix}.", "T.") for line in output]


def _prefixed(value: Any, prefix: str) -> Any:
    if isinstance(value, list):
        return [_prefixed(one, prefix) for one in value]
    if isinstance(value, dict):
        return {key: _prefixed(one, prefix) for key, one in value.items()}
    if isinstance(value, str) and (value == "T" or value.startswith("T.")):
        return prefix + value[1:]
    return value
