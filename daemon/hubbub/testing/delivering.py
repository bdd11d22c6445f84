"""Checks `frame_for_link`, `frame_qos` and `merge` of a dialect."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.events import Ack, Connect, Subscribe, SubscriptionBatch
from hubbub.publish import QosPublish
from hubbub.testing.trial import Trial, attempt, broken, shown
from hubbub.testing.wellformed import faults, plain

_BYTES = "Return bytes: the whole unit, as it goes to this client"
_IDS = (1, 2, limits.PACKET_IDS)
_WISHES = (Subscribe("a/b"), Subscribe("a/+", echo=False), Subscribe("#"))


def wishes_of(trial: Trial) -> list[Subscribe]:
    """Every subscription that its clients have made."""
    found = [
        one for event in trial.events for one in (event.events if isinstance(event, SubscriptionBatch) else [event])
    ]
    return [one for one in found if isinstance(one, Subscribe)]


def check_delivering(trial: Trial) -> None:
    """Fail the test where a unit isn't made a client's own as it must be. `trial` has read the samples."""
    wishes = wishes_of(trial)
    surest = max([one.qos for one in wishes], default=0)
    _check_declared(trial, surest)
    for qos in range(max(surest, 1) + 1):
        message = QosPublish("a/b", b"21.5", qos, correlation=b"\0")
        message.time = 1.0
        for wish in wishes[:3] or [Subscribe("a/b", qos=qos)]:
            frame = trial.encode(message, trial.form(wish))
            if isinstance(frame, bytes):
                _check_unit(trial, bytes(frame), message, wish, qos)


def _check_declared(trial: Trial, surest: int) -> None:
    """What its clients say has to have an answer in what it overrides."""
    kind, acks = type(trial.dialect), [event for event in trial.events if isinstance(event, Ack)]
    if surest and kind.frame_qos is Dialect.frame_qos:
        mend = (
            "Override frame_qos, which is given the number that the client is to acknowledge, or subscribe with qos=0"
        )
        broken(trial.name, f"its clients subscribe with qos={surest}, and no unit says what to acknowledge", mend)
    if surest == 2 and kind.encode_pubrel is Dialect.encode_pubrel:
        mend = "Override encode_pubrel, which tells a client that it may forget the number, or subscribe with qos=1"
        broken(trial.name, "its clients subscribe with qos=2, and no unit releases a message", mend)
    if acks and not surest and any(isinstance(event, Connect) and event.receive_maximum for event in trial.events):
        mend = "Subscribe(filter, qos=1) is what is acknowledged"
        broken(trial.name, "its clients acknowledge, and none of their subscriptions is of QoS 1 or 2", mend)


def _check_unit(trial: Trial, frame: bytes, message: QosPublish, wish: Subscribe, qos: int) -> None:
    dialect, before = trial.dialect, plain(message)
    frames_per_link = attempt(trial.name, "frames_per_link(...)", "Return True or False", dialect.frames_per_link, wish)
    if not isinstance(frames_per_link, bool):
        broken(trial.name, f"frames_per_link(...) is {shown(frames_per_link)}", "Return True or False")
    if frames_per_link:
        _bytes(trial, f"frame_for_link({shown(frame)}, ...)", dialect.frame_for_link, frame, message, wish)
    if qos:
        _check_frame_qos(trial, frame, message)
    if qos == 2:
        for number in _IDS:
            _bytes(trial, f"encode_pubrel({number})", dialect.encode_pubrel, number)
    if plain(message) != before:
        broken(
            trial.name, f"frame_for_link or frame_qos changes the message {message!r}", "All receivers share a message"
        )


def _check_frame_qos(trial: Trial, frame: bytes, message: QosPublish) -> None:
    dialect, units = trial.dialect, {}
    for number in _IDS:
        for again in (False, True):
            what = f"frame_qos({shown(frame)}, ..., {number}, {again})"
            units[number, again] = unit = _bytes(trial, what, dialect.frame_qos, frame, message, number, again)
            if message.payload not in unit:
                broken(trial.name, f"{what} is {shown(unit)}, without what the frame said", _ADD)
            if unit != _bytes(trial, what, dialect.frame_qos, frame, message, number, again):
                broken(trial.name, f"{what} gives another unit the second time", "It depends on its arguments only")
            _check_pieces(trial, unit, frame, message, number, again)
    if type(dialect).frame_qos is Dialect.frame_qos:
        return
    for again in (False, True):
        if len({units[number, again] for number in _IDS}) < len(_IDS):
            rule = f"frame_qos gives {shown(units[1, again])} for different numbers"
            broken(trial.name, rule, "The client repeats the number to acknowledge: it must be in the unit")


def _check_pieces(trial: Trial, unit: bytes, *arguments: Any) -> None:
    what, rule = f"pieces_qos({shown(arguments[0])}, ...)", "Return in pieces what frame_qos returns"
    pieces = attempt(trial.name, what, rule, trial.dialect.pieces_qos, *arguments)
    if not isinstance(pieces, Sequence) or not all(isinstance(one, bytes) for one in pieces):
        broken(trial.name, f"{what} is {shown(pieces)}", rule)
    if b"".join(pieces) != unit:
        broken(trial.name, f"{what} is {shown(b''.join(pieces))}, and frame_qos gives {shown(unit)}", rule)


_ADD = "It may put the number in, and whether the message was sent before; all else was encoded for everybody"


def _bytes(trial: Trial, what: str, call: Any, *arguments: Any) -> bytes:
    unit = attempt(trial.name, what, _BYTES, call, *arguments)
    if not isinstance(unit, bytes):
        broken(trial.name, f"{what} is {shown(unit)}", _BYTES)
    return bytes(unit)


def check_merging(trial: Trial) -> None:
    """Fail the test where several subscriptions aren't made one as they must be."""
    made = wishes_of(trial)[:3]
    for several in (*combinations(_WISHES, 2), _WISHES, *combinations(made, 2)):
        _check_merge(trial, several)


def _check_merge(trial: Trial, several: Sequence[Subscribe]) -> None:
    before, what = plain(several), f"merge({shown(list(several))})"
    mend = "Return None, or a Subscribe that says all that the client wants of a message they all match"
    wish = attempt(trial.name, what, mend, type(trial.dialect).merge, several)
    if plain(several) != before:
        broken(trial.name, f"{what} changes the subscriptions", "They go on one by one: make another Subscribe")
    if wish is None:
        return
    if not isinstance(wish, Subscribe):
        broken(trial.name, f"{what} is {shown(wish)}", mend)
    for fault in faults([wish], limits.MESSAGE_BYTES):
        broken(trial.name, f"{what} is {shown(wish)}", fault[0].upper() + fault[1:])
    if wish.filter not in [one.filter for one in several]:
        broken(trial.name, f"{what} has the filter {wish.filter!r}", "Take the filter of one of them")
    if wish.qos > max(one.qos for one in several):
        broken(
            trial.name, f"{what} has qos={wish.qos}", "The client asked for less: take the highest that it asked for"
        )
    trial.form(wish)
