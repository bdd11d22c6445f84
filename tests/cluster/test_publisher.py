"""Publishing into a stream of a real nats-server, message by message and in fast batches."""

from __future__ import annotations

import pytest

from cluster.reading import Returning
from cluster.streams import Dropping, block, cut, stream
from hubbub import limits
from hubbub.service.cluster import publisher as publisher_module
from hubbub.service.cluster.jetstream import MESSAGE_ID
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from hubbub.service.cluster.publisher import Publisher
from hubbub.service.cluster.stream_join import has_batches


@pytest.fixture
def reading():
    return Returning()


@pytest.fixture
def publisher_over(reactor, started, reading):
    """Make a publisher over a connection."""

    def publisher(connection, batches=True):
        reading.publisher = started(Publisher(connection, reactor, reading))
        reading.publisher.batches = batches
        return reading.publisher

    return publisher


@pytest.fixture(params=[False, True], ids=["alone", "batches"])
def publisher(request, publisher_over, connection):
    """Publishes either way."""
    return publisher_over(connection, request.param)


@pytest.fixture
def read(api, reactor, started, reading, name):
    """Read the stream, which has to be there; what has come is in `reading`."""
    return lambda: started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading))


def publish(publisher, name, count, **more):
    for _ in range(count):
        number = publisher.last + 1
        publisher.publish(f"{name}.a".encode(), b"%d" % number, block(f"a{number}"), **more)


def payloads(reading):
    return [one.payload for one in reading.messages]


def numbers(last):
    return [b"%d" % one for one in range(1, last + 1)]


