"""Permissions hold for every pair of transport and dialect: publish, subscribe, request, retained, reload.

`TABLE` has a row for each; a pair without one fails a test.
"""

from __future__ import annotations

import pytest

from hubbub import Handler, on
from hubbub.kernel.authorization.permissions import Audience, Clause, Permissions, Rule
from hubbub.service.plugins.discovery import Plugins
from hubbub.template import Template
from matrix.speakers import (
    ANSWERED,
    COMMANDING,
    DEVICES,
    EVERY,
    MQTT,
    NATS,
    RAW,
    STOMP,
    STREAMS,
    WAMP,
    seat,
    shipped,
)

NO = ("error", "not-authorized")


def permissions(*said, who=None):
    """Rules from ("publish a/#", "deny subscribe b", ...)."""
    clauses = []
    for text in said:
        *verb, action, filter = text.split(" ")
        clauses.append(Clause(not verb, action, Template(filter, "filter"), "a rule"))
    return Permissions([Rule(who or Audience(), tuple(clauses))])


def reload(speaker, *said):
    """Have other permissions at the speaker's listener."""
    speaker.listener.context.rights = permissions(*said).of
    for link in list(speaker.listener.context.links):
        link.reconsider()


def fellow(world, name, one, rights):
    """`one`, or another client where an error ends the connection."""
    return seat(world, name, rights=rights) if name in STOMP else one


def outside(world):
    """A client that no permissions bind."""
    return seat(world, "tcp-lines")


# What each row does. A dialect that can't subscribe or ask has `subscribe=` and `topic=` of its listener.


def publish(world, name):
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, publishes="a/b", rights=permissions("publish a/#", "deny publish a/x").of)
    one.publish("a/b", b"1")
    assert ear.output() == [("message", "a/b", b"1")]
    other = seat(world, name, publishes="a/x", rights=permissions("publish a/#", "deny publish a/x").of)
    other.publish("a/x", b"2")
    assert ear.output() == []
    assert other.output() == ([] if name in RAW else [NO])


def subscribe(world, name):
    rights = permissions("subscribe a/#", "publish up", "deny subscribe a/x").of
    good, bad = ("a/b", "a/#") if name in ANSWERED else ("a/b", "a/x")
    bad = "a/+" if name in NATS else bad  # for which `a/#` is two
    one = seat(world, name, subscribes=good, publishes="up", rights=rights)
    if name in ANSWERED:
        other = fellow(world, name, one, rights)
        other.subscribe(bad)
        assert other.output() == [NO]
    else:
        refused = world.hub.turn.counters.refused
        seat(world, name, subscribes=bad, publishes="up", rights=rights)
        assert world.hub.turn.counters.refused > refused
    mouth = outside(world)
    mouth.publish("a/x", b"no")
    mouth.publish("a/b", b"yes")
    assert one.output() == [one.message("a/b", b"yes")]
    assert subscribers(world) == {good}


def request(world, name):
    world.run(Answers)
    if name in RAW:  # what it sends is answered to it alone; a reply is no subscription
        one = seat(world, name, publishes="ask", rights=permissions("publish ask").of)
        one.publish("ask", b"1")
        assert one.output() == [one.message("ask", b"1!")]
        return
    asks = MQTT + NATS + STOMP  # who has to listen for replies itself
    back = ("publish back", "subscribe back") if name in asks else ()
    one = seat(world, name, subscribes="back" if back else None, rights=permissions("publish ask", *back).of)
    one.request("ask", b"1")
    assert one.output() == [("reply", b"1!")]
    one.request("other", b"1")
    assert one.output() == [NO]


def retained(world, name):
    mouth = outside(world)
    for topic in ("a/b", "a/c"):
        mouth.publish(topic, topic.encode(), retain=True)
    world.turn()
    rights = permissions("subscribe a/b", "publish up").of
    if name in ANSWERED:
        one = seat(world, name, rights=rights)
        one.subscribe("a/+" if name in NATS else "a/#")
        assert one.output() == [NO]
        one = fellow(world, name, one, rights)
        one.subscribe("a/b")
        assert one.output() == [("subscribed", "a/b"), ("message", "a/b", b"a/b")]
        if name not in NATS:
            one.publish("a/b", b"", retain=True)
            assert one.output() == [NO]
    else:
        one = seat(world, name, subscribes="a/b", publishes="up", rights=rights)
        assert one.output() == [one.message("a/b", b"a/b")]
        other = seat(world, name, subscribes="a/#", publishes="up", rights=rights)
        assert other.output() == []
    assert world.hub.retained.get("a/b").payload == b"a/b"


def change(world, name):
    one = seat(world, name, subscribes="a/b", publishes="up", rights=permissions("subscribe #", "publish up").of)
    mouth = outside(world)
    mouth.publish("a/b", b"1")
    assert one.output() == [one.message("a/b", b"1")]
    mouth.publish("a/b", b"it waits")
    reload(one, "subscribe c")
    mouth.publish("a/b", b"too late")
    assert one.output() == ([] if name in RAW else [NO])
    assert subscribers(world) == set()
    if name in MQTT + STOMP + WAMP:  # its one word for that ends the connection
        assert one.client.closed
        one = seat(world, name, rights=permissions("subscribe c").of)
    ear = seat(world, "tcp-lines", subscribes="up")
    one.publish("up", b"2")
    assert ear.output() == []
    assert one.output() == ([] if name in RAW else [NO])


