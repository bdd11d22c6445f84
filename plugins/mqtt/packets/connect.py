"""CONNECT and CONNACK (MQTT 5.0 sections 3.1 and 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from hubbub_plugins.mqtt.packets.header import V5, V31, V311, packet
from hubbub_plugins.mqtt.properties import CONNACK, CONNECT, WILL, Properties, read_properties, write_properties
from hubbub_plugins.mqtt.wire import Cursor, Malformed, binary, text

UNSUPPORTED_VERSION = 0x84
_BRIDGE = 0x80  # in the version
_NAMES = {V31: "MQIsdp", V311: "MQTT", V5: "MQTT"}


@dataclass(slots=True, kw_only=True)
class Will:
    """The will message: published if the client disconnects without DISCONNECT (section 3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Connect:
    """CONNECT (section 3.1). `keep_alive` is in seconds, 0 for none; `bridge` is the bit that Mosquitto's set."""

    version: int = V5
    bridge: bool = False
    clean: bool = True
    keep_alive: int = 0
    client: str = ""
    will: Will | None = None
    user: str | None = None
    password: bytes | None = field(default=None, repr=False)
    properties: Properties = field(default_factory=dict, repr=False)  # they may hold authentication data

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Connect:
        """Read the body of CONNECT. Raises Malformed."""
        name, level = body.text(), body.u8()
        bridge = level in (V31 | _BRIDGE, V311 | _BRIDGE)
        number = level & ~_BRIDGE if bridge else level
        if _NAMES.get(number) != name:
            what = f"version {number}" if name in _NAMES.values() else "name"
            raise Malformed(f"that protocol {what} isn't supported", UNSUPPORTED_VERSION)
        try:
            return Connect._decode_rest(number, bridge, body)
        except Malformed as error:
            error.version = number
            raise

    @staticmethod
    def _decode_rest(number: int, bridge: bool, body: Cursor) -> Connect:
        bits, strict = body.u8(), number != V31  # 3.1 says nothing of unused bits
        if bits & 1 and strict:
            raise Malformed("the reserved flag of CONNECT is set")  # MQTT-3.1.2-3
        found = Connect(version=number, bridge=bridge, clean=bool(bits & 2), keep_alive=body.u16())
        if number == V5:
            found.properties = read_properties(body, CONNECT)
        found.client = body.text()
        found.will = _decode_will(bits, body, number)
        if bits & 0x40 and not bits & 0x80 and number != V5:
            raise Malformed("a password without a user name")  # MQTT-3.1.2-22 of 3.1.1
        if bits & 0x80 and (strict or not body.done()):  # 3.1 section 3.1: both fields may be missing
            found.user = body.text()
        if bits & 0x40 and (strict or not body.done()):
            found.password = body.binary()
        return found

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        will = self.will
        bits = 2 * self.clean + 0x80 * (self.user is not None) + 0x40 * (self.password is not None)
        if will is not None:
            bits |= 4 + 8 * will.qos + 0x20 * will.retain
        parts = [text(_NAMES[version]), bytes((version, bits)), self.keep_alive.to_bytes(2, "big")]
        parts += [write_properties(self.properties)] * (version == V5) + [text(self.client)]
        if will is not None:
            parts += [write_properties(will.properties)] * (version == V5) + [text(will.topic), binary(will.payload)]
        if self.user is not None:
            parts.append(text(self.user))
        if self.password is not None:
            parts.append(binary(self.password))
        return packet(CONNECT << 4, b"".join(parts))


def _decode_will(bits: int, body: Cursor, version: int) -> Will | None:
    qos = bits >> 3 & 3
    if not bits & 4:
        if bits & 0x38 and (version != V31 or qos == 3):
            raise Malformed("flags of a will without a will")  # MQTT-3.1.2-11, 3.1.2-13
        return None
    if qos == 3:
        raise Malformed("a will of QoS 3")  # MQTT-3.1.2-12
    properties = read_properties(body, WILL) if version == V5 else {}
    return Will(topic=body.text(), payload=body.binary(), qos=qos, retain=bool(bits & 0x20), properties=properties)


@dataclass(slots=True, kw_only=True)
class Connack:
    """CONNACK (section 3.2). `code` is a reason code of 5.0, or a return code of 3.1.1."""

    present: bool = False
    code: int = 0
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Connack:
        """Read the body of CONNACK. Raises Malformed."""
        bits, code = body.u8(), body.u8()
        if bits > 1 and version != V31:
            raise Malformed("a reserved flag of CONNACK is set")  # MQTT-3.2.2-1
        properties = read_properties(body, CONNACK) if version == V5 else {}
        return Connack(present=bits == 1 and version != V31, code=code, properties=properties)

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        properties = write_properties(self.properties) if version == V5 else b""
        present = self.present and version != V31  # 3.1 section 3.2: that byte is reserved
        return packet(CONNACK << 4, bytes((present, self.code)) + properties)
