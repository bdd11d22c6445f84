"""kernel/routing/cluster_router.py: what has to be kept goes into the stream, and is published as it comes back."""

from __future__ import annotations

import pytest

from hubbub.errors import Refusal
from hubbub.kernel.commits import Commits
from hubbub.kernel.history.rule import HistoryRule
from hubbub.message import Message
from hubbub_plugins.mqtt.packets import Will
from mqtt_client import V5, MqttHub, kept, messages, subscription

PUBACK, PUBREC = 4, 5


class Stream:
    """A stream that stores a message when the test says so."""

    def __init__(self, context):
        self.commits = Commits()
        self.hub = context.world.hub
        self.turn = context.world.turn
        self.waiting = []

    def publish(self, message, once=b""):
        self.commits.open += 1
        self.waiting.append(message)

    def acknowledge(self, count=1):
        """Have acknowledged so many."""
        self.commits.done(self.commits.safe + count)
        self.turn()

    def bring(self):
        """Have all come back that were published."""
        waiting, self.waiting = self.waiting, []
        for message in waiting:
            self.hub.router.publish_here(message)
        self.turn()


@pytest.fixture
def context():
    return MqttHub(clustered=True)


@pytest.fixture
def stream(context):
    made = Stream(context)
    context.world.hub.join(made)
    return made


def test_a_message_is_delivered_as_it_comes_back_and_acknowledged_once_it_is_stored(context, stream):
    ear, writer = context.client("ear"), context.client("writer")
    ear.subscribe(subscription("a", 1))
    assert writer.publish("a", b"1", qos=1, id=1) == []
    assert ear.output() == []
    stream.bring()
    assert messages(ear.output()) == [("a", b"1", 1)]
    assert writer.output() == []
    stream.acknowledge()
    [answer] = writer.output()
    assert (answer.kind, answer.id, answer.code) == (PUBACK, 1, 0)


def test_one_waits_for_its_own_message_and_those_before(context, stream):
    first, second = context.client("first"), context.client("second")
    first.publish("a", qos=1, id=1)
    second.publish("a", qos=2, id=2)
    first.publish("a", qos=1, id=3)
    found = []
    for _ in range(3):
        stream.acknowledge()
        found.append([[one.id for one in client.output()] for client in (first, second)])
    assert found == [[[1], []], [[], [2]], [[3], []]]


def test_what_need_not_be_kept_goes_on_at_once(context, stream):
    ear, writer = context.client("ear"), context.client("writer")
    ear.subscribe(subscription("a", 1))
    writer.publish("a", b"0", qos=1, id=1)
    writer.publish("a", b"1")
    assert messages(ear.output()) == [("a", b"1", 0)]
    assert len(ear.subscribe("b")) == 1  # its answer waits for nothing
    assert [message.payload for message in stream.waiting] == [b"0"]


def test_a_retained_message_is_there_as_it_comes_back(context, stream):
    writer = context.client("writer")
    writer.publish("a", b"1", retain=True)
    assert messages(context.client().subscribe("a")[1:]) == []
    stream.bring()
    assert messages(context.client().subscribe("a")[1:]) == [("a", b"1", 0)]
    writer.publish("a", b"", retain=True)
    stream.bring()
    assert messages(context.client().subscribe("a")[1:]) == []


def test_what_the_history_covers_goes_into_the_stream(context, stream):
    context.world.hub.keep_history([HistoryRule("kept/#")])
    writer = context.client("writer")
    for topic in ("kept/a", "other/a", "kept"):
        writer.publish(topic)
    assert [message.topic for message in stream.waiting] == ["kept/a", "kept"]
    assert context.world.hub.history.metrics()["messages"] == 0
    stream.bring()
    assert context.world.hub.history.metrics()["messages"] == 2


def test_a_client_that_does_not_want_its_own_messages_gets_none(context, stream):
    client = context.client("c")
    client.subscribe(subscription("a", 1, no_local=True))
    client.publish("a", qos=1, id=1)
    stream.bring()
    assert messages(client.output()) == []


@pytest.mark.parametrize(("qos", "kind"), [(1, PUBACK), (2, PUBREC)])
def test_while_nothing_can_be_stored_publishers_are_refused(context, stream, qos, kind):
    writer = context.client("writer")
    stream.commits.refuses = "the cluster doesn't answer; try again"
    [answer] = writer.publish("a", qos=qos, id=1)
    assert (answer.kind, answer.id, answer.code) == (kind, 1, 0x97)
    assert stream.waiting == []
    stream.commits.refuses = ""
    assert writer.publish("a", qos=qos, id=1) == []
    assert len(stream.waiting) == 1


def test_what_the_hub_itself_says_waits_while_nothing_can_be_stored(context, stream):
    writer = context.client("writer", will=Will(topic="gone", payload=b"x", qos=1))
    stream.commits.refuses = "the cluster doesn't answer; try again"
    writer.end.vanish()
    context.world.turn()
    assert [message.topic for message in stream.waiting] == ["gone"]


def test_what_finds_no_room_or_is_not_allowed_is_refused_before_it_is_stored(context, stream):
    hub = context.world.hub
    writer = context.client("writer")
    assert writer.publish("$SYS/a", qos=1, id=1)[0].code == 0x87
    hub.retained.max_messages = 0
    assert writer.publish("a", qos=1, id=1, retain=True)[0].code == 0x97
    with pytest.raises(Refusal, match="is for the hub itself"):
        hub.router.publish(Message("$hubbub/a", b"", retain=True))
    assert stream.waiting == []


def test_a_reply_does_not_go_through_the_stream(context, stream):
    context.client("writer").publish("$reply/a", qos=1, id=1)
    assert stream.waiting == []


def test_a_message_that_comes_again_is_stored_once(context, stream):
    writer = context.client("writer", **kept(V5))
    for dup in (False, True):
        writer.publish("a", qos=2, id=1, dup=dup)
    assert len(stream.waiting) == 1
    stream.acknowledge()
    assert [answer.id for answer in writer.output()] == [1, 1]


def test_a_retry_with_an_idempotency_key_waits_for_the_first(context, stream):
    writer = context.client("writer")
    for id in (1, 2):
        assert writer.publish("a", qos=1, id=id, properties={"user_property": [("once", "k")]}) == []
    assert len(stream.waiting) == 1
    stream.acknowledge()
    assert [answer.id for answer in writer.output()] == [1, 2]
