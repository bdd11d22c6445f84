"""A handler that publishes what arrives on some topics on others: mapping without Python."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

from hubbub import ConfigError, Handler, Incoming, Refusal, flag, on, option, rate
from hubbub.handler import JSON, as_payload
from hubbub.option import shown
from hubbub.topics import check_topic

TARGETS = 10_000  # target topics that something is remembered of: as many sensors, at about 300 bytes each
TARGET_BYTES = 16 * 1024 * 1024  # bytes of those topics and of the values that wait: 16 of the longest messages

_FIELD = re.compile(r"\{([1-9][0-9]*|rest)\}")
_REST = re.compile(r"/\{rest\}|\{rest\}/?")
_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]*")


def pointer(raw: object) -> tuple[str, ...]:
    """Read a JSON pointer (RFC 6901 section 3) as its reference tokens: "/a/0" is ("a", "0"), "" the whole document."""
    if not isinstance(raw, str) or (raw and raw[0] != "/") or _ESCAPE.search(raw):
        raise ValueError("expected a JSON pointer, such as /temp or /sensors/0/temp, in which ~1 is / and ~0 is ~")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in raw.split("/")[1:])


def limit(raw: object) -> float:
    """Read a rate of more than 0, in times per second."""
    value = rate(raw)
    if value <= 0:
        raise ValueError("expected a rate above 0, such as 1/s or 6/min")
    return value


@dataclass(frozen=True, slots=True)
class Value:
    """What is published on a target topic."""

    payload: bytes
    content_type: str | None
    reply_to: str | None
    properties: Mapping[str, str] | None

    @property
    def size(self) -> int:
        """Bytes that it holds, nearly."""
        named = sum(len(key) + len(text) for key, text in (self.properties or {}).items())
        return len(self.payload) + len(self.content_type or "") + len(self.reply_to or "") + named


@dataclass(eq=False, slots=True)
class Target:
    """What is remembered of one target topic.

    digest   of the payload that was published last
    due      the monotonic time in seconds from which the next value may be published
    waiting  the newest value, to be published then; call_off ends that
    """

    topic: str
    digest: bytes = b""
    due: float = 0.0
    waiting: Value | None = None
    call_off: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        """Bytes that it holds, nearly."""
        return len(self.topic) + (self.waiting.size if self.waiting is not None else 0)


class Exact(float):
    """A number of JSON that keeps its digits: 21.50 isn't published as 21.5."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def read(cls, text: str) -> Exact:
        """Make it of its digits."""
        number = cls(text)
        number.text = text
        return number


