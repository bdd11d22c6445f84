"""`rate=` and `changed=`: how much comes in on a link, and repeated values."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.kernel.connection.link import Link
from hubbub.kernel.ingress.rate_limiter import Rate, RateLimiters, TokenBucket
from hubbub.kernel.sessions.session import Session
from unit.kernel_help import FakeWire, Receiver, Tiny


@pytest.fixture
def watcher(world):
    receiver = Receiver()
    world.subscribe(world.session(), "#", receiver)
    return receiver


def numbers(start, stop, topic="t"):
    return b"".join(b"pub %b %d\n" % (topic.encode(), n) for n in range(start, stop))


def test_a_bucket_saves_up_no_more_than_its_burst():
    bucket = TokenBucket(Rate(10, 3), 0.0)
    assert [bucket.take(1000.0) for _ in range(5)] == [True, True, True, False, False]


@given(
    st.floats(0.01, 1000),
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 30)), max_size=30),
)
def test_a_bucket_never_gives_more_than_its_rate(per_second, burst, steps):
    bucket, now, given_out = TokenBucket(Rate(per_second, burst), 0.0), 0.0, 0
    for pause, wanted in steps:
        now += pause
        given_out += sum(bucket.take(now) for _ in range(wanted))
        assert given_out <= burst + now * per_second + 1e-3
    ready = bucket.ready(now)
    assert bucket.take(ready)


def test_drop(world, watcher):
    link = world.link(rate=Rate(10, 10))
    assert world.say(link, numbers(0, 15)) == b"no rate-limited\n" * 5
    assert watcher.payloads == [b"%d" % n for n in range(10)]
    assert (link.context.refused, world.hub.turn.counters.refused) == ({"rate-limited": 5}, 5)
    world.sleep(0.1)
    assert world.say(link, b"tag t more\ntag t evenmore\n") == b"sent 1\nno rate-limited\n"


def test_requests_count_too(world, watcher):
    link = world.link(rate=Rate(10, 1))
    assert world.say(link, b"pub t 1\nside t 2\n") == b"no rate-limited\n"


def test_commands_that_publish_nothing_do_not_count(world):
    link = world.link(rate=Rate(1, 1))
    assert world.say(link, b"ping\n" * 3) == b"pong 0\n" * 3


def test_latest_lets_the_newest_of_each_topic_in_when_there_is_room(world, watcher):
    link = world.link(rate=Rate(10, 2, "latest"))
    assert world.say(link, numbers(0, 5) + numbers(10, 13, "u")) == b""
    assert watcher.payloads == [b"0", b"1"]
    world.sleep(0.1)
    assert watcher.payloads[2:] == [b"4"]
    world.say(link, b"pub u 99\n")  # though a token may be there, what waits comes first
    world.sleep(0.1)
    assert watcher.payloads[2:] == [b"4", b"99"]
    assert link.context.refused == {"rate-limited": 5}
    world.sleep(10)
    assert len(watcher.payloads) == 4


def test_latest_keeps_the_order_of_a_topic(world, watcher):
    link = world.link(rate=Rate(10, 1, "latest"))
    world.say(link, b"pub t 0\npub t 1\n")
    world.clock += 0.2  # there is room, and the alarm is late
    world.say(link, b"pub t 2\n")
    world.sleep(0.1)
    assert watcher.payloads == [b"0", b"2"]


def test_latest_is_bounded(world, watcher):
    link = world.link(rate=Rate(1, 1, "latest"))
    with patch.object(limits, "LATEST_TOPICS", 2):
        reported = world.say(link, b"pub t 0\npub a 1\npub b 1\npub c 1\npub a 2\n")
    assert reported == b"no rate-limited\n"
    world.sleep(1)
    world.sleep(1)
    assert watcher.payloads == [b"0", b"2", b"1"]


def test_latest_is_bounded_in_bytes(world, watcher):
    link = world.link(rate=Rate(1, 1, "latest"))
    with patch.object(limits, "LATEST_BYTES", 10):
        reported = world.say(link, b"pub t 0\npub a 123456789012345\npub b 1\npub a 123\npub b 1\npub b 12345678\n")
    assert reported == b"no rate-limited\n" * 2
    assert link.access.policy._limiter._latest_size == len("a123b1")


def test_the_last_of_a_link_that_goes_is_let_in(world, watcher):
    link = world.link(rate=Rate(1, 1, "latest"))
    world.say(link, numbers(0, 5))
    link.lost()
    world.turn()
    assert watcher.payloads == [b"0", b"4"]
    world.sleep(5)
    assert len(watcher.payloads) == 2


def test_pause_loses_nothing_and_reads_nothing(world, watcher):
    link = world.link(rate=Rate(10, 3, "pause"))
    assert world.say(link, numbers(0, 6) + b"ping\n") == b""
    assert (len(watcher.payloads), link.wire.is_reading) == (3, False)
    for expected in (4, 5, 6):
        world.sleep(0.1)
        assert len(watcher.payloads) == expected
    assert link.wire.is_reading is False
    assert link.context.held_back == 4
    world.sleep(0.1)
    assert (link.wire.output(), link.wire.is_reading) == (b"pong 0\n", True)
    assert watcher.payloads == [b"%d" % n for n in range(6)]


def test_pause_and_a_request_that_holds_back(world, watcher):
    link = world.link(rate=Rate(1, 1, "pause"))
    world.say(link, b"req t 1\npub t 2\n")
    world.sleep(1.5)
    assert watcher.payloads == [b"1"]
    world.sleep(0.6)
    assert (watcher.payloads, link.wire.output()) == ([b"1", b"2"], b"no timeout\n")


def test_pause_and_the_end_of_input(world, watcher):
    link = world.link(rate=Rate(10, 1, "pause"))
    link.receive(numbers(0, 3) + b"pub t last")
    link.ended()
    world.turn()
    assert link.wire.closed is None
    for _ in range(5):
        world.sleep(0.1)
    assert watcher.payloads == [b"0", b"1", b"2", b"last"]
    assert link.wire.closed is not None


def test_a_websocket_client_that_is_not_read_is_not_silent(world):
    link = world.link(transport="websocket", rate=Rate(0.001, 1, "pause"), idle=10)
    world.say(link, b"pub t 1\n")
    for _ in range(10):
        world.sleep(5)
    assert not link.wire.aborted


def test_close(world, watcher):
    link = world.link(rate=Rate(10, 2, "close"))
    assert world.say(link, numbers(0, 5)).startswith(b"no rate-limited\nclosing")
    assert watcher.payloads == [b"0", b"1"]
    assert link.wire.closed is not None
    assert link.wire.closed[1].code == "rate-limited"


def test_changed(world, watcher):
    link = world.link(changed=True)
    assert world.say(link, b"pub t 1\npub t 1\npub u 1\npub t 2\ntag t 2\npub t 1\n") == b"sent 0\n"
    assert watcher.payloads == [b"1", b"1", b"2", b"1"]
    assert link.context.unchanged == 2


def test_changed_is_of_one_link(world, watcher):
    for _ in range(2):
        world.say(world.link(changed=True), b"pub t 1\n")
    assert watcher.payloads == [b"1", b"1"]


def test_what_was_refused_is_not_what_came_last(world, watcher):
    link = world.link(changed=True, rate=Rate(10, 1))
    world.say(link, b"pub t 1\npub t 2\n")
    world.sleep(0.1)
    world.say(link, b"pub t 2\n")
    assert watcher.payloads == [b"1", b"2"]


def test_the_memory_of_changed_is_bounded(world, watcher):
    link = world.link(changed=True)
    with patch.object(limits, "CHANGED_TOPICS", 2):
        world.say(link, b"pub a 1\npub b 1\npub c 1\npub a 1\npub c 1\n")
    assert watcher.payloads == [b"1", b"1", b"1", b"1"]


def test_over_udp_an_address_is_remembered(world, watcher):
    context = world.link(transport="udp", rate=Rate(10, 2), changed=True).context
    for payload in (b"1", b"1", b"2", b"3"):
        wire = FakeWire()
        link = wire.link = Link(world.hub, context, wire, Tiny, "192.0.2.7", 4711)
        world.say(link, b"pub t %b\n" % payload)
    assert (watcher.payloads, context.refused, context.unchanged) == ([b"1"], {"rate-limited": 2}, 1)


def test_the_table_of_clients_is_bounded(world):
    context = world.link(transport="udp", rate=Rate(10, 2)).context
    limiters = RateLimiters()

    def get(host, user=None):
        return limiters.get(world.hub.turn, world.hub.router, context, Session(host, 1, "udp", "here", user))

    with patch.object(limits, "UDP_RATE_LIMITERS", 2):
        first = get("a")
        get("b")
        assert get("a") is first
        second = get("a", "ann")
        assert get("a") is first
        assert get("a", "ann") is second
        assert len(limiters._by_client) == 2


def test_a_plain_link_has_none_of_it(world):
    link = world.link()
    assert (link.access.policy, link.egress.half_duplex, link.access.presence) == (None, None, None)
