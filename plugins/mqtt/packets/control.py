"""PINGREQ, PINGRESP, DISCONNECT and AUTH (MQTT 5.0 sections 3.12 to 3.15)."""

from __future__ import annotations

from dataclasses import dataclass, field

from hubbub_plugins.mqtt.packets.header import V5, packet, read_reason, write_reason
from hubbub_plugins.mqtt.properties import AUTH, DISCONNECT, PINGREQ, PINGRESP, Properties
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Cursor, Malformed


@dataclass(slots=True)
class Pingreq:
    """PINGREQ (section 3.12)."""

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Pingreq:
        """Read the body of PINGREQ, which is empty."""
        return Pingreq()

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        return packet(PINGREQ << 4, b"")


@dataclass(slots=True)
class Pingresp:
    """PINGRESP (section 3.13)."""

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Pingresp:
        """Read the body of PINGRESP, which is empty."""
        return Pingresp()

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        return packet(PINGRESP << 4, b"")


@dataclass(slots=True, kw_only=True)
class Disconnect:
    """DISCONNECT (section 3.14). In 3.1.1 it has neither reason code nor properties."""

    code: int = 0
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Disconnect:
        """Read the body of DISCONNECT. Raises Malformed."""
        found = Disconnect()
        if version == V5:
            found.code, found.properties = read_reason(body, DISCONNECT)
        return found

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        return packet(DISCONNECT << 4, write_reason(self.code, self.properties, version))


@dataclass(slots=True, kw_only=True)
class Auth:
    """AUTH (section 3.15), of version 5 alone."""

    code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)  # with authentication data

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Auth:
        """Read the body of AUTH. Raises Malformed."""
        if version != V5:
            raise Malformed("AUTH is of version 5", PROTOCOL_ERROR)
        code, properties = read_reason(body, AUTH)
        return Auth(code=code, properties=properties)

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        return packet(AUTH << 4, write_reason(self.code, self.properties, version))
