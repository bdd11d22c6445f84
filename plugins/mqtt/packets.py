"""The control packets of MQTT 3.1, 3.1.1 and 5.0 (section 3), read strictly and written.

    decode(first byte, body, version)  ->  a packet, or Malformed
    packet.encode(version)             ->  bytes

CONNECT says its own version; every other packet needs that of its connection: V31, V311 or V5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hubbub.limits import SUBSCRIPTIONS
from hubbub_plugins.mqtt.properties import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    WILL,
    Properties,
    read_properties,
    write_properties,
)  # fmt: skip
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Cursor, Malformed, binary, text, varint

V31, V311, V5 = 3, 4, 5
_NAMES = {V31: "MQIsdp", V311: "MQTT", V5: "MQTT"}
UNSUPPORTED_VERSION, QUOTA_EXCEEDED = 0x84, 0x97


def packet(first: int, body: bytes) -> bytes:
    """Put the fixed header (section 2.1) before `body`."""
    return bytes((first,)) + varint(len(body)) + body


@dataclass(slots=True, kw_only=True)
class Will:
    """What is published for a client that goes without a word (section 3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Connect:
    """CONNECT (section 3.1). `keep_alive` is seconds, 0 for none."""

    version: int = V5
    clean: bool = True
    keep_alive: int = 0
    client: str = ""
    will: Will | None = None
    user: str | None = None
    password: bytes | None = field(default=None, repr=False)
    properties: Properties = field(default_factory=dict, repr=False)  # with what a login says

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Connect:
        """Read the body. Raises Malformed."""
        name, number = body.text(), body.u8()
        if _NAMES.get(number & 0x7F) != name or number & 0x80:  # the high bit: a bridge's own way to say that it is one
            what = f"version {number}" if name in _NAMES.values() else "name"
            raise Malformed(f"that protocol {what} isn't spoken here", UNSUPPORTED_VERSION)
        try:
            return Connect._read(number, body)
        except Malformed as refusal:
            refusal.version = number
            raise

    @staticmethod
    def _read(number: int, body: Cursor) -> Connect:
        bits = body.u8()
        if bits & 1:
            raise Malformed("the reserved flag of CONNECT is set")  # MQTT-3.1.2-3
        found = Connect(version=number, clean=bool(bits & 2), keep_alive=body.u16())
        if number == V5:
            found.properties = read_properties(body, CONNECT)
        found.client = body.text()
        found.will = _read_will(bits, body, number)
        if bits & 0x80:
            found.user = body.text()
        if bits & 0x40:
            if not bits & 0x80 and number != V5:
                raise Malformed("a password without a user name")  # MQTT-3.1.2-22 of 3.1.1
            found.password = body.binary()
        return found

    def encode(self, version: int) -> bytes:
        """Write it."""
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


def _read_will(bits: int, body: Cursor, version: int) -> Will | None:
    qos = bits >> 3 & 3
    if not bits & 4:
        if bits & 0x38:
            raise Malformed("flags of a will without a will")  # MQTT-3.1.2-11, 3.1.2-13
        return None
    if qos == 3:
        raise Malformed("a will of QoS 3")  # MQTT-3.1.2-12
    properties = read_properties(body, WILL) if version == V5 else {}
    return Will(topic=body.text(), payload=body.binary(), qos=qos, retain=bool(bits & 0x20), properties=properties)


@dataclass(slots=True, kw_only=True)
class Connack:
    """CONNACK (section 3.2). `code` is a reason code of version 5, or a return code of 3.1.1."""

    present: bool = False
    code: int = 0
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Connack:
        """Read the body. Raises Malformed."""
        bits, code = body.u8(), body.u8()
        if bits > 1:
            raise Malformed("a reserved flag of CONNACK is set")  # MQTT-3.2.2-1
        properties = read_properties(body, CONNACK) if version == V5 else {}
        return Connack(present=bool(bits), code=code, properties=properties)

    def encode(self, version: int) -> bytes:
        """Write it."""
        properties = write_properties(self.properties) if version == V5 else b""
        return packet(CONNACK << 4, bytes((self.present, self.code)) + properties)


@dataclass(slots=True, kw_only=True)
class Publish:
    """PUBLISH (section 3.3). `id` is 0 at QoS 0."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    id: int = 0
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Publish:
        """Read the body. Raises Malformed."""
        qos = flags >> 1 & 3
        if qos == 3:
            raise Malformed("a PUBLISH of QoS 3")  # MQTT-3.3.1-4
        if flags & 8 and not qos:
            raise Malformed("DUP in a PUBLISH of QoS 0")  # MQTT-3.3.1-2
        topic = body.text()
        number = _read_id(body) if qos else 0
        properties = read_properties(body, PUBLISH) if version == V5 else {}
        return Publish(
            topic=topic,
            payload=body.rest(),
            qos=qos,
            retain=bool(flags & 1),
            dup=bool(flags & 8),
            id=number,
            properties=properties,
        )

    def encode(self, version: int) -> bytes:
        """Write it."""
        parts = [text(self.topic)]
        if self.qos:
            parts.append(self.id.to_bytes(2, "big"))
        if version == V5:
            parts.append(write_properties(self.properties))
        parts.append(self.payload)
        return packet(PUBLISH << 4 | 8 * self.dup | self.qos << 1 | self.retain, b"".join(parts))


@dataclass(slots=True, kw_only=True)
class Ack:
    """PUBACK, PUBREC, PUBREL or PUBCOMP, as `kind` says (sections 3.4 to 3.7)."""

    kind: int
    id: int
    code: int = 0
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def reader(kind: int) -> Callable[[int, Cursor, int], Ack]:
        """Return what reads the body of that kind. It raises Malformed."""

        def decode(flags: int, body: Cursor, version: int) -> Ack:
            found = Ack(kind=kind, id=_read_id(body))
            if version == V5:
                found.code, found.properties = _read_reason(body, kind)
            return found

        return decode

    def encode(self, version: int) -> bytes:
        """Write it; success without properties is short (section 3.4.2.1)."""
        body = self.id.to_bytes(2, "big")
        if version == V5 and (self.code or self.properties):
            body += bytes((self.code,)) + (write_properties(self.properties) if self.properties else b"")
        return packet(self.kind << 4 | 2 * (self.kind == PUBREL), body)


@dataclass(slots=True, kw_only=True)
class Wish:
    """One filter of a SUBSCRIBE with its options (section 3.8.3.1). `handling` is Retain Handling."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    handling: int = 0


@dataclass(slots=True, kw_only=True)
class Subscribe:
    """SUBSCRIBE (section 3.8)."""

    id: int
    wishes: Sequence[Wish]
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Subscribe:
        """Read the body. Raises Malformed."""
        number = _read_id(body)
        properties = read_properties(body, SUBSCRIBE) if version == V5 else {}
        wishes = []
        while not body.done():
            _check_count(wishes)
            wishes.append(_read_wish(body, version))
        if not wishes:
            raise Malformed("a SUBSCRIBE without a filter", PROTOCOL_ERROR)  # MQTT-3.8.3-2
        return Subscribe(id=number, wishes=wishes, properties=properties)

    def encode(self, version: int) -> bytes:
        """Write it."""
        parts = [self.id.to_bytes(2, "big")]
        parts += [write_properties(self.properties)] * (version == V5)
        for wish in self.wishes:
            bits = wish.qos
            if version == V5:
                bits |= 4 * wish.no_local | 8 * wish.retain_as_published | wish.handling << 4
            parts += [text(wish.filter), bytes((bits,))]
        return packet(SUBSCRIBE << 4 | 2, b"".join(parts))


def _check_count(found: Sequence[object]) -> None:
    if len(found) >= SUBSCRIPTIONS:
        raise Malformed(f"more than {SUBSCRIPTIONS} filters at once", QUOTA_EXCEEDED)


def _read_wish(body: Cursor, version: int) -> Wish:
    name, bits = body.text(), body.u8()
    wish = Wish(filter=name, qos=bits & 3)
    if wish.qos == 3 or bits & (0xC0 if version == V5 else 0xFC):
        raise Malformed("reserved bits of subscription options are set")  # MQTT-3.8.3-5; 3.8.3-4 of 3.1.1
    if version == V5:
        wish.no_local, wish.retain_as_published, wish.handling = bool(bits & 4), bool(bits & 8), bits >> 4
        if wish.handling == 3:
            raise Malformed("a retain handling of 3", PROTOCOL_ERROR)
        if wish.no_local and name.startswith("$share/"):
            raise Malformed("no local on a shared subscription", PROTOCOL_ERROR)  # MQTT-3.8.3-4
    return wish


@dataclass(slots=True, kw_only=True)
class Unsubscribe:
    """UNSUBSCRIBE (section 3.10)."""

    id: int
    filters: Sequence[str]
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Unsubscribe:
        """Read the body. Raises Malformed."""
        number = _read_id(body)
        properties = read_properties(body, UNSUBSCRIBE) if version == V5 else {}
        filters = []
        while not body.done():
            _check_count(filters)
            filters.append(body.text())
        if not filters:
            raise Malformed("an UNSUBSCRIBE without a filter", PROTOCOL_ERROR)  # MQTT-3.10.3-2
        return Unsubscribe(id=number, filters=filters, properties=properties)

    def encode(self, version: int) -> bytes:
        """Write it."""
        parts = [self.id.to_bytes(2, "big")] + [write_properties(self.properties)] * (version == V5)
        return packet(UNSUBSCRIBE << 4 | 2, b"".join(parts + [text(name) for name in self.filters]))


@dataclass(slots=True, kw_only=True)
class Granted:
    """SUBACK or UNSUBACK, as `kind` says: a code for each filter (sections 3.9 and 3.11); 3.1.1's UNSUBACK has none."""

    kind: int
    id: int
    codes: Sequence[int] = ()
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def reader(kind: int) -> Callable[[int, Cursor, int], Granted]:
        """Return what reads the body of that kind. It raises Malformed."""

        def decode(flags: int, body: Cursor, version: int) -> Granted:
            found = Granted(kind=kind, id=_read_id(body))
            if version == V5:
                found.properties = read_properties(body, kind)
            found.codes = list(body.rest()) if version == V5 or kind == SUBACK else []
            return found

        return decode

    def encode(self, version: int) -> bytes:
        """Write it."""
        body = self.id.to_bytes(2, "big")
        if version == V5:
            body += write_properties(self.properties)
        if version == V5 or self.kind == SUBACK:
            body += bytes(self.codes)
        return packet(self.kind << 4, body)


@dataclass(slots=True, kw_only=True)
class Ping:
    """PINGREQ or PINGRESP, as `kind` says (sections 3.12 and 3.13)."""

    kind: int

    @staticmethod
    def reader(kind: int) -> Callable[[int, Cursor, int], Ping]:
        """Return what reads the body of that kind."""
        return lambda flags, body, version: Ping(kind=kind)

    def encode(self, version: int) -> bytes:
        """Write it."""
        return packet(self.kind << 4, b"")


@dataclass(slots=True, kw_only=True)
class Reason:
    """DISCONNECT or AUTH, as `kind` says (sections 3.14 and 3.15). In 3.1.1 a DISCONNECT says nothing."""

    kind: int
    code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)  # with what a login says

    @staticmethod
    def reader(kind: int) -> Callable[[int, Cursor, int], Reason]:
        """Return what reads the body of that kind. It raises Malformed."""

        def decode(flags: int, body: Cursor, version: int) -> Reason:
            found = Reason(kind=kind)
            if version == V5:
                found.code, found.properties = _read_reason(body, kind)
            elif kind == AUTH:
                raise Malformed("AUTH is of version 5", PROTOCOL_ERROR)
            return found

        return decode

    def encode(self, version: int) -> bytes:
        """Write it."""
        if version != V5 or not (self.code or self.properties):
            return packet(self.kind << 4, b"")
        properties = write_properties(self.properties) if self.properties else b""
        return packet(self.kind << 4, bytes((self.code,)) + properties)


