"""A link ends with its last word, or at a deadline, and leaves nothing behind."""

from __future__ import annotations

from functools import partial

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.publish import Publish
from unit.kernel_help import Tiny


def test_quit_says_bye_and_closes(world):
    link = world.link()
    assert world.say(link, b"sub a\nquit\npub a 1\nping\n") == b"ok a\nbye\n"
    assert link.wire.closed == ("quit", None)
    assert world.say(link, b"ping\n") == b""


def test_nothing_follows_the_last_word(world):
    link, other = world.link(), world.link()
    world.say(link, b"sub a\n")
    link.receive(b"pub a 1\nquit\n")
    other.receive(b"pub a 2\n")
    world.turn()
    other.receive(b"pub a 3\n")
    world.turn()
    assert link.wire.output() in (b"a=1\nbye\n", b"a=1\na=2\nbye\n")
    assert not world.hub.subscriptions.sessions & {link.session}


def test_the_hub_closes_with_the_dialects_words(world):
    link = world.link()
    world.say(link, b"sub a\n")
    link.close("shutdown")
    link.close("again")
    world.turn()
    assert link.wire.output() == b"closing shutdown\n"
    assert link.wire.closed == ("shutdown", None)


def test_what_it_was_refused_does_not_hold_it(world):
    """Where a Refusal was raised knows the link: it would stay until somebody looks for garbage, which is seldom."""
    link = world.link()
    try:
        raise Refusal("too-long", "a line is too long")
    except Refusal as no:
        link.close(no.reason, no)
    assert link.shutdown.refusal.reason == "a line is too long"
    world.turn()
    _, refusal = link.wire.closed
    assert refusal.__traceback__ is None


