"""A request gets one reply, or is told why not, and leaves nothing behind."""

from __future__ import annotations

import gc
import weakref
from unittest.mock import patch

import pytest

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.sessions.session import REPLIES
from hubbub.publish import Request
from unit.kernel_help import Inbox, Receiver


def ask(world, topic="ask", timeout=2.0, payload=b"?"):
    results = []
    world.hub.requests.request(Request(topic, payload, timeout), results.append)
    return results


def answering(world, payload=b"!", topic="ask"):
    inbox = Inbox(world, lambda inbox, message: world.publish(message.reply_to, payload, inbox.session))
    world.subscribe(inbox.session, topic, inbox)
    return inbox


def clean(world):
    return (
        not world.hub.requests.pending
        and not any(name.startswith(REPLIES) for name in [*world.hub.router.trie._exact, *world.hub.router._topics])
        and not world.hub.retained.count
    )


def test_a_request_gets_one_reply(world):
    answering(world, b"one")
    answering(world, b"two")
    results = ask(world)
    assert results == []
    world.turn()
    assert [result.payload for result in results] == [b"one"]
    assert clean(world)
    world.sleep(10)
    assert len(results) == 1


def test_a_request_without_a_subscriber_is_refused(world):
    with pytest.raises(Refusal) as found:
        ask(world)
    assert found.value.code == "no-responders"
    assert clean(world)


def test_a_request_whose_subscriber_has_left_is_refused(world):
    """Though its subscriptions end in steps, and this one is still there."""
    session = world.session()
    for n in range(limits.SUBSCRIPTIONS_AT_ONCE + 1):
        world.subscribe(session, f"ask/{n}", Receiver())
    world.hub.subscriptions.leave(session)
    assert len(session.subscriptions) == 1
    with pytest.raises(Refusal) as found:
        ask(world, f"ask/{limits.SUBSCRIPTIONS_AT_ONCE}")
    assert found.value.code == "no-responders"


def test_a_request_that_only_its_sender_could_answer_is_refused(world):
    session = world.session()
    world.subscribe(session, "ask", Receiver(), echo=False)
    request = Request("ask", b"?")
    request.sender = session
    with pytest.raises(Refusal) as found:
        world.hub.requests.request(request, lambda result: None)
    assert found.value.code == "no-responders"


def test_a_request_without_a_reply_ends(world):
    receiver = Receiver()
    world.subscribe(world.session(), "ask", receiver)
    results = ask(world, timeout=2)
    world.turn()
    world.sleep(1.9)
    assert results == []
    world.sleep(0.2)
    assert [result.code for result in results] == ["timeout"]
    assert clean(world)
    world.publish(receiver.batches[0].messages[0].reply_to, b"late")
    world.turn()
    assert len(results) == 1


def test_no_request_waits_longer_than_the_limit(world):
    world.subscribe(world.session(), "ask", Receiver())
    results = ask(world, timeout=1e9)
    world.sleep(limits.REQUEST_SECONDS_MAX)
    assert [result.code for result in results] == ["timeout"]


def test_requests_are_bounded(world):
    world.subscribe(world.session(), "ask", Receiver())
    with patch.object(limits, "REQUESTS", 2):
        ask(world)
        ask(world)
        with pytest.raises(Refusal) as found:
            ask(world)
        assert found.value.code == "unavailable"
        world.sleep(3)
        ask(world)


def test_a_request_that_finds_no_room_leaves_nothing(world):
    world.subscribe(world.session(), "ask", Receiver())
    with patch.object(limits, "REQUESTS", 0), pytest.raises(Refusal):
        ask(world)
    assert clean(world)
    with pytest.raises(Refusal):
        ask(world, "$SYS/x")
    assert clean(world)


def test_a_reply_is_not_kept_anywhere(world):
    """Not as a retained message, and not in a cache: payloads are large."""

    class Properties(dict):
        """Can be weakly referenced, which a Message can't."""

    def reply(inbox, message):
        world.publish(message.reply_to, b"!", retain=True, properties=Properties())

    inbox = Inbox(world, reply)
    world.subscribe(inbox.session, "ask", inbox)
    found = []

    def done(reply):
        found.append(weakref.ref(reply.properties))

    for _ in range(20):
        world.hub.requests.request(Request("ask", b"?"), done)
        world.turn()
    world.publish("other")
    world.turn()
    gc.collect()
    assert len(found) == 20
    assert [ref() for ref in found if ref() is not None] == []
    assert clean(world)


def test_nothing_waits_for_the_reply_to_a_link_that_has_gone(world):
    """Its requests would take the places of others, and keep the closed link, for as long as it has asked for."""
    answerer, asking = world.link(), world.link()
    world.say(answerer, b"sub ask\n")
    world.say(asking, b"side ask 1\nside ask 2\nreq ask 3\n")
    assert len(world.hub.requests.pending) == 3
    dialect = weakref.ref(asking.dialect)
    asking.lost()
    asking.wire.link = None
    del asking
    world.turn()
    assert clean(world)
    assert dialect() is None
    first = answerer.wire.output().split(b"<")[1].split(b">")[0]
    assert world.say(answerer, b"tag %b late\n" % first) == b"sent 0\n"
