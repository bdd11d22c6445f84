"""The hub gives each message once to whom a plain look at all subscriptions names, in order."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.kernel.routing import routes
from hubbub.kernel.sessions.session import Session
from hubbub.publish import Publish
from hubbub.topics import matches
from scale import examples
from unit.kernel_help import FILTERS, TOPICS, Inbox, Receiver, World, payloads_of

SESSIONS = st.integers(0, 3)
OPS = st.lists(
    st.one_of(
        st.tuples(st.just("subscribe"), SESSIONS, FILTERS),
        st.tuples(st.just("publish"), SESSIONS, TOPICS),
        st.tuples(st.just("publish"), SESSIONS, TOPICS),
        st.tuples(st.just("unsubscribe"), SESSIONS, FILTERS),
        st.tuples(st.just("again"), SESSIONS, st.none()),
        st.tuples(st.just("none"), SESSIONS, TOPICS),
        st.tuples(st.just("turn"), st.just(0), st.none()),
        st.tuples(st.just("leave"), SESSIONS, st.none()),
    ),
    max_size=50,
)


class Client:
    """A session and what it should have got: sessions 0 and 1 share an encoding, 1 and 3 want no echo."""

    def __init__(self, world, number):
        self.world = world
        self.number = number
        self.session = world.session()
        self.echo = number in (0, 2)
        self.receiver = Receiver()
        self.filters = {}
        self.expected = []
        self.missed = 0

    def wants(self, topic, sender):
        if sender is self and not self.echo:
            return False
        return any(matches(filter, topic) for filter in self.filters)


@settings(max_examples=examples(300))
@given(OPS, st.sampled_from([1, 3, 1_000]), st.sampled_from([2, 65_536]))
def test_it_delivers_like_a_look_at_every_subscription(ops, batch, cache):
    world = World()
    clients = [Client(world, number) for number in range(4)]
    serial, last = 0, "a"
    with patch.object(routes, "BATCH_MESSAGES", batch), patch.object(limits, "MATCH_CACHE", cache):
        for op, who, what in ops:
            one = clients[who]
            if op == "subscribe":
                world.subscribe(one.session, what, one.receiver, one.echo, form=who // 2)
                one.filters[what] = True
            elif op == "unsubscribe":
                world.hub.subscriptions.unsubscribe(one.session, what)
                one.filters.pop(what, None)
            elif op == "leave":
                world.hub.subscriptions.leave(one.session)
                world.hub.subscriptions.join(one.session)
                one.filters.clear()
            elif op == "turn":
                world.turn()
            else:
                topic = last = what or last
                serial += 1
                payload = b"none" if op == "none" else b"%d" % serial
                receivers = world.publish(topic, payload, one.session)
                wanting = [client for client in clients if client.wants(topic, one)]
                assert receivers == len(wanting)
                for client in wanting:
                    if op == "none":
                        client.missed += 1
                    else:
                        client.expected.append((topic, payload))
        world.turn()
    for client in clients:
        got = [(message.topic, message.payload) for made in client.receiver.batches for message in made.messages]
        assert got == client.expected
        assert client.receiver.missed == client.missed
        for made in client.receiver.batches:
            assert made.data == b"".join(message.payload for message in made.messages)
            assert made.count <= batch
        world.hub.subscriptions.leave(client.session)
    counters = world.hub.turn.counters
    assert counters.published == serial
    assert counters.delivered == sum(len(client.expected) for client in clients)
    assert counters.uncarried == sum(client.missed for client in clients)
    assert world.hub.router.trie.match("a/b") == ()
    assert not world.hub.router.trie._exact
    assert world.hub.router.trie._root.empty()
    assert world.hub.subscriptions.count == 0


def test_messages_on_one_way_are_encoded_once_and_together():
    world, receivers, encoded = World(), [Receiver(), Receiver()], []

    def encode(messages, form):
        encoded.extend(message.payload for message in messages)
        return [message.payload for message in messages]

    encoding = world.hub.subscriptions.encoding(encode, None)
    for receiver in receivers:
        world.hub.subscriptions.subscribe(world.session(), Subscribe("t"), encoding, receiver)
    for number in range(5):
        world.publish("t", b"%d" % number)
    world.turn()
    assert encoded == [b"0", b"1", b"2", b"3", b"4"]
    assert [len(receiver.batches) for receiver in receivers] == [1, 1]
    assert receivers[0].batches[0] is receivers[1].batches[0]


def test_order_is_kept_between_topics_of_one_publisher():
    world, receiver = World(), Receiver()
    session = world.session()
    world.subscribe(session, "#", receiver)
    world.subscribe(session, "b", receiver)
    for number in range(20):
        world.publish("ab"[number % 2], b"%d" % number)
    world.turn()
    assert receiver.payloads == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize("filters", [["#", "a/b"], ["a/b", "#"], ["a/+", "#"], ["#", "a/+"], ["+/+", "a/#"]])
def test_of_several_filters_the_one_with_the_fewest_wildcards_decides(filters):
    """Of two with as many, the one without #."""
    world, receiver = World(), Receiver()
    session = world.session()
    precise = min(filters, key=lambda one: (one.count("+") + one.count("#"), "#" in one))
    for filter in filters:
        world.subscribe(session, filter, receiver, echo=filter == precise)
    assert world.publish("a/b", sender=session) == 1
    world.turn()
    assert receiver.payloads == [b"x"]


