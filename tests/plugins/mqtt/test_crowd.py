"""A message of QoS 1 for a crowd: what the turn has no time for comes later, in order, and none is lost."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from hubbub import limits
from hubbub.events import Subscribe as Event
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.share_groups import ShareGroup
from hubbub.kernel.routing.subscription import Encoding, Subscription, as_is
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.testing.world import World
from hubbub_plugins.mqtt import Mqtt
from hubbub_plugins.mqtt.packets import V311, Connect, Disconnect, Publish, Subscribe, Unsubscribe
from hubbub_plugins.mqtt.packets import Subscription as Wish
from storage.journal import Disk, JournalStore
from unit.kernel_help import Receiver

HANDED = 3  # messages that one turn hands over here


class Crowd:
    """Clients of MQTT 3.1.1 in memory, each subscribed at QoS 1 to t/#, and a publisher."""

    def __init__(self, count: int, filter: str = "t/#", qos: int = 1, **keys: Any) -> None:
        self.world = World()
        self.listener = self.world.listen("tcp", Mqtt, **keys)
        self.clients = [self.connect(f"c{n}", qos, filter) for n in range(count)]
        self.publisher = self.connect("publisher")
        self.number = 0

    def connect(self, name: str, qos: int = 1, filter: str = "") -> Any:
        client = self.listener.connect()
        client.say(Connect(version=V311, client=name, clean=False).encode(V311))
        if filter:
            client.say(Subscribe(id=1, subscriptions=[Wish(filter=filter, qos=qos)]).encode(V311))
        return client

    def publish(self, payload: bytes, qos: int = 1, topic: str = "t/a") -> None:
        """Send a message; no turn ends."""
        self.number += 1
        packet = Publish(topic=topic, payload=payload, qos=qos, id=self.number if qos else None)
        self.publisher.send(packet.encode(V311))
        self.publisher.move()

    def output(self) -> list[list[bytes]]:
        """Payloads that each client has got since the last look; each is one letter."""
        self.world.turn()
        return [payloads(client.received()) for client in self.clients]


