"""Targets for WAMP: what its dialect makes of any messages, and what comes back of any arguments."""

from __future__ import annotations

from typing import Any

from fuzz.mqtt import outcomes
from hubbub.errors import Refusal
from hubbub.events import Close, Event, Subscribe
from hubbub.message import Message
from hubbub.publish import Publish, Request
from hubbub_plugins.wamp import Wamp
from hubbub_plugins.wamp.arguments import arguments_of, payload_of, write
from hubbub_plugins.wamp.codec import CBOR, JSON, MSGPACK, Malformed
from hubbub_plugins.wamp.rawsocket import RawSocket, framed

LONGEST = 1_000_000  # bytes
CODECS = (JSON, MSGPACK, CBOR)
HELLO = [1, "realm1", {"roles": {"caller": {}}}]
HELLOS = [
    b"",
    *(b"\x7f%b\0\0" % bytes((0xF1 + at,)) + framed(codec.write(HELLO)) for at, codec in enumerate(CODECS)),
]


def answer(dialect: Any, event: Event | Publish) -> None:
    """Each outcome is worded in messages that can be read, and what is published can be sent on."""
    assert isinstance(dialect, Wamp)
    closed = dialect._closed
    replies = [Message("$reply/a", b"1", properties=found) for found in (None, {"wamp.error": "a.b"})]
    results = replies if isinstance(event, Request) else outcomes(event)
    for result in [*results, Refusal("bad-command", "a reason: für alle")]:
        said = dialect.outcome(event, result)
        readable(dialect, said.data if isinstance(said, Close) else said)
    dialect._closed = closed
    if isinstance(event, Publish) and dialect._speaker.hello is not None:
        unit = dialect.encode(event, dialect.form(Subscribe("#", options=(7, True, False), id=7)))
        if unit is not None:
            assert readable(dialect, unit)[0][0] == 36


def readable(dialect: Wamp, data: bytes) -> list[Any]:
    """Read units as the client would."""
    speaker = dialect._speaker
    if not speaker.raw:
        return speaker.codec.read(data) if data else []
    found = []
    while data:
        size = 4 + int.from_bytes(data[1:4], "big")
        found += speaker.codec.read(data[4:size])
        data = data[size:]
    return found


def messages(data: bytes) -> None:
    """Arguments that can be read come back from each serializer."""
    codec = CODECS[data[0] % 3] if data else JSON
    try:
        found = codec.read(data[1:])
    except Malformed:
        return
    for value in found:
        try:
            payload, kind = payload_of([[value, value]], 0, LONGEST)
        except Refusal:
            continue
        message = Message("a", payload, content_type=kind)
        assert repr(arguments_of(message)) == repr([[plain(value)] * 2])
        for one in CODECS:
            assert len(one.read(write(one, [36], message))[0]) == 2


def plain(value: Any) -> Any:
    """A value without undefined parts."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return None if type(value).__name__ in ("UndefinedType", "ExtType") else value


def frames(data: bytes) -> None:
    """RawSocket reads the same however it is cut."""
    whole, pieces = RawSocket(1_000), RawSocket(1_000)
    found, wrong = whole.feed(data)
    parts: list[Any] = []
    for at in range(len(data)):
        more, error = pieces.feed(data[at : at + 1])
        parts += more
        if error is not None:
            assert wrong is not None
            assert error.reason == wrong.reason
            break
    assert parts == found
