"""Makes a session of its record in the bucket: it gets live messages at once, and before them what it has missed."""

from __future__ import annotations

from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.client import Client
from hubbub.kernel.sessions.paged_queue import PagedQueue
from hubbub.kernel.sessions.records import DeliveryRecord, Progress, StoredSession, make_message, make_subscription
from hubbub.message import Message
from hubbub.publish import Publish, number_of
from hubbub.service.cluster.missed_messages import MissedMessages, Source, Wish, read_named
from hubbub.service.cluster.pull_consumer import acknowledge_for
from hubbub.service.cluster.session_codec import Named, Record
from hubbub.service.cluster.session_store import Owned, SessionStore


async def adopt(hub: Hub, source: Source, store: SessionStore, one: Owned, record: Record, clean: bool) -> Client:
    """Have a session that another node had, with its messages, unless it is to end at once. Returns its client.

    Raises JetStreamError.
    """
    one.record = record
    if record.epoch != source.numbers.epoch:  # what that stream had is lost; all of this one came later
        named = tuple([named._replace(seq=0) for named in record.named])
        wishes = tuple([(fields, 0) for fields, _ in record.subscriptions])
        record = record._replace(named=named, next=1, subscriptions=wishes)
    record = record._replace(next=min(record.next, source.numbers.seq_from(source.numbers.newest + 1)))
    its = [] if clean else [named for named in record.named if await _is_its_own(source, one.name, named)]
    read = [await _read(hub, source, named) for named in its]
    client = _revive(hub, source, store, one, record, [found for found in read if found is not None])
    if not clean:
        client.delivery.queue.count_drops(read.count(None))
        await _catch_up(source, record, client)
    one.record = None
    client.state.save()
    return client


async def _is_its_own(source: Source, session: str, named: Named) -> bool:
    """Return whether no other session has a message: its node may have died before it was certain (see hand_overs).

    Raises JetStreamError.
    """
    if not (named.share and named.seq and named.id and named.qos > 1):
        return True
    if not named.received and not await source.owners.claim(named.share, named.seq, session):
        return False
    acknowledge_for(source.jetstream, source.stream, named.share, named.seq)
    return True


async def _read(hub: Hub, source: Source, named: Named) -> DeliveryRecord | None:
    """Return a message that the record names. None: it isn't there any more."""
    message: Message | None = None
    if named.message is not None:
        kept = None if named.message.payload else hub.retained.get(named.message.topic)
        message = kept or make_message(named.message)
    elif named.seq:
        message = await read_named(source, named.seq)
    if message is None and named.received:
        message = Publish("?", b"")  # the client has it: only its identifier is needed
    if message is None:
        return None
    return DeliveryRecord(number_of(message), message, (named.sub, named.qos, named.share), named.id, named.received)


def _revive(
    hub: Hub, source: Source, store: SessionStore, one: Owned, record: Record, named: list[DeliveryRecord]
) -> Client:
    """Let the session have what comes from now on."""
    assert record.session is not None
    numbers, number = source.numbers, store.new_number()
    hub.router.commit()
    one.since = {make_subscription(wish).key: numbers.of(since) for wish, since in record.wishes()}
    wishes = tuple([wish for wish, _ in record.wishes()])
    progress = Progress(numbers.of(record.next), (), (), record.received, record.dropped)
    store.expect(one, number)
    client = hub.clients.adopt(
        StoredSession(number, record.session, wishes, tuple(named), progress, PagedQueue()), store
    )
    one.state, client.state.released = client.state, record.released
    return client


async def _catch_up(source: Source, record: Record, client: Client) -> None:
    """Put what the session has missed before what comes."""
    wishes = [Wish(make_subscription(wish), since) for wish, since in record.wishes()]
    missed = MissedMessages(source, wishes, source.numbers.last)
    client.delivery.queue.prepend(await missed.read(record.next - 1, client.state.max_bytes))
    client.delivery.queue.count_drops(missed.dropped)
