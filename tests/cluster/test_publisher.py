"""Publishing into a stream of a real nats-server, message by message and in atomic batches."""

from __future__ import annotations

import re

import pytest

from cluster.streams import Deaf, Dropping, block, cut, stream
from hubbub import limits
from hubbub.service.cluster.atomic_batch import HEADER_BYTES, MAX_MESSAGES, encode_batch, takes_batches
from hubbub.service.cluster.jetstream import MESSAGE_ID
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from hubbub.service.cluster.publisher import Publisher
from hubbub.service.cluster.stream_pages import read_on

TEN = [b"%d" % one for one in range(10)]


@pytest.fixture
def batches_over(reactor, started, reading):
    """Make a publisher of batches over a connection."""

    def publisher(connection, batches=True):
        made = started(Publisher(connection, reactor, reading))
        made.batches = batches
        return made

    return publisher


@pytest.fixture(params=[False, True], ids=["alone", "batches"])
def publisher(request, batches_over, connection):
    """Publishes either way."""
    return batches_over(connection, request.param)


@pytest.fixture
def payloads(api, reactor, name):
    """Read the stream, which has ten messages at most."""

    async def read():
        return [one.payload for one in await read_on(api, reactor, name, f"{name}.>", 0, 10)]

    return read


def publish_ten(publisher, name, shared=()):
    for one in range(10):
        publisher.publish(f"{name}.a".encode(), b"%d" % one, block(f"a{one}"), one in shared)