def test_a_second_subscription_to_a_filter_replaces_the_first():
    world, first, second = World(), Receiver(), Receiver()
    session = world.session()
    world.subscribe(session, "a", first)
    world.publish("a", b"1")
    world.subscribe(session, "a", second)
    world.publish("a", b"2")
    world.turn()
    assert (first.payloads, second.payloads) == ([b"1"], [b"2"])
    world.hub.subscriptions.unsubscribe(session, "a")
    assert world.publish("a") == 0


def test_what_was_published_before_the_end_of_a_subscription_arrives():
    world, receiver = World(), Receiver()
    session = world.session()
    world.subscribe(session, "a", receiver)
    world.publish("a", b"1")
    world.hub.subscriptions.unsubscribe(session, "a")
    world.publish("a", b"2")
    world.turn()
    assert receiver.payloads == [b"1"]


def test_what_was_published_before_a_subscription_doesnt_arrive():
    world, receiver = World(), Receiver()
    world.publish("a", b"1")
    world.subscribe(world.session(), "a", receiver)
    world.publish("a", b"2")
    world.turn()
    assert receiver.payloads == [b"2"]


def test_retained_messages_come_from_a_subscribe():
    world, receiver = World(), Receiver()
    world.publish("a/b", b"1", retain=True)
    world.publish("a/c", b"2", retain=True)
    world.publish("a/c", b"", retain=True)
    found = world.subscribe(world.session(), "a/#", receiver)
    assert [(message.payload, message.retained) for message in found] == [(b"1", True)]


@pytest.mark.parametrize("topic", ["$SYS/x", "$hubbub/x", "$SYS", "$hubbub", "$hubbub/"])
def test_some_topics_are_for_the_hub_itself(topic):
    world = World()
    for _ in range(2):
        with pytest.raises(Refusal) as found:
            world.publish(topic, retain=True)
        assert found.value.code == "not-authorized"
    assert world.hub.retained.count == 0


def test_other_topics_with_a_dollar_are_free():
    world, receiver = World(), Receiver()
    world.subscribe(world.session(), "$SYSTEM/#", receiver)
    world.subscribe(world.session(), "#", receiver)
    assert world.publish("$SYSTEM/x") == 1
    assert world.publish("$SYS2") == 0


def test_sessions_are_announced():
    world, reported = World(), []

    class SessionWatcher:
        def joined(self, session):
            reported.append(("joined", session))

        def left(self, session):
            reported.append(("left", session))

    world.hub.subscriptions.watchers.append(SessionWatcher())
    session = world.session()
    world.hub.subscriptions.leave(session)
    world.hub.subscriptions.leave(session)
    assert reported == [("joined", session), ("left", session)]


# Turns


def test_what_handlers_publish_goes_out_in_the_same_turn():
    world, receiver = World(), Receiver()
    echo = Inbox(world, lambda inbox, message: world.publish("out", message.payload.upper(), inbox.session))
    world.subscribe(echo.session, "in", echo)
    world.subscribe(world.session(), "#", receiver)
    world.publish("in", b"a")
    world.publish("in", b"b")
    world.hub.turn.flush()
    assert receiver.payloads == [b"a", b"b", b"A", b"B"]


