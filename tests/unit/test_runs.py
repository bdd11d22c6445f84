"""Messages that come from another node behind each other on one topic are published at once."""

from __future__ import annotations

import pytest

from hubbub import Refusal
from hubbub.kernel.history.rule import HistoryRule
from hubbub.limits import BATCH_BYTES, BATCH_MESSAGES, KiB
from hubbub.publish import Publish
from unit.kernel_help import Receiver, World


class Node(World):
    """A node with two subscribers, of which the second is the sender of runs."""

    def __init__(self):
        super().__init__(clustered=True)
        self.far = self.session()
        self.ear, self.echo = Receiver(), Receiver()
        self.subscribe(self.session(), "a", self.ear)
        self.subscribe(self.far, "a", self.echo, echo=False)

    def run(self, topic, *payloads):
        messages = [Publish(topic, payload) for payload in payloads]
        for one in messages:
            one.sender = self.far
        self.hub.router.publish_run(messages)
        return messages


@pytest.fixture
def node():
    return Node()


def test_a_run_comes_as_one_batch_behind_what_was_there(node):
    node.publish("a", payload=b"before")
    first = node.run("a", b"1", b"2")
    node.run("a", b"3")
    node.publish("a", payload=b"behind")
    node.turn()
    assert node.ear.payloads == [b"before", b"1", b"2", b"3", b"behind"]
    assert node.echo.payloads == [b"before", b"behind"]
    assert [batch.count for batch in node.ear.batches] == [1, 3, 1]
    assert {one.time for one in first} == {node.hub.turn.time}


@pytest.mark.parametrize(("size", "most"), [(1, BATCH_MESSAGES), (10 * KiB, BATCH_BYTES // (10 * KiB) + 1)])
def test_a_long_run_comes_in_several_batches(node, size, most):
    payloads = [b"%d" % (one % 10) * size for one in range(2 * most + 1)]
    node.run("a", *payloads)
    node.turn()
    assert [batch.count for batch in node.ear.batches] == [most, most, 1]
    assert node.ear.payloads == payloads
    assert node.hub.turn.counters.published == len(payloads)


def test_a_run_on_a_topic_of_the_history_is_not_kept_here(node):
    node.hub.keep_history([HistoryRule("a", 10)])
    node.run("a", b"1", b"2")
    node.turn()
    assert node.ear.payloads == [b"1", b"2"]


def test_a_run_on_a_topic_of_the_hub_is_refused(node):
    with pytest.raises(Refusal):
        node.run("$SYS/a", b"1", b"2")
