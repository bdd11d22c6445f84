"""A link keeps the order of what its client says, answers in that order, and ends as it should."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.message import Message
from hubbub.template import Template
from unit.kernel_help import FakeWire, Loud, Tiny, World, cut


def test_a_message_goes_from_one_link_to_another(world):
    one, two = world.link(), world.link()
    assert world.say(two, b"sub a/#\n") == b"ok a/#\n"
    assert world.say(one, b"pub a/b 1\ntag a/b 2\n") == b"sent 1\n"
    assert two.wire.writes == [b"a/b=1\na/b=2\n"]


def test_its_own_messages_come_back_unless_it_wants_no_echo(world):
    link = world.link()
    assert world.say(link, b"sub a\nnosub b\npub a 1\npub b 2\n") == b"ok a\nok b\na=1\n"


def test_answers_and_messages_keep_their_order(world):
    link = world.link()
    said = b"sub a\npub a 1\nping\npub a 2\nunsub a\npub a 3\nping\n"
    assert world.say(link, said) == b"ok a\na=1\npong 1\na=2\nok a\npong 0\n"
    assert link.wire.writes == []


COMMANDS = st.sampled_from(
    [
        b"sub a",
        b"nosub a",
        b"unsub a",
        b"sub +",
        b"pub a 1",
        b"tag b 2",
        b"keep a 3",
        b"ping",
        b"pub a none",
        b"sub a/b+",
        b"req a 4",
        b"side nobody 5",
        b"req nobody 6",
    ]
)


@given(st.lists(COMMANDS, max_size=20).map(lambda lines: b"".join(line + b"\n" for line in lines)), st.data())
def test_the_cuts_of_its_input_make_no_difference(said, more):
    at = more.draw(st.lists(st.integers(0, len(said)), max_size=8).map(sorted))
    output = []
    for pieces in ([said], cut(said, at), [said[i : i + 1] for i in range(len(said))]):
        world = World()
        answering(world, "a")
        link = world.link()
        for piece in pieces:
            link.receive(piece)
        world.turn()
        output.append(link.wire.output().replace(b"gap 1\ngap 1\n", b"gap 2\n"))
    assert without_names(output[0]) == without_names(output[1]) == without_names(output[2])


def without_names(output):
    """Reply topics are random."""
    return [line.split(b" <")[0] for line in output.splitlines()]


def answering(world, filter, payload=b"!"):
    """A client that answers requests, by the end of the turn."""
    other = world.link()
    other.receive(b"sub " + filter.encode() + b"\n")
    original = other.wire.write

    def write(data):
        for line in data.splitlines():
            if line.endswith(b">"):
                other.receive(b"rep " + line.rsplit(b"<", 1)[1][:-1] + b" " + payload + b"\n")
        return original(data)

    other.wire.write = write
    world.turn()
    other.wire.output()
    return other


# Requests


def test_what_stands_behind_a_request_waits_for_it(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub ask\nsub later\n")
    assert world.say(link, b"req ask 1\nping\npub later 2\n") == b""
    assert not link.wire.is_reading
    assert world.say(link, b"ping\n") == b""  # what was under way already
    asked = other.wire.output()
    assert asked.startswith(b"ask=1 <$reply/")
    topic = asked.split(b"<")[1].split(b">")[0]
    assert world.say(other, b"rep " + topic + b" 3\nrep " + topic + b" 4\n") == b"later=2\n"
    assert link.wire.output() == b"reply 3\npong 0\npong 0\n"
    assert link.wire.is_reading
    assert not link.holding


def test_a_request_times_out(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub ask\n")
    world.say(link, b"req ask 1\nping\n")
    world.sleep(limits.REQUEST_SECONDS + 0.1)
    assert link.wire.output() == b"no timeout\npong 0\n"
    assert link.wire.is_reading


def test_a_request_without_a_subscriber_is_answered_at_once(world):
    link = world.link()
    assert world.say(link, b"req ask 1\nping\n") == b"no no-responders\npong 0\n"
    assert link.wire.is_reading


def test_requests_side_by_side_hold_nothing_back(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub ask\n")
    assert world.say(link, b"side ask 1\nside ask 2\nping\n") == b"pong 0\n"
    first, second = [line.split(b"<")[1][:-1] for line in other.wire.output().splitlines()]
    world.say(other, b"rep " + second + b" 2\nrep " + first + b" 1\n")
    assert link.wire.output() == b"reply 2\nreply 1\n"


def test_requests_side_by_side_are_bounded(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub ask\n")
    with patch.object(limits, "REQUESTS_PER_LINK", 2):
        assert world.say(link, b"side ask 1\n" * 3) == b"no quota\n"
        world.sleep(3)
        assert link.wire.output() == b"no timeout\n" * 2
        assert world.say(link, b"side ask 1\n") == b""


def test_a_reply_to_a_client_that_has_gone_goes_nowhere(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub ask\n")
    world.say(link, b"req ask 1\nping\n")
    link.lost()
    topic = other.wire.output().split(b"<")[1].split(b">")[0]
    world.say(other, b"rep " + topic + b" 3\n")
    world.sleep(3)
    assert link.wire.output() == b""
    assert not world.hub.requests.pending


@pytest.mark.parametrize("filter", ["$reply/#", "$reply/+", "$reply/x", "$reply"])
def test_no_client_subscribes_to_the_replies_of_others(world, filter):
    link = world.link()
    output = world.say(link, f"sub {filter}\n".encode())
    assert output == (b"ok $reply\n" if filter == "$reply" else b"no not-authorized\n")


# Reading stops


def test_a_client_that_doesnt_take_its_answers_isnt_read_any_more(world):
    link = world.link()
    link.wire.full = True
    world.say(link, b"ping\n")
    assert link.outbox.paused
    assert world.say(link, b"say x 70000\nping\nsub a\n") == b""
    assert not link.wire.is_reading
    assert world.say(link, b"ping\n") == b""
    assert link.outbox.answers == 70_001
    link.wire.room()
    world.turn()
    output = link.wire.output()
    assert output[70_001:] == b"pong 0\nok a\npong 1\n"
    assert link.wire.is_reading


def test_answers_never_pile_up(world):
    link = world.link()
    link.wire.full = True
    world.say(link, b"ping\n")
    link.receive(b"say x 1000\n" * 1_000)
    world.turn()
    assert link.outbox.answers < limits.ANSWER_BYTES + 1_100
    for _ in range(100):
        link.wire.room()
        link.wire.full = True
        world.turn()
        assert link.outbox.size < 2 * limits.ANSWER_BYTES + 3_000
    link.wire.room()
    world.turn()
    assert link.wire.output().count(b"x\n") == 1_000
    assert link.wire.is_reading


def test_reading_goes_on_once_the_answers_are_out_whatever_else_waits(world):
    """A slow client whose outbox never empties would never be heard again."""
    link = world.link(queue=1_000_000)
    publisher = world.link()
    world.say(link, b"sub a\n")
    link.wire.full = True
    world.say(link, b"say x 70000\nping\n")
    link.wire.room()
    link.wire.full = True
    for _ in range(20):
        publisher.receive(b"pub a " + b"x" * 90_000 + b"\n")
    world.turn()
    assert link.outbox.count
    assert link.wire.is_reading
    assert not link.holding


# Retained messages


def test_the_answer_to_a_subscribe_goes_before_its_retained_messages(world):
    world.say(world.link(), b"keep a/1 x\nkeep a/2 none\nkeep a/3 z\n")
    link = world.link()
    assert world.say(link, b"sub a/#\n") == b"ok a/#\na/1=x\ngap 1\na/3=z\n"


def test_retained_messages_are_paced(world):
    link = world.link()
    publisher = world.link()
    publisher.receive(b"".join(b"keep a/%d x\n" % number for number in range(3_000)))
    world.turn()
    link.wire.full = True
    world.say(link, b"ping\n")
    link.wire.output()
    world.say(link, b"sub a/#\n")
    assert link.outbox.count == limits.RETAINED_AT_ONCE
    link.wire.room()
    world.turn()
    assert link.wire.output().count(b"=x\n") == 3_000


def test_the_subscription_of_the_listener_brings_retained_messages_too(world):
    world.say(world.link(), b"keep down/192.0.2.7 last\n")
    link = world.link(subscribe=Template("down/{host}", "filter"))
    world.turn()
    assert link.wire.output() == b"down/192.0.2.7=last\n"
    world.say(world.link(), b"pub down/192.0.2.7 now\n")
    assert link.wire.output() == b"down/192.0.2.7=now\n"


# What the listener says


def test_a_listener_stamps_what_comes_in(world):
    other = world.link()
    world.say(other, b"sub #\n")
    link = world.link(retain=True, content_type="text/plain")
    world.say(link, b"pub a 1\n")
    assert world.hub.retained.get("a").content_type == "text/plain"
    assert other.wire.output() == b"a=1\n"


def mounted(world, **more):
    return world.link(prefix=Template("boat"), **more)


def test_a_mount_point_works_both_ways(world):
    link, other = mounted(world), world.link()
    world.say(other, b"sub boat/#\n")
    assert world.say(link, b"sub a/#\nsub b\npub a/x 1\n") == b"ok a/#\nok b\na/x=1\n"
    assert other.wire.output() == b"boat/a/x=1\n"
    world.say(other, b"pub boat/b 2\npub b 3\n")
    assert link.wire.output() == b"b=2\n"
    assert world.say(link, b"unsub b\npub b 4\n") == b"ok b\n"


def test_a_mount_point_hides_what_is_above_it(world):
    link = mounted(world)
    world.say(link, b"sub #\n")
    world.say(world.link(), b"pub boat 1\npub boat/ 2\n")
    assert b"=1" not in (output := link.wire.output())
    assert b"=2\n" in output


@pytest.mark.parametrize("where", ["asks", "answers", "both"])
def test_requests_work_across_a_mount_point(world, where):
    link = mounted(world) if where != "answers" else world.link()
    answering_at(world, mounted(world) if where != "asks" else world.link(), "boat/ask" if where == "asks" else "ask")
    topic = b"boat/ask" if where == "answers" else b"ask"
    assert world.say(link, b"req " + topic + b" 1\n") == b"reply !\n"


def answering_at(world, link, filter):
    world.say(link, f"sub {filter}\n".encode())
    original = link.wire.write

    def write(data):
        if data.endswith(b">\n"):
            link.receive(b"rep " + data.rsplit(b"<", 1)[1][:-2] + b" !\n")
        return original(data)

    link.wire.write = write


def test_without_a_login_nothing_is_allowed(world):
    link = world.link(anonymous=False)
    assert world.say(link, b"sub a\npub a 1\nreq a 1\nunsub a\nping\n") == b"no not-authorized\n" * 4 + b"pong 0\n"
    assert world.hub.turn.counters.refused == 4
    assert world.say(world.link(anonymous=False, user="plc"), b"sub a\n") == b"ok a\n"


def test_faults_are_answered_and_counted(world):
    assert world.say(world.link(), b"sub a+\npub a/# x\nping\n") == b"no bad-filter\nno bad-topic\npong 0\n"
    assert world.hub.turn.counters.refused == 2


def test_a_message_for_one_client(world):
    link = world.link()
    message = Message("to/you", b"1")
    assert link.session.link.send(message)
    world.turn()
    assert link.wire.output() == b"to/you=1\n"
    assert not link.session.link.send(Message("to/you", b"none"))
    session = link.session
    link.lost()
    assert session.link is None


class Numbered(Tiny):
    """A dialect that makes each unit its own."""

    def __init__(self, dialect_context, peer):
        super().__init__(dialect_context, peer)
        self.number = 0

    def frame_for_link(self, frame, message, subscription):
        self.number += 1
        return b"%d:%b" % (self.number, frame)


def test_units_that_are_a_links_own(world):
    world.say(world.link(), b"keep a/1 kept\n")
    one, two = world.link(Numbered), world.link(Numbered)
    assert world.say(one, b"sub a/#\n") == b"ok a/#\n1:a/1=kept\n"
    world.say(two, b"sub a/2\n")
    world.say(two, b"pub a/2 x\npub a/2 y\n")
    assert one.wire.output() == b"2:a/2=x\n3:a/2=y\n"
    one.session.link.send(Message("b", b"z"))
    world.turn()
    assert one.wire.output() == b"4:b=z\n"


def test_a_transport_may_wrap_each_unit(world):
    link = world.link(wire=FakeWire(lambda unit: b"[" + unit.strip() + b"]"))
    assert world.say(link, b"sub a\npub a 1\npub a none\npub a 2\n") == b"[ok a][a=1][a=2][gap 1]"


def test_it_becomes_another_dialect(world):
    link = world.link()
    assert world.say(link, b"become sub a\n") == b""
    assert type(link.dialect) is Loud
    assert link.outbox.full == "drop-newest"


def test_the_counters_of_a_place(world):
    link = Link(world.hub, ListenerContext("here", DialectContext()), FakeWire(), Tiny, "192.0.2.7", 1)
    link.start()
    link.receive(b"ping\nping\n")
    assert (link.context.received, link.context.received_bytes) == (2, 10)
    assert link.context.links == {link}
    assert world.hub.turn.counters.links == 1