def test_a_last_command_without_its_mark_counts(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub a\n")
    link.receive(b"pub a 1")
    link.ended()
    world.turn()
    assert other.wire.output() == b"a=1\n"
    assert link.wire.closed == ("end of input", None)


def test_the_end_of_input_waits_for_what_was_asked(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub ask\n")
    for command in (b"req", b"side"):
        link = world.link()
        link.receive(command + b" ask 1\nping")
        link.ended()
        world.turn()
        assert link.wire.closed is None
        topic = other.wire.output().split(b"<")[1].split(b">")[0]
        world.say(other, b"rep " + topic + b" 3\n")
        assert sorted(link.wire.output().splitlines()) == [b"pong 0", b"reply 3"]
        assert link.wire.closed is not None


def test_the_end_of_input_is_answered_in_full(world):
    link = world.link()
    link.receive(b"say x 100000\nsay y 100000\nping\n")
    link.ended()
    world.turn()
    assert link.wire.output().endswith(b"y\npong 0\n")
    assert link.wire.closed == ("end of input", None)


def test_a_subscribed_link_stays_open_after_its_end_of_input(world):
    link = world.link()
    link.receive(b"sub a\n")
    link.ended()
    world.turn()
    assert link.wire.closed is None
    world.say(world.link(), b"pub a 1\n")
    assert link.wire.output() == b"ok a\na=1\n"
    world.sleep(3)
    assert not link.wire.aborted
    link.wire.is_there = False
    world.sleep(3)
    assert link.wire.aborted


class Gone(Tiny):
    write_after_eof = False


def test_in_other_dialects_the_end_of_input_is_the_end(world):
    link = world.link(Gone)
    link.receive(b"sub a\npub a 1\n")
    link.ended()
    world.turn()
    assert link.wire.output() == b"ok a\na=1\n"
    assert link.wire.closed == ("end of input", None)


def test_after_quit_a_last_command_doesnt_count(world):
    link, other = world.link(), world.link()
    world.say(other, b"sub a\n")
    link.receive(b"quit\npub a 1")
    link.ended()
    world.turn()
    assert other.wire.output() == b""


def test_a_closing_link_hands_over_all_that_waits(world):
    link = world.link(queue=10_000_000)
    world.say(link, b"sub a\n")
    link.receive(b"".join(b"pub a %b\n" % (b"x" * 90_000) for _ in range(20)) + b"quit\n")
    link.wire.full = True
    world.turn()
    assert link.wire.closed is None
    link.wire.room()
    world.turn()
    assert link.wire.output().endswith(b"x\nbye\n")
    assert link.wire.closed == ("quit", None)


def test_a_client_that_has_gone_leaves_nothing(world):
    link = world.link()
    assert world.say(link, b"sub a\nsub b/#\n") == b"ok a\nok b/#\n"
    world.hub.turn.alarms.at(link, world.clock + 5)
    link.lost()
    link.lost()
    assert not link.context.links
    assert not world.hub.subscriptions.sessions
    assert link.session.subscriptions == {}
    assert world.hub.router.trie.match("a") == world.hub.router.trie.match("b/c") == ()
    link.receive(b"sub a\n")
    link.ended()
    link.transport_paused(1)
    link.transport_resumed()
    world.sleep(10)
    assert link.wire.output() == b""
    assert not link.wire.aborted


def test_a_link_that_burst_does_nothing_more(world):
    """Its own messages filled its outbox, in the middle of what it said."""
    link = world.link(full="disconnect", queue=1_000)
    link.wire.full = True
    world.say(link, b"sub a\n")
    link.wire.output()
    link.receive(b"pub a " + b"x" * 900 + b"\npub b 1\npub a " + b"y" * 900 + b"\npub b 2\nsub c\n")
    world.turn()
    assert link.wire.aborted
    assert world.hub.router.trie.match("c") == ()
    assert link.wire.output() == b""


def test_a_closed_link_isnt_closed_again_when_it_is_lost(world):
    link = world.link()
    link.receive(b"quit\n")
    link.lost()
    world.turn()
    assert link.wire.closed is None
    assert link.wire.output() == b""


# Deadlines


def test_a_client_that_takes_nothing_is_cut(world):
    link = world.link(stall=30.0)
    link.wire.full = True
    world.say(link, b"ping\n")
    world.sleep(29)
    assert not link.wire.aborted
    world.sleep(2)
    assert link.wire.aborted
    assert not link.open


def test_a_client_that_takes_little_is_not_cut(world):
    link = world.link(stall=30.0)
    link.wire.full = True
    world.say(link, b"ping\n")
    for _ in range(10):
        link.wire.held -= 1
        world.sleep(29)
    assert not link.wire.aborted
    world.sleep(31)
    world.sleep(31)
    assert link.wire.aborted


def test_a_client_that_takes_all_in_time_is_not_cut(world):
    link = world.link(stall=30.0)
    for _ in range(5):
        link.wire.full = True
        world.say(link, b"ping\n")
        world.sleep(20)
        link.wire.room()
        world.turn()
    world.sleep(100)
    assert not link.wire.aborted


def test_a_closing_link_has_so_long(world):
    link = world.link()
    link.wire.full = True
    world.say(link, b"ping\nsub a\n")
    world.say(link, b"quit\n")
    assert link.wire.closed is None
    world.sleep(limits.CLOSE_SECONDS + 0.1)
    assert link.wire.aborted


def test_a_silent_websocket_client_is_asked_then_cut(world):
    link = world.link(transport="websocket", idle=100.0)
    world.sleep(49)
    assert link.wire.pings == 0
    world.sleep(2)
    assert link.wire.pings == 1
    link.sign_of_life()
    world.sleep(49)
    world.sleep(2)
    assert link.wire.pings == 2
    world.sleep(20)
    assert link.wire.pings == 2
    world.sleep(50)
    assert link.wire.aborted


def test_a_client_that_speaks_isnt_asked(world):
    link = world.link(transport="websocket", idle=100.0)
    for _ in range(10):
        world.sleep(40)
        world.say(link, b"ping\n")
    assert link.wire.pings == 0


def test_a_client_that_cant_be_asked_isnt_cut(world):
    link = world.link(transport="websocket", idle=100.0)
    link.wire.can_ping = False
    for _ in range(20):
        world.sleep(20)
    assert not link.wire.aborted
    assert link.wire.pings < 20
    assert min(world.armed[-3:]) > world.clock


def test_tcp_clients_may_be_silent(world):
    link = world.link(idle=100.0)
    world.sleep(1e6)
    assert not link.wire.aborted


class Hasty(Tiny):
    """Wants something within 10 s, and forgets to look at the clock again."""

    def receive(self, data, now, text=None):
        self.deadline = now + 10
        return super().receive(data, now, text)

    def timeout(self, now):
        return [self.event(["say", "late", "1"]), self.event(["quit"])]


def test_a_dialect_gets_its_deadline_once(world):
    link = world.link(Hasty)
    link.receive(b"ping\n")
    world.turn()
    world.sleep(9)
    assert link.wire.output() == b"pong 0\n"
    link.wire.full = True
    world.sleep(2)
    assert link.wire.output() == b"late\n"
    assert min(world.armed[-2:]) > world.clock - 2
    before = len(world.armed)
    world.sleep(1)
    assert len(world.armed) - before < 3


def test_a_lease_ends(world):
    link = world.link()
    link.timeouts.lease = world.clock + 60
    link.set_alarm()
    world.sleep(59)
    assert link.open
    world.sleep(2)
    assert not link.open


def test_nothing_follows_the_last_unit_to_one_with_more_subscriptions_than_end_at_once(world):
    link = world.link()
    many = limits.SUBSCRIPTIONS_AT_ONCE + 50
    world.say(link, b"".join(b"sub t/%d\n" % number for number in range(many)))
    link.wire.output()
    link.receive(b"quit\n")
    world.hub.turn.scheduler.add("busy", partial(pass_time, world))
    world.hub.turn.flush()
    assert link.session.subscriptions
    world.publish(f"t/{many - 1}", b"late")
    world.turn()
    assert link.wire.output() == b"bye\n"


def pass_time(world):
    """Take all the time that jobs have in this turn."""
    world.clock += limits.TURN_SECONDS


class Willing(Tiny):
    """Says something when its link has gone, as clients with a will do."""

    def closed(self):
        return [Publish("t", b"will")]


def test_the_will_of_one_that_is_cut_by_a_message_comes_behind_that_to_all(world):
    before, cut, quiet, after = (world.link(Willing, full="disconnect", queue=size) for size in (999, 99, 999, 999))
    for link, command in ((before, b"sub"), (cut, b"sub"), (quiet, b"nosub"), (after, b"sub")):
        world.say(link, command + b" t\n")
    quiet.receive(b"pub t %b\npub t 2\n" % bytes(200).hex().encode())
    world.turn()
    assert not cut.open
    output = before.wire.output()
    assert output.endswith(b"t=2\nt=will\n")
    assert after.wire.output() == output
    assert quiet.wire.output() == b"t=will\n"
