"""A queue of an earlier process is read in pages, as its client takes it; nothing of it is in memory before."""

from __future__ import annotations

import shutil
import tracemalloc

import pytest

from hubbub import limits
from hubbub.kernel.sessions.records import MessageRecord, Progress, SessionRecord
from hubbub.storage import codec
from hubbub.storage.database import Database
from hubbub.storage.opening import open_store
from hubbub.testing import World
from mqtt_client import PUBACK, V5, Client, Rights, kept, subscription
from storage.test_faults import Process

WAITING = 450
MANY = 100_000


@pytest.fixture
def folder(tmp_path):
    """A store with a long queue."""
    process = Process(tmp_path / "state", "process", None)
    process.away("away", "a/#")
    fill(process, 0, WAITING)
    process.store.stop()
    return tmp_path / "state"


def fill(process: Process, first: int, last: int) -> None:
    writer = process.client("w")
    for n in range(first, last):
        writer.publish(f"a/{n % 2}", b"%d" % n, qos=1, id=n + 1)
    process.settle()


@pytest.fixture
def process(folder):
    process = Process(folder, "process", None)
    yield process
    process.store.stop()


def take(process: Process, client: Client, until: int, again: bool = False) -> list[int]:
    """Acknowledge all that comes until that one has come; `again`: some of it came before."""
    found = []
    news = client.first
    while True:
        for one in news:
            found.append(int(one.payload))
            assert again or not one.dup
        if found and found[-1] >= until:
            return found
        more = [answer for one in news for answer in client.ack(PUBACK, one.id)] + client.output()
        if not more:
            call, *arguments = process.calls.get(timeout=30)
            call(*arguments)
            process.hub.world.turn()
            more = client.output()
        news = more


def state_of(process: Process):
    return process.hub.world.hub.clients._known["", None, "away"].state


def test_nothing_is_in_memory_before_it_is_taken(process):
    state = state_of(process)
    assert len(state.queue) == 0
    assert process.hub.world.hub.clients.queued == WAITING
    client = process.client("away", **kept(V5))
    assert len(state.queue) + len(state.inflight) <= 2 * limits.PAGE_MESSAGES
    assert take(process, client, WAITING - 1) == list(range(WAITING))
    client.end.vanish()
    process.settle()


def test_what_comes_meanwhile_comes_behind_it(process):
    fill(process, WAITING, WAITING + 10)
    client = process.client("away", **kept(V5))
    fill(process, WAITING + 10, WAITING + 20)
    assert take(process, client, WAITING + 19) == list(range(WAITING + 20))
    fill(process, WAITING + 20, WAITING + 30)
    client.first = client.output()
    assert take(process, client, WAITING + 29) == list(range(WAITING + 20, WAITING + 30))


def test_the_hub_rests_while_a_page_is_read(process, monkeypatch):
    monkeypatch.setattr(limits, "TURN_SECONDS", 0.0)  # so that a job which goes on and on has a turn for each step
    monkeypatch.setattr(process.store, "fetch", lambda *page: None)
    client = Client(process.hub.listener, V5)
    client.connect("away", **kept(V5))
    process.settle()
    client.output()
    client.subscribe(subscription("a/#", 1))  # its retained messages come behind the queue


def test_the_bytes_are_counted_right_in_the_end(process):
    client = process.client("away", **kept(V5))
    take(process, client, WAITING - 1)
    state = state_of(process)
    for id in list(state.inflight):
        client.ack(PUBACK, id)
    assert state.size == state.inflight_bytes == process.hub.world.hub.clients.queued_bytes == 0


