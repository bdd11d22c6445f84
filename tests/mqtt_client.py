"""A client that speaks raw packets, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from hubbub.errors import Refusal
from hubbub.option import configure
from hubbub.testing import World
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.packets import V5, V311
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from hubbub_plugins.mqtt.reader import Reader

NO_OPTIONS: Mapping[str, object] = MappingProxyType({})


class Client:
    """One connection. `heard` returns the packets that have come since the last look."""

    def __init__(self, listener: Any, version: int = V5, **more: Any) -> None:
        self.end = listener.connect(**more)
        self.version = version
        self.reader = Reader(10_000_000)

    def send(self, packet: Any) -> list[Any]:
        return self.raw(packet if isinstance(packet, bytes) else packet.encode(self.version))

    def raw(self, data: bytes) -> list[Any]:
        self.end.send(data)
        self.end.world.turn()
        return self.output()

    def output(self) -> list[Any]:
        got = self.end.received()
        data = got if isinstance(got, bytes) else b"".join(got)
        found, wrong = self.reader.feed(data)
        assert wrong is None
        return [packets.decode(first, body, self.version) for first, body in found]

    @property
    def closed(self) -> bool:
        return self.end.closed

    def connect(self, client: str = "", **more: Any) -> Any:
        found = self.send(packets.Connect(version=self.version, client=client, **more))
        return found[0] if len(found) == 1 else found

    def subscribe(self, *wishes: Any, id: int = 1, **properties: Any) -> list[Any]:
        made = [packets.Subscription(filter=one) if isinstance(one, str) else one for one in wishes]
        return self.send(packets.Subscribe(id=id, subscriptions=made, properties=properties))

    def publish(self, topic: str, payload: bytes = b"x", **more: Any) -> list[Any]:
        return self.send(packets.Publish(topic=topic, payload=payload, **more))

    def ack(self, kind: int, id: int, code: int = 0) -> list[Any]:
        return self.send(packets.Ack(kind=kind, id=id, code=code))

    def ping(self) -> list[Any]:
        return self.send(packets.Pingreq())

    def goodbye(self, code: int = 0, **properties: Any) -> list[Any]:
        return self.send(packets.Disconnect(code=code, properties=properties))


def subscription(filter: str, qos: int = 0, **more: Any) -> packets.Subscription:
    return packets.Subscription(filter=filter, qos=qos, **more)


def messages(found: list[Any]) -> list[tuple[str, bytes, int]]:
    """What there is to say of messages."""
    assert all(isinstance(one, packets.Publish) for one in found), found
    return [(one.topic, one.payload, one.qos) for one in found]


def kept(version: int) -> dict[str, Any]:
    """How a client asks for a session that outlives its link."""
    if version == V5:
        return {"clean": False, "properties": {"session_expiry_interval": 100}}
    return {"clean": False}


def case(what: str, *values: Any, shows: str) -> Any:
    """One row of parameters, and the statements that it shows, with spaces between them."""
    return pytest.param(*values, id=what, marks=pytest.mark.mqtt(*shows.split()))


class MqttHub:
    """A world with one listener for MQTT; `clustered` goes to the hub."""

    def __init__(
        self,
        transport: str = "tcp",
        options: Mapping[str, object] = NO_OPTIONS,
        clustered: bool = False,
        **keys: Any,
    ) -> None:
        self.world = World(clustered=clustered)
        self.listener = self.world.listen(transport, configure(Mqtt, options), **keys)

    def client(self, client: str = "", version: int = V5, **more: Any) -> Client:
        """A client that is connected."""
        found = Client(self.listener, version)
        answer = found.connect(client, **more)
        first = answer[0] if isinstance(answer, list) else answer
        assert isinstance(first, packets.Connack), answer
        assert first.code == 0
        found.connack = first
        found.first = answer[1:] if isinstance(answer, list) else []
        return found


__all__ = [
    "PUBACK",
    "PUBCOMP",
    "PUBREC",
    "PUBREL",
    "V5",
    "V311",
    "Client",
    "MqttHub",
    "case",
    "kept",
    "messages",
    "subscription",
]


class Rights:
    """What a client may do, as kernel.sessions.session.Rights: everything but what is denied."""

    def __init__(self):
        self.denied = set()

    def publish(self, topic):
        if topic in self.denied:
            raise Refusal("not-authorized", "no")

    def subscribe(self, filter):
        self.publish(filter)

    def receives(self, topic):
        return topic not in self.denied