Packet = Connect | Connack | Publish | Ack | Subscribe | Granted | Unsubscribe | Ping | Reason


def _read_id(body: Cursor) -> int:
    number = body.u16()
    if not number:
        raise Malformed("a packet identifier of 0", PROTOCOL_ERROR)  # MQTT-2.2.1-3
    return number


_ACK_CODES = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
_RELEASE_CODES = frozenset({0x00, 0x92})
_REASON_CODES = {
    PUBACK: _ACK_CODES,  # MQTT-3.4.2-1
    PUBREC: _ACK_CODES,  # MQTT-3.5.2-1
    PUBREL: _RELEASE_CODES,  # MQTT-3.6.2-1
    PUBCOMP: _RELEASE_CODES,  # MQTT-3.7.2-1
    AUTH: frozenset({0x00, 0x18, 0x19}),  # MQTT-3.15.2-1
    DISCONNECT: frozenset({0x00, 0x04, *range(0x80, 0xA3)} - {0x84, 0x85, 0x86, 0x88, 0x8A, 0x91, 0x92}),
}  # MQTT-3.14.2-1


def _read_reason(body: Cursor, kind: int) -> tuple[int, Properties]:
    code = 0 if body.done() else body.u8()
    if code not in _REASON_CODES[kind]:
        raise Malformed(f"0x{code:02X} is no reason code of that packet", PROTOCOL_ERROR)
    return code, {} if body.done() else read_properties(body, kind)