def test_another_kill_amid_it(folder):
    process = Process(folder, "process", None)
    client = process.client("away", **kept(V5))
    found = take(process, client, WAITING // 2)
    client.end.vanish()
    process.settle()
    process.store.stop()
    later = Process(folder, "process", None)
    again = take(later, later.client("away", **kept(V5)), WAITING - 1, again=True)
    assert set(range(WAITING)) <= set(found) | set(again)
    assert again == sorted(again)
    later.store.stop()


def test_a_full_queue_drops_its_oldest_without_reading_them(process, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_MESSAGES", WAITING)
    fill(process, WAITING, WAITING + 5)
    client = process.client("away", **kept(V5))
    assert take(process, client, WAITING + 4) == list(range(5, WAITING + 5))


def test_what_the_client_may_no_longer_have(process):
    rights = Rights()
    rights.denied = {"a/1"}
    process.hub.listener.context.rights = lambda session: rights if session.client == "away" else None
    client = process.client("away", **kept(V5))
    assert take(process, client, WAITING - 2) == list(range(0, WAITING, 2))


@pytest.fixture
def group(tmp_path):
    """The same where the queue is that of a member of a group."""
    process = Process(tmp_path / "state", "process", None)
    process.away("away", "$share/g/a/#")
    fill(process, 0, WAITING)
    process.store.stop()
    later = Process(tmp_path / "state", "process", None)
    state = state_of(later)
    assert (len(state.queue), state.paged_count) == (0, WAITING)
    yield later
    later.store.stop()


def test_a_member_of_a_group_takes_its_queue_in_pages(group):
    client = group.client("away", **kept(V5))
    assert len(state_of(group).queue) + len(state_of(group).inflight) <= 2 * limits.PAGE_MESSAGES
    assert take(group, client, WAITING - 1) == list(range(WAITING))


def test_others_get_what_is_in_the_store_alone_when_a_member_ends(group):
    other = group.client("other", **kept(V5))
    other.subscribe(subscription("$share/g/a/#", 1))
    group.settle()
    other.output()
    group.hub.world.hub.clients._known["", None, "away"].end()
    group.hub.world.turn()
    group.wait(lambda: not group.reading)
    group.settle()
    other.first = other.output()
    assert take(group, other, WAITING - 1) == list(range(WAITING))
    group.settle()
    assert group.store.database.connection.execute("SELECT count(*) FROM sessions WHERE number = 1").get == 0


@pytest.mark.parametrize("expiry", [0, 100])
def test_a_kill_while_others_get_the_queue_of_a_session_that_has_ended(group, tmp_path, monkeypatch, expiry):
    """It ends again. The store may have another session of that client by then."""
    group.client("other", **kept(V5)).subscribe(subscription("$share/g/a/#", 1))
    monkeypatch.setattr(group.store.reader, "put", lambda job: None)  # it is as slow as can be
    client = Client(group.hub.listener, V5)
    client.connect("away", clean=True, properties={"session_expiry_interval": expiry})
    group.settle()
    client.subscribe(subscription("new", 1))
    group.settle()
    shutil.copytree(tmp_path / "state", tmp_path / "killed")
    later = Process(tmp_path / "killed", "process", None)
    count = "SELECT count(*) FROM sessions"
    assert later.store.database.connection.execute(count).get == 2 + (expiry > 0)
    later.wait(lambda: not later.reading)
    later.settle()
    assert take(later, later.client("other", **kept(V5)), WAITING - 1) == list(range(WAITING))
    later.settle()
    assert later.store.database.connection.execute(count).get == 1 + (expiry > 0)
    assert len(later.hub.world.hub.clients) == 1 + (expiry > 0)
    assert later.hub.world.hub.subscriptions.count == 2 + (expiry > 0)  # one is that of the group
    later.store.stop()


def test_members_that_have_all_in_the_store_get_more(group):
    fill(group, WAITING, WAITING + 10)
    client = group.client("away", **kept(V5))
    assert take(group, client, WAITING + 9) == list(range(WAITING + 10))


def test_a_work_queue_is_lent_in_pages(tmp_path):
    """It has the key of no client; members take from it one after the other."""
    process = Process(tmp_path / "state", "process", None)
    open_queue(process)
    fill(process, 0, WAITING)
    process.store.stop()
    later = Process(tmp_path / "state", "process", None)
    queue = open_queue(later)
    assert (len(queue.state.queue), queue.state.paged_count) == (0, WAITING // 2)
    assert later.hub.world.hub.clients.queued == WAITING // 2
    fill(later, WAITING, WAITING + 10)
    client = later.client("worker")
    client.first = client.subscribe(subscription("$share/q/a/0", 1))[1:]
    assert take(later, client, WAITING + 8) == list(range(0, WAITING + 10, 2))
    later.store.stop()


def open_queue(process: Process):
    clients = process.hub.world.hub.clients
    clients.open_queue("$share/q/a/0", True)
    return clients._work_queues.all["$share/q/a/0"]


def test_a_session_that_ends_while_it_is_read(process):
    client = process.client("away", **kept(V5))
    client.goodbye(session_expiry_interval=0)
    process.settle()
    assert len(process.hub.world.hub.clients) == 0
    assert process.hub.world.hub.clients.queued_bytes == 0


def test_a_start_takes_less_than_64_bytes_for_each_message_that_waits(tmp_path):
    sessions = 20
    database = Database(tmp_path / "state")
    database.open("process")
    body = codec.pack(MessageRecord("a", bytes(100), False, None, None, (), 1.7e9, 1, None, None))
    with database.transaction():
        execute = database.connection.execute
        for n in range(1, sessions + 1):
            key, none = ("", None, f"c{n}"), frozenset()
            record = SessionRecord(
                key, "", 0, "tcp", "", none, None, None, None, 1e9, 1.7e9, None, 0.0, 8 << 20, "latest"
            )
            execute("INSERT INTO sessions VALUES (?, ?)", (n, codec.pack(record)))
            execute("INSERT INTO progress VALUES (?, ?)", (n, codec.pack(Progress(1, (), (), ()))))
            execute("INSERT INTO audiences VALUES (?, ?)", (n, codec.pack_receivers([(n, ("a", 1, ""))])))
        rows = ((n + 1, n % sessions + 1, body) for n in range(MANY))
        database.connection.executemany("INSERT INTO messages (number, audience, body) VALUES (?, ?, ?)", rows)
    database.close()
    tracemalloc.start()
    store, world = open_store(tmp_path / "state", "process", print), World()
    world.hub.load(store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    store.start()
    store.stop()
    assert world.hub.clients.queued == MANY
    assert peak < 64 * MANY
