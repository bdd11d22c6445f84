"""Subscriptions with ids: several to one filter, a copy for each, and units that differ in the id alone."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.dialect import Dialect, IdForm, Text
from hubbub.events import Connect, Subscribe, Unsubscribe
from hubbub.framing import EndReader
from hubbub.publish import Publish, QosPublish, Request
from unit.kernel_help import FakeWire


class Numbered(Dialect):
    """`sub ID FILTER`, `unsub ID [AFTER]`, `pub TOPIC PAYLOAD`; a message comes as `<ID TOPIC PAYLOAD>`.

    After `hello` there is `sure ID FILTER`, whose messages of QoS 1 (`send`) come as `<ID TOPIC PAYLOAD>` and a number.
    """

    overlapping = "each"
    counts = True
    encoded = 0

    def __init__(self, context: Any, peer: Any) -> None:
        super().__init__(context, peer)
        self.reader = EndReader(b"\n", 1_000)
        self.over: list[Any] = []

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Any]:
        return [self.event(line.decode().split(" ")) for line in self.reader.feed(data)]

    def event(self, words: list[str]) -> Any:
        match words:
            case ["sub", id, filter]:
                return Subscribe(filter, id=id)
            case ["unsub", id]:
                return Unsubscribe("", id=id)
            case ["unsub", id, after]:
                return Unsubscribe("", id=id, after=int(after))
            case ["hello"]:
                return Connect(receive_maximum=10)
            case ["sure", id, filter]:
                return Subscribe(filter, id=id, qos=1)
            case ["send", topic, payload]:
                return QosPublish(topic, payload.encode(), 1)
            case ["req", topic, payload]:
                return Request(topic, payload.encode())
        return Publish(words[1], words[2].encode(), retain=words[0] == "keep")

    def form(self, subscription: Subscribe) -> IdForm:
        return IdForm(None, str(subscription.id).encode())

    @classmethod
    def encode_around(cls, message: Any, shared: Any) -> tuple[bytes, bytes] | None:
        cls.encoded += 1
        if message.payload == b"hidden":
            return None
        return b"<", b" %s %s>" % (message.topic.encode(), message.payload)

    def ended(self, id: Any) -> None:
        self.over.append(id)

    def frame_qos(self, frame: bytes, message: Any, id: int, again: bool) -> bytes:
        return frame + b"%d" % id


class Spelled(Numbered):
    """The same in text messages."""

    @classmethod
    def encode_around(cls, message: Any, shared: Any) -> tuple[bytes, bytes]:
        head, tail = super().encode_around(message, shared)
        return Text(head), tail


class Counting(Numbered):
    """Each id has an encoding of its own."""

    def form(self, subscription: Subscribe) -> bytes:
        return str(subscription.id).encode()

    @classmethod
    def encode(cls, message: Any, form: Any) -> bytes:
        return b"<%b %b %b>" % (form, message.topic.encode(), message.payload)


class Merging(Numbered):
    overlapping = "merge"


def framed(unit: bytes) -> bytes:
    """A frame like a WebSocket's: the length, then the unit as it is."""
    return b"[%d]" % len(unit) + unit


def masked(unit: bytes) -> bytes:
    """A frame that changes the unit."""
    return b"[%d]" % len(unit) + unit[::-1]


def kinds(unit: bytes) -> bytes:
    """A frame that tells text from bytes."""
    return (b"t" if isinstance(unit, Text) else b"b") + unit


def masked_kinds(unit: bytes) -> bytes:
    return kinds(unit)[::-1]


def test_one_client_subscribes_twice_to_one_filter(world):
    link = world.link(Numbered)
    world.say(link, b"sub 1 a/+\nsub 2 a/+\n")
    assert world.say(link, b"pub a/b x\n") == b"<1 a/b x><2 a/b x>"
    world.say(link, b"unsub 1\n")
    assert world.say(link, b"pub a/b y\n") == b"<2 a/b y>"


def test_overlapping_subscriptions_get_a_copy_each(world):
    link = world.link(Numbered)
    world.say(link, b"sub one a/b\nsub two a/#\nsub three +/b\n")
    assert sorted(world.say(link, b"pub a/b x\n").split(b">")) == [b"", b"<one a/b x", b"<three a/b x", b"<two a/b x"]


def test_overlapping_subscriptions_merge_where_the_dialect_says_so(world):
    link = world.link(Merging)
    world.say(link, b"sub one a/b\nsub two a/#\n")
    assert world.say(link, b"pub a/b x\n") == b"<one a/b x>"


