"""The messages of a bridge that are on their way to the server, by packet identifier (MQTT 5.0 section 4.3)."""

from __future__ import annotations

from hubbub import Event, Fault, Notice, Refusal
from hubbub_plugins.mqtt.inbound import acknowledgement
from hubbub_plugins.mqtt.outbound import Outbound
from hubbub_plugins.mqtt.packets import Ack
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from hubbub_plugins.mqtt.reason_texts import reason_text


class Inflight:
    """Their topics, and the packet identifiers of an earlier process that were released."""

    __slots__ = ("_released", "_topics")

    def __init__(self) -> None:
        self._released: set[int] = set()
        self._topics: dict[int, str] = {}

    def release(self, highest: int, outbound: Outbound) -> bytes:
        """Encode PUBREL for all packet identifiers: a server that still holds one would take a new message for it."""
        self._released = set(range(1, highest + 1))
        return b"".join([outbound.ack(PUBREL, id) for id in range(1, highest + 1)])

    def sent(self, id: int, topic: str) -> None:
        """A message was sent."""
        self._topics[id] = topic

    def acknowledged(self, packet: Ack) -> list[Event]:
        """Return the events of an acknowledgement, with a notice if the server refuses the message."""
        kind, code = packet.kind, packet.code
        if kind == PUBCOMP and packet.id in self._released:
            self._released.discard(packet.id)
            return []
        events: list[Event] = []
        if code >= 0x80 and kind in (PUBACK, PUBREC):
            topic = self._topics.get(packet.id, "")
            why = f"the server refuses a message on {topic}: {reason_text(code, packet.properties)}"
            events += [Notice(why), Fault(Refusal("unavailable", why))]
        if code >= 0x80 or kind in (PUBACK, PUBCOMP):
            self._topics.pop(packet.id, None)
        return [*events, acknowledgement(packet)]
