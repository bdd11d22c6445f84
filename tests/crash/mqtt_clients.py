"""Publishers and subscribers of MQTT 3.1.1 and 5, at QoS 1 and 2, by paho."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

UNACKNOWLEDGED = 20  # messages of one publisher, at most
RATE = 100.0  # messages of one publisher in a second
EXPIRY = 3_600
POLL = 0.1  # seconds between two looks whether it has ended, while there is no room
FILTER = "crash/#"


class Paho(mqtt.Client):
    """paho 2.2 forgets with the second failed try to connect that a PUBREL is due, and publishes the message anew.

    A message that is published before CONNACK has come overtakes those that are sent again: `publish_in_order`.
    """

    where: Callable[[], Any]
    gate: threading.Lock

    def publish_in_order(self, topic: str, payload: bytes, qos: int) -> int | None:
        """Publish, and return the packet identifier; None: not now."""
        with self.gate:
            return self.publish(topic, payload, qos=qos).mid if self.is_connected() else None

    def _handle_connack(self) -> Any:
        with self.gate:
            return super()._handle_connack()

    def come(self) -> None:
        """Connect."""
        self.where()
        self.loop_start()

    def go(self) -> None:
        """Disconnect, and stay away."""
        self.disconnect()
        self.loop_stop()

    def _messages_reconnect_reset_out(self) -> None:
        due = [one for one in self._out_messages.values() if one.state == mqtt.mqtt_ms_resend_pubrel]
        super()._messages_reconnect_reset_out()
        for one in due:
            one.state = mqtt.mqtt_ms_resend_pubrel


def paho(name: str, version: MQTTProtocolVersion, port: int) -> Paho:
    """A client with a session that outlives its link, which connects again by itself, from `come` on."""
    v5 = version is MQTTProtocolVersion.MQTTv5
    more: dict[str, Any] = {} if v5 else {"clean_session": False}
    client = Paho(CallbackAPIVersion.VERSION2, name, protocol=version, **more)
    client.gate = threading.Lock()
    client.reconnect_delay_set(0.02, 0.1)
    client.max_inflight_messages_set(UNACKNOWLEDGED)
    if v5:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = EXPIRY
        client.where = partial(client.connect_async, "127.0.0.1", port, clean_start=False, properties=properties)
    else:
        client.where = partial(client.connect_async, "127.0.0.1", port)
    return client


class MqttPublisher:
    """Publishes numbers, in turn at QoS 1 and 2, each on a topic of its own (crash.outcome.Publisher)."""

    def __init__(self, number: int, port: int) -> None:
        version = (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5)[number % 2]
        self.client = paho(f"publisher{number}", version, port)
        self.client.on_publish = self._published
        self.topics = [f"crash/{number}/{qos}" for qos in (1, 2)]
        self.exact = {self.topics[1]}
        self.total = 0
        self.acknowledged: dict[str, list[int]] = {topic: [] for topic in self.topics}
        self.sent: dict[int, tuple[str, int]] = {}
        self.early: dict[int, bool] = {}
        self.lock = threading.Lock()
        self.room = threading.Semaphore(UNACKNOWLEDGED)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __str__(self) -> str:
        return f"{self.topics}: unacknowledged {self.sent}"

    def start(self) -> None:
        """Begin."""
        self.client.come()
        self.thread.start()

    def _run(self) -> None:
        n = 0
        while not self.ending.wait(random.expovariate(RATE)):
            topic, qos = self.topics[n % 2], 1 + n % 2
            if not self.room.acquire(timeout=POLL):
                continue
            mid = self.client.publish_in_order(topic, b"%d" % n, qos)
            if mid is None:
                self.room.release()
                continue
            with self.lock:
                self.sent[mid] = topic, n
                if mid in self.early:
                    self._note(mid, self.early.pop(mid))
            n += 1
        self.total = n

    def _published(self, client: Any, data: Any, mid: int, code: Any, properties: Any) -> None:
        with self.lock:
            if mid in self.sent:
                self._note(mid, code.is_failure)
            else:
                self.early[mid] = code.is_failure

    def go(self) -> None:
        """Leave."""
        self.client.go()

    def _note(self, mid: int, refused: bool) -> None:
        topic, n = self.sent.pop(mid)
        if not refused:
            self.acknowledged[topic].append(n)
        self.room.release()

    def end(self, until: float) -> bool:
        """Publish no more; tell whether everything was acknowledged."""
        self.ending.set()
        self.thread.join()
        while self.sent and time.monotonic() < until:
            time.sleep(0.02)
        return not self.sent


class MqttSubscriber:
    """Hears everything (crash.outcome.Subscriber)."""

    def __init__(self, number: int, port: int) -> None:
        version = (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311)[number % 2]
        self.client = paho(f"subscriber{number}", version, port)
        self.client.on_connect = lambda client, *_: client.subscribe(FILTER, 2)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._output
        self.subscribed = threading.Event()
        self.output: dict[str, list[int]] = {}

    def _output(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        self.output.setdefault(message.topic, []).append(int(message.payload))

    def start(self) -> None:
        self.client.come()
        assert self.subscribed.wait(20)

    def go(self) -> None:
        """Leave."""
        self.client.go()

    def has(self, topic: str, number: int) -> bool:
        return number in self.output.get(topic, ())[-1_000:]

    def blink(self) -> None:
        """Lose the link, without a word."""
        sock = self.client.socket()
        if sock is not None:
            sock.close()