def test_a_second_subscription_of_an_id_replaces_the_first(world):
    link = world.link(Numbered)
    world.say(link, b"sub 1 a\nsub 1 b\n")
    assert world.say(link, b"pub a x\npub b y\n") == b"<1 b y>"
    assert world.hub.subscriptions.count == 1


def test_each_of_them_counts(world):
    link = world.link(Numbered)
    world.say(link, b"sub 1 a\nsub 2 a\nsub 3 b\n")
    assert world.hub.subscriptions.count == 3
    link.lost()
    assert world.hub.subscriptions.count == 0
    assert world.hub.router.trie.match("a") == ()


def test_a_publish_counts_sessions_not_copies(world):
    link = world.link(Numbered)
    world.say(link, b"sub 1 a\nsub 2 a\n")
    assert world.publish("a") == 1


def test_what_they_share_is_encoded_once(world):
    links = [world.link(Numbered) for _ in range(10)]
    for number, link in enumerate(links):
        world.say(link, b"sub %d a\n" % number)
    Numbered.encoded = 0
    world.publish("a", b"x")
    world.publish("a", b"y")
    world.turn()
    assert Numbered.encoded == 2
    assert [link.wire.output() for link in links] == [b"<%d a x><%d a y>" % (n, n) for n in range(10)]


def test_messages_of_one_turn_leave_in_one_write_to_each_of_many(world):
    links = [world.link(Numbered) for _ in range(600)]
    for number, link in enumerate(links):
        world.say(link, b"sub %d a\n" % number)
    for number in range(20):
        world.publish("a", b"%d" % number)
    world.turn()
    assert {len(link.wire.writes) for link in links} == {1}
    assert links[599].wire.output() == b"".join([b"<599 a %d>" % number for number in range(20)])


def test_messages_of_one_turn_are_one_batch_however_many_subscriptions_may_end(world):
    links = [world.link(Numbered) for _ in range(600)]
    for link in links:
        world.say(link, b"sub 1 a\n")
    links[0].transport_paused(0)
    for number in range(20):
        world.publish("a", b"%d" % number)
    world.turn()
    assert len(links[0].outbox.units) == 1


def test_messages_that_wait_count_with_the_id(world):
    links = [world.link(Numbered) for _ in range(2)]
    for id, link in zip((b"1", b"4444"), links, strict=True):
        world.say(link, b"sub %b a\n" % id)
        link.transport_paused(0)
    for _ in range(2):
        world.publish("a", b"x")
        world.publish("a", b"y")
        world.turn()
    assert [link.outbox.depth() for link in links] == [(4, 4 * len(b"<1 a x>")), (4, 4 * len(b"<4444 a x>"))]
    for link in links:
        link.transport_resumed()
    world.turn()
    assert [link.wire.output() for link in links] == [b"<1 a x><1 a y>" * 2, b"<4444 a x><4444 a y>" * 2]


def test_a_message_that_cannot_be_carried_costs_no_other(world):
    links = [world.link(Numbered) for _ in range(3)]
    for number, link in enumerate(links):
        world.say(link, b"sub %d a\n" % number)
    for payload in (b"x", b"hidden", b"y"):
        world.publish("a", payload)
    world.turn()
    assert [link.wire.output() for link in links] == [b"<%d a x><%d a y>" % (n, n) for n in range(3)]
    assert world.hub.turn.counters.uncarried == 3
    assert world.hub.turn.counters.delivered == 6


def test_clients_with_one_id_share_a_unit_beside_those_with_others(world):
    links = [world.link(Numbered) for _ in range(4)]
    for id, link in zip((b"1", b"1", b"22", b"333"), links, strict=True):
        world.say(link, b"sub %b a\n" % id)
    world.publish("a", b"x")
    world.turn()
    assert [link.wire.output() for link in links] == [b"<1 a x>", b"<1 a x>", b"<22 a x>", b"<333 a x>"]
    assert world.hub.turn.counters.delivered == 4
    links[2].lost()
    links[3].lost()
    Numbered.encoded = 0
    world.publish("a", b"y")
    world.turn()
    assert Numbered.encoded == 1
    assert [link.wire.output() for link in links[:2]] == [b"<1 a y>"] * 2


