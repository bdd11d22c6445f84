"""The contract of handlers: what breaks a rule fails, with a sentence that says which and how to mend it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred

from hubbub import Handler, on
from hubbub.testing import HandlerContract
from testing.suites import Broken, check, failures

BROKEN = Broken()
breaks = BROKEN.says


class Echo(Handler):
    """It keeps every rule."""

    @on("echo/+")
    def echo(self, message):
        message.reply(message.payload)


def test_what_keeps_the_rules_passes():
    assert list(failures(type("EchoContract", (HandlerContract,), {"handler": Echo}))) == []


@breaks("when it gets bytes that aren't UTF-8 on echo/x, it raises AttributeError")
class Text(Echo):
    @on("echo/+")
    def echo(self, message):
        message.reply(message.text.upper())


@breaks("it changes the message")
class Changer(Echo):
    @on("echo/+")
    def echo(self, message):
        message.properties["unit"] = "K"


@breaks("it blocks with time.sleep")
class Sleeper(Echo):
    @on("echo/+")
    def echo(self, message):
        time.sleep(0)


@breaks("start takes longer than a minute")
class Slow(Echo):
    async def start(self):
        await Deferred()


@breaks("stop takes longer than 5 s")
class Stays(Echo):
    def stop(self):
        return Deferred()


@breaks("after stop it says b'MSG late 1\\n'")
class Late(Echo):
    def stop(self):
        self.runner._clock.callLater(30, lambda: self.publish("late", "1"))  # a timer of its own


@breaks("after stop 1 of its calls still run")
class Stubborn(Echo):
    @on("echo/+")
    async def echo(self, message):
        while True:
            with suppress(CancelledError):
                await Deferred()


@breaks("after stop the thread worker still runs")
class Threaded(Echo):
    def start(self):
        self.go = threading.Event()
        threading.Thread(target=self.go.wait, args=(1,), name="worker", daemon=True).start()


@breaks("after stop the reactor is still to call")
class Own(Echo):
    def start(self):
        from twisted.internet import reactor

        call = reactor.callLater(100, print)
        self.__class__.calls = [*getattr(self, "calls", []), call]


@breaks("its options can't be used: echo: unknown key loud=")
class EchoOption(HandlerContract):
    handler = Echo
    options = {"loud": "yes"}


@breaks("`handler` is no subclass of hubbub.Handler")
class NoHandler(HandlerContract):
    handler = dict


@BROKEN.every
def test_a_broken_rule_is_reported(sentence, broken):
    contract = type("Contract", (HandlerContract,), {"handler": broken}) if issubclass(broken, Handler) else broken
    try:
        check(sentence, contract)
    finally:
        for call in getattr(broken, "calls", ()):
            call.cancel()
