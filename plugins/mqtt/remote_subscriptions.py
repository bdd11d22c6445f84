"""What a bridge subscribes to at the server, its `pull=` (MQTT 5.0 sections 3.8 and 3.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubbub import Answer, Event, Fault, Notice, Refusal, limits
from hubbub.topics import is_wildcard, matches, unshared
from hubbub_plugins.mqtt.codes import WILDCARDS_NOT_SUPPORTED
from hubbub_plugins.mqtt.packets import V5, Connack, Suback, Subscribe, Subscription
from hubbub_plugins.mqtt.properties import Properties
from hubbub_plugins.mqtt.reason_texts import reason_text
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, TEXT_BYTES, Malformed


class RemoteSubscriptions:
    """The subscriptions of one connection.

    filters  of `pull=`; qos: the highest that is asked for
    memory   what the connector keeps about the server from one connection to the next
    """

    __slots__ = ("_filters", "_matched", "_memory", "_pending", "_qos")

    def __init__(self, filters: Sequence[str], qos: int, memory: dict[str, Any]) -> None:
        self._filters = filters
        self._matched: dict[str, bool] = {}  # topics that were compared with the filters
        self._memory = memory
        self._pending: dict[int, str] = {}  # filters without their SUBACK, by packet identifier
        self._qos = qos

    def subscribe(self, version: int, connack: Connack) -> list[Event]:
        """Return the SUBSCRIBE of each filter that the server doesn't have yet."""
        events: list[Event] = []
        known = self._memory.setdefault("pulled", set())
        if not connack.present:
            known.clear()
        no_wildcards = not connack.properties.get("wildcard_subscription_available", 1)
        for id, filter in zip(range(TEXT_BYTES, 0, -1), self._filters, strict=False):
            if filter in known and version != V5:
                continue  # the server would send all retained messages again
            if no_wildcards and is_wildcard(filter):
                events += _refused(filter, WILDCARDS_NOT_SUPPORTED, {})
                continue
            self._pending[id] = filter
            packet = Subscribe(id=id, subscriptions=[self._subscription(filter, version == V5)])
            events.append(Answer(packet.encode(version)))
        return events

    def _subscription(self, filter: str, v5: bool) -> Subscription:
        no_local = v5 and not filter.startswith("$share/")  # MQTT-3.8.3-4
        return Subscription(
            filter=filter, qos=self._qos, no_local=no_local, retain_as_published=v5, retain_handling=1 if v5 else 0
        )

    def acknowledged(self, packet: Suback) -> list[Event]:
        """Take up a SUBACK. Raises Malformed."""
        filter = self._pending.pop(packet.id, None)
        if filter is None or len(packet.codes) != 1:
            raise Malformed("a SUBACK for no SUBSCRIBE", PROTOCOL_ERROR)
        code = packet.codes[0]
        if code >= 0x80:
            return _refused(filter, code, packet.properties)
        if code > 2:
            raise Malformed("a SUBACK of unknown QoS", PROTOCOL_ERROR)
        self._memory["pulled"].add(filter)
        return []

    def match(self, topic: str) -> bool:
        """Return whether one of the filters matches a topic."""
        found = self._matched.get(topic)
        if found is None:
            if len(self._matched) >= limits.TOPIC_TABLE:
                self._matched.clear()
            found = self._matched[topic] = any(matches(unshared(one), topic) for one in self._filters)
        return found


def _refused(filter: str, code: int, properties: Properties) -> list[Event]:
    why = f"pull={filter} is refused: {reason_text(code, properties)}"
    return [Notice(why), Fault(Refusal("unavailable", why))]