_FLAGS = {PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}  # section 2.1.3; PUBLISH has flags of its own
_DECODERS: dict[int, Callable[[int, Cursor, int], Packet]] = {
    CONNECT: Connect.decode,
    CONNACK: Connack.decode,
    PUBLISH: Publish.decode,
    **{kind: Ack.reader(kind) for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)},
    SUBSCRIBE: Subscribe.decode,
    SUBACK: Granted.reader(SUBACK),
    UNSUBSCRIBE: Unsubscribe.decode,
    UNSUBACK: Granted.reader(UNSUBACK),
    **{kind: Ping.reader(kind) for kind in (PINGREQ, PINGRESP)},
    **{kind: Reason.reader(kind) for kind in (DISCONNECT, AUTH)},
}


def decode(first: int, body: bytes, version: int) -> Packet:
    """Read a packet from the first byte of its fixed header and its body. Raises Malformed."""
    kind, flags = first >> 4, first & 0x0F
    if kind not in _DECODERS:
        raise Malformed("a packet of the reserved kind 0")
    if kind != PUBLISH and flags != _FLAGS.get(kind, 0):
        raise Malformed("the flags of a fixed header aren't as they must be")  # MQTT-2.1.3-1
    cursor = Cursor(body)
    found = _DECODERS[kind](flags, cursor, version)
    if not cursor.done():
        raise Malformed("a packet is longer than what it says", version=getattr(found, "version", 0))
    return found
