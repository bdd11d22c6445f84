"""kernel/sessions/store.py: a store that records each change has all that a new process needs."""

from __future__ import annotations

import pickle

import pytest

from hubbub import limits
from hubbub_plugins.mqtt.connect import DROPPED
from hubbub_plugins.mqtt.packets import Ack, Pingreq, Pingresp, Publish, Will
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, kept, messages, subscription
from storage.journal import DatabaseDisk, Disk, run


@pytest.fixture
def journal():
    return Disk()


@pytest.fixture(params=["journal", "database"])
def disk(request, tmp_path, journal):
    if request.param == "journal":
        yield journal
        return
    database = DatabaseDisk(tmp_path)
    yield database
    for store in database.stores:
        store.stop()


def back(context, name="c", **more):
    client = context.client(name, **(kept(V5) | more))
    assert client.connack.present
    return client


def test_what_waits_is_there_after_a_restart(disk):
    context = run(disk)
    context.client("c", **kept(V5)).subscribe(subscription("a", 2), subscription("zero"))
    context.client("c", **kept(V5)).end.vanish()
    context.world.turn()
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=1)

    context = run(disk)
    assert context.world.hub.clients.queued_bytes > 0
    context.client("w").publish("a", b"3", qos=1, id=1)
    client = back(context)
    assert messages(client.first) == [("a", b"%d" % n, 1) for n in range(4)]
    context.client("w").publish("zero")
    assert messages(client.output()) == [("zero", b"x", 0)]


def test_what_flew_is_sent_again_with_its_id_and_once(disk):
    context = run(disk)
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 2))
    for n in range(4):
        writer.publish("a", b"%d" % n, qos=2, id=n + 1)
    sent = client.output()
    client.ack(PUBREC, sent[1].id)
    client.ack(PUBREC, sent[3].id)
    client.ack(PUBCOMP, sent[3].id)

    context = run(disk)
    first, second, third = back(context).first
    assert [(one.id, one.dup) for one in (first, third)] == [(sent[0].id, True), (sent[2].id, True)]
    assert second == Ack(kind=PUBREL, id=sent[1].id)
    assert context.world.hub.clients.queued_bytes > 0
    client = context.client("c", clean=True)
    client.subscribe(subscription("a", 2))
    assert context.world.hub.clients.queued_bytes == 0


def test_what_is_acknowledged_was_saved_before(journal):
    context = run(journal)
    ear, writer = context.client("ear", **kept(V5)), context.client("w", **kept(V5))
    ear.subscribe(subscription("a", 1))
    answered = []
    for wire in [link.wire for link in context.listener.context.links]:
        wire.write = lambda data, write=wire.write: (answered.append((data[0] >> 4, len(journal.safe))), write(data))
    before = len(journal.safe)
    writer.publish("a", qos=2, id=9)
    (to_ear, to_writer) = sorted(answered)
    assert (to_ear[0], to_writer[0]) == (3, PUBREC)
    assert to_ear[1] == to_writer[1] > before
    context = run(journal)
    writer = back(context, "w")
    writer.publish("a", qos=2, id=9, dup=True)
    assert len(back(context, "ear").first) == 1
    assert writer.ack(PUBREL, 9) == [Ack(kind=PUBCOMP, id=9)]


def test_ids_that_fly_are_not_given_again(disk):
    context = run(disk)
    client = context.client("c", **kept(V5))
    client.subscribe(subscription("a", 1))
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    client.ack(PUBACK, 1)
    context = run(disk)
    client = back(context)
    context.client("w").publish("a", b"3", qos=1, id=1)
    assert [one.id for one in client.first + client.output()] == [2, 3, 4]