class Route(Handler):
    """Publish what arrives on some topics on others, such as route:from=plant/+/raw:to=dash/{1}:pick=/temp.

    A message goes on with its content type, its properties and its reply topic. With `pick` its payload is the picked
    value: a string as text, anything else as JSON; what is no JSON, or hasn't that value, isn't published but counted.
    With `at-most` a value that comes too early waits until it may go, and gives way to a newer one: the last one always
    arrives. `changed` compares with what was last published on the same target topic. Of more than TARGETS target
    topics the one that was longest silent is forgotten, and what waits for it is published at once.

    missing, in messages: that had nothing to pick
    """

    from_ = option("", str, "which topics, a filter such as plant/+/raw")
    to = option("", str, "where they go: {1} is what the first + matched, {2} the second, {rest} what # matched")
    pick = option[tuple[str, ...] | None](None, pointer, "a JSON pointer to the value in the payload, such as /temp")
    changed = option(False, flag, "publish only what differs from the last value of the target topic")
    at_most = option(0.0, limit, "how often a target topic gets a value, such as 1/s; the newest is kept for then")
    retain = option(False, flag, "publish to be kept as the target topic's last value")

    def __init__(self) -> None:
        self.missing = 0
        self._targets: dict[str, Target] = {}  # the longest silent first
        self._size = 0
        self._wanted = self.from_.split("/")
        self._check()

    def _check(self) -> None:
        """Raise ConfigError where `to` isn't there, or can't be filled from `from`, or makes no topic."""
        if not self.from_ or not self.to:
            raise ConfigError("route needs from= and to=, as in route:from=plant/+/raw:to=dash/{1}")
        to = f"route: to={shown(self.to)}"
        there = [str(number) for number in range(1, self._wanted.count("+") + 1)]
        there += ["rest"] * (self._wanted[-1] == "#")
        if unknown := [name for name in _FIELD.findall(self.to) if name not in there]:
            has = " ".join(f"{{{name}}}" for name in there) or "none"
            raise ConfigError(f"{to}: there is no {{{unknown[0]}}}; of from={shown(self.from_)} there are {has}")
        sample = _FIELD.sub("x", self.to)
        if "{" in sample or "}" in sample:
            raise ConfigError(f"{to}: a field is {{1}}, {{2}} and so on, or {{rest}}")
        try:
            check_topic(sample)
        except Refusal as refusal:
            raise ConfigError(f"{to}: {refusal.reason}") from None

    def stop(self) -> None:
        """Publish what waits."""
        for target in self._targets.values():
            try:
                self._release(target)
            except Refusal:  # the others have their turn
                continue

    @on("{from_}")
    def take(self, message: Incoming) -> None:
        """Publish one message, now or later, or not."""
        try:
            value = self._value(message)
        except (LookupError, ValueError, RecursionError):
            self.missing += 1
            return
        topic = self._topic(message.topic)
        if not self.changed and not self.at_most:
            self._publish(topic, value)
            return
        target = self._targets.pop(topic, None)
        if target is None:
            target = Target(topic)
            self._size += target.size
        self._targets[topic] = target
        try:
            self._offer(target, value)
        finally:
            self._trim()

    def _topic(self, topic: str) -> str:
        """Fill `to` from a topic that `from` matches. `a/#` matches `a` too: then {rest} goes, and a / with it."""
        levels = topic.split("/")
        found = [level for wanted, level in zip(self._wanted, levels, strict=False) if wanted == "+"]
        parts = {str(number): level for number, level in enumerate(found, 1)}
        to, above = self.to, len(self._wanted) - 1
        if len(levels) > above:
            parts["rest"] = "/".join(levels[above:])
        else:
            to = _REST.sub("", to)
        return _FIELD.sub(lambda field: parts[field[1]], to)

    def _value(self, message: Incoming) -> Value:
        """Raises LookupError, ValueError, RecursionError where there is nothing to pick."""
        payload, kind = message.payload, message.content_type
        if self.pick is not None:
            whole = json.loads(payload, parse_float=Exact.read, parse_constant=_no_number)
            found = _look_up(whole, self.pick)
            payload, kind = (found.text.encode(), JSON) if isinstance(found, Exact) else as_payload(found)
        return Value(payload, kind, message.reply_to, message.properties)

    # When it is published

    def _offer(self, target: Target, value: Value) -> None:
        """Publish `value`, or keep it until it may be."""
        now, before = self.now(), target.waiting
        if before is None and now >= target.due:
            self._send(target, value)
            return
        self._wait(target, value)
        if before is None:
            target.call_off = self.later(target.due - now, partial(self._release, target))

    def _wait(self, target: Target, value: Value | None) -> None:
        self._size -= target.size
        target.waiting = value
        self._size += target.size

    def _release(self, target: Target) -> None:
        """Publish what waits for its time."""
        value = target.waiting
        if value is not None:
            self._wait(target, None)
            self._send(target, value)

    def _send(self, target: Target, value: Value) -> None:
        digest = blake2b(value.payload, digest_size=16).digest() if self.changed else b""
        if digest and digest == target.digest:
            return
        if self.at_most:
            target.due = self.now() + 1 / self.at_most
        self._publish(target.topic, value)
        target.digest = digest

    def _publish(self, topic: str, value: Value) -> None:
        self.publish(topic, value.payload, self.retain, value.content_type, value.reply_to, value.properties)

    def _trim(self) -> None:
        """Forget targets until the rest keeps to the bounds."""
        while len(self._targets) > TARGETS or self._size > TARGET_BYTES:
            target = self._targets.pop(next(iter(self._targets)))
            if target.call_off is not None:
                target.call_off()
            try:
                self._release(target)
            finally:
                self._size -= target.size


def _look_up(value: Any, tokens: tuple[str, ...]) -> Any:
    """Follow a JSON pointer (RFC 6901 section 4). Raises LookupError."""
    for token in tokens:
        if isinstance(value, dict):
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token):
            value = value[int(token)]
        else:
            raise LookupError(token)
    return value


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
