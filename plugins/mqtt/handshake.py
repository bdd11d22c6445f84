"""How a bridge begins: the version that it asks for, its CONNECT, and the server's CONNACK."""

from __future__ import annotations

from typing import Any

from hubbub import Refusal
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import UNSUPPORTED_VERSION, V5, V311
from hubbub_plugins.mqtt.properties import CONNACK
from hubbub_plugins.mqtt.reason_texts import reason_text

VERSIONS = {"5": V5, "3.1.1": V311}
NAMES = {V5: "MQTT 5", V311: "MQTT 3.1.1"}
_WRONG_VERSION = (1, UNSUPPORTED_VERSION)  # of 3.1.1, of 5


class Handshake:
    """The exchange of CONNECT and CONNACK on one connection.

    option  "5", "3.1.1", or "auto": 5, and 3.1.1 where the server has no 5
    memory  what the connector keeps about the server from one connection to the next
    version the version that it asks for, once `choose` was called
    """

    __slots__ = ("version", "_memory", "_option")

    def __init__(self, option: str, memory: dict[str, Any]) -> None:
        self.version = V5
        self._memory = memory
        self._option = option

    def choose(self) -> int:
        """Choose the version, and return it. A server that gave no CONNACK may not know the version of last time."""
        if self._option in VERSIONS:
            self.version = VERSIONS[self._option]
            return self.version
        memory = self._memory
        unanswered = memory.get("unanswered")
        self.version = memory.get("version", V5) if unanswered is None else V311 if unanswered == V5 else V5
        memory["unanswered"] = self.version
        return self.version

    def read(self, body: bytes) -> packets.Connack:
        """Return the CONNACK of a server that accepts. Raises Malformed, or Refusal (unavailable)."""
        old = len(body) == 2  # a server without version 5 answers as of 3.1.1
        packet = packets.decode(CONNACK << 4, body, V311 if old else self.version)
        assert isinstance(packet, packets.Connack)
        self.answered()
        if packet.code in _WRONG_VERSION or (old and self.version == V5 and not packet.code):
            self._memory["version"] = V311 if self.version == V5 else V5
            raise Refusal("unavailable", f"it doesn't speak {NAMES[self.version]}")
        if packet.code:
            why = reason_text(packet.code, packet.properties)
            raise Refusal("unavailable", f"it refuses the connection: {why}")
        return packet

    def answered(self) -> None:
        """Don't take this connection's end for a sign that the server doesn't know the version."""
        self._memory.pop("unanswered", None)