def payloads(data: bytes) -> list[bytes]:
    """Payloads of one byte of the PUBLISH packets on t/a in some bytes."""
    found, at = [], 0
    while at < len(data):
        size = data[at + 1]
        if data[at] >> 4 == 3:
            found.append(data[at + 1 + size : at + 2 + size])
        at += 2 + size
    return found


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Let a turn hand over few messages."""
    monkeypatch.setattr("hubbub.kernel.sessions.qos_receiver.DELIVERIES_AT_ONCE", HANDED)
    monkeypatch.setattr(limits, "DELIVERIES_AT_ONCE", HANDED)


def test_each_client_gets_all_messages_in_order():
    crowd = Crowd(10)
    for letter in (b"a", b"b", b"c"):
        crowd.publish(letter)
    crowd.publish(b"d", qos=0)
    crowd.publish(b"e")
    assert crowd.output() == [[b"a", b"b", b"c", b"d", b"e"]] * 10


def test_beyond_so_many_the_oldest_is_taken_at_once(monkeypatch):
    monkeypatch.setattr("hubbub.kernel.sessions.qos_receiver.PUT_OFF", 2)
    crowd = Crowd(10)
    for letter in (b"a", b"b", b"c", b"d"):
        crowd.publish(letter)
        crowd.world.hub.router.commit()
    assert crowd.output() == [[b"a", b"b", b"c", b"d"]] * 10


def test_a_client_that_goes_has_them_in_its_queue():
    crowd = Crowd(5)
    crowd.publish(b"a")
    crowd.world.hub.router.commit()
    crowd.clients[4].vanish()
    assert crowd.output()[:4] == [[b"a"]] * 4
    again = crowd.listener.connect()
    assert payloads(again.say(Connect(version=V311, client="c4", clean=False).encode(V311))[4:]) == [b"a"]


def test_a_client_that_unsubscribes_gets_what_came_before():
    crowd = Crowd(5)
    crowd.publish(b"a")
    crowd.world.hub.router.commit()
    crowd.clients[4].send(Unsubscribe(id=2, filters=["t/#"]).encode(V311))
    crowd.clients[4].move()
    crowd.publish(b"b")
    assert crowd.output() == [*[[b"a", b"b"]] * 4, [b"a"]]


def test_a_session_that_ends_leaves_its_group_what_came_for_it():
    crowd = Crowd(5, "$share/g/t/#")
    for letter in (b"a", b"b", b"c", b"d", b"e"):
        crowd.publish(letter)
    crowd.world.hub.router.commit()
    crowd.clients[4].send(Disconnect(code=0).encode(V311))
    assert sorted(itertools.chain(*crowd.output())) == [b"a", b"b", b"c", b"d", b"e"]


def test_groups_give_in_order_too():
    crowd = Crowd(0)
    hub, turn = crowd.world.hub, crowd.world.hub.turn
    receiver = Receiver()
    receiver.room = lambda message: 3  # type: ignore[attr-defined]
    group = ShareGroup(turn, hub.router)
    encoding = Encoding(as_is, None, stream=False)
    group.join(Subscription(Session("", 0, "", ""), Event("t/#"), encoding, receiver))
    turn.handed = HANDED
    for letter in (b"a", b"b"):
        group.put(Batch((Message("t", letter),), (letter,)))
    assert receiver.payloads == []
    turn.flush()
    assert receiver.payloads == [b"a", b"b"]


class Killed(JournalStore):
    """A store that can be killed as its next batch is safe, before anything is sent for that."""

    dies = False

    def commit(self) -> None:
        super().commit()
        if self.dies:
            raise KeyboardInterrupt


def test_a_store_has_at_once_what_comes_later():
    """The publisher is told that the message is kept: each session has it after a kill, in order."""
    disk = Disk()
    crowd = Crowd(0)
    store = Killed(disk)
    crowd.world.hub.load(store)
    crowd.clients = [crowd.connect(f"c{n}", 1 + n % 2, "t/#") for n in range(10)]
    crowd.publish(b"a")
    assert crowd.output() == [[b"a"]] * 10
    for letter, qos in ((b"b", 1), (b"c", 2), (b"d", 0), (b"e", 1)):
        crowd.publish(letter, qos)
        crowd.world.hub.router.commit()
    store.dies = True
    with pytest.raises(KeyboardInterrupt):
        crowd.world.turn()
    again = Crowd(0)
    again.world.hub.load(JournalStore(disk))
    for n in range(10):
        client = again.listener.connect()
        said = client.say(Connect(version=V311, client=f"c{n}", clean=False).encode(V311))
        assert payloads(said[4:]) == [b"a", b"b", b"c", b"e"]


def test_a_store_forgets_what_was_put_off_and_then_dropped():
    """A full queue that drops the newest doesn't get it back with the next process."""
    disk = Disk()
    crowd = Crowd(0, full="drop-newest")
    crowd.world.hub.load(JournalStore(disk))
    crowd.clients = [crowd.connect(f"c{n}", 1, "t/#") for n in range(5)]
    crowd.world.turn()
    for link in crowd.listener.context.links:
        link.client.state.max_bytes = 500
    letters = [b"%c" % n for n in b"abcdefgh"]
    for letter in letters:
        crowd.publish(letter)
        crowd.world.hub.router.commit()
    had = crowd.output()
    assert all(len(one) < len(letters) for one in had)
    again = Crowd(0)
    again.world.hub.load(JournalStore(disk))
    for n, letters_before in enumerate(had):
        client = again.listener.connect()
        said = payloads(client.say(Connect(version=V311, client=f"c{n}", clean=False).encode(V311))[4:])
        assert len(said) < len(letters)
        assert said[: len(letters_before)] == letters_before
