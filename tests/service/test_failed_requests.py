"""A request whose handler has raised is answered at once; while another receiver may reply, it waits for that one."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from hubbub import Handler, Refusal, on
from hubbub.dialects.lines import Lines


class Broken(Handler):
    """Raise, at once or later."""

    def __init__(self):
        self.later = Deferred()

    @on("ask/now")
    def now(self, message):
        raise ValueError("a secret of the code")

    @on("ask/later")
    async def wait(self, message):
        await self.later

    @on("ask/refused")
    def refuse(self, message):
        raise Refusal("bad-payload", "expected a number")

    @on("ask/replied")
    def reply(self, message):
        message.reply("first")
        raise ValueError("after the reply")

    @on("ask/both")
    def one(self, message):
        raise ValueError("one of two methods")

    @on("ask/both")
    def other(self, message):
        message.reply("the other")


class Logs(Handler):
    """See every message, and fail."""

    @on("#")
    def log(self, message):
        raise ValueError("no disk")


def say(world, *lines):
    """Connect, and send some lines."""
    client = world.listen("tcp", Lines).connect()
    client.send("".join(f"{line}\n" for line in lines).encode())
    world.turn()
    return client


def output(client):
    return client.received().decode().splitlines()


def test_it_is_answered_at_once_with_an_error(world):
    with capturedLogs():
        world.run(Broken)
        speaker = say(world, *(f"REQ ask/{name} x" for name in ("now", "refused", "replied", "both")))
    failed = "ERR internal the handler broken failed; the hub's log has the reason"
    assert output(speaker) == [failed, "ERR bad-payload expected a number", "REP first", "REP the other"]


def test_one_that_fails_later_is_answered_then(world):
    with capturedLogs():
        broken = world.run(Broken)
        speaker = say(world, "REQ ask/later x")
        assert output(speaker) == []
        broken.later.errback(ValueError("late"))
        world.turn()
    assert output(speaker) == ["ERR internal the handler broken failed; the hub's log has the reason"]


def test_a_handler_that_only_listens_fails_no_request(world):
    with capturedLogs():
        world.run(Logs)
        say(world, "SUB work")
        speaker = say(world, "REQ work x")
    assert output(speaker) == []
