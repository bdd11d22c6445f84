"""What waits for many sessions without a link is kept once, and each finds what a list of its own would have had."""

from __future__ import annotations

import contextlib
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from hubbub import limits
from hubbub.kernel.routing import routes
from hubbub_plugins.mqtt.connect import DROPPED
from hubbub_plugins.mqtt.packets import Publish
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, MqttHub, kept, messages, subscription

MOST = 6  # messages in a queue
BYTES = 1_500
FLIGHT = 2
NAMES = ("ann", "bob", "cyd", "dan")
FILTERS = ("a", "b", "+", "a/#", "#")
TOPICS = ("a", "b", "a/x")
MATCHES = {"a": "a", "b": "b", "+": "ab", "a/#": ("a", "a/x"), "#": TOPICS}


class Model:
    """One session with a list of its own."""

    def __init__(self) -> None:
        self.there = True
        self.subscriptions: dict[str, int] = {}
        self.inflight: list[tuple[str, bytes, int]] = []
        self.queue: list[tuple[str, bytes, int]] = []
        self.output: list[tuple[str, bytes, int]] = []
        self.dropped = 0

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        granted = [most for filter, most in self.subscriptions.items() if topic in MATCHES[filter]]
        if not granted:
            return
        qos = min(qos, max(granted))
        one = (topic, payload, qos)
        if not qos:
            self.output += [one] * self.there
        elif not self.queue and self.may_send():
            self.send(one)
        else:
            while self.queue and (len(self.queue) >= MOST or sum(map(size_of, self.queue)) + size_of(one) > BYTES):
                del self.queue[0]
                self.dropped += 1
            self.queue.append(one)

    def may_send(self) -> bool:
        return self.there and len(self.inflight) < FLIGHT and sum(map(size_of, self.inflight)) <= BYTES

    def send(self, one: tuple[str, bytes, int]) -> None:
        self.inflight.append(one)
        self.output.append(one)

    def go_on(self) -> None:
        while self.queue and self.may_send():
            self.send(self.queue.pop(0))

    def come_back(self) -> None:
        self.there = True
        self.output += self.inflight
        self.go_on()


def size_of(one: tuple[str, bytes, int]) -> int:
    return len(one[0]) + len(one[1]) + limits.QUEUED_MESSAGE_BYTES


class Away(RuleBasedStateMachine):
    many = 1  # sessions for a log

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        for name, value in (("QUEUE_MESSAGES", MOST), ("AWAY_SESSIONS", self.many), ("AWAY_TOLD", 2)):
            self.stack.enter_context(patch.object(limits, name, value))
        self.context = MqttHub(queue=BYTES)
        self.hub = self.context.world.hub
        self.clients: dict[str, Any] = {}
        self.unanswered: dict[str, list[Any]] = {}
        self.models: dict[str, Model] = {}
        self.writer = self.context.client("writer")
        self.number = 0
        for name in NAMES:
            self.begin(name)

    def begin(self, name: str) -> None:
        self.clients[name] = client = self.connect(name)
        self.models[name] = Model()
        client.subscribe(subscription("a", 1))
        self.models[name].subscriptions["a"] = 1
        self.unanswered[name] = []

    def connect(self, name: str) -> Any:
        more = {"session_expiry_interval": 100, "receive_maximum": FLIGHT}
        return self.context.client(name, V5, clean=False, properties=more)

    @rule(topic=st.sampled_from(TOPICS), qos=st.integers(0, 2), size=st.sampled_from([0, 1, 300, 2_000]))
    def publish(self, topic: str, qos: int, size: int) -> None:
        self.number += 1
        payload = b"%d" % self.number + b"x" * size
        self.writer.publish(topic, payload, qos=qos, id=self.number if qos else 0)
        if qos == 2:
            self.writer.ack(PUBREL, self.number)
        for model in self.models.values():
            model.publish(topic, payload, qos)
        self.compare()

    @rule(count=st.integers(2, 12), topic=st.sampled_from(TOPICS))
    def publish_many(self, count: int, topic: str) -> None:
        for _ in range(count):
            self.publish(topic, 1, 0)

    @rule(name=st.sampled_from(NAMES), filter=st.sampled_from(FILTERS), qos=st.integers(0, 2))
    def subscribe(self, name: str, filter: str, qos: int) -> None:
        if self.models[name].there:
            self.clients[name].subscribe(subscription(filter, qos))
            self.models[name].subscriptions[filter] = qos
            self.compare()

    @rule(names=st.sets(st.sampled_from(NAMES)))
    def leave(self, names: set[str]) -> None:
        for name in names:
            if self.models[name].there:
                self.clients[name].end.vanish()
                self.models[name].there = False
                self.unanswered[name] = []
        self.context.world.turn()
        self.compare()

    @rule(name=st.sampled_from(NAMES))
    def come_back(self, name: str) -> None:
        model = self.models[name]
        if not model.there:
            client = self.clients[name] = self.connect(name)
            assert client.connack.present
            assert dict(client.connack.properties.get("user_property", ())).get(DROPPED, "0") == str(model.dropped)
            model.dropped = 0
            model.come_back()
            self.receive(name, client.first)
            self.compare()

    @rule(name=st.sampled_from(NAMES))
    def expire(self, name: str) -> None:
        if not self.models[name].there:
            found = [one for one in self.hub.clients.without_link() if one.state.key[2] == name]
            for client in found:
                client.revoke()
            self.context.world.turn()
            self.begin(name)

    @precondition(lambda self: any(self.unanswered.values()))
    @rule(name=st.sampled_from(NAMES))
    def acknowledge(self, name: str) -> None:
        client, model = self.clients[name], self.models[name]
        if self.unanswered[name]:
            one = self.unanswered[name].pop(0)
            if one.qos == 1:
                packets = client.ack(PUBACK, one.id)
            else:
                client.ack(PUBREC, one.id)
                packets = client.ack(PUBCOMP, one.id)
            del model.inflight[0]
            model.go_on()
            self.receive(name, packets)
            self.compare()

    def receive(self, name: str, packets: list[Any]) -> None:
        model, output = self.models[name], [one for one in packets if hasattr(one, "topic")]
        assert [(one.topic, one.payload, one.qos) for one in output] == model.output[: len(output)]
        del model.output[: len(output)]
        self.unanswered[name] += [one for one in output if one.qos]

    def compare(self) -> None:
        for name, client in self.clients.items():
            if self.models[name].there:
                self.receive(name, client.output())
                assert not self.models[name].output
        assert self.hub.clients.queued_bytes >= 0

    def teardown(self) -> None:
        for name in NAMES:
            self.come_back(name)
            while self.unanswered[name]:
                self.acknowledge(name)
        for one in self.hub.clients._known.values():
            name = one.state.key[2]
            assert name == "writer" or one.state.dropped == self.models[name].dropped
        assert self.hub.clients.queued_bytes == self.hub.clients.queued == 0
        self.stack.close()


