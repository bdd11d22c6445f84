"""Clients that publish and subscribe, and lose their links at any moment: what each quality of service promises.

A client may be cut off with answers unread, acknowledgements unsent, and PUBREC sent but PUBREL not; it comes back on
a second link while the first is there; it sends a message again that had no answer yet. In the end everybody comes back
and all is read. HUBBUB_STATES=5000 tries so many runs (with pytest's --timeout=0).
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from hubbub_plugins.mqtt.packets import V31, Ack, Connack, Connect, Publish, Suback, Subscribe
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, Client, MqttHub, kept, subscription

RUNS = int(os.environ.get("HUBBUB_STATES", "0"))
TOPICS = ("t/a", "t/b")
versions = st.sampled_from((V31, V311, V5))
several = st.integers(1, 4)


class Peer:
    """One client, as the specification wants it to be; its session is kept.

    unread   packets that the hub has sent
    unsaid   answers to those that were read
    """

    def __init__(self, context: MqttHub, name: str, version: int, window: int | None = None) -> None:
        self.context, self.name, self.version = context, name, version
        self.more = kept(version)
        if version == V5 and window is not None:
            self.more["properties"] = {**self.more["properties"], "receive_maximum": window}
        self.window = window if version == V5 and window is not None else 65_535
        self.link: Client | None = None
        self.unread: list[Any] = []
        self.unsaid: list[Ack] = []
        self.come_back()

    def come_back(self) -> None:
        """Connect, also where a link is there already: that one is taken over."""
        before, self.link = self.link, Client(self.context.listener, self.version)
        self.context.world.ends[:] = [end for end in self.context.world.ends if not end.closed]
        self.unread, self.unsaid = [], []
        first, *self.unread = self.link.send(Connect(version=self.version, client=self.name, **self.more))
        assert isinstance(first, Connack)
        assert first.code == 0
        self.begin(first.present)
        if before is not None:
            assert before.closed

    def begin(self, present: bool) -> None:
        raise NotImplementedError

    def vanish(self) -> None:
        if self.link is not None:
            self.link.end.vanish()
            self.context.world.turn()
            self.link = None

    def say(self, *packets: Any) -> None:
        assert self.link is not None
        self.unread += self.link.raw(b"".join(packet.encode(self.version) for packet in packets))

    def look(self) -> None:
        assert self.link is not None
        self.unread += self.link.output()
        assert not self.link.closed

    def read(self, most: int) -> None:
        self.look()
        now, self.unread = self.unread[:most], self.unread[most:]
        for packet in now:
            self.take(packet)

    def take(self, packet: Any) -> None:
        raise NotImplementedError

    def answer(self, most: int) -> None:
        now, self.unsaid = self.unsaid[:most], self.unsaid[most:]
        for packet in now:
            self.sends(packet)
        self.say(*now)

    def sends(self, packet: Ack) -> None:
        """An answer goes out."""

    def settle(self) -> None:
        """Read and answer until nothing is left."""
        if self.link is None:
            self.come_back()
        self.look()
        while self.unread or self.unsaid:
            self.read(100)
            self.answer(100)


class Mouth(Peer):
    """Publishes. `open`: what isn't acknowledged to the end, in order, by its id; None: only PUBCOMP is missing."""

    def __init__(self, context: MqttHub, name: str, version: int) -> None:
        self.open: dict[int, Publish | None] = {}
        self._id = 0
        super().__init__(context, name, version)

    def begin(self, present: bool) -> None:
        again = self.open.items()
        self.say(*[Ack(kind=PUBREL, id=id) if one is None else self.doubled(one) for id, one in again])

    @staticmethod
    def doubled(message: Publish) -> Publish:
        return Publish(topic=message.topic, payload=message.payload, qos=message.qos, id=message.id, dup=True)

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        self._id = self._id % 65_535 + 1
        message = Publish(topic=topic, payload=payload, qos=qos, id=self._id if qos else 0)
        if qos:
            self.open[self._id] = message
        if self.link is not None:
            self.say(message)

    def repeat(self) -> None:
        """Send the oldest message of quality 2 that has no PUBREC once more."""
        oldest = next((one for one in self.open.values() if one is not None and one.qos == 2), None)
        if self.link is not None and oldest is not None:
            self.say(self.doubled(oldest))

    def take(self, packet: Any) -> None:
        assert isinstance(packet, Ack)
        if packet.kind == PUBREC and packet.id in self.open:
            assert packet.code < 0x80
            self.open[packet.id] = None
            self.unsaid.append(Ack(kind=PUBREL, id=packet.id))
        elif packet.kind in (PUBACK, PUBCOMP):
            self.open.pop(packet.id, None)


