"""kernel/sessions/store.py: a store that records each change has all that a new process needs."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from hubbub import limits
from hubbub.kernel.sessions.store import InflightMessage, PersistentSession
from hubbub_plugins.mqtt.packets import Ack, Ping, Publish, Will
from hubbub_plugins.mqtt.properties import PINGREQ
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, MqttHub, kept, messages, wish

FACTS = ("owner", "expiry", "left", "will", "will_delay", "room", "full")


class Written(PersistentSession):
    """A PersistentSession that writes down what changes, before the end of the turn."""

    __slots__ = ("store",)

    def tell(self, *what: Any) -> None:
        self.store.write(self.key, *what)

    def save(self):
        facts = {name: getattr(self, name) for name in FACTS}
        facts["owner"], facts["will"] = self.owner.double(), bare(self.will)
        self.tell("facts", facts)

    def subscribe(self, wish):
        super().subscribe(wish)
        self.tell("subscribe", wish)

    def unsubscribe(self, filter):
        super().unsubscribe(filter)
        self.tell("unsubscribe", filter)

    def receive(self, once):
        super().receive(once)
        self.tell("receive", once)

    def release(self, once):
        super().release(once)
        self.tell("release", once)

    def wait(self, owed):
        super().wait(owed)
        self.tell("wait", bare_owed(owed))

    def take(self):
        self.tell("take")
        return super().take()

    def fly(self, owed):
        super().fly(owed)
        self.tell("fly", bare_owed(owed))

    def mark(self, owed):
        self.tell("mark", owed.id)

    def land(self, owed):
        super().land(owed)
        self.tell("land", owed.id)


def bare(message):
    """A message without its sender, who is of this process."""
    if message is None:
        return None
    copy = message.on(message.topic)
    copy.sender = copy.tag = None
    return copy


def bare_owed(owed):
    copy = InflightMessage(bare(owed.message), owed.wish, owed.qos, owed.share)
    copy.id, copy.received = owed.id, owed.received
    return copy


class Disk:
    """What outlives the process: only what was committed."""

    def __init__(self) -> None:
        self.safe: list[bytes] = []


class DiaryStore:
    """A store on such a disk."""

    def __init__(self, disk: Disk, schedule_flush: Any) -> None:
        self.disk = disk
        self.schedule_flush = schedule_flush
        self.there: set[Any] = set()
        self.diary: list[bytes] = []

    def write(self, *what: Any) -> None:
        assert what[0] in self.there  # nothing is said of a session that has ended
        self.diary.append(pickle.dumps(what))
        self.schedule_flush()

    def load(self):
        found: dict[Any, PersistentSession] = {}
        for key, what, *told in map(pickle.loads, self.disk.safe):
            if what == "begin":
                found[key] = self._written(key, *told)
            elif what == "end":
                del found[key]
            else:
                self._again(found[key], what, *told)
        return list(found.values())

    def _again(self, known, what, *told):
        if what == "facts":
            for name, value in told[0].items():
                setattr(known, name, value)
        elif what == "mark":
            known.flight[told[0]].received = True
        elif what == "land":
            PersistentSession.land(known, known.flight[told[0]])
        else:
            getattr(PersistentSession, what)(known, *told)

    def _written(self, key, owner):
        known = Written(key, owner)
        known.store = self
        self.there.add(key)
        return known

    def begin(self, key, owner):
        known = self._written(key, owner)
        self.write(key, "begin", owner.double())
        return known

    def end(self, known):
        known.tell("end")
        self.there.discard(known.key)

    def commit(self):
        self.disk.safe += self.diary
        self.diary.clear()


@pytest.fixture
def disk():
    return Disk()


def run(disk, **more):
    """A process; the one before has been killed."""
    context = MqttHub(**more)
    context.world.hub.clients.load(DiaryStore(disk, context.world.hub.schedule_flush))
    return context


def back(context, name="c", **more):
    client = context.client(name, **(kept(V5) | more))
    assert client.connack.present
    return client


def test_what_waits_is_there_after_a_restart(disk):
    context = run(disk)
    context.client("c", **kept(V5)).subscribe(wish("a", 2), wish("zero"))
    context.client("c", **kept(V5)).end.vanish()
    context.world.turn()
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=1)

    context = run(disk)
    assert context.world.hub.clients.waiting > 0
    context.client("w").publish("a", b"3", qos=1, id=1)
    client = back(context)
    assert messages(client.first) == [("a", b"%d" % n, 1) for n in range(4)]
    context.client("w").publish("zero")
    assert messages(client.heard()) == [("zero", b"x", 0)]


def test_what_flew_is_sent_again_with_its_id_and_once(disk):
    context = run(disk)
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(wish("a", 2))
    for n in range(4):
        writer.publish("a", b"%d" % n, qos=2, id=n + 1)
    sent = client.heard()
    client.ack(PUBREC, sent[1].id)
    client.ack(PUBREC, sent[3].id)
    client.ack(PUBCOMP, sent[3].id)

    context = run(disk)
    first, second, third = back(context).first
    assert [(one.id, one.dup) for one in (first, third)] == [(sent[0].id, True), (sent[2].id, True)]
    assert second == Ack(kind=PUBREL, id=sent[1].id)
    assert context.world.hub.clients.waiting > 0
    client = context.client("c", clean=True)
    client.subscribe(wish("a", 2))
    assert context.world.hub.clients.waiting == 0


def test_what_is_acknowledged_was_saved_before(disk):
    context = run(disk)
    ear, writer = context.client("ear", **kept(V5)), context.client("w", **kept(V5))
    ear.subscribe(wish("a", 1))
    answered = []
    outboxes = [link.outbox for link in context.door.context.links]
    for outbox in outboxes:
        outbox._write = lambda data, write=outbox._write: (answered.append((data[0] >> 4, len(disk.safe))), write(data))
    before = len(disk.safe)
    writer.publish("a", qos=2, id=9)
    (to_ear, to_writer) = sorted(answered)
    assert (to_ear[0], to_writer[0]) == (3, PUBREC)
    assert to_ear[1] == to_writer[1] > before
    context = run(disk)
    writer = back(context, "w")
    writer.publish("a", qos=2, id=9, dup=True)
    assert len(back(context, "ear").first) == 1
    assert writer.ack(PUBREL, 9) == [Ack(kind=PUBCOMP, id=9)]


def test_ids_that_fly_are_not_given_again(disk):
    context = run(disk)
    client = context.client("c", **kept(V5))
    client.subscribe(wish("a", 1))
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    client.ack(PUBACK, 1)
    context = run(disk)
    client = back(context)
    context.client("w").publish("a", b"3", qos=1, id=1)
    assert [one.id for one in client.first + client.heard()] == [2, 3, 4]


def test_a_will_of_a_client_that_the_end_of_the_process_cut_off(disk):
    context = run(disk)
    context.client("now", **kept(V5), will=Will(topic="w", payload=b"now", qos=1))
    later = Will(topic="w", payload=b"later", qos=1, properties={"will_delay_interval": 50})
    context.client("later", **kept(V5), will=later)
    context.client("never", **kept(V5), will=Will(topic="w", payload=b"never", qos=1)).goodbye()
    ear = context.client("ear", **kept(V5))
    ear.subscribe(wish("w", 1))

    context = run(disk)
    context.world.advance(49)
    ear = back(context, "ear")
    assert messages(ear.first) == [("w", b"now", 1)]
    context.world.advance(1)
    assert messages(ear.heard()) == [("w", b"later", 1)]
    assert context.world.hub.clients.wills == 0
    assert context.world.hub.clients.waiting > 0


def test_a_session_that_has_ended_is_gone(disk):
    context = run(disk)
    context.client("c", **kept(V5)).goodbye(session_expiry_interval=5)
    assert len(run(disk).world.hub.clients) == 1
    context.world.advance(6)
    assert len(run(disk).world.hub.clients) == 0
    context.client("d").subscribe(wish("a", 1))
    assert len(run(disk).world.hub.clients) == 0


def test_nothing_is_left_of_sessions_that_ended_in_the_midst(disk):
    context = run(disk)
    writer = context.client("w")
    for n, ends in enumerate(
        (lambda one: one.end.vanish(), lambda one: one.goodbye(), lambda one: context.client("c0"))
    ):
        client = context.client(f"c{n % 2}", will=Will(topic="a", payload=b"will"))
        client.subscribe(wish("a", 2), wish("$share/g/a", 2))
        for id in range(1, 4):
            writer.publish("a", qos=2, id=id)
            writer.ack(PUBREL, id)
        client.publish("b", qos=2, id=1)
        ends(client)
        context.world.turn()
        assert context.world.hub.clients.waiting == 0
    writer.end.vanish()
    context.world.turn()
    assert {key for key, *_ in map(pickle.loads, disk.safe)} == {("", None, name) for name in ("w", "c0", "c1")}
    assert [kept.key[2] for kept in DiaryStore(disk, lambda: None).load()] == ["c0"]


def test_a_member_of_a_group(disk):
    context = run(disk)
    context.client("c", **kept(V5)).subscribe(wish("$share/g/a", 1))
    context = run(disk)
    context.client("w").publish("a", qos=1, id=1)
    assert messages(back(context).first) == [("a", b"x", 1)]


@pytest.mark.parametrize("full", ["drop-oldest", "drop-newest"])
def test_the_diary_says_what_was_dropped(disk, full, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_MESSAGES", 3)
    context = run(disk, full=full)
    context.client("c", **kept(V5)).subscribe(wish("a", 1))
    context.client("c", **kept(V5)).end.vanish()
    context.world.turn()
    writer = context.client("w")
    for n in range(6):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    wanted = [b"3", b"4", b"5"] if full == "drop-oldest" else [b"0", b"1", b"2"]
    assert [payload for _, payload, _ in messages(back(run(disk)).first)] == wanted


def test_a_store_that_fails_keeps_everybody_from_being_told(disk, monkeypatch):
    context = run(disk)
    ear, writer = context.client("ear", **kept(V5)), context.client("w")
    ear.subscribe(wish("a", 1))

    def full():
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(context.world.hub.clients.store, "commit", full)
        with pytest.raises(OSError, match="no space"):
            writer.publish("a", qos=1, id=1)
        assert writer.heard() == ear.heard() == []
    context.world.hub.schedule_flush()
    context.world.turn()
    assert writer.heard() == [Ack(kind=PUBACK, id=1)]
    assert messages(ear.heard()) == [("a", b"x", 1)]


class Broken:
    """An inbox (kernel.hub.Flushed)."""

    def flush(self):
        raise ZeroDivisionError


def test_a_turn_in_which_something_failed_is_saved_before_anybody_is_told(disk):
    context = run(disk)
    writer = context.client("w", **kept(V5))
    context.world.hub.inboxes.append(Broken())
    with pytest.raises(ZeroDivisionError):
        writer.publish("a", qos=2, id=9)
    assert [9] in [told for _, what, *told in map(pickle.loads, disk.safe) if what == "receive"]
    assert [one.id for one in writer.heard()] == [9]


def test_what_flies_amid_a_flush_is_saved_before(disk, monkeypatch):
    monkeypatch.setattr(limits, "ANSWER_BYTES", 1)  # the answer to a ping holds back what comes behind it
    context = run(disk)
    writer, ear, other = context.client("w", **kept(V5)), context.client("ear", **kept(V5)), context.client("other")
    writer.subscribe("other")
    ear.subscribe(wish("a", 1), "b")
    saved = []
    for link in context.door.context.links:
        if link.session.client == "ear":
            link.outbox._write = lambda data: saved.extend(
                told[0].id for _, what, *told in map(pickle.loads, disk.safe) if what == "fly"
            )
    writer.end.send(Ping(kind=PINGREQ).encode(V5) + Publish(topic="a", qos=1, id=7).encode(V5))
    writer.end.move()
    other.end.send(Publish(topic="b").encode(V5))  # so that the ear stands behind the writer
    other.end.move()
    context.world.turn()
    assert saved == [1]
