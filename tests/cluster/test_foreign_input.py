"""What NATS applications and hostile clients of one node send harms no connection, no stream and no other client."""

from __future__ import annotations

import secrets

import pytest
from twisted.logger import LogLevel, capturedLogs

from cluster.mqtt_nodes import MqttNode
from cluster.nodes import settled
from cluster.test_live import fence
from hubbub.nats_protocol.headers import encode_headers, read_headers

BEAT = b'{"name":"b","node":"c","groups":1,"since":%b}'
CROOKED = BEAT.replace(b'c"', b'c 0\\r\\n\\r\\nPING"') % b"0"  # the id of its node would be operations of NATS


async def test_headers_on_a_subject_that_is_no_topic_cost_no_connection(nats_port, nodes):
    (a,) = await nodes.cluster(nats_port, "a")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    a.client.subscribe("#")
    await settled(a)
    link = a.cluster.connection._joined
    for subject in ("x.a%zz", "x.a+b", "x.a/b"):
        app.publish(subject, b"1", headers={"k": "v"})
    app.write(b"HPUB x.\xff 18 19\r\n" + encode_headers([("k", "v")]) + b"1\r\n")
    app.publish("x.good", b"1", headers={"k": "v"})
    await fence(app)
    await settled(a)
    assert a.client.texts == ["x/good 1"]
    assert a.cluster.connection._joined is link


@pytest.mark.parametrize(
    "topic", ["$JS/API/STREAM/DELETE/s", "$JS/API/STREAM/PURGE/s", "$JS/ACK/s/c/1/1/1/1/0", "$KV/s/a"]
)
async def test_clients_of_a_hub_reach_nothing_of_jetstream(nats_port, nodes, topic):
    """Neither by its topic nor as where an answer goes; only operators of NATS do."""
    (a,) = await nodes.cluster(nats_port, "a")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    output = []
    app.subscribe("$JS.>", output.append)
    app.subscribe("$KV.>", output.append)
    app.subscribe("x", lambda asked: output.append(asked) if asked.reply else None)
    await fence(app)
    a.client.publish(topic, b"")
    a.client.publish("x", b"", reply_to=topic)
    await settled(a)
    await fence(app)
    assert output == []


async def test_clients_receive_nothing_of_jetstream(nats_port, nodes):
    (a,) = await nodes.cluster(nats_port, "a")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    for filter in ("#", "$JS/#", "$JS/+/x", "$KV/#", "$share/g/$KV/#"):
        a.client.subscribe(filter)
    await settled(a)
    app.publish("$JS.API.x", b"")
    app.publish("$KV.hubbub_sessions.x", b"")
    await fence(app)
    await settled(a)
    assert a.client.texts == []


async def test_headers_of_a_client_are_never_those_of_its_node(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    b.client.subscribe("x")
    await settled(a, b)
    for name in ("Hubbub-Message", "hubbub-message", "Hubbub-Number", "Hubbub-Path"):
        properties, _ = read_headers(encode_headers([(name, '{"stored":true,"qos":2}')]))
        a.client.publish("x", name.encode(), properties=properties)
    await settled(a, b)
    assert [message.payload for message in b.client.got] == [
        b"Hubbub-Message",
        b"hubbub-message",
        b"Hubbub-Number",
        b"Hubbub-Path",
    ]
    for message in b.client.got:
        assert getattr(message, "qos", 0) == 0
        assert [name.lower() for name, _ in message.properties.pairs] == [message.payload.decode().lower()]


async def test_what_no_node_says_is_ignored(nats_port, nodes):
    """On the subjects of nodes among themselves: the log has no failure, and the node stays."""
    (a,) = await nodes.cluster(nats_port, "a")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    own = f"$hubbub.{a.cluster.config.cluster}"
    with capturedLogs() as logs:
        for subject in (f"{own}.beats", f"{own}.name.a", f"{own}.groups.{a.cluster.live.node}"):
            for payload in (b"", b"{", b"\xff", b"[" * 10_000, b'{"name":1}', BEAT % b"1e999", CROOKED):
                app.publish(subject, payload)
            app.write(b"HPUB %b 5 5\r\nhello\r\n" % subject.encode())
        await fence(app)
        await settled(a)
    assert [event for event in logs if event["log_level"] > LogLevel.info] == []
    assert a.cluster.member


async def test_an_answer_that_no_node_gives_leaves_the_name_to_its_requester(nats_port, nodes):
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    cluster = secrets.token_hex(4)
    app.subscribe(f"$hubbub.{cluster}.name.a", lambda asked: app.publish(asked.reply, b"what?"))
    await fence(app)
    await nodes.together([nodes.node(f"nats://127.0.0.1:{nats_port}:name=a:cluster={cluster}")])


async def test_filters_that_are_too_long_for_nats_leave_nothing(nats_port, nodes):
    (a,) = await nodes.cluster(nats_port, "a")
    for number in range(3):
        filter = f"{number}/" + "x" * 5_000
        a.client.subscribe(filter)
        await settled(a)
        assert a.cluster.degraded == ["1 filters are too long for NATS"]
        a.client.unsubscribe(filter)
        await settled(a)
        assert a.cluster.degraded == []


async def test_a_request_for_a_session_from_no_node_costs_no_connection(server, nodes):
    node = MqttNode(f"{server.url}:cluster=c{secrets.token_hex(4)}", "a")
    try:
        await node.joined()
        app = await nodes.joined(f"{server.url}:name=app")
        link, own = node.cluster.connection._joined, f"$hubbub.{node.cluster.config.cluster}.session"
        with capturedLogs() as logs:
            for payload in (b"", b"\xff", b"\x93\xa0\xc0\xa1x", b"\x93\xa0\xc0\xa1\xff", b"\x91" * 10_000):
                app.publish(f"{own}.{node.cluster.live.node}", payload)
            await fence(app)
            await settled(node)
        assert [event for event in logs if event["log_level"] > LogLevel.info] == []
        assert node.cluster.connection._joined is link
    finally:
        node.stop()
