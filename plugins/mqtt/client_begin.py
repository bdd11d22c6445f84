"""How a bridge begins: who it says it is, in which version, and what the server says to that."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import ClassVar

from hubbub import (
    Answer,
    Close,
    Connect,
    DialectContext,
    Event,
    Message,
    Refusal,
    Sender,
    Subscribe,
    choice,
    duration,
    flag,
    limits,
    option,
    secret,
)
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.client_codes import says
from hubbub_plugins.mqtt.packets import UNSUPPORTED_VERSION, V5, V311
from hubbub_plugins.mqtt.properties import CONNACK
from hubbub_plugins.mqtt.speaking import Speaking
from hubbub_plugins.mqtt.wire import TEXT_BYTES
from hubbub_plugins.mqtt.words import NODE

NAMES = {V5: "MQTT 5", V311: "MQTT 3.1.1"}
_VERSIONS = {"5": V5, "3.1.1": V311}
_WRONG_VERSION = (1, UNSUPPORTED_VERSION)  # of 3.1.1, of 5


def _seconds(raw: object) -> int:
    found = duration(raw)
    if not 1 <= found <= TEXT_BYTES or found % 1:
        raise ValueError(f"expected 1 to {TEXT_BYTES} whole seconds")
    return int(found)


def _quality(raw: object) -> int:
    return int(choice("0", "1", "2")(str(raw)))


class Beginning(Speaking):
    """Says CONNECT, and hears CONNACK. Base of MqttClient."""

    name = "mqtt"
    roles = ("client",)
    can_pull = True
    has_sessions = True
    subprotocols: ClassVar[Sequence[str]] = ("mqtt",)
    first = CONNACK << 4
    first_name = "CONNACK"

    version = option("auto", choice("auto", *_VERSIONS), "5 or 3.1.1; auto: 5, and 3.1.1 where the server has no 5")
    client = option("", str, "the client identifier; without one it is made of the machine's name and the id=")
    user = option("", str, "the user's name there")
    password_file = option("", secret, "the file with the password, or in version 5 without user= with the token")
    qos = option(2, _quality, "the highest quality of service, both ways")
    clean = option(False, flag, "whether neither side keeps anything while there is no connection")
    keep_alive = option(60, _seconds, "seconds after which each side notices that the other has gone")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._asked = V5  # the version

    def _welcomed(self, packet: packets.Connack, found: list[Event | Message]) -> None:
        """The server takes us."""
        raise NotImplementedError

    @classmethod
    def persistent_session(cls, context: DialectContext, name: str) -> tuple[Connect, Sequence[Subscribe]] | None:
        return None if cls.clean else (Connect(cls._identifier(name)), cls._pushed(context))

    @classmethod
    def _identifier(cls, name: str) -> str:
        return cls.client or f"{platform.node()}.{name}"

    @classmethod
    def _pushed(cls, context: DialectContext, retained: str = "never") -> list[Subscribe]:
        keeps_retain = (True, ())
        return [Subscribe(one, False, options=keeps_retain, qos=cls.qos, retained=retained) for one in context.push]

    def opened(self, now: float) -> list[Event | Message]:
        self._asked = self._choose()
        self.deadline = now + self.context.handshake
        connect = packets.Connect(
            version=self._asked,
            clean=self.clean,
            keep_alive=self.keep_alive,
            client=self._identifier(self.peer.listener),
        )
        if self.password_file:
            connect.password = self.password_file.encode()
            self.secrets = (connect.password,)
        if self.user or (self.password_file and self._asked != V5):  # MQTT-3.1.2-22 of 3.1.1
            connect.user = self.user
        if self._asked == V5:
            connect.properties = {
                "session_expiry_interval": 0 if self.clean else int(limits.SESSION_SECONDS),
                "receive_maximum": limits.FLIGHT,
                "maximum_packet_size": self._reader.most,
                "topic_alias_maximum": limits.TOPIC_ALIASES,
                "user_property": [(NODE, self.context.node)],
            }
        return [Answer(connect.encode(self._asked))]

    def _choose(self) -> int:
        """Choose the version to ask for. One that closed without a word may be too old to have one."""
        if self.version != "auto":
            return _VERSIONS[self.version]
        memory = self.context.memory
        unanswered = memory.get("unanswered")
        asked: int = memory.get("version", V5) if unanswered is None else V311 if unanswered == V5 else V5
        memory["unanswered"] = asked
        return asked

    def _packet(self, first: int, body: bytes, found: list[Event | Message]) -> None:
        if self._version:
            super()._packet(first, body, found)
        elif first != self.first:
            raise self._not_the_first()
        else:
            old = len(body) == 2  # who doesn't know version 5 answers as of 3.1.1
            self._on_connack(_read(body, V311 if old else self._asked), old, found)

    def _on_connack(self, packet: packets.Connack, old: bool, found: list[Event | Message]) -> None:
        memory = self.context.memory
        memory.pop("unanswered", None)
        too_old = old and self._asked == V5
        if packet.code in _WRONG_VERSION or (too_old and not packet.code):
            memory["version"] = V311 if self._asked == V5 else V5
            found.append(self._turned_away(f"it doesn't speak {NAMES[self._asked]}"))
        elif packet.code:
            found.append(self._turned_away(f"it refuses the connection: {says(packet.code, packet.properties)}"))
        else:
            self._version = self._asked
            self._welcomed(packet, found)

    def _turned_away(self, why: str) -> Close:
        self._closed = True
        return Close(why, b"", Refusal("unavailable", why))


def _read(body: bytes, version: int) -> packets.Connack:
    found = packets.decode(CONNACK << 4, body, version)
    assert isinstance(found, packets.Connack)
    return found
