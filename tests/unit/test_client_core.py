"""client/core.py and client/feed.py: commands and their answers, over connections that are lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubbub import limits
from hubbub.client.core import Core
from hubbub.client.errors import Busy, ClientError, Lost, Refused
from hubbub.client.feed import Feed, Start
from hubbub.client.message import Message


class Result:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: ClientError | None = None

    def done(self, value: Any) -> None:
        self.value = value

    def fail(self, error: ClientError) -> None:
        self.error = error


def read(units: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(unit) for unit in units]


def answer(core: Core, **members: object) -> None:
    core.receive(json.dumps(members).encode())


@pytest.fixture
def ended() -> list[ClientError]:
    return []


@pytest.fixture
def core(ended: list[ClientError]) -> Core:
    return Core(None, ended.append)


def feed(*filters: str, size: int = 10, start: Start | None = None) -> Feed:
    return Feed(filters, size, lambda: None, start)


def test_a_publish_waits_for_the_connection_and_gets_its_answer(core: Core) -> None:
    result = Result()
    assert core.publish({"topic": "a", "data": "x", "qos": 1}, result) == []
    (sent,) = read(core.connected())
    assert (sent["op"], sent["topic"], sent["data"], sent["qos"]) == ("publish", "a", "x", 1)
    answer(core, op="published", id=sent["id"], receivers=3)
    assert result.value == 3


def test_a_publish_without_an_answer_is_sent_again_as_it_was(core: Core) -> None:
    """Its `once` is the same, so the hub publishes it once; another has another."""
    core.connected()
    first, second = Result(), Result()
    sent = core.publish({"topic": "a", "data": 1, "qos": 1}, first)
    sent += core.publish({"topic": "a", "data": 2, "qos": 2}, second)
    core.lost(Lost("gone"))
    assert core.connected() == sent
    assert len({unit["once"] for unit in read(sent)}) == 2
    assert first.error is second.error is None


@pytest.mark.parametrize("op", ["publish", "request"])
def test_what_can_not_be_repeated_fails_with_the_connection(core: Core, op: str) -> None:
    core.connected()
    sent, unsent = Result(), Result()
    getattr(core, op)({"topic": "a", "data": "x"}, sent)
    core.lost(Lost("gone"))
    assert str(sent.error) == "gone"
    assert getattr(core, op)({"topic": "a", "data": "x"}, unsent) == []
    assert isinstance(unsent.error, Lost)
    assert core.connected() == []


def test_subscriptions_are_made_again(core: Core) -> None:
    mine = feed("a/#", "b")
    assert core.subscribe(mine) == []
    for _ in range(2):
        found = read(core.connected())
        assert [(unit["op"], unit["topic"], unit["meta"]) for unit in found] == [
            ("subscribe", "a/#", True), ("subscribe", "b", True),
        ]  # fmt: skip
        for unit in found:
            answer(core, op="subscribed", id=unit["id"], topic=unit["topic"])
        assert mine.begun
        core.lost(Lost("gone"))
    core.unsubscribe(mine)
    assert core.connected() == []


def test_a_filter_that_another_feed_has_stays(core: Core) -> None:
    core.connected()
    one, other = feed("a", "b"), feed("b")
    core.subscribe(one)
    core.subscribe(other)
    assert [unit["topic"] for unit in read(core.unsubscribe(one))] == ["a"]
    assert [unit["topic"] for unit in read(core.unsubscribe(other))] == ["b"]


def test_a_message_goes_to_each_feed_that_it_matches(core: Core) -> None:
    core.connected()
    feeds = [feed("a/#"), feed("+/b", "a/b"), feed("$share/g/a/b"), feed("c")]
    for one in feeds:
        core.subscribe(one)
    answer(core, op="message", topic="a/b", data={"x": 1}, time=2.5, retained=True, properties={"k": "v"})
    found = [one.take() for one in feeds]
    assert found[3] is None
    assert found[0] == Message("a/b", b'{"x": 1}', 2.5, retained=True, properties={"k": "v"})
    assert found[0] == found[1] == found[2]
    assert found[0].json() == {"x": 1}


@pytest.mark.parametrize(
    ("members", "payload"),
    [({"data": "text"}, b"text"), ({"base64": "/wA="}, b"\xff\0"), ({"data": 1.50}, b"1.5"), ({"data": None}, b"null")],
)
def test_payloads(core: Core, members: dict[str, Any], payload: bytes) -> None:
    core.connected()
    mine = feed("a")
    core.subscribe(mine)
    answer(core, op="message", topic="a", **members)
    assert mine.take().payload == payload


def test_a_reply_is_a_message(core: Core) -> None:
    core.connected()
    result = Result()
    (sent,) = read(core.request({"topic": "a", "data": "x", "timeout": 2}, result))
    answer(core, op="reply", id=sent["id"], data="yes")
    assert result.value.text == "yes"


def test_a_refusal(core: Core) -> None:
    core.connected()
    result, mine = Result(), feed("a/#")
    (sent,) = read(core.publish({"topic": "a+", "data": "x", "qos": 1}, result))
    answer(core, op="error", id=sent["id"], code="bad-topic", reason="why")
    assert isinstance(result.error, Refused)
    assert (result.error.code, str(result.error)) == ("bad-topic", "bad-topic: why")
    (sent,) = read(core.subscribe(mine))
    answer(core, op="error", id=sent["id"], code="not-authorized", reason="why")
    with pytest.raises(Refused):
        mine.take()
    core.lost(Lost("gone"))
    assert core.connected() == []


def test_a_refused_login_ends_everything(ended: list[ClientError]) -> None:
    core = Core({"user": "ann", "password": "x"}, ended.append)
    result, mine = Result(), feed("a")
    core.publish({"topic": "a", "data": "x", "qos": 1}, result)
    core.subscribe(mine)
    login, *others = read(core.connected())
    assert (login["op"], login["user"], login["password"]) == ("auth", "ann", "x")
    assert [unit["op"] for unit in others] == ["subscribe", "publish"]
    answer(core, op="error", id=login["id"], code="not-authorized", reason="why")
    assert ended == [result.error]
    assert isinstance(result.error, Refused)
    with pytest.raises(Refused):
        mine.take()


def test_a_feed_that_begins_in_the_history_shares_no_topics(core: Core) -> None:
    """The messages of the history would come to the others too."""
    begun = feed("a/+", "$share/g/b", start=Start(None, 1))
    core.subscribe(feed("x/#"))
    core.subscribe(begun)
    for one in (feed("a/1"), feed("b"), feed("x/1", start=Start(60, None))):
        with pytest.raises(ValueError, match="share topics"):
            core.subscribe(one)
    assert len(core.connected()) == 3
    core.unsubscribe(begun)
    core.subscribe(feed("a/1"))


@pytest.mark.parametrize(("since", "last"), [(1, 1), (-1, None), (None, -1)])
def test_bad_starts(since: float | None, last: int | None) -> None:
    with pytest.raises(ValueError, match="since"):
        Start(since, last)


def test_a_full_feed_lets_the_oldest_go_and_counts(core: Core) -> None:
    mine = feed("a", size=2)
    core.subscribe(mine)
    core.connected()
    answer(core, op="message", topic="a", data="0")
    answer(core, op="gap", count=5)
    for n in range(1, 4):
        answer(core, op="message", topic="a", data=str(n))
    found = [mine.take(), mine.take(), mine.take()]
    assert [(one.text, one.missed) for one in found[:2]] == [("2", 7), ("3", 0)]
    assert found[2] is None


def test_commands_without_an_answer_have_a_bound(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT_COMMANDS", 2)
    for _ in range(2):
        core.publish({"topic": "a", "data": "x", "qos": 1}, Result())
    with pytest.raises(Busy, match="2 commands"):
        core.publish({"topic": "a", "data": "x", "qos": 1}, Result())
    core.subscribe(feed("a"))
    (subscription, *published) = read(core.connected())
    answer(core, op="published", id=published[0]["id"], receivers=0)
    answer(core, op="subscribed", id=subscription["id"], topic="a")
    core.publish({"topic": "a", "data": "x", "qos": 1}, Result())


def test_bytes_without_an_answer_have_a_bound(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT_BYTES", 1_000)
    core.publish({"topic": "a", "data": "x" * 1_000, "qos": 1}, Result())
    with pytest.raises(Busy):
        core.publish({"topic": "a", "data": "x", "qos": 1}, Result())


def test_bytes_that_are_not_taken_have_a_bound(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT_BYTES", 1_000)
    mine = feed("a", size=1_000)
    core.subscribe(mine)
    core.connected()
    for text in ("x" * 600, "y" * 600, "z" * 300, "long" * 1_000):
        answer(core, op="message", topic="a", data=text)
    (last, none) = mine.take(), mine.take()
    assert last is not None
    assert (last.text[:4], last.missed, none) == ("long", 3, None)
    for text in ("x" * 600, "y" * 300):
        answer(core, op="message", topic="a", data=text)
    assert [len(mine.take().payload) for _ in range(2)] == [600, 300]


@pytest.mark.parametrize("op", ["published", "reply", "subscribed", "message\x1b[2J"])
def test_the_answer_to_another_command_ends_the_connection(core: Core, op: str) -> None:
    core.connected()
    result = Result()
    (ping,) = read(core.ping(result))
    with pytest.raises(Lost, match="wrong answer") as lost:
        answer(core, op=op, id=ping["id"])
    assert str(lost.value).isprintable()
    assert result.error is None
    core.lost(lost.value)
    assert result.error is lost.value


NESTED = b'{"op":"message","topic":"a","data":' + b"[" * 100_000


@pytest.mark.parametrize("unit", [b"nonsense", b"{}", b'{"op":"bye"}', b'{"op":"message","topic":7}', b"\xff", NESTED])
def test_what_ends_a_connection(core: Core, unit: bytes) -> None:
    core.connected()
    with pytest.raises(Lost):
        core.receive(unit)


def test_an_answer_to_nothing_is_no_answer(core: Core) -> None:
    core.connected()
    answer(core, op="published", id=77, receivers=1)
    answer(core, op="something", id=77)
