"""What a change of permissions does to one link: its subscriptions, what waits for it, what it is told (F32)."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.kernel.authorization.permissions import Audience, Clause, Permissions, Rule
from hubbub.kernel.ingress.rate_limiter import Rate
from hubbub.publish import Publish
from hubbub.template import Template
from unit.kernel_help import FakeWire, Tiny


def permissions(*said):
    """Rules from ("publish a/#", "deny subscribe b", ...), for everyone."""
    clauses = []
    for text in said:
        *verb, action, filter = text.split(" ")
        clauses.append(Clause(not verb, action, Template(filter, "filter"), "a rule"))
    return Permissions([Rule(Audience(), tuple(clauses))])


def change(link, *said):
    link.context.rights = permissions(*said).of
    link.reconsider()


def link_with(world, *said, **more):
    return world.link(rights=permissions(*said).of, **more)


def test_publish_subscribe_request(world):
    link = link_with(world, "publish a/#", "subscribe b/#", "deny publish a/x", "deny subscribe b/x")
    for command, answer in [
        (b"tag a/1 x\n", b"sent 0\n"), (b"tag a/x x\n", b"no not-authorized\n"), (b"pub c x\n", b"no not-authorized\n"),
        (b"sub b/1\n", b"ok b/1\n"), (b"sub b/#\n", b"no not-authorized\n"), (b"sub a/1\n", b"no not-authorized\n"),
        (b"req a/1 x\n", b"no no-responders\n"), (b"req c x\n", b"no not-authorized\n"), (b"unsub b/1\n", b"ok b/1\n"),
    ]:  # fmt: skip
        assert world.say(link, command) == answer


def test_rules_see_the_topics_of_the_hub(world):
    link = link_with(world, "publish boat/a", "subscribe boat/#", prefix=Template("boat"))
    assert world.say(link, b"sub a\nsub #\n") == b"ok a\nok #\n"
    assert world.say(link, b"pub a 1\n") == b"a=1\n"
    assert world.say(link, b"pub boat/a 1\n") == b"no not-authorized\n"
    change(link, "subscribe boat/a")
    world.turn()
    assert link.wire.output() == b"no not-authorized\n"
    assert list(link.session.subscriptions) == ["boat/a"]


def test_a_subscription_that_is_no_longer_allowed_ends(world):
    link = link_with(world, "subscribe #")
    world.say(link, b"sub a/#\nsub b\nsub c\n")
    change(link, "subscribe a/+", "subscribe b", "publish x")
    world.turn()
    assert link.wire.output() == b"no not-authorized\n" * 2
    for topic in ("a/1", "b", "c"):
        world.publish(topic)
    world.turn()
    assert link.wire.output() == b"b=x\n"
    assert world.say(link, b"tag x 1\n") == b"sent 0\n"


def test_nothing_happens_where_nothing_changes(world):
    link = link_with(world, "subscribe #")
    world.say(link, b"sub a\n")
    change(link, "subscribe #")
    change(link, "subscribe #", "publish b")
    world.publish("a")
    world.turn()
    assert link.wire.output() == b"a=x\n"


@pytest.mark.parametrize("full", ["drop-oldest", "drop-newest", "latest"])
def test_what_waits_is_forgotten_and_not_called_lost(world, full):
    link = link_with(world, "subscribe #", full=full)
    world.say(link, b"sub #\n")
    link.wire.full = True
    world.publish("first", b"1")
    world.turn()
    for at in range(20):
        world.publish("a" if at % 2 else "b", b"%d" % at)
        world.publish("b", b"b%d" % at)
    world.turn()
    world.publish("a", b"in the open batch")
    change(link, "subscribe b", "subscribe first")
    link.wire.room()
    world.turn()
    output = link.wire.output()
    assert b"a=" not in output
    assert output.count(b"b=") == 30
    assert b"gap" not in output
    assert (link.outbox.dropped, link.outbox.lost, link.outbox.missed) == (0, 0, 0)
    assert (link.outbox.size, link.outbox.count) == (0, 0)


@pytest.mark.parametrize("full", ["drop-oldest", "drop-newest", "latest"])
def test_what_was_lost_before_is_still_reported(world, full):
    link = link_with(world, "subscribe #", full=full, queue=100)
    world.say(link, b"sub a/#\nsub b/#\nsub first\n")
    link.wire.full = True
    world.publish("first", b"1")
    world.turn()
    for at in range(50):
        world.publish(f"{'ab'[at % 2]}/{at}", b"x" * 10)
    world.turn()
    lost = link.outbox.dropped
    assert lost
    change(link, "subscribe b/#", "subscribe first")
    world.publish("b/last", b"1")
    link.wire.room()
    world.turn()
    output = link.wire.output()
    assert b"a/" not in output
    assert b"gap %d\n" % lost in output
    assert b"b/last=1\n" in output
    assert (link.outbox.dropped, link.outbox.size, link.outbox.count) == (lost, 0, 0)


def test_a_topic_that_was_forgotten_may_come_back(world):
    link = link_with(world, "subscribe #", full="latest", queue=100)
    world.say(link, b"sub a\nsub b\n")
    link.wire.full = True
    world.publish("b", b"first")
    world.turn()
    for at in range(50):
        world.publish("ab"[at % 2], b"%d" % at)
    world.turn()
    change(link, "subscribe b")
    change(link, "subscribe #")
    world.say(link, b"sub a\n")
    world.publish("a", b"back")
    link.wire.room()
    world.turn()
    output = link.wire.output()
    assert output.count(b"a=") == 1
    assert b"a=back\n" in output
    assert (link.outbox.size, link.outbox.count) == (0, 0)


def test_retained_messages_that_are_still_to_come_stay_away(world):
    for at in range(2 * limits.RETAINED_AT_ONCE):
        world.publish(f"a/{at}", retain=True)
        world.publish(f"b/{at}", retain=True)
    link = link_with(world, "subscribe #")
    link.wire.full = True
    world.say(link, b"sub #\n")
    change(link, "subscribe b/+")
    link.wire.room()
    world.turn(1000)
    output = link.wire.output().splitlines()
    assert [line for line in output if line.startswith(b"a/")] == []
    assert len([line for line in output if line.startswith(b"b/")]) > limits.RETAINED_AT_ONCE


def test_others_keep_what_they_share(world):
    one, other = (link_with(world, "subscribe #") for _ in range(2))
    for link in (one, other):
        world.say(link, b"sub #\n")
        link.wire.full = True
    world.publish("x")
    world.turn()
    for topic in ("a", "b", "a"):
        world.publish(topic)
    world.turn()
    change(one, "subscribe b")
    for link in (one, other):
        link.wire.output()
        link.wire.room()
    world.turn()
    assert other.wire.output() == b"a=x\nb=x\na=x\n"
    assert one.wire.output() == b"b=x\nno not-authorized\n"


def test_the_news_waits_behind_a_request(world):
    asked = world.link()
    world.say(asked, b"sub ask\n")
    link = link_with(world, "subscribe a", "publish ask")
    world.say(link, b"sub a\n")
    assert world.say(link, b"req ask x\n") == b""
    change(link, "publish ask")
    world.turn()
    assert link.wire.output() == b""
    world.sleep(3)
    assert link.wire.output() == b"no timeout\nno not-authorized\n"


class Mute(Tiny):
    """It has no words for a refusal."""

    def outcome(self, event, result):
        return b""


def test_a_client_without_words_for_it_is_closed(world):
    link = link_with(world, "subscribe a", subscribe=Template("a", "filter"), dialect=Mute)
    assert list(link.session.subscriptions) == ["a"]
    change(link, "subscribe b")
    world.turn()
    assert link.wire.closed[1].code == "not-authorized"
    refused = link_with(world, "subscribe b", subscribe=Template("a", "filter"), dialect=Mute)
    world.turn()
    assert refused.wire.closed[1].code == "not-authorized"


def test_a_login_keeps_only_the_subscriptions_that_its_user_may_have(world):
    said = Clause(True, "subscribe", Template("#", "filter"), "")
    link = world.link(rights=Permissions([Rule(Audience(login=False), (said,))]).of)
    world.say(link, b"sub a\n")
    link.session.user = "ann"
    link.reconsider()
    world.turn()
    assert link.wire.output() == b"no not-authorized\n"
    assert not link.session.subscriptions


def test_a_reply_topic_that_is_kept_is_one_that_its_sender_may_publish_to(world):
    link = link_with(world, "publish a")
    for reply_to, retain, allowed in [
        ("a", True, True),
        ("b", True, False),
        ("b", False, True),
        ("$reply/x", True, True),
    ]:
        link.act([Publish("a", b"x", retain, reply_to=reply_to, tag=True)])
        world.turn()
        assert link.wire.output() == (b"sent 0\n" if allowed else b"no not-authorized\n")


def test_what_waits_to_be_let_in_is_looked_at_again(world):
    ear = world.link()
    world.say(ear, b"sub #\n")
    link = link_with(world, "publish #", rate=Rate(1, 1, "latest"))
    world.say(link, b"pub a 1\npub a 2\npub b 2\nrep $reply/x 2\n")
    assert ear.wire.output() == b"a=1\n"
    change(link, "publish b")
    for _ in range(5):
        world.sleep(1)
    assert ear.wire.output() == b"b=2\n"


def test_a_wire_that_is_wrapped_and_one_of_datagrams(world):
    link = link_with(world, "subscribe #", transport="websocket", wire=FakeWire(lambda unit: b"<" + unit + b">"))
    world.say(link, b"sub a\nsub b\n")
    change(link, "subscribe b")
    world.turn()
    assert link.wire.output() == b"<no not-authorized\n>"
