"""The contract of handlers: what holds for each, to be subclassed in a test.

    class TestAlarm(HandlerContract):
        handler = Alarm
        options = {"above": "20"}

What breaks a rule fails with a sentence that says which, and another that says how to mend it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.errors import ConfigError
from hubbub.handler import Handler, filters_of
from hubbub.option import configure
from hubbub.publish import Publish
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.testing.trial import broken, shown
from hubbub.testing.watching import blocking, describe, watching
from hubbub.testing.wellformed import plain
from hubbub.testing.world import World

_PAYLOADS = {
    "text": b"21.5",
    "an empty payload": b"",
    "JSON": b'{"temp": 21.5}',
    "JSON that is a list": b'["a", null]',
    "what looks like JSON and isn't": b'{"temp": ',
    "bytes that aren't UTF-8": b"\xff\xfe\x00",
    "text of several lines, with controls": "zwei\nZeilen \x00 ü".encode(),
    "the longest payload": b"x" * limits.MESSAGE_BYTES,
}
_REPLIES = "contract/replies"
_MINUTE = 61.0  # seconds: longer than any request waits


class HandlerContract:
    """What holds for every handler.

    handler  the class
    options  its options, as an operator would write them
    """

    handler: ClassVar[type[Handler]]
    options: ClassVar[Mapping[str, object]] = {}

    def test_it_starts_and_stops(self) -> None:
        """Start and stop come to an end, for two side by side, and for others after them."""
        for _ in range(2):
            stages = [self._stage(), self._stage()]
            for stage in stages:
                stage.stop()

    @pytest.mark.parametrize("what", _PAYLOADS)
    def test_any_message_may_come(self, what: str) -> None:
        """On each of its filters anything may arrive, and is left as it is for the others."""
        stage = self._stage()
        client = stage.connect()
        for topic in stage.topics():
            for reply_to in (None, _REPLIES):
                message = Publish(topic, _PAYLOADS[what], False, None, reply_to, {"unit": "°C"})
                before = plain(message)
                stage.do(f"it gets {what} on {topic}", stage.publish, client, message)
                if plain(message) != before:
                    rule = f"it changes the message {before!r:.200} to {plain(message)!r:.200}"
                    stage.broken(rule, "All receivers share a message: copy what you change")
        stage.do(f"a minute has passed since it got {what}", stage.world.advance, _MINUTE)
        stage.stop()

    def test_senders_come_and_go(self) -> None:
        """A sender may be gone before it gets its reply."""
        stage = self._stage()
        for topic in stage.topics():
            client = stage.connect()
            stage.hub_publish(client, Publish(topic, b"21.5"))
            stage.do(f"the sender of a message on {topic} has gone", client.vanish)
        stage.do("a minute has passed since clients have gone", stage.world.advance, _MINUTE)
        stage.stop()

    def test_nothing_is_left_after_stop(self) -> None:
        """Once it has stopped it takes nothing, says nothing, and leaves nothing running."""
        before, calls = set(threading.enumerate()), _reactor_calls()
        stage = self._stage()
        client, watcher = stage.connect(), stage.connect()
        for topic in stage.topics():
            stage.do(f"it gets text on {topic}", stage.publish, client, Publish(topic, b"21.5"))
        stage.stop()
        watcher.say(b"SUB #\n")
        stage.do("a minute has passed since it stopped", stage.world.advance, _MINUTE)
        if said := watcher.received():
            stage.broken(f"after stop it says {shown(said)}", "End in stop what start began")
        if running := len(stage.runner._running):
            mend = "They are cancelled at stop: let CancelledError through, and clean up in finally"
            stage.broken(f"after stop {running} of its calls still run", mend)
        if threads := [one.name for one in threading.enumerate() if one not in before]:
            stage.broken(f"after stop the thread {threads[0]} still runs", "End it in stop, and wait for its end")
        if left := _reactor_calls() - calls:
            mend = "Use self.later and self.every, which end with the handler, or cancel it in stop"
            stage.broken(f"after stop the reactor is still to call {shown(next(iter(left)))}", mend)

    def _stage(self) -> _Stage:
        """Return a new handler that has started."""
        handler: Any = getattr(self, "handler", None)
        if not (isinstance(handler, type) and issubclass(handler, Handler)):
            broken(type(self).__name__, "`handler` is no subclass of hubbub.Handler", "Set handler = YourHandler")
        return _Stage(handler, self.options)


class _Stage:
    """One handler in a world of its own, and its clients."""

    def __init__(self, handler: type[Handler], options: Mapping[str, object]) -> None:
        self.name = handler.name
        self.world = World()
        try:
            self.handler = configure(handler, options)()
            self.runner = HandlerRunner(self.world.hub, self.handler, handler.name, self.world.clock)
        except ConfigError as error:
            self.broken(f"its options can't be used: {error}", "Set `options` as an operator would")
        self._failed = 0
        started = self.do("it starts", self.runner.start)
        self.do("a minute has passed since its start", self.world.advance, _MINUTE)
        if not started.called:
            self.broken("start takes longer than a minute", "Begin in start what takes long, and don't await it there")

    def stop(self) -> None:
        """Stop it, in the time that a daemon would give it."""
        stopped: Deferred[Any] = self.do("it stops", self.runner.stop)
        self.do("it stops", self.world.advance, limits.HANDLER_STOP_SECONDS * 0.9)
        if not stopped.called:
            rule = f"stop takes longer than {limits.HANDLER_STOP_SECONDS:g} s"
            self.broken(rule, "The daemon ends without it then: do less in stop")

    def connect(self) -> Any:
        """Return a new client."""
        return self.do("a client connects", self.world.listen("tcp", Lines).connect)

    def topics(self) -> Iterator[str]:
        """Yield a topic for each filter that it listens to."""
        for name in dir(type(self.handler)):
            for filter in filters_of(self.handler, getattr(self.handler, name)):
                yield filter.replace("+", "x").replace("#", "x/y")

    def hub_publish(self, client: Any, message: Publish) -> None:
        """Have a message come from a client; it waits for the end of the turn."""
        message.sender = client.transport.protocol.link.session
        self.world.hub.router.publish(message)

    def publish(self, client: Any, message: Publish) -> None:
        """Have a message come from a client, and end the turn."""
        self.hub_publish(client, message)
        self.world.turn()

    def do(self, when: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call something that may call the handler, end the turn, and look whether that failed."""
        with capturedLogs() as logs, watching(blocking) as waits:
            result = call(*arguments)
            self.world.turn()
        if waits:
            mend = "The daemon serves no client meanwhile: use self.later, or await"
            self.broken(f"when {when}, it blocks with {waits[0]}", mend)
        if self.runner.failed > self._failed:
            failures = [event["log_failure"].value for event in logs if "log_failure" in event]
            what = describe(failures[0]) if failures else "something"
            mend = "Handle it: any client may send anything. The failure is logged once, and then counted"
            self.broken(f"when {when}, it raises {what}", mend)
        return result

    def broken(self, rule: str, mend: str) -> NoReturn:
        """Fail the test."""
        broken(self.name, rule, mend)


def _reactor_calls() -> set[Any]:
    """What the process's reactor, if there is one, is still to call; the world has a clock of its own."""
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    return set(reactor.getDelayedCalls()) if reactor is not None else set()
