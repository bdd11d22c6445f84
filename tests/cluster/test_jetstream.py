"""JetStream's API over a real nats-server: streams, publishing, ordered consumers."""

from __future__ import annotations

import time

import pytest

from cluster.streams import Losing, block, stream
from hubbub import limits
from hubbub.service.cluster.jetstream import JetStream, StreamConfig
from hubbub.service.cluster.jetstream_errors import STREAM_NOT_FOUND, JetStreamError, Unavailable
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from hubbub.service.cluster.publisher import Publisher
from hubbub.service.cluster.stream_pages import read_on, read_page
from hubbub.service.cluster.wire import headers_of

NO_MORE = b"HPUB %b 27 27\r\nNATS/1.0 404 No Results\r\n\r\n\r\n"


# Streams


async def test_a_stream_is_made_once_and_changed_later(api, name):
    made = await stream(api, name, max_bytes=1_000_000)
    await api.publish(f"{name}.a", b"1")
    again = await stream(api, name, max_bytes=1_000_000)
    changed = await stream(api, name, max_bytes=2_000_000, allow_batched=True)
    assert (again.created, again.epoch) == (changed.created, changed.epoch) == (made.created, made.epoch)
    assert (changed.config.allow_batched, changed.config.max_bytes, changed.state.messages, changed.state.last_seq) == (
        True,
        2_000_000,
        1,
        1,
    )


async def test_a_stream_that_is_made_anew_has_another_epoch(api, name):
    first = await stream(api, name)
    await api.delete_stream(name)
    with pytest.raises(JetStreamError) as refused:
        await api.stream_info(name)
    assert refused.value.code == STREAM_NOT_FOUND
    assert (await stream(api, name)).epoch != first.epoch


async def test_what_the_server_can_not_do_is_reported_in_words(api, name):
    with pytest.raises(JetStreamError, match="this nats-server is alone: start a cluster of them, or"):
        await stream(api, name, num_replicas=3)
    await stream(api, name)
    with pytest.raises(JetStreamError, match="another stream has these subjects"):
        await api.ensure_stream(StreamConfig(name=f"{name}b", subjects=(f"{name}.x",)))
    with pytest.raises(Unavailable, match="has no leader now"):
        await api.publish("no.stream.has.this", b"")


async def test_an_answer_that_is_no_json_is_an_error(api, nodes, server, name):
    other = await nodes.joined(server.url)
    other.subscribe(f"{name}.x", lambda asked: other.publish(asked.reply, b"[[["))
    await other.request("$JS.API.INFO", b"")
    with pytest.raises(JetStreamError, match="can't be read"):
        await api.publish(f"{name}.x", b"")


# Reading


async def test_a_consumer_reads_from_a_position(api, reactor, started, reading, name):
    await stream(api, name)
    for one in range(5):
        await api.publish(f"{name}.{one % 2}", b"%d" % one)
    consumer = started(OrderedConsumer(api, reactor, name, [f"{name}.0"], reading, position=2))
    await reading.until(lambda: reading.log)
    assert [(one.subject, one.payload, one.seq) for one in reading.messages] == [
        (f"{name}.0".encode(), b"2", 3),
        (f"{name}.0".encode(), b"4", 5),
    ]
    assert (reading.log, consumer.position, consumer.pending) == ([("caught up",)], 5, 0)


class Behind(JetStream):
    """Its consumers begin with the second message: those of a replica that is behind begin with its own end."""

    async def call(self, verb, body, answer):
        if verb.startswith("CONSUMER.CREATE."):
            body.config["opt_start_seq"] = 2
        return await super().call(verb, body, answer)


async def test_nothing_comes_twice_from_a_replica_that_is_behind(api, connection, reactor, started, reading, name):
    await stream(api, name)
    for one in range(4):
        await api.publish(f"{name}.a", b"%d" % one)
    consumer = started(OrderedConsumer(Behind(connection), reactor, name, [f"{name}.>"], reading, position=3))
    await reading.until(lambda: reading.log)
    assert [one.seq for one in reading.messages] == [4]
    assert (reading.log, consumer.restarts) == ([("caught up",)], 0)


async def test_an_empty_stream_is_caught_up_with_at_once(api, reactor, started, reading, name):
    await stream(api, name)
    started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading))
    await reading.until(lambda: reading.log)
    await api.publish(f"{name}.a", b"1")
    await reading.until(lambda: reading.messages)