async def test_messages_in_flight_are_stored_in_order(api, publisher, reading, name, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_INFLIGHT", 7)
    await stream(api, name, allow_atomic=True)
    numbers = [publisher.publish(f"{name}.a".encode(), b"%d" % one, block(f"a{one}")) for one in range(50)]
    assert (publisher.safe, publisher.waiting, publisher.waiting_bytes > 0) == (0, 50, True)
    await reading.until(lambda: publisher.safe == 50)
    assert (publisher.waiting, publisher.waiting_bytes) == (0, 0)
    assert reading.stored_numbers == numbers
    assert (await api.stream_info(name)).state.last_seq == 50


async def test_a_lost_connection_costs_and_doubles_nothing(api, connection, reactor, started, publisher, reading, name):
    await stream(api, name, allow_atomic=True)
    consumer = started(OrderedConsumer(api, reactor, name, [f"{name}.>"], reading))
    for round in range(2):
        for one in range(100):
            publisher.publish(
                f"{name}.a".encode(),
                b"%d" % (100 * round + one),
                block(f"a{round}.{one}"),
            )
            if one == 20:
                cut(connection)
        await reading.until(lambda: not publisher.waiting)
    await reading.until(lambda: consumer.position == 200)
    assert [int(message.payload) for message in reading.messages] == list(range(200))
    assert [message.seq for message in reading.messages] == list(range(1, 201))
    assert publisher.resent
    assert (await api.stream_info(name)).state.messages == 200


async def test_one_refused_message_holds_up_no_other(api, publisher, reading, name):
    await stream(api, name, allow_atomic=True)
    for one in range(1, 21):
        more = [("Nats-Expected-Stream", "other")] if one == 5 else []
        publisher.publish(f"{name}.a".encode(), b"", block(str(one), *more))
    await reading.until(lambda: not publisher.waiting)
    stored = [one for one in range(1, 21) if one != 5]
    assert (reading.stored_numbers, [*reading.errors], publisher.safe) == (stored, [5], 20)


async def test_a_repeated_id_is_stored_once(api, publisher, reading, name):
    await stream(api, name, allow_atomic=True)
    for one in (1, 2, 3, 2, 4):
        publisher.publish(f"{name}.a".encode(), b"%d" % one, block(str(one)))
    await reading.until(lambda: not publisher.waiting)
    assert reading.stored_numbers == [1, 2, 3, 4, 5]
    assert (await api.stream_info(name)).state.last_seq == 4


# Batches. The first message that is published goes at once, by itself; the others are the batch behind it.


@pytest.mark.parametrize("lost", [0, 1, 5, 9])
async def test_what_is_lost_on_its_way_costs_no_order(api, connection, batches_over, reading, payloads, name, lost):
    """As it happens when the stream gets another leader."""
    await stream(api, name, allow_atomic=True, allow_direct=True)
    publisher = batches_over(Dropping(connection, lost))
    publish_ten(publisher, name)
    await reading.until(lambda: not publisher.waiting)
    assert await payloads() == TEN
    assert reading.stored_numbers == list(range(1, 11))


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("shared", [(), range(10)], ids=["own", "shared"])
async def test_a_batch_that_was_stored_is_not_stored_again(
    api, connection, batches_over, reading, payloads, name, lost, shared
):
    """Its acknowledgement is lost, and some of those for what is sent in its place."""
    await stream(api, name, allow_atomic=True, allow_direct=True)
    publisher = batches_over(Deaf(connection, range(1, 1 + lost)))
    publish_ten(publisher, name, shared)
    await reading.until(lambda: not publisher.waiting)
    assert await payloads() == TEN
    assert (await api.stream_info(name)).state.last_seq == 10
    assert reading.stored_numbers == list(range(1, 11))


@pytest.mark.parametrize("other", [1, 5])
async def test_another_node_may_have_published_a_message(api, connection, batches_over, reading, payloads, name, other):
    """Under the same idempotency key. That says nothing of the rest of a batch, which is lost here."""
    await stream(api, name, allow_atomic=True, allow_direct=True)
    await api.publish(f"{name}.a", b"%d" % other, {MESSAGE_ID: f"a{other}"})
    publisher = batches_over(Dropping(connection, 9))
    publish_ten(publisher, name, [other])
    await reading.until(lambda: not publisher.waiting)
    assert await payloads() == [b"%d" % other, *(one for one in TEN if int(one) != other)]


async def test_a_message_that_was_stored_alone_says_nothing_of_its_batch(
    api, connection, batches_over, reading, payloads, name
):
    """The batch is lost, and so is the acknowledgement of its first message, which is sent in its place."""
    await stream(api, name, allow_atomic=True, allow_direct=True)
    publisher = batches_over(Deaf(Dropping(connection, 5), range(1, 3)))
    publish_ten(publisher, name)
    await reading.until(lambda: not publisher.waiting)
    assert await payloads() == TEN


async def test_a_lone_message_is_sent_as_it_is(api, connection, batches_over, reading, name):
    await stream(api, name)
    publisher = batches_over(connection)
    publisher.publish(f"{name}.a".encode(), b"", block("1"))
    await reading.until(lambda: not publisher.waiting)
    assert (reading.stored_numbers, publisher.resent) == ([1], 0)


async def test_a_stream_that_takes_no_batches_gets_one_message_after_the_other(
    api, connection, batches_over, reading, name
):
    """A node of an earlier version has configured it."""
    await stream(api, name)
    publisher = batches_over(connection)
    publish_ten(publisher, name)
    await reading.until(lambda: not publisher.waiting)
    assert reading.stored_numbers == list(range(1, 11))


async def test_a_message_that_came_back_says_that_its_batch_is_stored(api, connection, batches_over, name):
    await stream(api, name, allow_atomic=True)
    publisher = batches_over(Deaf(connection, range(100)))
    publish_ten(publisher, name)
    publisher.found(1)
    assert publisher.safe == 1
    publisher.found(4)
    assert (publisher.safe, publisher.waiting) == (10, 0)


def test_what_a_batch_adds_to_a_message():
    headers, id = block("1"), b"x" * 16 + b".%d" % 10**15
    operations = encode_batch(id, b"inbox", [(b"a", b"payload", headers)] * MAX_MESSAGES)
    [size] = re.findall(rb"HPUB a inbox (\d+)", operations)
    assert int(size) - len(headers) <= HEADER_BYTES


@pytest.mark.parametrize("version", ["2.15.0", "2.15.1-RC.1", "3.0.0"])
def test_servers_that_get_batches(version):
    assert takes_batches(version)


@pytest.mark.parametrize("version", ["2.12.6", "2.14.6", "", "main"])
def test_servers_that_get_none(version):
    assert not takes_batches(version)
