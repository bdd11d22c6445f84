"""Checks what a dialect writes: answers to events, and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import CODES, Refusal
from hubbub.events import (
    Ack,
    AuthResponse,
    Close,
    Connect,
    Fault,
    Fetch,
    Ping,
    PublishOnce,
    ReadPosition,
    Release,
    Subscribe,
    SubscriptionBatch,
    Unsubscribe,
)
from hubbub.message import Message
from hubbub.publish import Publish, Request
from hubbub.testing.trial import Trial, attempt, broken, shown
from hubbub.testing.watching import impure, watching
from hubbub.testing.wellformed import plain

_TOKEN = "abcdefg"  # noqa: S105  as long as the ones over UDP are
_POSITION = "k3v7x2q2m5abcdef-1928353627357839361"
_BYTES = "Return bytes; b'' where there is nothing to say"

_SHARED = (
    "What it writes is shared by links: it depends on message and form only; frame_for_link() makes it a link's own"
)

_MESSAGES = (
    Message("a/b", b"21.5"),
    Message("a/b", b""),
    Message("a", b"\xff\x00\r\n", content_type="application/octet-stream"),
    Message("a b/é/%/=/;", b"two\nlines", retain=True),
    Message("a/\n\x01\x7f", "text: ü".encode(), content_type="text/plain; charset=utf-8"),
    Message("a", b'{"t": 21.5}', content_type="application/json", properties={"unit": "°C", "": "\n"}),
    Message("a", b"no json", content_type="application/json", reply_to="$reply/x"),
    Message("/".join("x" * 100), b"x" * 100_000),
)  # what no dialect has chosen: it comes from others


def check_answers(trial: Trial) -> None:
    """Fail the test where an answer isn't bytes."""
    dialect = trial.dialect
    for one in [*trial.events, Fault(Refusal("bad-command", "a sentence"))]:
        event: Any = one.message if isinstance(one, PublishOnce) else one  # what its outcome is asked for
        kind = type(event).__name__
        for result in _results(event):
            _bytes(trial, f"outcome({kind}, {shown(result)})", dialect.outcome, event, result)
        if isinstance(event, Connect) and event.auth_method is not None:
            _bytes(trial, "challenge(Connect, data)", dialect.challenge, event, b"\x00 a question")
        if isinstance(event, Subscribe | Unsubscribe | Request | Ping):
            _bytes(trial, f"confirm({kind}, token)", dialect.confirm, event, _TOKEN)
        if isinstance(event, Subscribe) and event.history is not None:
            _check_replay(trial, event)
    for n in (1, 10**9):
        _bytes(trial, f"gap({n})", dialect.gap, n)
    for reason in ("shutdown", "a reason, für alle"):
        _bytes(trial, f"encode_close({reason!r})", dialect.encode_close, reason)
        _bytes(
            trial,
            f"encode_disconnect({reason!r}, a Refusal)",
            dialect.encode_disconnect,
            reason,
            Refusal("quota", reason),
        )


def _check_replay(trial: Trial, event: Subscribe) -> None:
    """Fail the test where a dialect can't tell what a replay of the history has."""
    assert event.history is not None
    event.history.position, event.history.lost = _POSITION, _POSITION
    _bytes(trial, "outcome(Subscribe, None) with something lost", trial.dialect.outcome, event, None)
    _bytes(trial, "encode_lost(Subscribe, position)", trial.dialect.encode_lost, event, _POSITION)
    _bytes(trial, "replayed(Subscribe, position)", trial.dialect.replayed, event, _POSITION)


def _results(event: Any) -> Iterator[Any]:
    """Yield what may come of an event, as its docstring says."""
    if isinstance(event, Fault):
        yield event.refusal
        return
    if isinstance(event, AuthResponse):
        yield Refusal("bad-command", "nothing was asked")
        return
    if isinstance(event, Request):
        yield from (Message("$reply/x", b"21.5"), Message("$reply/x", b"\xff\n"))
    elif isinstance(event, Publish):
        yield from (0, 3) if event.tag is not None else ()
    elif isinstance(event, Ping):
        yield 0
    elif isinstance(event, ReadPosition):
        yield _POSITION
    elif isinstance(event, Connect):
        yield "ada"
    elif isinstance(event, Ack | Release):
        yield from (True, False)
        return
    elif isinstance(event, Fetch):
        yield from (None, Message("a/b", b"21.5"), Message("a/b", b"\xff\n"))
    elif isinstance(event, SubscriptionBatch):
        yield [None] * len(event.events)
        yield from ([Refusal(code, "a reason")] * len(event.events) for code in sorted(CODES))
        return
    elif isinstance(event, Subscribe | Unsubscribe):
        yield None
    else:
        return
    yield from (Refusal(code, "a reason, für alle") for code in sorted(CODES))


