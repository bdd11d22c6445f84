"""Presence over nodes: a client is online as long as it is at one of them, and a dead node takes its clients along."""

from __future__ import annotations

from cluster.mqtt_nodes import MqttNode, together
from cluster.nodes import passed


class Owner:
    """A link."""

    last_received = 0.0
    holding = False


def come(node, topic):
    """A client comes to a node."""
    owner = Owner()
    state = node.hub.presences.state(topic, None, True)
    state.up(owner, None)
    return lambda: state.down(owner)


def said(node, topic):
    """What a subscriber of the node gets to know."""
    message = node.hub.retained.get(topic)
    return None if message is None else message.payload


def all_say(three, topic, payload):
    return lambda: all(said(node, topic) == payload for node in three)


async def test_all_nodes_know_which_clients_are_online(three):
    await together(three)
    goes = come(three[0], "p/x")
    await passed(all_say(three, "p/x", b"1"))
    goes()
    await passed(all_say(three, "p/x", b"0"))


async def test_a_client_that_moves_stays_online(three):
    await together(three)
    a, b, _ = three
    goes = come(a, "p/x")
    await passed(all_say(three, "p/x", b"1"))
    come(b, "p/x")
    goes()
    come(a, "p/y")
    await passed(all_say(three, "p/y", b"1"))
    await passed(all_say(three, "p/x", b"1"))


async def test_the_clients_of_a_node_that_dies_are_offline(three):
    """But for the one that has come back to another node."""
    await together(three)
    a, b, c = three
    for topic in ("p/x", "p/y"):
        come(c, topic)
    come(a, "p/here")
    await passed(lambda: all(all_say(three, topic, b"1")() for topic in ("p/x", "p/y", "p/here")))
    come(b, "p/y")
    await passed(all_say(three, "p/y", b"1"))
    c.cluster.nodes.leave = lambda: None  # it dies without a word
    c.stop()
    await passed(all_say((a, b), "p/x", b"0"))
    assert (said(a, "p/y"), said(a, "p/here")) == (b"1", b"1")
    await passed(lambda: len(a.cluster.nodes.all) == 1)
    assert (said(b, "p/y"), said(b, "p/here")) == (b"1", b"1")


async def test_a_node_that_joins_later_declares_no_client_gone(three, server):
    await together(three)
    come(three[0], "p/x")
    await passed(all_say(three, "p/x", b"1"))
    config = three[0].cluster.config
    late = MqttNode(f"nats://127.0.0.1:{server.port}:cluster={config.cluster}", "0")  # it would be the first
    three.append(late)
    await together(three)
    swept = []
    late.cluster.nodes.sweepers.append(lambda: swept.append(True))
    await passed(lambda: swept)
    come(three[1], "p/y")
    await passed(all_say(three, "p/y", b"1"))
    assert said(late, "p/x") == b"1"
