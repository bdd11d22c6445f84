"""Sessions of a real client that move between three daemons, of which some are killed."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cluster.test_daemons import joined, status
from interop.mqtt.base import V5, V311, At, Wish
from interop.mqtt.paho_client import Paho
from system.controlled import Controlled
from waiting import wait_until

COUNT = 60


@pytest.fixture
def stack():
    with ExitStack() as made:
        yield made


@pytest.fixture
def nodes(stack, server):
    """Three daemons that know each other."""
    cluster = f"c{secrets.token_hex(4)}"
    made = []
    for name in "abc":
        folder = Path(stack.enter_context(TemporaryDirectory()))
        spec = f"nats://127.0.0.1:{server.port}:name={name}:cluster={cluster}"
        made.append(stack.enter_context(Controlled(folder, "--tcp", "tcp:0", "--cluster", spec)))
    joined(*made)
    return made


def client(node, name, version=V5, keep=False):
    host, port = node.tcp[0]
    return Paho(At("tcp", host, port), Wish(version, name, keep))


def numbers(first, last):
    return [b"%d" % number for number in range(first, last)]


@pytest.mark.parametrize(("version", "qos"), [(V311, 1), (V5, 2)])
def test_a_client_gets_what_it_missed_at_a_node_that_lives(stack, nodes, version, qos):
    a, b, c = nodes
    writer = stack.enter_context(client(c, "writer"))
    ear = stack.enter_context(client(a, "ear", version, keep=True))
    ear.subscribe("x/#", qos)
    writer.publish_all("x/1", numbers(0, COUNT), qos)
    got = [one.payload for one in ear.next_all(COUNT)]
    ear.die()
    writer.publish_all("x/1", numbers(COUNT, 2 * COUNT), qos)
    ear = stack.enter_context(client(b, "ear", version, keep=True))
    assert ear.present
    writer.publish_all("x/1", numbers(2 * COUNT, 3 * COUNT), qos)
    while got[-1] != b"%d" % (3 * COUNT - 1):
        got.append(ear.next().payload)
    if qos == 2:
        assert got == numbers(0, 3 * COUNT)
    else:
        assert sorted(set(got), key=int) == numbers(0, 3 * COUNT)
    wait_until(lambda: status(b)["sessions"]["moved"] == 1)
    assert status(a)["sessions"]["owned"] == 0


def test_a_session_outlives_its_node(stack, nodes):
    """Its client was online when the node was killed, and gets each message of QoS 2 once."""
    a, b, c = nodes
    writer = stack.enter_context(client(c, "writer"))
    ear = stack.enter_context(client(a, "ear", keep=True))
    ear.subscribe("x", 2)
    writer.publish_all("x", numbers(0, COUNT), 2)
    got = [one.payload for one in ear.next_all(COUNT // 2)]
    a.process.kill()
    a.process.wait()
    writer.publish_all("x", numbers(COUNT, 2 * COUNT), 2)
    while not ear.queue.empty():
        got.append(ear.next().payload)
    back = again(ear, b)
    assert back.present
    while got[-1] != b"%d" % (2 * COUNT - 1):
        got.append(back.next().payload)
    assert got == numbers(0, 2 * COUNT)


def again(ear, node):
    """The same client, with what it remembers of its session, at another node."""
    made = ear.client
    made.loop_stop()
    made.connect(*node.tcp[0], clean_start=False, properties=made._connect_properties)
    made.loop_start()
    ear.present = ear._answers.get(timeout=30).session_present
    return ear
