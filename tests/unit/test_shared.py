"""kernel/routing/share_groups.py: each message of a shared filter goes to one member of its group."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits, on
from hubbub.bounds import Bounds
from hubbub.errors import BadFilter, Refusal
from hubbub.events import Subscribe
from hubbub.kernel.routing.subscription import AWAY, LATER, LOST, NOW, as_is
from hubbub.template import Template
from hubbub.topics import check_filter, matches, unshared
from unit.kernel_help import FILTERS, TOPICS, FakeWire, World
from unit.kernel_help import Receiver as Plain


class Receiver(Plain):
    """A member with as much room as the test says."""

    def __init__(self, has: int = NOW) -> None:
        super().__init__()
        self.has = has

    def room(self, message):
        return self.has


def group(world, count, filter="$share/g/a", has=()):
    """That many members, and their boxes."""
    receivers = [Receiver(has[n] if has else NOW) for n in range(count)]
    sessions = [world.session() for _ in receivers]
    for session, receiver in zip(sessions, receivers, strict=True):
        assert world.subscribe(session, filter, receiver) == []
    return sessions, receivers


def got(receivers):
    return [b"".join(receiver.payloads) for receiver in receivers]


def numbers(world, count, topic="a", **more):
    for n in range(count):
        world.publish(topic, b"%d" % n, **more)
    world.turn()


@pytest.mark.parametrize("filter", ["$share/g/a", "$share/g/+", "$share/a b/#", "$share/$/a", "$share"])
def test_a_filter_of_a_group(filter):
    assert check_filter(filter) == filter
    assert "$share/" not in unshared(filter)


@pytest.mark.parametrize(
    "filter", ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#", "$share/a+/a", "$share/g#/a",
               "$share/g/$share/h/a"]
)  # fmt: skip
def test_a_bad_filter_of_a_group(filter):
    with pytest.raises(BadFilter, match="shared"):
        unshared(filter)
    world = World()
    link = world.link()
    if filter != "$share/#":  # which is no group, and not what a dialect of the tests refuses
        assert world.say(link, f"sub {filter}\n".encode()) == b"no bad-filter\n"
    assert world.hub.subscriptions.count == 0


def test_each_message_goes_to_one_in_turn():
    world = World()
    sessions, receivers = group(world, 3)
    assert world.publish("a", b"0") == 1
    assert world.publish("b", b"9") == 0
    numbers(world, 6)
    assert got(receivers) == [b"025", b"03", b"14"]
    assert world.hub.turn.counters.delivered == 7
    for session in sessions:
        world.hub.subscriptions.leave(session)
    assert len(world.hub.shared) == 0
    assert world.hub.subscriptions.count == 0
    assert world.publish("a") == 0


def test_order_is_kept_for_each_member():
    world = World()
    _, receivers = group(world, 2)
    numbers(world, 10)
    assert got(receivers) == [b"02468", b"13579"]


def test_groups_and_plain_subscribers_each_get_theirs():
    world = World()
    _, one = group(world, 2, "$share/g/a/+")
    _, other = group(world, 2, "$share/h/a/+")
    _, wider = group(world, 2, "$share/g/a/#")
    plain, session = Receiver(), world.session()
    world.subscribe(session, "a/b", plain)
    world.subscribe(session, "$share/g/a/+", plain)
    assert world.publish("a/b", b"x") == 4
    world.turn()
    assert sum(len(receiver.payloads) for receiver in (*one, *other, *wider, plain)) == 4
    assert len(world.hub.shared) == 3


@pytest.mark.parametrize(
    ("has", "takes"),
    [
        ((NOW, NOW), {0, 1}),
        ((LATER, NOW), {1}),
        ((AWAY, LATER), {1}),
        ((LOST, AWAY), {1}),
        ((LOST, LOST), {0, 1}),
        ((LATER, LATER), {0, 1}),
    ],
)
def test_a_member_that_has_room_comes_first(has, takes):
    world = World()
    _, receivers = group(world, 2, has=has)
    numbers(world, 4)
    assert {at for at, receiver in enumerate(receivers) if receiver.payloads} == takes
    assert sum(len(receiver.payloads) for receiver in receivers) == 4


def test_a_second_subscription_replaces_the_first():
    world = World()
    (session, _), (receiver, other) = group(world, 2)
    again = Receiver()
    world.subscribe(session, "$share/g/a", again)
    numbers(world, 4)
    assert (receiver.payloads, len(other.payloads), len(again.payloads)) == ([], 2, 2)
    assert world.hub.subscriptions.count == 3  # the group's own too


def test_no_retained_message_comes():
    world = World()
    world.publish("a", b"kept", retain=True)
    _, (receiver,) = group(world, 1)
    world.turn()
    assert receiver.payloads == []


def test_a_member_that_cannot_carry_it_leaves_it_to_another():
    world = World()
    mute, able = Receiver(), Receiver()
    other = world.hub.subscriptions.encoding(lambda messages, form: [b"whatever"] * len(messages), None)
    (first, second) = world.session(), world.session()
    world.subscribe(first, "$share/g/a", mute)
    world.hub.subscriptions.subscribe(second, Subscribe("$share/g/a"), other, able)
    for _ in range(3):
        world.publish("a", b"none")
    world.turn()
    assert (mute.payloads, len(able.payloads)) == ([], 3)
    world.hub.subscriptions.leave(second)
    world.publish("a", b"none")
    world.turn()
    assert world.hub.turn.counters.uncarried == 1
    assert world.hub.turn.counters.delivered == 3


def test_a_client_that_wants_no_echo_gets_none():
    world = World()
    first, second = world.session(), world.session()
    mine, other = Receiver(), Receiver()
    world.subscribe(first, "$share/g/a", mine, echo=False)
    world.subscribe(second, "$share/g/a", other)
    numbers(world, 4, sender=first)
    assert (mine.payloads, len(other.payloads)) == ([], 4)
    numbers(world, 4, sender=second)
    assert mine.payloads


@given(st.lists(st.tuples(FILTERS, st.sampled_from("gh")), min_size=1, max_size=6), TOPICS)
def test_one_of_each_group_whose_filter_matches(wishes, topic):
    world = World()
    receivers = {}
    for filter, name in wishes:
        if filter.startswith("$share"):
            continue
        receiver = Receiver()
        receivers.setdefault((name, filter), []).append(receiver)
        world.subscribe(world.session(), f"$share/{name}/{filter}", receiver)
    wanted = {key for key in receivers if matches(key[1], topic)}
    assert world.publish(topic) == len(wanted)
    world.turn()
    for key, members in receivers.items():
        assert sum(len(receiver.payloads) for receiver in members) == (key in wanted)


def test_members_count_like_other_subscriptions():
    world = World(bounds=Bounds(subscriptions=2, all_subscriptions=5))
    session = world.session()
    world.subscribe(session, "$share/g/a/+", Receiver())
    world.subscribe(session, "b", Receiver())
    with pytest.raises(Refusal, match="2 subscriptions"):
        world.subscribe(session, "$share/g/c", Receiver())
    other = world.session()
    world.subscribe(other, "$share/g/a/+", Receiver())  # the group counts too
    with pytest.raises(Refusal, match="5 subscriptions"):
        world.subscribe(other, "$share/g/d", Receiver())  # room for the member, and none for the group
    assert len(world.hub.shared) == 1
    assert world.hub.subscriptions.count == 4


def test_levels_are_the_members(monkeypatch):
    monkeypatch.setattr(limits, "SUBSCRIPTION_LEVELS", limits.SHARED_LEVELS + 10)
    world = World()
    session = world.session()
    world.subscribe(session, "$share/g/a/b/c/d/e/+", Receiver())
    with pytest.raises(Refusal, match="levels"):
        world.subscribe(session, "$share/h/a/b/c/d/e/+", Receiver())
    world.hub.subscriptions.unsubscribe(session, "$share/g/a/b/c/d/e/+")
    assert session.levels == 0
    assert len(world.hub.shared) == 0


def test_a_member_of_unknown_room_takes_no_part():
    world = World()
    with pytest.raises(BadFilter):
        world.subscribe(world.session(), "$share/g/a", Plain())
    with pytest.raises(BadFilter, match="handler"):
        on("$share/g/a")


def test_lines_in_a_mount_point_and_out_of_it():
    world = World()
    inside, outside = world.link(prefix=Template("boat", ())), world.link()
    assert world.say(inside, b"sub $share/g/a\n") == b"ok $share/g/a\n"
    assert world.say(outside, b"sub $share/g/boat/a\n") == b"ok $share/g/boat/a\n"
    world.say(world.link(), b"pub boat/a 1\npub boat/a 2\npub a 3\n")
    assert (inside.wire.output(), outside.wire.output()) == (b"a=1\n", b"boat/a=2\n")
    assert world.say(inside, b"unsub $share/g/a\n") == b"ok $share/g/a\n"
    world.say(world.link(), b"pub boat/a 4\n")
    assert (inside.wire.output(), outside.wire.output()) == (b"", b"boat/a=4\n")


class Rights:
    def __init__(self, denied):
        self.denied = denied

    def publish(self, topic):
        pass

    def subscribe(self, filter):
        if not self.receives(filter):
            raise Refusal("not-authorized", "no")

    def receives(self, topic):
        assert not topic.startswith("$share/")
        return topic not in self.denied


def test_permissions_are_those_of_the_filter_behind_the_group():
    denied = {"secret"}
    world = World()
    link = world.link(rights=lambda session: Rights(set(denied)))
    assert world.say(link, b"sub $share/g/secret\n") == b"no not-authorized\n"
    assert world.say(link, b"sub $share/g/$reply/#\n") == b"no not-authorized\n"
    assert world.say(link, b"sub $share/g/a\n") == b"ok $share/g/a\n"
    denied.add("a")
    link.reconsider()
    world.turn()
    assert link.wire.output() == b"no not-authorized\n"
    assert not link.session.subscriptions
    assert len(world.hub.shared) == 0


def test_a_slow_member_comes_after_one_that_reads():
    world = World()
    slow, quick = world.link(wire=FakeWire()), world.link()
    for link in (slow, quick):
        world.say(link, b"sub $share/g/a\n")
    slow.wire.full = True
    world.say(world.link(), b"pub a 1\npub a 2\n")
    assert slow.wire.held
    world.say(world.link(), b"pub a 3\npub a 4\npub a 5\n")
    assert quick.wire.output().endswith(b"a=3\na=4\na=5\n")
    slow.wire.room()
    world.say(world.link(), b"pub a 6\n")
    assert slow.wire.output().endswith(b"a=6\n")


def test_a_request_is_answered_by_one():
    world = World()
    workers, asker = [world.link() for _ in range(2)], world.link()
    for link in workers:
        world.say(link, b"sub $share/g/ask\n")
    asker.receive(b"req ask x\n")
    world.turn()
    asked = [(link, data) for link in workers if (data := link.wire.output())]
    ((worker, question),) = asked
    world.say(worker, b"rep " + question.split(b"<")[1].split(b">")[0] + b" yes\n")
    assert asker.wire.output() == b"reply yes\n"


# What a message costs


class Asked(Receiver):
    """Counts how often it is asked."""

    def __init__(self, has: int = NOW) -> None:
        super().__init__(has)
        self.asked = 0

    def room(self, message):
        self.asked += 1
        return self.has


def crowd(world, count, has=NOW):
    receivers = [Asked(has) for _ in range(count)]
    for receiver in receivers:
        world.subscribe(world.session(), "$share/g/a", receiver)
    return receivers


def test_a_turn_asks_a_bounded_number_of_members_without_room():
    world = World()
    receivers = crowd(world, 10 * limits.SHARED_ASKED, LATER)
    numbers(world, 1)  # each had room when it came
    for _ in range(20):
        before = sum(one.asked for one in receivers)
        numbers(world, 5)
        assert sum(one.asked for one in receivers) - before <= limits.SHARED_ASKED + 10
    for receiver in receivers:
        receiver.has = NOW
    for _ in range(20):
        numbers(world, limits.SHARED_ASKED)
    assert all(receiver.payloads for receiver in receivers)


def test_a_message_that_no_member_can_carry_asks_none():
    world = World()
    receivers = crowd(world, 100)
    for _ in range(10):
        world.publish("a", b"none")
    world.turn()
    assert sum(one.asked for one in receivers) <= 10
    numbers(world, 100)
    assert {len(one.payloads) for one in receivers} == {1}


def test_members_that_cannot_carry_a_message_are_not_asked_for_it():
    world = World()
    receivers = crowd(world, 100)
    other = Receiver()
    encoding = world.hub.subscriptions.encoding(as_is, None)
    world.hub.subscriptions.subscribe(world.session(), Subscribe("$share/g/a"), encoding, other)
    for _ in range(10):
        world.publish("a", b"none")
    world.turn()
    assert other.payloads == [b"none"] * 10
    assert sum(one.asked for one in receivers) <= 10
