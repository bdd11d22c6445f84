"""The stream of a cluster: several hubs in this process, over a real nats-server."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent

from cluster.mqtt_nodes import answered, output
from cluster.nodes import passed, settled
from cluster.servers import Server
from hubbub import limits
from hubbub.kernel.history.rule import HistoryRule
from hubbub_plugins.mqtt.packets import Will
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, kept, messages, subscription


async def test_what_is_acknowledged_reaches_the_clients_of_all_nodes_once(two):
    a, b = [await node.joined() for node in two]
    ears = [await node.client(f"ear {place}") for place, node in enumerate((a, b))]
    for ear in ears:
        ear.subscribe(subscription("x/#", 2))
    writer = await a.client("writer")
    assert writer.publish("x/é", b"1", qos=1, id=1) == []
    [answer] = await output(writer, 1)
    assert (answer.kind, answer.id, answer.code) == (PUBACK, 1, 0)
    assert writer.publish("x", b"2", qos=2, id=2) == []
    [answer] = await output(writer, 1)
    assert (answer.kind, answer.id) == (PUBREC, 2)
    assert [one.kind for one in writer.ack(PUBREL, 2)] == [PUBCOMP]
    for ear in ears:
        assert messages(await output(ear, 2)) == [("x/é", b"1", 1), ("x", b"2", 2)]
    assert [(node.stream.reader.received_count, node.stream.publisher.waiting) for node in (a, b)] == [(2, 0), (2, 0)]


async def test_a_message_crosses_without_loss(two):
    a, b = [await node.joined() for node in two]
    ears = [await node.client(f"ear {node.name}") for node in (a, b)]
    for ear in ears:
        ear.subscribe(subscription("#", 1))
    said = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "r/1",
        "correlation_data": b"\0\xff",
        "message_expiry_interval": 100,
        "user_property": [("a", "1"), ("a", "2\r\n"), ("Nats-Rollup", "all"), ("é", "")],
    }
    (await a.client("writer")).publish(" /*.>%/", b"\0\r\n\xff", qos=1, id=1, properties=said)
    for ear in ears:
        [found] = await output(ear, 1)
        assert (found.topic, found.payload) == (" /*.>%/", b"\0\r\n\xff")
        assert found.properties == {**said, "message_expiry_interval": found.properties["message_expiry_interval"]}
        assert 98 <= found.properties["message_expiry_interval"] <= 100


async def test_a_node_makes_no_message_of_what_nobody_there_wants(two):
    a, b = [await node.joined() for node in two]
    ear, writer = await b.client("ear"), await a.client("writer")
    writer.publish("x", b"1", qos=1, id=1)
    await output(writer, 1)
    await passed(lambda: b.stream.reader.received_count == 1)
    assert b.hub.turn.counters.published == 0
    ear.subscribe(subscription("x", 1))
    writer.publish("x", b"2", qos=1, id=2)
    assert messages(await output(ear, 1)) == [("x", b"2", 1)]


async def test_a_node_makes_messages_of_what_anybody_there_wants(make, server):
    """Also for a session without a link, for a group, and for the history."""
    rule = HistoryRule("h/#")
    a, b = [await make(name, server.url, rule).joined() for name in ("a", "b")]
    away, member, writer = await b.client("away", **kept(V5)), await b.client("member"), await a.client("writer")
    await output(away, 1, away.subscribe(subscription("w/+", 1)))
    away.end.vanish()
    b.world.turn()
    await output(member, 1, member.subscribe(subscription("$share/g/s", 1)))
    topics = ("w/1", "s", "h/1", "n")
    for id, topic in enumerate(topics, 1):
        writer.publish(topic, b"", qos=1, id=id)
    await output(writer, len(topics))
    await passed(lambda: b.stream.reader.received_count == len(topics))
    await settled(b)
    assert b.hub.turn.counters.published == 3


async def test_both_nodes_have_one_order(two):
    a, b = [await node.joined() for node in two]
    ears = [await node.client(f"ear {node.name}") for node in (a, b)]
    for ear in ears:
        ear.subscribe(subscription("x", 1))
    writers = [await node.client(f"writer {node.name}") for node in (a, b)]
    for number in range(20):
        for place, writer in enumerate(writers):
            writer.publish("x", b"%d %d" % (place, number), qos=1, id=number + 1)
    first, second = [[one.payload for one in await output(ear, 40)] for ear in ears]
    assert first == second
    for place in (b"0", b"1"):
        assert [one for one in first if one[:1] == place] == [b"%b %d" % (place, n) for n in range(20)]


async def test_a_session_without_a_link_gets_what_others_publish_elsewhere(two):
    a, b = [await node.joined() for node in two]
    client = await b.client("c", **kept(V5))
    client.subscribe(subscription("x", 1))
    client.end.vanish()
    writer = await a.client("writer")
    writer.publish("x", b"1", qos=1, id=1)
    await output(writer, 1)
    await passed(lambda: b.hub.clients.queued_bytes)
    assert messages((await b.client("c", **kept(V5))).first) == [("x", b"1", 1)]


async def test_a_node_that_joins_later_has_what_is_retained(two, make):
    a, b = [await node.joined() for node in two]
    writer = await a.client("writer")
    for number in range(5):
        writer.publish("x/1", b"%d" % number, retain=True, qos=1, id=1)
        await output(writer, 1)
    writer.publish("x/2", b"old", retain=True)
    writer.publish("x/2", b"", retain=True, qos=1, id=1)
    writer.publish("x/3", b"new", retain=True, qos=1, id=2)
    await output(writer, 2)
    late = await make("late").joined()
    await passed(lambda: b.stream.consumer.position == a.stream.consumer.position == 8)
    for node in (a, b, late):
        found = (await node.client("ear")).subscribe(subscription("x/#", 1))[1:]
        assert messages(found) == [("x/1", b"4", 1), ("x/3", b"new", 1)]
        assert all(one.retain for one in found)


async def test_clearing_reaches_all(two):
    a, b = [await node.joined() for node in two]
    (await a.client("writer")).publish("x", b"1", retain=True)
    await passed(lambda: a.hub.retained.count and b.hub.retained.count)
    (await b.client("writer")).publish("x", b"", retain=True)
    await passed(lambda: not a.hub.retained.count and not b.hub.retained.count)


async def test_of_two_retained_messages_the_later_in_the_stream_is_kept_everywhere(two):
    a, b = [await node.joined() for node in two]
    writers = [await node.client(f"writer {node.name}") for node in (a, b)]
    for number in range(50):
        for place, writer in enumerate(writers):
            writer.publish("x", b"%d %d" % (place, number), retain=True)
    await passed(lambda: all(node.stream.reader.received_count == 100 for node in (a, b)))
    first, second = [node.hub.retained.get("x").payload for node in (a, b)]
    assert first == second


async def test_a_will_reaches_the_clients_of_other_nodes(two):
    a, b = [await node.joined() for node in two]
    ear = await b.client("ear")
    ear.subscribe(subscription("gone", 1))
    (await a.client("c", will=Will(topic="gone", payload=b"c", qos=1))).end.vanish()
    a.world.turn()
    assert messages(await output(ear, 1)) == [("gone", b"c", 1)]


async def test_what_has_expired_on_its_way_is_not_delivered(two):
    a, b = [await node.joined() for node in two]
    ear = await b.client("ear")
    ear.subscribe(subscription("x", 1))
    writer = await a.client("writer")
    writer.publish("x", b"old", qos=1, id=1, properties={"message_expiry_interval": 0})
    writer.publish("x", b"new", qos=1, id=2)
    assert messages(await output(ear, 1)) == [("x", b"new", 1)]


async def test_what_nats_does_not_take_is_refused(two):
    a = await two[0].joined()
    writer = await a.client("writer")
    [answer] = await answered(writer, writer.publish("x/" * 60, b"x" * 1_048_576, qos=1, id=1))
    assert (answer.kind, answer.code) == (PUBACK, 0x97)
    assert a.stream.publisher.waiting == 0


async def test_without_nats_publishers_wait_then_are_refused_and_live_messages_go_on(make, server, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(limits, "CLUSTER_PATIENCE_SECONDS", 0.2)
    a = make("a", "nats://127.0.0.1:9")
    ear, waits, writer = await a.client("ear"), await a.client("waits"), await a.client("writer")
    ear.subscribe(subscription("x", 1))
    assert waits.publish("x", b"1", qos=1, id=1) == []
    await passed(lambda: a.stream.commits.refuses)
    await passed(lambda: waits.output() == [] and waits.closed)
    [answer] = writer.publish("x", b"2", qos=1, id=2)
    assert (answer.id, answer.code) == (2, 0x97)
    writer.publish("x", b"3")
    assert messages(ear.output()) == [("x", b"3", 0)]


async def test_a_node_that_has_not_joined_for_long_refuses_at_once(make, tmp_path, monkeypatch):
    """Nothing that was published has to wait first; once NATS is there, all is taken."""
    monkeypatch.setattr(limits, "CLUSTER_PATIENCE_SECONDS", 0.2)
    late = Server(tmp_path, "late")
    with capturedLogs() as logs:
        a = make("a", late.url)
        await passed(lambda: a.stream.commits.refuses)
        writer = await a.client("writer")
        [answer] = writer.publish("x", b"1", qos=1, id=1)
        assert (answer.code, answer.properties["reason_string"]) == (0x97, "the cluster doesn't answer; try again")
        late.start()
        try:
            await passed(lambda: not a.stream.commits.refuses)
        finally:
            late.kill()
    warnings = [formatEvent(event) for event in logs if event["log_level"] is LogLevel.warn]
    assert (
        "cluster: nothing could be stored for 0.2 s: publishers at QoS 1 and 2, and of retained messages, are refused"
        in (warnings)
    )


async def test_a_publication_does_not_begin_the_wait_anew(make, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_SILENCE_SECONDS", 0.05)
    a = make("a", "nats://127.0.0.1:9")
    refusing = a.stream._patience
    writer = await a.client("writer")
    writer.publish("x", b"1", qos=1, id=1)
    await passed(lambda: a.stream.troubles)
    assert a.stream._patience is refusing
    assert refusing.active()


async def test_that_a_publisher_waits_for_nats_is_logged(make, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_SILENCE_SECONDS", 0.05)
    a = make("a", "nats://127.0.0.1:9")
    writer = await a.client("writer")
    with capturedLogs() as logs:
        assert writer.publish("x", b"1", qos=1, id=1) == []
        says = "cluster: publishing has to wait: this node isn't connected to NATS"
        await passed(lambda: says in map(formatEvent, logs))


async def test_what_comes_back_counts_as_acknowledged(two):
    """The acknowledgement was lost with a connection."""
    a = await two[0].joined()
    a.stream.publisher._inbox = b"_INBOX.lost"
    writer = await a.client("writer")
    writer.publish("x", qos=1, id=1)
    [answer] = await output(writer, 1)
    assert (answer.id, answer.code, a.stream.publisher.waiting) == (1, 0, 0)


async def test_bounds_of_the_stream(make, server):
    a = await make("a", f"{server.url}:stream-bytes=32MiB:stream-age=20min").joined()
    info = await a.stream._jetstream.stream_info(a.stream.names.messages)
    assert (info.config.max_bytes, info.config.max_age) == (32 * limits.MiB, 1_200 * 10**9)


async def test_a_server_with_little_room_says_what_to_do(make, tmp_path):
    (tmp_path / "nats.conf").write_text(f'jetstream {{ max_file: 1GB, store_dir: "{tmp_path / "store"}" }}\n')
    server = Server(tmp_path, "small", "-c", str(tmp_path / "nats.conf"))
    try:
        server.start()
        server.wait()
        a = make("a", server.url)
        await passed(lambda: a.stream.troubles)
        assert "lower stream-bytes=" in a.cluster.status()["degraded"][0]
        assert await make("b", f"{server.url}:stream-bytes=64MiB").joined()
    finally:
        server.kill()


async def test_many_messages_in_flight(two, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_INFLIGHT", 16)
    a, b = [await node.joined() for node in two]
    ear, writer = await b.client("ear"), await a.client("writer")
    ear.subscribe(subscription("x", 0))
    for number in range(300):
        writer.publish("x", b"%d" % number, qos=1, id=number + 1)
    assert [int(one.payload) for one in await output(ear, 300)] == list(range(300))
    answers = await output(writer, 300)
    assert [one.id for one in answers] == list(range(1, 301))


async def test_a_nats_application_gets_what_is_stored_on_its_natural_name(two, nodes, server):
    a, b = [await node.joined() for node in two]
    ear, application, got = await b.client("ear"), await nodes.joined(server.url), []
    application.subscribe("x.y", got.append)
    ear.subscribe(subscription("x/y", 1))
    await settled(b)
    await application.request("no.subscriber", b"")
    (await a.client("writer")).publish("x/y", b"1", qos=1, id=1)
    assert messages(await output(ear, 1)) == [("x/y", b"1", 1)]
    await passed(lambda: got)
    assert [(one.subject, one.payload) for one in got] == [("x.y", b"1")]
    await settled(a, b)
    assert ear.output() == []  # nor does it come a second time


async def test_one_member_of_a_group_gets_what_is_stored(two):
    a, b = [await node.joined() for node in two]
    members = [await node.client(f"member {node.name}") for node in (a, b)]
    for member in members:
        member.subscribe(subscription("$share/g/x", 1))
    await passed(lambda: all(node.cluster.groups.has_members("$share/g/x") for node in (a, b)))
    writer = await a.client("writer")
    for number in range(10):
        writer.publish("x", b"%d" % number, qos=1, id=number + 1)
    await output(writer, 10)
    found = []

    def look():
        found.extend(one for member in members for one in messages(member.output()))
        return len(found) >= 10 and b.stream.consumer.position == 10

    await passed(look)
    await settled(a, b)
    look()
    assert sorted(found) == [("x", b"%d" % number, 1) for number in range(10)]


async def test_a_node_that_starts_again_brings_its_sessions_what_they_missed(make, tmp_path):
    """Once each, and to no client that came later."""
    a, b = await make("a").joined(), await make("b", state=tmp_path).joined()
    client, writer = await b.client("c", **kept(V5)), await a.client("writer")
    client.subscribe(subscription("x", 1))
    await output(client, 1)
    client.end.vanish()
    b.world.turn()
    for number in range(3):
        writer.publish("x", b"%d" % number, qos=1, id=number + 1)
    await output(writer, 3)
    await passed(lambda: b.stream.consumer.position == 3)
    await passed(lambda: b.store.commits.safe == b.store.commits.open - 1)
    b.stop()
    for number in range(3, 6):
        writer.publish("x", b"%d" % number, qos=1, id=number + 1)
    await output(writer, 3)
    again = make("b", state=tmp_path)
    ear = await again.client("ear")
    ear.subscribe(subscription("x", 1))
    await again.joined()
    await passed(lambda: again.stream.consumer.position == 6)
    writer.publish("x", b"6", qos=1, id=7)
    assert messages(await output(ear, 1)) == [("x", b"6", 1)]
    client = await again.client("c", **kept(V5))
    assert messages(client.first or await output(client, 7)) == [("x", b"%d" % number, 1) for number in range(7)]


async def test_the_first_node_brings_along_what_it_has_retained(make, tmp_path):
    await make("a", state=tmp_path, retained=[("x", b"1"), ("y/z", b"2")]).joined()
    b = await make("b").joined()
    await passed(lambda: b.hub.retained.count == 2)
    assert messages((await b.client("ear")).subscribe(subscription("#"))[1:]) == [("x", b"1", 0), ("y/z", b"2", 0)]


async def test_what_a_node_has_retained_from_before_gives_way_to_what_the_cluster_has(make, tmp_path):
    a = await make("a").joined()
    (await a.client("writer")).publish("x", b"new", retain=True)
    await passed(lambda: a.hub.retained.count)
    b = await make("b", state=tmp_path, retained=[("x", b"old"), ("gone", b"old")]).joined()
    await passed(lambda: b.hub.retained.count == 1)
    assert b.hub.retained.get("x").payload == b"new"
    assert a.hub.retained.count == 1


async def test_a_retry_at_another_node_is_known_by_its_key(two):
    a, b = [await node.joined() for node in two]
    ears = [node.lines() for node in two]
    for ear in ears:
        ear.send("SUB x/#")
        await ear.until("OK SUB")
    first, retry = a.lines(), b.lines()
    first.send("ONCE k PUB x/y 1")
    assert await first.until("OK ONCE") == ["OK ONCE k"]
    retry.send("ONCE k PUB x/y 1", "ONCE k PUB x/y 2", "PUB! x/z 3")  # another message isn't the first's retry
    assert (await retry.until("OK ONCE"))[-1] == "OK ONCE k"
    for ear in ears:
        assert await ear.until("MSG x/z") == ["MSG x/y 1", "MSG x/z 3"]
    await passed(lambda: not b.stream.reader.own and not a.stream.reader.own)


async def test_keys_of_two_users_are_two(two):
    a, b = [await node.joined() for node in two]
    ear = a.lines()
    ear.send("SUB x/#")
    for node, host in ((a, "127.0.0.1"), (b, "10.0.0.2")):
        client = node.lines(host)
        client.send("ONCE k PUB x/y 1")
        await client.until("OK ONCE")
    await passed(lambda: a.stream.consumer.position == 2)
    ear.send("PUB x/end 1")
    assert (await ear.until("MSG x/end"))[1:-1] == ["MSG x/y 1", "MSG x/y 1"]