def _bytes(trial: Trial, what: str, call: Callable[..., Any], *arguments: Any) -> None:
    answer = attempt(trial.name, what, _BYTES, call, *arguments)
    if not isinstance(answer, bytes | Close):
        broken(trial.name, f"{what} is {shown(answer)}", _BYTES)


def check_encoding(trial: Trial, wishes: Sequence[Subscribe]) -> None:
    """Fail the test where units couldn't be shared. `wishes` are subscriptions as clients make them."""
    for wish in (Subscribe("a/b"), *wishes):
        form = trial.form(wish)
        for message in _MESSAGES:
            for retained in (False, True):
                message.retained = retained
                _check_encode(trial, message, form)
        if trial.encodes_all:
            for messages in (_MESSAGES, _MESSAGES[:2], _MESSAGES[:1]):
                _check_encode_all(trial, messages, form)


def _check_encode_all(trial: Trial, messages: Sequence[Message], form: Any) -> None:
    units: list[Any] = list(trial.encode_all(messages, form))
    each: list[Any] = [trial.encode(message, form) for message in messages]
    if each != [trial.encode(message, form) for message in messages]:  # each gets an id when it is encoded
        units, each = [_size(unit) for unit in units], [_size(unit) for unit in each]
    if units != each:
        mend = "Messages go out in any company: encode_all returns what encode returns for each of them"
        broken(trial.name, f"encode_all is {shown(units)}, and encode {shown(each)}", mend)


def _size(unit: bytes | None) -> int | None:
    return None if unit is None else len(unit)


def _check_encode(trial: Trial, message: Message, form: Any) -> None:
    before, what = plain(message), f"encode({message!r}, {form!r})"
    trial.encode(message, form)  # what is imported late, or remembered, is there from now on
    with watching(impure) as found:
        unit, again = trial.encode(message, form), trial.encode(message, form)
    if found:
        broken(trial.name, f"encode calls {found[0]}", _SHARED)
    if not (unit is None or isinstance(unit, bytes)):
        broken(trial.name, f"{what} is {shown(unit)}", "Return bytes, or None: it can't be carried")
    if unit != again:
        broken(trial.name, f"{what} is {shown(unit)}, and then {shown(again)}", _SHARED)
    if plain(message) != before:
        broken(
            trial.name, f"encode changes the message {message!r}", "All receivers share a message: leave it as it is"
        )


def check_round_trip(new: Callable[[], Trial], messages: Sequence[Message], longest: int) -> None:
    """Fail the test where a message doesn't come back from what was written of it."""
    for message in messages:
        if _come_back(new, message) is None:
            mend = "Return its unit, or take it out of `round_trip` if it can't be carried"
            broken(new().name, f"encode({message!r}) is None", mend)
        _come_back(new, Message(message.topic, b"x" * longest))
    if messages:
        topics = [message.topic for message in messages]

        @settings(deadline=None, database=None, report_multiple_bugs=False)
        @given(st.sampled_from(topics), st.one_of(st.binary(max_size=60), st.text(max_size=20).map(_utf8)))
        def try_them(topic: str, payload: bytes) -> None:
            _come_back(new, Message(topic, payload))

        try_them()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _come_back(new: Callable[[], Trial], message: Message) -> bytes | None:
    """Write a message and read it again; returns its unit, None where it can't be carried."""
    trial = new()
    unit = trial.encode(message, trial.form(Subscribe(message.topic)))
    if unit is None:
        return None
    events = trial.feed(bytes(unit))
    found = [(event.topic, event.payload) for event in events if isinstance(event, Publish)]
    if len(events) != 1 or found != [(message.topic, message.payload)]:
        rule = f"{message!r} is written as {shown(unit)}, and that is read as {shown(events)}"
        broken(
            trial.name, rule, "A payload that would be read as something else can't be carried: let encode return None"
        )
    return unit