async def test_a_consumer_that_ends_is_made_anew(api, reactor, started, reading, name):
    """The server has forgotten it; its heart-beats stay away."""
    await stream(api, name)
    consumer = started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading))
    await reading.until(lambda: reading.log)
    [other] = (await api.call(f"CONSUMER.NAMES.{name}", None, dict))["consumers"]
    await api.call(f"CONSUMER.DELETE.{name}.{other}", None, dict)
    await api.publish(f"{name}.a", b"1")
    await reading.until(lambda: reading.messages)
    assert ([one.payload for one in reading.messages], consumer.restarts) == ([b"1"], 1)


async def test_a_gap_is_noticed(api, connection, reactor, started, reading, name):
    await stream(api, name)
    losing = JetStream(Losing(connection))
    consumer = started(OrderedConsumer(losing, reactor, name, [f"{name}.>"], reading))
    await reading.until(lambda: reading.log)
    connection.publish(f"{name}.a", b"1")
    connection.publish(f"{name}.a", b"2")
    await reading.until(lambda: len(reading.messages) == 2)
    assert ([one.payload for one in reading.messages], consumer.restarts) == ([b"1", b"2"], 1)


async def test_a_stream_that_is_wiped_is_noticed(api, reactor, started, reading, name):
    await stream(api, name)
    for one in range(3):
        await api.publish(f"{name}.a", b"%d" % one)
    consumer = started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading))
    await reading.until(lambda: consumer.position == 3)
    epoch = consumer.epoch
    await api.delete_stream(name)
    await reading.until(lambda: reading.log[-1][0] == "failing")
    await stream(api, name)
    await api.publish(f"{name}.a", b"new")
    await reading.until(lambda: ("caught up",) in reading.log[2:])
    assert reading.messages[-1].payload == b"new"
    assert (consumer.position, consumer.epoch != epoch) == (1, True)
    assert ("wiped",) in reading.log
    assert reading.log.index(("wiped",)) < reading.log.index(("failing", None))


async def test_a_consumer_of_another_epoch_begins_anew(api, reactor, started, reading, name):
    """A node that comes back after the stream was wiped."""
    await stream(api, name)
    await api.publish(f"{name}.a", b"1")
    started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading, position=1, epoch="another"))
    await reading.until(lambda: reading.messages)
    assert reading.log[0] == ("wiped",)


async def test_a_stream_that_has_lost_its_last_messages_is_noticed(api, reactor, started, reading, name, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_PATIENCE_SECONDS", 0.3)
    info = await stream(api, name)
    for one in range(3):
        await api.publish(f"{name}.a", b"%d" % one)
    started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading, position=5, epoch=info.epoch))
    await reading.until(lambda: ("caught up",) in reading.log)
    await api.publish(f"{name}.a", b"new")
    await reading.until(lambda: reading.messages)
    assert [one.payload for one in reading.messages] == [b"new"]
    assert reading.log[-3:] == [("wiped",), ("failing", None), ("caught up",)]


async def test_thousands_of_messages_come_with_flow_control(api, connection, reactor, started, reading, name):
    await stream(api, name)
    publisher = started(Publisher(connection, reactor, reading))
    for one in range(5_000):
        publisher.publish(f"{name}.a".encode(), b"x" * 1_000, block(str(one)))
    await reading.until(lambda: not publisher.waiting)
    consumer = started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading))
    await reading.until(lambda: consumer.position == 5_000)
    assert (len(reading.messages), consumer.restarts) == (5_000, 0)


# Pages


async def test_what_a_replica_that_is_behind_lacks_comes_from_the_leader(api, nodes, server, reactor, name):
    await stream(api, name)
    for one in range(3):
        await api.publish(f"{name}.{one}", b"%d" % one, {"A": "b"})
    other = await nodes.joined(server.url)
    other.subscribe(f"$JS.API.DIRECT.GET.{name}", lambda asked: other.write(NO_MORE % asked.reply.encode()))
    await other.request("no.subscriber", b"")
    [found] = await read_on(api, reactor, name, f"{name}.>", 1, 3)
    assert (found.subject, found.payload, found.seq) == (f"{name}.1", b"1", 2)
    assert headers_of(found.headers)["A"] == "b"
    assert found.time == pytest.approx(time.time(), abs=60)
    assert not await read_on(api, reactor, name, f"{name}.>", 3, 3)


async def test_a_page_that_does_not_come_is_an_error(api, nodes, server, reactor, name, monkeypatch):
    """No stream of that name; one whose replicas say nothing."""
    with pytest.raises(Unavailable):
        await read_page(api, reactor, name, ">", 0)
    monkeypatch.setattr(limits, "CLUSTER_REQUEST_SECONDS", 0.1)
    other = await nodes.joined(server.url)
    other.subscribe(f"$JS.API.DIRECT.GET.{name}", lambda asked: None)
    await other.request("no.subscriber", b"")
    with pytest.raises(Unavailable, match="in time"):
        await read_page(api, reactor, name, ">", 0)
