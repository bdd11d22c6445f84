"""Clients of all nodes that know what has to come: publishers, subscribers and readers of the history."""

from __future__ import annotations

import threading
from collections import Counter, deque
from itertools import pairwise
from typing import Any

from paho.mqtt.client import CallbackAPIVersion, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from crash.mqtt_clients import Paho
from running import Address, LineClient

_IN_FLIGHT = 20


def _client(name: str) -> Paho:
    made = Paho(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5)
    made.gate = threading.Lock()
    made.reconnect_delay_set(0.2, 1)
    made.max_inflight_messages_set(_IN_FLIGHT)
    return made


def _connect(client: Paho, where: Address) -> None:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 86_400
    client.connect_async(*where, keepalive=5, properties=properties)
    client.loop_start()


class Writer:
    """Publishes 1, 2, 3, ... on a topic of its own.

    acknowledged  those with a PUBACK or PUBCOMP; refused: those of which the hub has said that it doesn't take them
    """

    def __init__(self, where: Address, machine: int, qos: int) -> None:
        self.topic = f"soak/{machine}/{qos}"
        self.qos = qos
        self.published = 0
        self.acknowledged: set[int] = set()
        self.refused: set[int] = set()
        self._answers: deque[tuple[int, bool]] = deque()  # packet identifiers, and whether they were refused
        self._numbers: dict[int, int] = {}
        self._client = _client(f"writer{machine}{qos}")
        self._client.on_publish = self._answered
        _connect(self._client, where)

    @property
    def waiting(self) -> int:
        return len(self._numbers)

    def publish(self) -> None:
        """One more, unless many wait."""
        self.look()
        if len(self._numbers) < _IN_FLIGHT:
            mid = self._client.publish_in_order(self.topic, b"%d" % (self.published + 1), self.qos)
            if mid is not None:
                self.published += 1
                self._numbers[mid] = self.published

    def _answered(self, client: Any, data: Any, mid: int, code: Any, properties: Any) -> None:
        self._answers.append((mid, code.is_failure))  # paho holds its locks, and `publish` may wait for them

    def look(self) -> None:
        """Take the answers that have come; by the thread that publishes."""
        while self._answers:
            mid, refused = self._answers.popleft()
            number = self._numbers.pop(mid, None)
            if number is not None:
                (self.refused if refused else self.acknowledged).add(number)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Ear:
    """Has a session that gets everything at QoS 2, or its share of it."""

    def __init__(self, where: Address, name: str, filter: str = "soak/#") -> None:
        self.name = name
        self.got: list[tuple[str, int]] = []
        self.ready = threading.Event()
        self._client = _client(self.name)
        self._client.on_connect = lambda client, *more: client.subscribe(filter, 2)
        self._client.on_subscribe = lambda *more: self.ready.set()
        self._client.on_message = lambda client, data, message: self.got.append((message.topic, int(message.payload)))
        _connect(self._client, where)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def faults_of_group(writers: list[Writer], members: list[Ear]) -> Counter[str]:
    """What the members of a group have had together that they shouldn't, or haven't had that they should."""
    found = +faults(writers, [one for member in members for one in member.got])
    del found["out of order"]  # members take turns
    return Counter({f"{what} in the group": count for what, count in found.items()})


def replay(where: Address) -> list[str]:
    """The whole history, as a node tells it."""
    found = []
    with LineClient(where, 60) as client:
        client.send("SUB soak/# SINCE 24h")
        while not (line := client.line()).startswith("LIVE "):
            if line.startswith("MSG "):
                found.append(line)
    return found


def faults(writers: list[Writer], got: list[tuple[str, int]]) -> Counter[str]:
    """What one subscriber has had that it shouldn't, or hasn't had that it should."""
    found: Counter[str] = Counter()
    for writer in writers:
        numbers = [number for topic, number in got if topic == writer.topic]
        times = Counter(numbers)
        firsts = list(dict.fromkeys(numbers))
        found["lost"] += len(writer.acknowledged - times.keys())
        found["invented"] += len([number for number in times if not 1 <= number <= writer.published])
        found["out of order"] += sum(later < earlier for earlier, later in pairwise(firsts))
        found[f"doubled at QoS {writer.qos}"] += sum(count - 1 for count in times.values())
    return found
