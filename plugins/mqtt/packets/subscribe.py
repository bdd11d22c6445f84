"""SUBSCRIBE, UNSUBSCRIBE and their acknowledgements (MQTT 5.0 sections 3.8 to 3.11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hubbub.limits import SUBSCRIPTIONS
from hubbub_plugins.mqtt.codes import QUOTA_EXCEEDED
from hubbub_plugins.mqtt.packets.header import V5, packet, read_packet_id
from hubbub_plugins.mqtt.properties import (
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Properties,
    read_properties,
    write_properties,
)
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Cursor, Malformed, text


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One topic filter of a SUBSCRIBE with its subscription options (section 3.8.3.1)."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(slots=True, kw_only=True)
class Subscribe:
    """SUBSCRIBE (section 3.8)."""

    id: int
    subscriptions: Iterable[Subscription]
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Subscribe:
        """Read the body of SUBSCRIBE. Raises Malformed."""
        found = Subscribe.begin(body, version)
        found.subscriptions = list(found.subscriptions)
        return found

    @staticmethod
    def begin(body: Cursor, version: int) -> Subscribe:
        """Read what stands before the filters, which are read as they are looked at. Both raise Malformed."""
        number = read_packet_id(body)
        properties = read_properties(body, SUBSCRIBE) if version == V5 else {}
        if body.done():
            raise Malformed("a SUBSCRIBE without a filter", PROTOCOL_ERROR)  # MQTT-3.8.3-2
        return Subscribe(id=number, subscriptions=_decode_subscriptions(body, version), properties=properties)

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        parts = [self.id.to_bytes(2, "big")]
        parts += [write_properties(self.properties)] * (version == V5)
        for one in self.subscriptions:
            bits = one.qos
            if version == V5:
                bits |= 4 * one.no_local | 8 * one.retain_as_published | one.retain_handling << 4
            parts += [text(one.filter), bytes((bits,))]
        return packet(SUBSCRIBE << 4 | 2, b"".join(parts))


def _places(body: Cursor) -> Iterator[int]:
    """Count what is left to be read, a filter each. Raises Malformed."""
    for at in range(SUBSCRIPTIONS):
        if body.done():
            return
        yield at
    if not body.done():
        raise Malformed(f"more than {SUBSCRIPTIONS} filters at once", QUOTA_EXCEEDED)


def _decode_subscriptions(body: Cursor, version: int) -> Iterator[Subscription]:
    for _ in _places(body):
        yield _decode_subscription(body, version)


def _decode_filters(body: Cursor) -> Iterator[str]:
    for _ in _places(body):
        yield body.text()


def _decode_subscription(body: Cursor, version: int) -> Subscription:
    filter, bits = body.text(), body.u8()
    found = Subscription(filter=filter, qos=bits & 3)
    if found.qos == 3 or bits & (0xC0 if version == V5 else 0xFC):
        raise Malformed("reserved bits of subscription options are set")  # MQTT-3.8.3-5; 3.8.3-4 of 3.1.1
    if version == V5:
        found.no_local, found.retain_as_published, found.retain_handling = bool(bits & 4), bool(bits & 8), bits >> 4
        if found.retain_handling == 3:
            raise Malformed("a retain handling of 3", PROTOCOL_ERROR)
        if found.no_local and filter.startswith("$share/"):
            raise Malformed("no local on a shared subscription", PROTOCOL_ERROR)  # MQTT-3.8.3-4
    return found


@dataclass(slots=True, kw_only=True)
class Suback:
    """SUBACK: a reason code for each filter (section 3.9)."""

    id: int
    codes: Sequence[int] = ()
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Suback:
        """Read the body of SUBACK. Raises Malformed."""
        number = read_packet_id(body)
        properties = read_properties(body, SUBACK) if version == V5 else {}
        return Suback(id=number, codes=list(body.rest()), properties=properties)

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        properties = write_properties(self.properties) if version == V5 else b""
        return packet(SUBACK << 4, self.id.to_bytes(2, "big") + properties + bytes(self.codes))


@dataclass(slots=True, kw_only=True)
class Unsubscribe:
    """UNSUBSCRIBE (section 3.10)."""

    id: int
    filters: Iterable[str]
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Unsubscribe:
        """Read the body of UNSUBSCRIBE. Raises Malformed."""
        found = Unsubscribe.begin(body, version)
        found.filters = list(found.filters)
        return found

    @staticmethod
    def begin(body: Cursor, version: int) -> Unsubscribe:
        """Read what stands before the filters, which are read as they are looked at. Both raise Malformed."""
        number = read_packet_id(body)
        properties = read_properties(body, UNSUBSCRIBE) if version == V5 else {}
        if body.done():
            raise Malformed("an UNSUBSCRIBE without a filter", PROTOCOL_ERROR)  # MQTT-3.10.3-2
        return Unsubscribe(id=number, filters=_decode_filters(body), properties=properties)

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        parts = [self.id.to_bytes(2, "big")] + [write_properties(self.properties)] * (version == V5)
        return packet(UNSUBSCRIBE << 4 | 2, b"".join(parts + [text(name) for name in self.filters]))


@dataclass(slots=True, kw_only=True)
class Unsuback:
    """UNSUBACK: a reason code for each filter (section 3.11); in 3.1.1 it has none."""

    id: int
    codes: Sequence[int] = ()
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Unsuback:
        """Read the body of UNSUBACK. Raises Malformed."""
        number = read_packet_id(body)
        properties = read_properties(body, UNSUBACK) if version == V5 else {}
        return Unsuback(id=number, codes=list(body.rest()) if version == V5 else [], properties=properties)

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        rest = write_properties(self.properties) + bytes(self.codes) if version == V5 else b""
        return packet(UNSUBACK << 4, self.id.to_bytes(2, "big") + rest)