@pytest.mark.parametrize("wrap", [framed, masked])
def test_each_unit_has_a_frame_of_its_own_length(world, wrap):
    links = [world.link(Numbered, wire=FakeWire(wrap)) for _ in range(3)]
    for id, link in zip((b"1", b"22", b"1"), links, strict=True):
        world.say(link, b"sub %s a\n" % id)
    world.publish("a", b"x")
    world.turn()
    assert [link.wire.output() for link in links] == [wrap(b"<%s a x>" % id) for id in (b"1", b"22", b"1")]


def test_a_full_queue_drops_single_messages(world):
    link = world.link(Numbered, queue=30)
    world.say(link, b"sub 1 a\n")
    for number in range(10):
        world.publish("a", b"%d" % number)
    world.turn()
    assert link.wire.output() == b"<1 a 6><1 a 7><1 a 8><1 a 9>"
    assert link.outbox.dropped == 6


def test_retained_messages_have_the_id_too(world):
    link = world.link(Numbered)
    world.say(link, b"keep a x\n")
    assert world.say(link, b"sub 7 a\n") == b"<7 a x>"


def test_a_client_may_be_two_members_of_a_group(world):
    link = world.link(Numbered)
    world.say(link, b"sub 1 $share/g/a\nsub 2 $share/g/a\n")
    assert sorted(world.say(link, b"pub a x\npub a y\n").split(b">")) == [b"", b"<1 a x", b"<2 a y"]
    world.say(link, b"unsub 1\n")
    assert world.say(link, b"pub a z\n") == b"<2 a z>"


@pytest.mark.parametrize("wrap", [None, framed, masked])
@pytest.mark.parametrize("kind", [Numbered, Counting])
def test_a_subscription_ends_after_so_many_messages(world, kind, wrap):
    link = world.link(kind, wire=FakeWire(wrap))
    units = (lambda *said: b"".join(said)) if wrap is None else (lambda *said: b"".join(map(wrap, said)))
    world.say(link, b"sub 1 a\npub a w\n")
    world.say(link, b"unsub 1 3\nsub 2 a\n")
    world.say(link, b"pub a x\n")
    assert link.dialect.over == []
    assert world.say(link, b"pub a y\npub a z\n") == units(b"<1 a y>", b"<2 a y>", b"<2 a z>")
    assert link.dialect.over == ["1"]
    assert world.hub.subscriptions.count == 1
    world.say(link, b"unsub 2 3\n")
    assert link.dialect.over == ["1", "2"]
    assert world.publish("a") == 0


def test_a_subscription_that_ends_after_some_messages_may_begin_anew(world):
    link = world.link(Numbered)
    world.say(link, b"sub 1 a\nunsub 1 2\nunsub 1\nsub 1 b\n")
    assert world.say(link, b"pub b x\npub b y\npub b z\n") == b"<1 b x><1 b y><1 b z>"
    world.say(link, b"unsub 7 1\n")
    assert link.dialect.over == ["1", "7"]


def test_a_retained_message_counts(world):
    link = world.link(Numbered)
    world.say(link, b"keep a x\n")
    assert world.say(link, b"sub 7 a\nunsub 7 1\npub a y\n") == b"<7 a x>"


def test_a_member_of_a_group_ends_after_some_messages(world):
    link = world.link(Numbered)
    world.say(link, b"sub 1 $share/g/a\nsub 2 $share/g/a\nunsub 1 1\nunsub 2 2\n")
    said = world.say(link, b"pub a 1\npub a 2\npub a 3\npub a 4\n")
    assert sorted(said.split(b">")) == [b"", b"<1 a 1", b"<2 a 2", b"<2 a 3"]
    assert world.hub.subscriptions.count == 0


@pytest.mark.parametrize("wrap", [None, framed, masked])
def test_messages_that_are_acknowledged_have_the_id_too(world, wrap):
    link = world.link(Numbered, wire=FakeWire(wrap))
    wrap = wrap or bytes
    world.say(link, b"hello\nsure 1 a\nsure 22 a\nkeep b z\n")
    assert world.say(link, b"send a x\n") == wrap(b"<1 a x>1") + wrap(b"<22 a x>2")
    assert world.say(link, b"pub a y\n") == wrap(b"<1 a y>") + wrap(b"<22 a y>")
    assert world.say(link, b"sure 3 b\n") == wrap(b"<3 b z>")


@pytest.mark.parametrize(("wrap", "whole"), [(kinds, b"t<7 a x>"), (masked_kinds, b">x a 7<t")])
def test_text_stays_text(world, wrap, whole):
    link = world.link(Spelled, wire=FakeWire(wrap))
    world.say(link, b"hello\nsub 7 a\n")
    assert world.say(link, b"pub a x\n") == whole