class AwayFromThree(Away):
    many = 3


FEW = settings(deadline=None, max_examples=30, stateful_step_count=25)
Away.TestCase.settings = AwayFromThree.TestCase.settings = FEW
TestAway, TestAwayFromThree = Away.TestCase, AwayFromThree.TestCase


COUNT = 2 * limits.AWAY_SESSIONS


@pytest.fixture
def context():
    return MqttHub()


def crowd(context: MqttHub) -> None:
    """Sessions whose clients are away."""
    for n in range(COUNT):
        client = context.client(f"s{n}", **kept(V5))
        client.subscribe(subscription("a", 1 + n % 2))
        client.end.vanish()
    context.world.turn()


def test_a_message_is_kept_and_counted_once(context):
    hub, writer = context.world.hub, context.client("w")
    crowd(context)
    before = hub.turn.counters.delivered
    for n in range(10):
        writer.publish("a", b"%d" % n, qos=1, id=n + 1)
    (log,) = hub.router.logs.values()
    assert len(log.places) == COUNT
    assert hub.turn.counters.delivered - before == 10 * COUNT
    assert [group.receivers for group in hub.router._topics["a"].groups] == [[]]
    assert hub.clients.queued == 10 * COUNT
    assert hub.clients.queued_bytes == log.size == 10 * (2 + limits.QUEUED_MESSAGE_BYTES)
    for n in range(COUNT):
        client = context.client(f"s{n}", **kept(V5))
        assert messages(client.first) == [("a", b"%d" % number, 1) for number in range(10)]
    assert not hub.router.logs


def test_the_logs_are_trimmed_with_the_queues_and_what_they_drop_is_counted(context, monkeypatch):
    hub, writer = context.world.hub, context.client("w")
    crowd(context)
    monkeypatch.setattr(limits, "QUEUED_BYTES_ALL", 50 * (101 + limits.QUEUED_MESSAGE_BYTES))
    for n in range(100):
        writer.publish("a", b"%03d" % n + b"x" * 97, qos=1, id=n + 1)
    assert hub.clients.queued_bytes <= 50 * (101 + limits.QUEUED_MESSAGE_BYTES)
    (log,) = hub.router.logs.values()
    kept_of_them = log.end - log.first
    assert 40 < kept_of_them <= 50
    assert hub.turn.counters.dropped + hub.clients.unsettled == (100 - kept_of_them) * COUNT
    monkeypatch.setattr(limits, "QUEUED_BYTES_ALL", 1_000_000)
    client = context.client("s0", **kept(V5))
    assert messages(client.first)[0][1][:3] == b"%03d" % (100 - kept_of_them)
    assert hub.turn.counters.dropped + hub.clients.unsettled == (100 - kept_of_them) * COUNT


def test_sessions_that_end_leave_nothing(context):
    hub, writer = context.world.hub, context.client("w")
    crowd(context)
    writer.publish("a", qos=1, id=1)
    context.world.advance(101)
    assert (hub.clients.queued, hub.clients.queued_bytes, hub.router.logs) == (0, 0, {})


def test_publishes_that_bring_many_deliveries_are_handed_over_some_at_a_time(context, monkeypatch):
    """So that a turn ends in time: each delivery of QoS 1 costs by itself, and so does encoding."""
    monkeypatch.setattr(routes, "DELIVERIES_AT_ONCE", 22)
    hub, writer = context.world.hub, context.client("w")
    for n in range(10):
        context.client(f"r{n}").subscribe(subscription("a", 1))
    counts: list[int] = []
    hub.router.watch = lambda messages: counts.append(len(messages))
    writer.raw(b"".join(Publish(topic="a", payload=b"x", qos=1, id=n + 1).encode(V5) for n in range(30)))
    assert sum(counts) == 30
    assert max(counts) == 2