def test_a_will_of_a_client_that_the_end_of_the_process_cut_off(disk):
    context = run(disk)
    context.client("now", **kept(V5), will=Will(topic="w", payload=b"now", qos=1))
    later = Will(topic="w", payload=b"later", qos=1, properties={"will_delay_interval": 50})
    context.client("later", **kept(V5), will=later)
    context.client("never", **kept(V5), will=Will(topic="w", payload=b"never", qos=1)).goodbye()
    ear = context.client("ear", **kept(V5))
    ear.subscribe(subscription("w", 1))

    context = run(disk)
    context.world.advance(49)
    ear = back(context, "ear")
    assert messages(ear.first) == [("w", b"now", 1)]
    context.world.advance(1)
    assert messages(ear.output()) == [("w", b"later", 1)]
    assert context.world.hub.clients.will_bytes == 0
    assert context.world.hub.clients.queued_bytes > 0


def test_a_session_that_has_ended_is_gone(disk):
    context = run(disk)
    context.client("c", **kept(V5)).goodbye(session_expiry_interval=5)
    context = run(disk)
    assert len(context.world.hub.clients) == 1
    context.world.advance(6)
    context = run(disk)
    assert len(context.world.hub.clients) == 0
    context.client("d").subscribe(subscription("a", 1))
    assert len(run(disk).world.hub.clients) == 0


def test_nothing_is_left_of_sessions_that_ended_in_the_midst(journal):
    context = run(journal)
    writer = context.client("w")
    for n, ends in enumerate(
        (lambda one: one.end.vanish(), lambda one: one.goodbye(), lambda one: context.client("c0"))
    ):
        client = context.client(f"c{n % 2}", will=Will(topic="a", payload=b"will"))
        client.subscribe(subscription("a", 2), subscription("$share/g/a", 2))
        for id in range(1, 4):
            writer.publish("a", qos=2, id=id)
            writer.ack(PUBREL, id)
        client.publish("b", qos=2, id=1)
        ends(client)
        context.world.turn()
        assert context.world.hub.clients.queued_bytes == 0
    writer.end.vanish()
    context.world.turn()
    assert journal.safe == []  # a session that ends with its link is never written


def test_a_member_of_a_group(disk):
    context = run(disk)
    context.client("c", **kept(V5)).subscribe(subscription("$share/g/a", 1))
    context = run(disk)
    context.client("w").publish("a", qos=1, id=1)
    assert messages(back(context).first) == [("a", b"x", 1)]


