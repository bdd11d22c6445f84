"""A blocking MQTT 5 client that speaks raw packets."""

from __future__ import annotations

import socket
from collections import deque
from typing import Any

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.properties import PUBACK
from hubbub_plugins.mqtt.reader import Reader
from system.clients import reset_on_close

EXPIRY = 600  # seconds that a session outlives its link


class MqttClient:
    """One connection with a session that outlives it; `present`: whether the session was there before."""

    def __init__(self, link: socket.socket, client: str, **more: Any) -> None:
        link.settimeout(30)
        self.socket = link
        self._reader = Reader(10_000_000)
        self._come: deque[Any] = deque()
        properties = {"session_expiry_interval": EXPIRY}
        self.send(packets.Connect(client=client, clean=False, properties=properties, **more))
        answer = self.next()
        assert isinstance(answer, packets.Connack), answer
        assert answer.code == 0, answer
        self.present = answer.present

    def send(self, packet: Any) -> None:
        self.socket.sendall(packet.encode(V5))

    def next(self) -> Any:
        """The next packet. Raises EOFError."""
        while not self._come:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            found, wrong = self._reader.feed(data)
            assert wrong is None
            self._come.extend(packets.decode(first, body, V5) for first, body in found)
        return self._come.popleft()

    def subscribe(self, filter: str, qos: int = 1) -> None:
        self.send(packets.Subscribe(id=1, subscriptions=[packets.Subscription(filter=filter, qos=qos)], properties={}))
        answer = self.next()
        assert isinstance(answer, packets.Suback), answer
        assert list(answer.codes) == [qos], answer

    def publish(self, topic: str, payload: bytes) -> None:
        self.send(packets.Publish(topic=topic, payload=payload, qos=1, id=1))
        answer = self.next()
        assert isinstance(answer, packets.Ack), answer

    def output(self) -> list[bytes]:
        """Payloads of the messages that come before the answer to a ping, each acknowledged."""
        self.send(packets.Pingreq())
        found = []
        while not isinstance(one := self.next(), packets.Pingresp):
            if isinstance(one, packets.Publish):
                found.append(one.payload)
                if one.qos:
                    self.send(packets.Ack(kind=PUBACK, id=one.id))
        return found

    def drop(self) -> None:
        """Go without a word."""
        reset_on_close(self.socket)
        self.socket.close()
