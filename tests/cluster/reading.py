"""Readers of streams, and waiting for what they read."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred


class Reading:
    """Reads a stream; `until` waits (ordered_consumer.Reader, publisher.Owner)."""

    def __init__(self):
        self.messages = []
        self.stored_numbers = []
        self.errors = {}
        self.log = []
        self._waiting = []

    def until(self, condition: Callable[[], object]) -> Deferred[None]:
        done = Deferred()
        self._waiting.append((condition, done))
        self._look()
        return done

    def _look(self):
        for one in list(self._waiting):
            if one in self._waiting and one[0]():
                self._waiting.remove(one)
                one[1].callback(None)

    def _say(self, *words):
        self.log.append(words)
        self._look()

    def received(self, message):
        self.messages.append(message)
        self._look()

    def caught_up(self):
        self._say("caught up")

    def wiped(self, *info):
        self._say("wiped")

    def failing(self, error):
        self._say("failing", error)

    def stored(self, number, again=False):
        assert number not in self.stored_numbers
        self.stored_numbers.append(number)
        self._look()

    def has_read_all(self):
        return True

    def refused(self, number, error):
        self.errors[number] = error
        self._look()


class Returning(Reading):
    """Reads a stream into which `publisher` publishes; the payload of a message is its number there."""

    publisher = None

    def received(self, message):
        super().received(message)
        if message.payload.isdigit():
            self.publisher.found(int(message.payload))
