"""Clients that publish and listen at QoS 1 and 2 while their daemon is killed again and again, and what came of it.

Every message that was acknowledged arrives at least once, at QoS 2 exactly once, none is invented, and each subscriber
sees the messages of each publisher and topic in their order.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from running import Daemon

PUBLISHERS = 4
SUBSCRIBERS = 3
UNACKNOWLEDGED = 20  # messages of one publisher, at most
RATE = 300.0  # messages of one publisher in a second
UP = (0.05, 0.8)  # seconds until a daemon is killed
LEAVES = 0.3  # how often a subscriber leaves, or comes, while a daemon is up
EXPIRY = 3_600
FILTER = "crash/#"


@dataclass
class Outcome:
    """What has come of it; seconds: from a start to its `ready`, each."""

    acknowledged: int = 0
    arrived: int = 0
    lost: int = 0
    doubled: int = 0
    repeated: int = 0
    kills: int = 0
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        slowest = max(self.seconds, default=0.0)
        return (
            f"{self.kills} kills, {self.acknowledged} acknowledged, {self.lost} lost, {self.doubled} doubled at QoS 2, "
            f"{self.repeated} repeated at QoS 1, ready after {slowest:.2f} s at most"
        )


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


class Publisher:
    """Publishes numbers, in turn at QoS 1 and 2, each on a topic of its own; acknowledged: by topic."""

    def __init__(self, number: int, port: int) -> None:
        version = (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5)[number % 2]
        self.client = paho(f"publisher{number}", version, port)
        self.client.on_publish = self._published
        self.topics = [f"crash/{number}/{qos}" for qos in (1, 2)]
        self.acknowledged: dict[str, list[int]] = {topic: [] for topic in self.topics}
        self.sent: dict[int, tuple[str, int]] = {}
        self.early: set[int] = set()
        self.lock = threading.Lock()
        self.room = threading.Semaphore(UNACKNOWLEDGED)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self.client.come()
        self.thread.start()

    def _run(self) -> None:
        n = 0
        while not self.ending.wait(random.expovariate(RATE)):
            topic, qos = self.topics[n % 2], 1 + n % 2
            self.room.acquire()
            mid = self.client.publish_in_order(topic, b"%d" % n, qos)
            if mid is None:
                self.room.release()
                continue
            with self.lock:
                self.sent[mid] = topic, n
                if mid in self.early:
                    self.early.discard(mid)
                    self._note(mid)
            n += 1
        self.total = n

    def _published(self, client: Any, data: Any, mid: int, code: Any, properties: Any) -> None:
        with self.lock:
            if mid in self.sent:
                self._note(mid)
            else:
                self.early.add(mid)

    def _note(self, mid: int) -> None:
        topic, n = self.sent.pop(mid)
        self.acknowledged[topic].append(n)
        self.room.release()

    def end(self, until: float) -> bool:
        """Publish no more; tell whether everything was acknowledged."""
        self.ending.set()
        self.thread.join()
        while self.sent and time.monotonic() < until:
            time.sleep(0.02)
        return not self.sent


class Subscriber:
    """Hears everything."""

    def __init__(self, number: int, port: int) -> None:
        version = (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311)[number % 2]
        self.client = paho(f"subscriber{number}", version, port)
        self.client.on_connect = lambda client, *_: client.subscribe(FILTER, 2)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._heard
        self.subscribed = threading.Event()
        self.heard: dict[str, list[int]] = {}

    def _heard(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        self.heard.setdefault(message.topic, []).append(int(message.payload))

    def start(self) -> None:
        self.client.come()
        assert self.subscribed.wait(20)

    def has(self, topic: str, number: int) -> bool:
        return number in self.heard.get(topic, ())[-1_000:]

    def blink(self) -> None:
        """Lose the link, without a word."""
        sock = self.client.socket()
        if sock is not None:
            sock.close()


def run(folder: Path, seconds: float, *options: str, seed: int | None = None) -> Outcome:
    """Kill a daemon over a folder for so long, and see what came of it."""
    rolls = random.Random(seed)
    outcome = Outcome()
    options = ("--state", str(folder / "state"), *options)
    with Daemon("--tcp", "tcp:0", *options) as daemon:
        port = daemon.tcp[0][1]
        subscribers = [Subscriber(n, port) for n in range(SUBSCRIBERS)]
        publishers = [Publisher(n, port) for n in range(PUBLISHERS)]
        for one in (*subscribers, *publishers):
            one.start()
        daemon.process.kill()
        daemon.process.wait(10)
    until, away = time.monotonic() + seconds, False
    while time.monotonic() < until:
        with started(port, options, outcome) as daemon:
            time.sleep(rolls.uniform(*UP))
            rolls.choice(subscribers).blink()
            if rolls.random() < LEAVES:  # so that a long queue is read when it comes
                away = not away
                (subscribers[-1].client.go if away else subscribers[-1].client.come)()
            daemon.process.kill()
            daemon.process.wait(10)
        outcome.kills += 1
        outcome.faults += [line for line in daemon.lines if "Traceback" in line or '"critical"' in line]
    with started(port, options, outcome):
        if away:
            subscribers[-1].client.come()
        until = time.monotonic() + 30
        for publisher in publishers:
            if not publisher.end(until):
                outcome.faults.append(f"never acknowledged: {publisher.sent}")
        for subscriber in subscribers:
            wait_for_last(subscriber, publishers, until)
        for one in (*publishers, *subscribers):
            one.client.go()
    audit(publishers, subscribers, outcome)
    return outcome


def started(port: int, options: tuple[str, ...], outcome: Outcome) -> Daemon:
    return Timed(outcome, "--tcp", f"tcp:{port}", *options)


class Timed(Daemon):
    """Notes how long its start takes."""

    def __init__(self, outcome: Outcome, *options: str) -> None:
        super().__init__(*options)
        self.outcome = outcome

    def __enter__(self) -> Timed:
        began = time.monotonic()
        super().__enter__()
        self.outcome.seconds.append(time.monotonic() - began)
        return self


def wait_for_last(subscriber: Subscriber, publishers: list[Publisher], until: float) -> None:
    for publisher in publishers:
        for topic, numbers in publisher.acknowledged.items():
            while numbers and not subscriber.has(topic, max(numbers)) and time.monotonic() < until:
                time.sleep(0.02)


def audit(publishers: list[Publisher], subscribers: list[Subscriber], outcome: Outcome) -> None:
    """Compare what was acknowledged with what has arrived."""
    for publisher in publishers:
        for topic, numbers in publisher.acknowledged.items():
            outcome.acknowledged += len(numbers)
            for number, subscriber in enumerate(subscribers):
                heard = subscriber.heard.get(topic, [])
                outcome.arrived += len(heard)
                counts = Counter(heard)
                lost = set(numbers) - set(heard)
                outcome.lost += len(lost)
                again = sum(counts.values()) - len(counts)
                if topic.endswith("2"):
                    outcome.doubled += again
                else:
                    outcome.repeated += again
                first = list(dict.fromkeys(heard))
                if first != sorted(first):
                    outcome.faults.append(f"{topic}: out of order for subscriber {number}")
                if invented := [one for one in counts if one >= publisher.total]:
                    outcome.faults.append(f"{topic}: invented {invented}")
