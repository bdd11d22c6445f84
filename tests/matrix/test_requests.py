"""Request and reply: one answer, nobody, too late, several at once, and the ways in which somebody answers."""

from __future__ import annotations

import pytest

from hubbub import Handler, on
from hubbub.limits import REQUESTS_PER_LINK
from matrix.speakers import COMMANDING, EVERY, WAMP, seat

JSON = [name for name in COMMANDING if "json" in name]


class Answers(Handler):
    """Reply to what comes on ask/#, now or later."""

    @on("ask/now")
    def now(self, message):
        message.reply(message.payload * 2)
        message.reply(b"a second one")

    @on("ask/bytes")
    def bytes(self, message):
        message.reply(b"\x00\xff")

    @on("ask/later")
    def later(self, message):
        self.world.clock.callLater(1, message.reply, b"late")

    @on("ask/never")
    def never(self, message):
        pass


@pytest.fixture
def answers(world):
    world.run(Answers).world = world


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", COMMANDING)
def test_a_reply(world, name):
    one = seat(world, name)
    one.request("ask/now", "é".encode())
    assert one.output() == [("reply", "éé".encode())]
    one.request("ask/bytes", b"")
    assert one.output() == [("reply", b"\x00\xff")]


@pytest.mark.parametrize("name", COMMANDING)
def test_no_subscriber(world, name):
    one = seat(world, name)
    one.request("ask/now", b"1")
    assert one.output() == [("error", "no-responders")]


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", COMMANDING)
def test_too_late(world, name):
    one = seat(world, name)
    one.request("ask/never", b"1")
    world.advance(1.9)
    assert one.output() == []
    world.advance(0.2)
    assert one.output() == [("error", "timeout")]


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", JSON)
def test_too_late_is_what_the_client_says(world, name):
    one = seat(world, name)
    one.request("ask/later", b"1", timeout=0.5, id=1)
    one.request("ask/later", b"1", timeout=1.5, id=2)
    world.advance(1.1)
    assert [(said["op"], said["id"], said.get("code"), said.get("data")) for said in one.reported()] == [
        ("error", 1, "timeout", None), ("reply", 2, None, "late")
    ]  # fmt: skip


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", [name for name in COMMANDING if "lines" in name])
def test_in_lines_a_request_holds_back_later_answers(world, name):
    one = seat(world, name, subscribes="a")
    one.request("ask/later", b"1")
    one.ping()
    one.publish("a", b"2")
    assert one.output() == []
    seat(world, "tcp-lines").publish("a", b"from elsewhere")
    assert one.output() == [("message", "a", b"from elsewhere")]
    world.advance(1)
    assert one.output() == [("reply", b"late"), ("pong",), ("message", "a", b"2")]


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", JSON)
def test_in_json_requests_run_side_by_side_up_to_a_bound(world, name):
    one = seat(world, name)
    for number in range(REQUESTS_PER_LINK + 1):
        one.request("ask/later", b"", id=number)
    one.ping()
    assert [(said["op"], said.get("code"), said.get("id")) for said in one.reported()] == [
        ("error", "quota", REQUESTS_PER_LINK), ("pong", None, None)
    ]  # fmt: skip
    world.advance(1)
    assert [said["id"] for said in one.reported()] == list(range(REQUESTS_PER_LINK))
    one.request("ask/now", b"x")
    assert one.output() == [("reply", b"xx")]


@pytest.mark.parametrize("answering", JSON)
@pytest.mark.parametrize("asking", COMMANDING)
def test_a_client_answers_another(world, asking, answering):
    service = seat(world, answering)
    service.subscribe("ask/+", meta=True)
    one = seat(world, asking)
    one.request("ask/7", b"what?")
    (asked,) = service.reported()[1:]
    assert (asked["topic"], asked["data"]) == ("ask/7", "what?")
    service.publish(asked["reply_to"], "därum".encode())
    assert one.output() == [("reply", "därum".encode())]
    service.publish(asked["reply_to"], b"too late")
    assert one.output() == []


@pytest.mark.parametrize("hearing", EVERY)
def test_a_subscriber_that_cannot_answer_counts_as_one(world, hearing):
    ear = seat(world, hearing, subscribes="ask", publishes="ear")
    one = seat(world, "tcp-lines")
    one.request("ask", b"1")
    if hearing in WAMP:  # whose topics are no procedures
        assert (ear.output(), one.output()) == ([], [("error", "no-responders")])
        return
    assert ear.output() == [ear.message("ask", b"1")]
    world.advance(3)
    assert one.output() == [("error", "timeout")]


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", COMMANDING)
def test_a_client_that_sends_a_request_and_vanishes_affects_no_other(world, name):
    one = seat(world, name)
    one.request("ask/later", b"1")
    world.turn()
    one.client.vanish()
    world.advance(120)
    assert world.hub.turn.counters.failed == 0
    two = seat(world, name)
    two.request("ask/now", b"1")
    assert two.output() == [("reply", b"11")]