@pytest.mark.parametrize("full", ["drop-oldest", "drop-newest"])
def test_what_was_dropped_is_dropped_on_the_disk_too(disk, full, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_MESSAGES", 3)
    context = run(disk, full=full)
    context.client("c", **kept(V5)).subscribe(subscription("a", 1))
    context.client("c", **kept(V5)).end.vanish()
    context.world.turn()
    writer = context.client("w")
    for n in range(6):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    wanted = [b"3", b"4", b"5"] if full == "drop-oldest" else [b"0", b"1", b"2"]
    client = back(run(disk))
    assert [payload for _, payload, _ in messages(client.first)] == wanted
    assert client.connack.properties["user_property"] == [(DROPPED, "3")]
    assert "user_property" not in back(run(disk)).connack.properties


def test_a_store_that_fails_holds_back_every_acknowledgement(journal, monkeypatch):
    context = run(journal)
    ear, writer = context.client("ear", **kept(V5)), context.client("w")
    ear.subscribe(subscription("a", 1))

    def full():
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(context.world.hub.turn, "stores", [full])
        with pytest.raises(OSError, match="no space"):
            writer.publish("a", qos=1, id=1)
        assert writer.output() == ear.output() == []
    context.world.hub.turn.schedule_flush()
    context.world.turn()
    assert writer.output() == [Ack(kind=PUBACK, id=1)]
    assert messages(ear.output()) == [("a", b"x", 1)]


class Broken:
    """An inbox (kernel.turn.Flushable)."""

    def flush(self):
        raise ZeroDivisionError


def test_a_turn_in_which_something_failed_is_saved_before_its_acknowledgements(journal):
    context = run(journal)
    writer = context.client("w", **kept(V5))
    context.world.hub.turn.inboxes.append(Broken())
    with pytest.raises(ZeroDivisionError):
        writer.publish("a", qos=2, id=9)
    assert (9,) in [rest[0].received for what, _, *rest in map(pickle.loads, journal.safe) if what == "advance"]
    assert [one.id for one in writer.output()] == [9]


def test_what_flies_amid_a_flush_is_saved_before(journal, monkeypatch):
    monkeypatch.setattr(limits, "ANSWER_BYTES", 1)  # the answer to a ping holds back what comes behind it
    context = run(journal)
    writer, ear, other = context.client("w", **kept(V5)), context.client("ear", **kept(V5)), context.client("other")
    writer.subscribe("other")
    ear.subscribe(subscription("a", 1), "b")
    saved = []
    for link in context.listener.context.links:
        if link.session.client == "ear":
            link.wire.write = lambda data: saved.extend(
                id
                for what, _, *rest in map(pickle.loads, journal.safe)
                if what == "advance"
                for _, id, _ in rest[0].inflight
            )
    writer.end.send(Pingreq().encode(V5) + Publish(topic="a", qos=1, id=7).encode(V5))
    writer.end.move()
    other.end.send(Publish(topic="b").encode(V5))  # so that the ear stands behind the writer
    other.end.move()
    context.world.turn()
    assert saved == [1]


def test_a_slow_commit_holds_back_what_depends_on_it_and_nothing_else(journal):
    context = run(journal)
    ear, writer, away = context.client("ear"), context.client("w"), context.client("away", **kept(V5))
    ear.subscribe(subscription("plain"))
    away.subscribe(subscription("kept", 1))
    context.store.slow = True

    assert writer.publish("kept", qos=1, id=1) == []  # neither the acknowledgement
    assert away.output() == []  # nor the message, whose packet identifier could be forgotten
    writer.publish("plain", b"live")  # QoS 0 goes on
    assert messages(ear.output()) == [("plain", b"live", 0)]
    assert [one.id for one in ear.publish("nowhere", qos=1, id=5)] == [5]  # nothing of it is kept
    assert writer.end.send(Pingreq().encode(V5)) is None  # its own order stays
    writer.end.move()
    assert writer.output() == []
    context.store.finish()
    context.world.turn()
    first, second = writer.output()
    assert (first, type(second)) == (Ack(kind=PUBACK, id=1), Pingresp)
    assert messages(away.output()) == [("kept", b"x", 1)]


def test_retained_messages_are_there_after_a_restart(disk):
    context = run(disk)
    writer = context.client("w")
    writer.publish("r/1", b"old", retain=True)
    writer.publish("r/1", b"new", retain=True, qos=1, id=1)
    writer.publish("r/2", b"gone", retain=True)
    writer.publish("r/2", b"", retain=True)
    context = run(disk)
    client = context.client("c")
    assert messages(client.subscribe(subscription("r/#"))[1:]) == [("r/1", b"new", 0)]


@pytest.mark.parametrize("before", [[subscription("t/#", 2), subscription("t/a", 1)], [subscription("t/a", 2)]])
def test_what_flew_keeps_its_qos_where_a_subscription_has_less(disk, before):
    """Its client may have sent PUBREC: with QoS 1 the message would be another one, and come twice."""
    context = run(disk)
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(*before)
    writer.publish("t/a", b"1", qos=2, id=1)
    (sent,) = client.output()
    client.subscribe(subscription("t/a", 1))

    context = run(disk)
    (again,) = back(context).first
    assert (again.id, again.qos, again.dup) == (sent.id, 2, True)


def test_a_link_that_closes_before_a_slow_commit_waits_for_it_without_a_turn(journal):
    context = run(journal)
    ear, writer = context.client("ear", **kept(V5)), context.client("w")
    ear.subscribe(subscription("a", 1))
    writer.publish("a", qos=1, id=1)
    (message,) = ear.output()
    context.store.slow = True
    ear.ack(PUBACK, message.id)  # nothing but the barrier before its next answer waits
    (link,) = (one for one in context.listener.context.links if one.session.client == "ear")
    link.close("kicked")
    context.world.turn()  # comes to rest
    assert not ear.closed
    context.store.finish()
    context.world.turn()
    assert ear.closed
