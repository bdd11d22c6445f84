"""Packets that no broker has to take, each sent to one that has nothing against the client so far."""

from __future__ import annotations

from collections.abc import Callable

from hubbub_plugins.mqtt.packets import V5, V311, Connect, Publish, packet
from hubbub_plugins.mqtt.wire import text
from interop.mqtt_play import Scene, Script

Make = Callable[[int, Scene], bytes]


def none(version: int) -> bytes:
    """The length of properties that aren't there."""
    return b"\0" if version == V5 else b""


def has(version: int, properties: bytes) -> bytes:
    return bytes((len(properties),)) + properties if version == V5 else b""


def head(version: int, flags: int = 2, name: str = "MQTT", properties: bytes = b"") -> bytes:
    """A CONNECT up to its payload."""
    return text(name) + bytes((version, flags)) + b"\0\0" + has(version, properties)


def connect(flags: int, payload: bytes, name: str = "MQTT", properties: bytes = b"") -> Make:
    return lambda version, scene: packet(0x10, head(version, flags, name, properties) + payload)


def raw(data: bytes) -> Make:
    return lambda version, scene: data


def publish(properties: bytes, topic: str = "a", payload: bytes = b"x") -> Make:
    return lambda version, scene: packet(0x30, text(scene.t(topic)) + has(version, properties) + payload)


def subscribe(tail: bytes, first: int = 0x82, id: bytes = b"\0\1") -> Make:
    return lambda version, scene: packet(first, id + none(version) + tail)


C = text("c")

FIRST: dict[str, Make] = {
    "connect, another name": connect(2, C, "MQTX"),
    "connect, name in small letters": connect(2, C, "mqtt"),
    "connect, version 6": lambda version, scene: packet(0x10, head(6) + C),
    "connect, reserved flag": connect(3, C),
    "connect, will qos 3": connect(0x1E, C + none(V5)),
    "connect, will qos without will": connect(0x0A, C),
    "connect, will retain without will": connect(0x22, C),
    "connect, will that is missing": connect(0x06, C),
    "connect, user that is missing": connect(0x82, C),
    "connect, ends early": lambda version, scene: packet(0x10, head(version)),
    "connect, identifier ends early": connect(2, b"\0\5c"),
    "connect, something behind the end": connect(2, C + b"xyz"),
    "connect, identifier with U+0000": connect(2, b"\0\3a\0b"),
    "connect, identifier with a surrogate": connect(2, b"\0\5a\xed\xa0\x80b"),
    "connect, identifier that is no UTF-8": connect(2, b"\0\2\xff\xfe"),
    "connect, user that is no UTF-8": connect(0x82, text("c") + b"\0\1\xff"),
    "connect, flags in the first byte": lambda version, scene: packet(0x11, head(version) + C),
    "connect, no identifier to keep": connect(0, b"\0\0"),
    "pingreq first": raw(b"\xc0\0"),
    "publish first": raw(b"\x30\x04\0\1a\0"),
    "subscribe first": raw(b"\x82\x06\0\1\0\1a\0"),
    "disconnect first": raw(b"\xe0\0"),
    "a long publish first": raw(b"\x30\xff\xff\xff\x7f\0\1a"),
    "a length of five bytes first": raw(b"\x10\xff\xff\xff\xff\x7f"),
    "connect, password alone": connect(0x42, C + text("p")),
}
FIRST_5: dict[str, Make] = {
    "connect, receive maximum 0": connect(2, C, properties=b"\x21\0\0"),
    "connect, maximum packet size 0": connect(2, C, properties=b"\x27\0\0\0\0"),
    "connect, receive maximum twice": connect(2, C, properties=b"\x21\0\1\x21\0\1"),
    "connect, request problem information 2": connect(2, C, properties=b"\x17\2"),
    "connect, a property of PUBLISH": connect(2, C, properties=b"\x23\0\1"),
    "connect, no such property": connect(2, C, properties=b"\x7f\0"),
    "connect, properties end early": lambda version, scene: packet(0x10, text("MQTT") + b"\5\2\0\0\x09\x21\0\1" + C),
    "connect, an unknown method": connect(2, C, properties=b"\x15" + text("unknown")),
    "connect, authentication data alone": connect(2, C, properties=b"\x16" + text("x")),
    "connect, will properties with an alias": connect(6, C + b"\x03\x23\0\1" + text("w") + text("x")),
}