def test_a_loop_of_handlers_lets_the_turn_end():
    world = World()
    ping = Inbox(world, lambda inbox, message: world.publish("pong", b"x", inbox.session))
    pong = Inbox(world, lambda inbox, message: world.publish("ping", b"x", inbox.session))
    world.subscribe(ping.session, "ping", ping)
    world.subscribe(pong.session, "pong", pong)
    world.publish("ping")
    world.wakes = 0
    world.hub.turn.flush()
    assert world.wakes == 1
    assert world.hub.turn.counters.published == limits.HOPS + 2


class Broken:
    def __init__(self, error=None):
        self.error = error
        self.flushed = 0

    def flush(self):
        self.flushed += 1
        if self.error:
            raise self.error


@pytest.mark.parametrize("where", ["inboxes", "outboxes"])
def test_one_that_fails_costs_no_other_the_turn(where):
    """A plugin's fault: it is raised, so that it is logged, and everybody else gets the next turn."""
    world = World()
    bad, good = Broken(RuntimeError("a plugin's fault")), Broken()
    getattr(world.hub.turn, where).extend([bad, good])
    world.hub.turn.schedule_flush()
    world.wakes = 0
    with pytest.raises(RuntimeError):
        world.hub.turn.flush()
    assert world.wakes == 1
    world.turn()
    assert (bad.flushed, good.flushed) == (1, 1)
    world.publish("a")
    assert world.wakes == 1


def test_an_encoder_that_fails_loses_its_messages_and_no_others():
    world, good, bad, errors = World(), Receiver(), Receiver(), []
    world.hub.turn.failed = lambda error, session: errors.append(error)

    def encode(messages, form):
        if any(message.payload == b"bad" for message in messages):
            raise RuntimeError("a plugin's fault")
        return [message.payload for message in messages]

    world.hub.subscriptions.subscribe(
        world.session(), Subscribe("#"), world.hub.subscriptions.encoding(encode, None), bad
    )
    world.subscribe(world.session(), "#", good)
    for payload in (b"1", b"bad", b"2"):
        world.publish("a", payload)
    world.turn()
    assert good.payloads == [b"1", b"bad", b"2"]
    assert bad.payloads == [b"1", b"2"]
    assert bad.missed == 1
    assert world.hub.turn.counters.failed == 1
    assert [str(error) for error in errors] == ["a plugin's fault"]


def test_a_publish_says_when_it_arrived(world):
    receiver = Receiver()
    world.subscribe(world.session(), "a", receiver)
    event = Publish("a", b"1")
    world.hub.router.publish(event)
    world.turn()
    assert event.time == 1.7e9 + world.clock
    world.clock += 5
    world.publish("a", b"2")
    world.turn()
    assert receiver.batches[1].messages[0].time == 1.7e9 + world.clock


def test_an_encoding_is_shared_and_forgotten(world):
    hub, session, receiver = world.hub, world.session(), Receiver()
    hub.subscriptions.subscribe(session, Subscribe("a"), hub.subscriptions.encoding(payloads_of, ("form", 1)), receiver)
    one = session.subscriptions["a"].encoding
    assert hub.subscriptions.encoding(payloads_of, ("form", 1)) is one
    assert hub.subscriptions.encoding(payloads_of, ("form", 2)) is not one
    hub.subscriptions.subscribe(session, Subscribe("b"), hub.subscriptions.encoding(payloads_of, ("form", 1)), receiver)
    hub.subscriptions.subscribe(session, Subscribe("b"), hub.subscriptions.encoding(payloads_of, ("form", 1)), receiver)
    assert session.subscriptions["b"].encoding is one
    hub.subscriptions.unsubscribe(session, "a")
    assert hub.subscriptions.encoding(payloads_of, ("form", 1)) is one
    hub.subscriptions.unsubscribe(session, "b")
    assert hub.subscriptions.encoding(payloads_of, ("form", 1)) is not one
    assert not hub.subscriptions._encodings


def test_a_session_shows_its_client():
    assert str(Session("192.0.2.1", 7, "tcp", "tcp-7000", "ann")) == "tcp-7000 192.0.2.1:7 (ann)"
    assert str(Session("unix", 0, "tcp", "hub")) == "hub unix"
    assert Session("h", 7, "tcp", "l").fields() == {"id": "l", "host": "h", "port": "7", "user": "", "client": ""}
