"""paho-mqtt, with its own thread."""

from __future__ import annotations

import os
import queue
import socket

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from interop.mqtt.base import EXPIRY, SECONDS, V5, At, Closing, Mailbox, Output, Said, Wish

TRANSPORTS = {"tcp": "tcp", "tls": "tcp", "websocket": "websockets", "wss": "websockets", "unix": "unix"}


def properties(kind: int, **said: object) -> Properties:
    made = Properties(kind)
    for name, value in said.items():
        if value:
            setattr(made, name, value)
    return made


def worded(said: Said) -> Properties:
    return properties(
        PacketTypes.PUBLISH,
        ContentType=said.content_type,
        ResponseTopic=said.response_topic,
        CorrelationData=said.correlation,
        UserProperty=list(said.user),
    )


def output(message: paho.MQTTMessage) -> Output:
    found = message.properties
    said = Said(
        getattr(found, "ContentType", None),
        getattr(found, "ResponseTopic", None),
        getattr(found, "CorrelationData", None),
        tuple(getattr(found, "UserProperty", ())),
    )
    return Output(message.topic, message.payload, message.qos, message.retain, said)


class Paho(Mailbox, Closing):
    def __init__(self, at: At, wish: Wish) -> None:
        super().__init__()
        five = wish.version == V5
        keep = {} if five else {"clean_session": not wish.keep}
        made = self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            wish.name,
            protocol=wish.version,
            transport=TRANSPORTS[at.carrier],
            reconnect_on_failure=False,
            **keep,
        )
        if (context := at.context()) is not None:
            made.tls_set_context(context)
        if wish.will is not None:
            made.will_set(*wish.will, qos=1)
        self._answers: queue.Queue = queue.Queue()
        made.on_connect = lambda *said: self._answers.put(said[2])
        made.on_subscribe = lambda *said: self._answers.put(said[3])
        made.on_unsubscribe = made.on_subscribe
        made.on_message = lambda *said: self.queue.put(output(said[2]))
        more = {}
        if five:
            asked = properties(PacketTypes.CONNECT, SessionExpiryInterval=EXPIRY * wish.keep)
            more = {"clean_start": not wish.keep, "properties": asked}
        made.connect(at.path or at.host, at.port or 1883, **more)
        made.loop_start()
        self.present = self._answers.get(timeout=SECONDS).session_present

    def subscribe(self, filter: str, qos: int) -> int:
        self.client.subscribe(filter, qos)
        (code,) = self._answers.get(timeout=SECONDS)
        return code.value

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, said: Said | None = None) -> None:
        more = None if said is None else worded(said)
        self.client.publish(topic, payload, qos, retain, more).wait_for_publish(SECONDS)

    def publish_all(self, topic: str, payloads: list[bytes], qos: int) -> None:
        for one in [self.client.publish(topic, payload, qos) for payload in payloads]:
            one.wait_for_publish(SECONDS)

    def _end(self, politely: bool) -> None:
        if politely:
            self.client.disconnect()
        else:
            cut(self.client)
        self.client.loop_stop()


def cut(client: paho.Client) -> None:
    """End its connection beneath TLS and WebSocket, so that nothing is said."""
    open_socket = client.socket()
    assert open_socket is not None
    with socket.socket(fileno=os.dup(open_socket.fileno())) as bare:
        bare.shutdown(socket.SHUT_RDWR)