LATER: dict[str, Make] = {
    "a second connect": lambda version, scene: Connect(version=version, client="c").encode(version),
    "connack": lambda version, scene: packet(0x20, b"\0\0" + none(version)),
    "suback": lambda version, scene: packet(0x90, b"\0\1" + none(version) + b"\0"),
    "unsuback": lambda version, scene: packet(0xB0, b"\0\1" + none(version) + b"\0" * (version == V5)),
    "pingresp": raw(b"\xd0\0"),
    "auth": raw(b"\xf0\0"),
    "the kind 0": raw(b"\0\0"),
    "a length of five bytes": raw(b"\x30\xff\xff\xff\xff\x7f"),
    "flags of subscribe": subscribe(text("a") + b"\0", first=0x80),
    "flags of unsubscribe": subscribe(text("a"), first=0xA0),
    "flags of pubrel": raw(b"\x60\x02\0\1"),
    "flags of puback": raw(b"\x42\x02\0\1"),
    "flags of pingreq": raw(b"\xc1\0"),
    "flags of disconnect": raw(b"\xe1\0"),
    "publish, qos 3": raw(b"\x36\x07\0\1a\0\1\0x"),
    "publish, dup at qos 0": lambda version, scene: packet(0x38, text(scene.t("a")) + none(version)),
    "publish, identifier 0": lambda version, scene: Publish(topic=scene.t("a"), qos=1, id=0).encode(version),
    "publish, no topic": lambda version, scene: Publish(topic="").encode(version),
    "publish, wildcard #": lambda version, scene: Publish(topic=scene.t("#")).encode(version),
    "publish, wildcard + at qos 1": lambda version, scene: Publish(topic=scene.t("+"), qos=1, id=1).encode(version),
    "publish, U+0000": lambda version, scene: packet(0x30, b"\0\3a\0b" + none(version)),
    "publish, a surrogate": lambda version, scene: packet(0x30, b"\0\3\xed\xa0\x80" + none(version)),
    "publish, no UTF-8": lambda version, scene: packet(0x30, b"\0\2\xc0\xaf" + none(version)),
    "publish, a topic of 65,535 bytes": lambda version, scene: Publish(topic=scene.t("x" * 65_535)[:65_535]).encode(
        version
    ),
    "publish, topic ends early": raw(b"\x30\x02\0\5"),
    "publish, identifier ends early": raw(b"\x32\x04\0\1a\0"),
    "puback ends early": raw(b"\x40\x01\0"),
    "subscribe, identifier 0": subscribe(text("a") + b"\0", id=b"\0\0"),
    "subscribe, no filter": subscribe(b""),
    "subscribe, no options": subscribe(text("a")),
    "subscribe, qos 3": subscribe(text("a") + b"\3"),
    "subscribe, reserved bits": subscribe(text("a") + b"\xc0"),
    "subscribe, no UTF-8": subscribe(b"\0\1\xff\0"),
    "unsubscribe, no filter": subscribe(b"", first=0xA2),
    "unsubscribe, identifier 0": subscribe(text("a"), first=0xA2, id=b"\0\0"),
    **{
        f"subscribe, filter {one!r}": subscribe(text(one) + b"\0")
        for one in ("", "a#", "#/a", "a/#/b", "a+", "+a/b", "$share/g", "$share//a", "$share/+/a")
    },
}
LATER_5: dict[str, Make] = {
    "publish, payload format 2": publish(b"\x01\2"),
    "publish, payload format twice": publish(b"\x01\1\x01\1"),
    "publish, content type twice": publish(b"\x03\0\1a\x03\0\1a"),
    "publish, a property of CONNECT": publish(b"\x21\0\1"),
    "publish, no such property": publish(b"\x7f\0"),
    "publish, properties end early": lambda version, scene: packet(0x30, text(scene.t("a")) + b"\x20\x01\1"),
    "publish, property ends early": lambda version, scene: packet(0x30, text(scene.t("a")) + b"\x03\x03\0\5"),
    "publish, alias 0": publish(b"\x23\0\0"),
    "publish, alias 65,535": publish(b"\x23\xff\xff"),
    "publish, alias of nothing": lambda version, scene: packet(0x30, b"\0\0" + b"\x03\x23\0\1" + b"x"),
    "publish, response topic with a wildcard": publish(b"\x08" + text("re/#")),
    "publish, response topic of no character": publish(b"\x08" + text("")),
    "publish, subscription identifier": publish(b"\x0b\1"),
    "publish, content type that is no UTF-8": publish(b"\x03\0\1\xff"),
    "publish, user property that is no UTF-8": publish(b"\x26\0\1\xff\0\1a"),
    "publish, 10,000 user properties": lambda version, scene: Publish(
        topic=scene.t("a"), properties={"user_property": [("k", "v")] * 10_000}
    ).encode(version),
    "subscribe, retain handling 3": subscribe(text("a") + b"\x30"),
    "subscribe, no local on a share": subscribe(text("$share/g/a") + b"\4"),
    "subscribe, subscription identifier 0": lambda version, scene: packet(0x82, b"\0\1\2\x0b\0" + text("a") + b"\0"),
    "subscribe, identifier twice": lambda version, scene: packet(0x82, b"\0\1\4\x0b\1\x0b\2" + text("a") + b"\0"),
    "subscribe, identifier too large": lambda v, scene: packet(
        0x82, b"\0\1\6\x0b\xff\xff\xff\xff\1" + text("a") + b"\0"
    ),
    "disconnect, no such code": raw(b"\xe0\x01\x03"),
    "disconnect, a session that is not kept": raw(b"\xe0\x07\0\5\x11\0\0\0\x0a"),
    "puback, no such code": raw(b"\x40\x03\0\1\x03"),
    "pubrec, no such code": raw(b"\x50\x03\0\1\x03"),
    "auth, a code without a method": raw(b"\xf0\x02\x18\0"),
}


def first(make: Make) -> Script:
    """Send it as the first packet; what comes behind it must not be read."""

    async def script(scene: Scene) -> None:
        client = await scene.connection("c")
        await client.send(make(scene.version, scene))

    return script


def later(make: Make) -> Script:
    """Send it to a client with a will, while somebody listens."""

    async def script(scene: Scene) -> None:
        await scene.ear()
        client = await scene.client("c")
        await client.send(make(scene.version, scene))

    return script


def scripts() -> dict[tuple[str, int], Script]:
    found = {}
    for version in (V311, V5):
        for make, several in ((first, FIRST), (later, LATER)):
            found.update({(name, version): make(data) for name, data in several.items()})
    for make, several in ((first, FIRST_5), (later, LATER_5)):
        found.update({(name, V5): make(data) for name, data in several.items()})
    return found
