"""Targets for STOMP: what its dialect makes of any frames, and what can be read of what it writes."""

from __future__ import annotations

from typing import Any

from fuzz.mqtt import outcomes
from hubbub.errors import Refusal
from hubbub.events import Close, Event, Subscribe
from hubbub.publish import Publish, QosPublish
from hubbub_plugins.stomp import Stomp
from hubbub_plugins.stomp.destinations import destination_of
from hubbub_plugins.stomp.frames import V10, V11, V12, Malformed, read_frame, write_frame
from hubbub_plugins.stomp.reader import Head, Reader

LONGEST = 1_000_000  # bytes
GREETINGS = [b"", b"CONNECT\n\n\0", *(b"STOMP\naccept-version:%b\n\n\0" % one for one in (b"1.1", b"1.2"))]


def answer(dialect: Any, event: Event | Publish) -> None:
    """Each outcome is worded in frames that can be read, and what is published can be sent on."""
    assert isinstance(dialect, Stomp)
    version, closed = dialect._version or V10, dialect._closed
    for result in [*outcomes(event), Refusal("bad-command", "a reason: für alle")]:
        said = dialect.outcome(event, result)
        readable(said.data if isinstance(said, Close) else said, version)
    dialect._closed = closed
    if isinstance(event, Publish):
        sent_on(dialect, event, version)


def keep(head: Head, body: bytes, frames: list[Any]) -> bool:
    frames.append((head, body))
    return True


def readable(data: bytes, version: str) -> list[Any]:
    reader, frames = Reader(LONGEST), []
    assert reader.feed(data, frames, keep) is None
    assert not reader.held()
    return [read_frame(head.raw, body, version) for head, body in frames]


def sent_on(dialect: Stomp, event: Publish, version: str) -> None:
    wish = Subscribe("#", options="/topic/", qos=1, id="a:7")
    unit = dialect.encode(event, dialect.form(wish))
    if unit is None:
        assert version != V12
        return
    whole = dialect.frame_qos(unit, event, 7, False) if isinstance(event, QosPublish) and event.qos else unit
    (frame,) = readable(whole, version)
    assert frame.header("destination") == destination_of(event.topic, "/topic/")
    assert (frame.header("subscription"), frame.body) == ("a:7", event.payload)
    assert frame.header("ack") == frame.header("message-id")


def one_frame(data: bytes) -> None:
    """What is read from a frame is written, and read again."""
    version = (V10, V11, V12)[data[0] % 3] if data else V10
    frames: list[Any] = []
    Reader(LONGEST).feed(data[1:], frames, keep)
    for head, body in frames:
        try:
            frame = read_frame(head.raw, body, version)
        except Malformed:
            continue
        if frame.command in ("CONNECT", "STOMP", "CONNECTED"):
            continue
        headers = {name: value for name, value in frame.headers.items() if name != "content-length"}
        found = readable(write_frame(frame.command, headers, version), version)[0].headers
        assert found == {name: value.removesuffix("\r" * (version != V12)) for name, value in headers.items()}