# Devices that only send, what is theirs to say


def device_publish(world, name):
    ear = seat(world, "tcp-lines", subscribes="#")
    for topic, output in (("a/b", True), ("a/x", False)):
        rights = permissions("publish a/#", "deny publish a/x").of
        refused = world.hub.turn.counters.refused
        seat(world, name, publishes=topic, rights=rights).speak()
        assert [found for _, found, _ in ear.output()] == [topic] * output
        assert world.hub.turn.counters.refused - refused == (not output)


def device_change(world, name):
    watcher = seat(world, "tcp-lines", subscribes="up")
    one = seat(world, name, publishes="up", rights=permissions("publish up").of)
    one.speak()
    assert len(watcher.output()) == 1
    reload(one, "subscribe c")
    one.speak()
    assert watcher.output() == []


def test_each_dialect_is_called_what_options_call_it():
    for entry in Plugins():
        if entry.kind == "dialect":
            kind = entry.load()
            assert {kind.for_role(role).name for role in kind.roles} == {entry.name}


class Answers(Handler):
    @on("ask")
    def answer(self, message):
        message.reply(message.text + "!")


def subscribers(world):
    return {
        subscription.wish.filter
        for session in world.hub.subscriptions.sessions
        for subscription in (session.subscriptions or {}).values()
        if session.rights
    }


ROWS = {"publish": publish, "subscribe": subscribe, "request": request, "retained": retained, "reload": change}
DEVICE_ROWS = {"publish": device_publish, "reload": device_change}
TABLE = {(row, name) for row in ROWS for name in EVERY} | {(row, name) for row in DEVICE_ROWS for name in DEVICES}


@pytest.mark.parametrize(("row", "name"), sorted(TABLE))
def test_each_pair(world, row, name):
    (DEVICE_ROWS if name in DEVICES else ROWS)[row](world, name)


@pytest.mark.parametrize("row", ROWS)
def test_no_pair_lacks_a_row(row):
    unable = set() if row in DEVICE_ROWS else set(DEVICES)
    assert {name for one, name in TABLE if one == row} == set(shipped()) - unable


# What a handler does for a client


class Repeats(Handler):
    @on("ask/#")
    def answer(self, message):
        message.reply("an answer")


@pytest.mark.parametrize("name", [name for name in COMMANDING if "json" in name])
def test_a_reply_goes_only_where_its_sender_may_publish(world, name):
    world.run(Repeats)
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, rights=permissions("publish ask", "publish back").of)
    for reply_to, reply in [("back", True), ("secret", False), ("$SYS/x", False)]:
        unanswered = world.hub.turn.counters.unanswered
        one.publish("ask", b"1", reply_to=reply_to)
        expected = [("message", "ask", b"1"), *([("message", reply_to, b"an answer")] if reply else [])]
        assert ear.output() == expected
        assert world.hub.turn.counters.unanswered - unanswered == (not reply)
    one.publish("ask", b"1", retain=True, reply_to="secret")
    assert one.output() == [NO]


class Forwards(Handler):
    @on("in")
    def forward(self, message):
        self.publish("ask", message.payload, reply_to=message.reply_to)


@pytest.mark.parametrize("name", [name for name in COMMANDING if "json" in name])
def test_nor_where_another_handler_was_asked_to(world, name):
    """A handler may publish anywhere, and passes on what it was given: a topic that its sender may use, or none."""
    world.run(Repeats)
    world.run(Forwards)
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, rights=permissions("publish in", "publish back").of)
    for reply_to, reply in [("back", True), ("secret", False)]:
        one.publish("in", b"1", reply_to=reply_to)
        expected = [("message", "in", b"1"), ("message", "ask", b"1")]
        assert ear.output() == expected + [("message", reply_to, b"an answer")] * reply


@pytest.mark.parametrize("name", STREAMS)
def test_a_client_that_logs_in_has_the_rights_of_that_user(world, name):
    rules = [
        Rule(Audience(login=False), (Clause(True, "subscribe", Template("news", "filter"), ""),)),
        Rule(Audience(users=frozenset({"ann"})), (Clause(True, "publish", Template("home/{user}/#", "filter"), ""),)),
    ]

    def login(event, session, done):
        done(event.user)

    one = seat(world, name, subscribes="news", rights=Permissions(rules).of, login=login)
    one.publish("home/ann/x", b"1")
    assert one.output() == [NO]
    one.log_in()
    world.turn()
    assert one.units()[1:]  # the answer, and that the subscription of nobody in particular has ended
    ear = seat(world, "tcp-lines", subscribes="#")
    one.publish("home/ann/x", b"1")
    one.publish("home/ben/x", b"1")
    assert ear.output() == [("message", "home/ann/x", b"1")]
    assert one.output() == [NO]