async def test_messages_in_flight_are_stored_in_order(api, publisher, reading, read, name, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_INFLIGHT", 7)
    await stream(api, name, allow_batched=True)
    read()
    publish(publisher, name, 50)
    assert (publisher.safe, publisher.waiting, publisher.waiting_bytes > 0) == (0, 50, True)
    await reading.until(lambda: publisher.safe == 50 and len(reading.messages) == 50)
    assert (publisher.waiting, publisher.waiting_bytes, publisher.resent) == (0, 0, 0)
    assert reading.stored_numbers == list(range(1, 51))
    assert payloads(reading) == numbers(50)


async def test_a_lost_connection_costs_and_doubles_nothing(api, connection, publisher, reading, read, name):
    await stream(api, name, allow_batched=True)
    consumer = read()
    for _ in range(2):
        publish(publisher, name, 20)
        cut(connection)
        publish(publisher, name, 80)
        await reading.until(lambda: not publisher.waiting)
    await reading.until(lambda: consumer.position == 200)
    assert payloads(reading) == numbers(200)
    assert publisher.resent
    assert (await api.stream_info(name)).state.last_seq == 200


async def test_one_refused_message_holds_up_no_other(api, publisher, reading, read, name):
    await stream(api, name, allow_batched=True)
    read()
    for one in range(1, 21):
        more = [("Nats-Expected-Stream", "other")] if one == 5 else []
        publisher.publish(f"{name}.a".encode(), b"%d" % one, block(str(one), *more))
    await reading.until(lambda: not publisher.waiting and len(reading.messages) == 19)
    assert ([*reading.errors], publisher.safe) == ([5], 20)
    assert payloads(reading) == [one for one in numbers(20) if one != b"5"]


async def test_a_repeated_id_is_stored_once(api, publisher, reading, name):
    await stream(api, name, allow_batched=True)
    for one in (1, 2, 3, 2, 4):
        publisher.publish(f"{name}.a".encode(), b"%d" % one, block(str(one)))
    await reading.until(lambda: not publisher.waiting)
    assert reading.stored_numbers == [1, 2, 3, 4, 5]
    assert (await api.stream_info(name)).state.last_seq == 4


@pytest.mark.parametrize("lost", [0, 1, 5, 9])
async def test_what_is_lost_on_its_way_costs_no_order(api, connection, publisher_over, reading, read, name, lost):
    """As it happens when the stream gets another leader."""
    await stream(api, name, allow_batched=True)
    read()
    publisher = publisher_over(Dropping(connection, lost))
    publish(publisher, name, 10)
    await reading.until(lambda: not publisher.waiting and len(reading.messages) == 10)
    assert payloads(reading) == numbers(10)
    assert reading.stored_numbers == list(range(1, 11))


async def test_while_nothing_comes_back_each_message_is_acknowledged(
    api, publisher_over, connection, reading, name, monkeypatch
):
    """After a second in which nothing comes that is at once; when messages come back, batches go on."""
    await stream(api, name, allow_batched=True)
    publisher = publisher_over(connection)
    publish(publisher, name, 10)
    await reading.until(lambda: not publisher.waiting)
    monkeypatch.setattr(limits, "CLUSTER_SILENCE_SECONDS", 1_000)
    publish(publisher, name, 10)
    await reading.until(lambda: not publisher.waiting)
    assert reading.stored_numbers == list(range(1, 21))
    assert ((await api.stream_info(name)).state.last_seq, publisher.resent) == (20, 10)
    publisher.found(20)
    publish(publisher, name, 1)
    await reading.until(lambda: publisher.last == 21)
    assert publisher.waiting == 1


async def test_what_an_ended_batch_had_stored_is_not_stored_again(api, connection, publisher_over, reading, read, name):
    """Half of it is stored and not read yet."""
    await stream(api, name, allow_batched=True)
    publisher = publisher_over(Dropping(connection, 5))
    publish(publisher, name, 10)
    await reading.until(lambda: publisher.resent > 2)
    read()
    await reading.until(lambda: not publisher.waiting and len(reading.messages) == 10)
    assert payloads(reading) == numbers(10)
    assert (await api.stream_info(name)).state.last_seq == 10


@pytest.mark.parametrize("other", [1, 5, 10])
async def test_another_node_may_have_published_a_message(api, publisher, reading, read, name, other):
    """Under the same idempotency key; it comes back as that of the other node."""
    await stream(api, name, allow_batched=True)
    await api.publish(f"{name}.a", b"other", {MESSAGE_ID: f"a{other}"})
    read()
    publish(publisher, name, 10)
    await reading.until(lambda: not publisher.waiting and len(reading.messages) == 10)
    assert payloads(reading) == [b"other", *(one for one in numbers(10) if int(one) != other)]
    assert sorted(reading.stored_numbers) == list(range(1, 11))


async def test_a_lone_message_of_another_node_is_known_at_once(
    api, connection, publisher_over, reading, name, monkeypatch
):
    await stream(api, name, allow_batched=True)
    publisher = publisher_over(connection)
    monkeypatch.setattr(limits, "CLUSTER_SILENCE_SECONDS", 1_000)
    await api.publish(f"{name}.a", b"other", {MESSAGE_ID: "a1"})
    publish(publisher, name, 1, shared=True)
    await reading.until(lambda: not publisher.waiting)
    assert (reading.stored_numbers, publisher.resent) == ([1], 0)


async def test_a_batch_that_was_idle_is_not_continued(
    api, connection, publisher_over, reading, read, name, monkeypatch
):
    """JetStream may have forgotten it."""
    monkeypatch.setattr(publisher_module, "_IDLE", -1)
    await stream(api, name, allow_batched=True)
    read()
    publisher = publisher_over(connection)
    for count in (3, 6, 9):
        publish(publisher, name, 3)
        await reading.until(lambda count=count: publisher.safe == count)
    assert payloads(reading) == numbers(9)
    assert publisher.resent == 0


async def test_a_stream_that_takes_no_batches_gets_one_message_after_the_other(
    api, connection, publisher_over, reading, name
):
    """A node of an earlier version has configured it."""
    await stream(api, name)
    publisher = publisher_over(connection)
    publish(publisher, name, 10)
    await reading.until(lambda: not publisher.waiting)
    assert (reading.stored_numbers, publisher.batches) == (list(range(1, 11)), False)


@pytest.mark.parametrize("version", ["2.15.0", "2.15.1-RC.1", "3.0.0"])
def test_servers_that_get_batches(version):
    assert has_batches(version)


@pytest.mark.parametrize("version", ["2.12.6", "2.14.6", "", "main"])
def test_servers_that_get_none(version):
    assert not has_batches(version)