class Ear(Peer):
    """Subscribes to all topics at one quality.

    heard    payloads by topic and mouth, as often as they came
    flying   what the hub has sent and this hasn't acknowledged to the end: payload by id
    known    ids of quality 2 of which PUBREC was made; recorded: was sent
    """

    def __init__(self, context: MqttHub, name: str, version: int, qos: int, window: int) -> None:
        self.qos = qos
        self.output: dict[tuple[str, bytes, int], list[int]] = defaultdict(list)
        self.flying: dict[int, bytes] = {}
        self.known: set[int] = set()
        self.recorded: set[int] = set()
        self.subscribed = False
        super().__init__(context, name, version, window)

    def begin(self, present: bool) -> None:
        assert present == (self.subscribed and self.version != V31)  # 3.1 doesn't tell
        if not self.subscribed:
            self.say(Subscribe(id=1, subscriptions=[subscription("t/#", self.qos), subscription("t/a", 1)]))
            (granted,) = self.unread
            assert isinstance(granted, Suback)
            self.unread, self.subscribed = [], True

    def take(self, packet: Any) -> None:
        if isinstance(packet, Ack):
            assert packet.kind == PUBREL
            assert packet.id in self.recorded, "PUBREL of what had no PUBREC"
            self.known.discard(packet.id)
            self.unsaid.append(Ack(kind=PUBCOMP, id=packet.id))
            return
        assert isinstance(packet, Publish)
        if packet.qos == 0:
            self.deliver(packet)
            return
        before = self.flying.get(packet.id)
        assert before in (None, packet.payload), f"id {packet.id} is used again while it flies"
        assert before is None or packet.dup, "sent again without DUP"
        assert packet.id not in self.recorded, "a message is sent again though its PUBREC was taken"
        self.flying[packet.id] = packet.payload
        assert len(self.flying) <= self.window, "more fly than the client wants"
        if packet.qos == 1:
            self.deliver(packet)
            self.unsaid.append(Ack(kind=PUBACK, id=packet.id))
            return
        if packet.id not in self.known:
            self.deliver(packet)
            self.known.add(packet.id)
        self.unsaid.append(Ack(kind=PUBREC, id=packet.id))

    def deliver(self, packet: Publish) -> None:
        mouth, number = packet.payload.split(b" ")
        self.output[packet.topic, mouth, packet.qos].append(int(number))

    def sends(self, packet: Ack) -> None:
        if packet.kind == PUBREC:
            self.recorded.add(packet.id)
        else:
            self.recorded.discard(packet.id)
            self.flying.pop(packet.id, None)


class Machine(RuleBasedStateMachine):
    """Two mouths and two ears. Everything published has a number of its own."""

    @initialize(
        spoken=st.tuples(versions, versions, versions, versions), qos=st.integers(1, 2), window=st.integers(1, 4)
    )
    def begin(self, spoken: tuple[int, ...], qos: int, window: int) -> None:
        context = MqttHub()
        self.ears = [Ear(context, "e0", spoken[0], 2, window), Ear(context, "e1", spoken[1], qos, 65_535)]
        self.mouths = [Mouth(context, "m0", spoken[2]), Mouth(context, "m1", spoken[3])]
        self.said: dict[tuple[str, bytes, int], list[int]] = defaultdict(list)
        self.count = 0

    def peer(self, at: int) -> Any:
        return (self.ears + self.mouths)[at]

    @rule(at=st.integers(0, 1), topic=st.sampled_from(TOPICS), qos=st.sampled_from((1, 2, 2, 0)), times=several)
    def publish(self, at: int, topic: str, qos: int, times: int) -> None:
        mouth = self.mouths[at]
        for _ in range(times):
            if len(mouth.open) < 90 and (qos or mouth.link is not None):
                self.count += 1
                name = mouth.name.encode()
                self.said[topic, name, qos].append(self.count)
                mouth.publish(topic, b"%s %d" % (name, self.count), qos)

    @rule(at=st.integers(0, 3), most=several)
    def read(self, at: int, most: int) -> None:
        if self.peer(at).link is not None:
            self.peer(at).read(most)

    @rule(at=st.integers(0, 3), most=several)
    def answer(self, at: int, most: int) -> None:
        if self.peer(at).link is not None:
            self.peer(at).answer(most)

    @rule(at=st.integers(0, 3))
    def vanish(self, at: int) -> None:
        self.peer(at).vanish()

    @rule(at=st.integers(0, 3))
    def come_back(self, at: int) -> None:
        self.peer(at).come_back()

    @rule(at=st.integers(0, 1))
    def repeat(self, at: int) -> None:
        self.mouths[at].repeat()

    def teardown(self) -> None:
        if not hasattr(self, "mouths"):
            return
        for peer in [*self.mouths, *self.ears, *self.mouths]:
            peer.settle()
        for mouth in self.mouths:
            assert not mouth.open
        for ear in self.ears:
            self.check(ear)

    def check(self, ear: Ear) -> None:
        assert not ear.flying
        for topic in TOPICS:
            most = max(ear.qos, 1 if topic == "t/a" else 0)
            for mouth in (b"m0", b"m1"):
                for qos in (0, 1, 2):
                    self.check_one(ear, (topic, mouth, qos), most)

    def check_one(self, ear: Ear, key: tuple[str, bytes, int], most: int) -> None:
        topic, mouth, qos = key
        if qos == 2 and most == 1:
            return  # comes at quality 1, beside those; looked at there
        output, said = ear.output[key], self.said[key]
        if qos == 1 and most == 1:
            said = sorted(said + self.said[topic, mouth, 2])
        once = list(dict.fromkeys(output))
        if qos == 0:
            assert output == sorted(set(output) & set(said)), "quality 0: at most once, in order"
        elif qos == 1:
            assert once == said, "quality 1: at least once, in order"
        else:
            assert output == said, "quality 2: exactly once, in order"


def test_what_quality_promises_holds_however_links_break():
    """A failure is shrunk in a run of its own, HUBBUB_STATES=100: that takes minutes."""
    phases = tuple(Phase) if RUNS else (Phase.generate,)
    run = settings(
        max_examples=RUNS or 100,
        stateful_step_count=50,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        phases=phases,
    )
    run_state_machine_as_test(Machine, settings=run)
