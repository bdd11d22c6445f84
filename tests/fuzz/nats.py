"""More targets: subjects and headers of NATS, and the check of what its dialect makes of operations."""

from __future__ import annotations

import contextlib
from typing import Any

from hubbub.errors import BadFilter, BadTopic, Refusal
from hubbub.events import Close, Connect, Fault, Publish, Subscribe
from hubbub.message import Message
from hubbub.nats_protocol.headers import read_headers, write_headers
from hubbub.nats_protocol.messages import encode_message, encode_publish
from hubbub.nats_protocol.subjects import filter_of, subject_of, subjects_of, topic_of
from hubbub_plugins.nats import Nats
from nats_operations import Operations

GREETINGS = [b"", b"CONNECT {}\r\n", b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n']
WELCOMES = [b"", b"INFO {}\r\n", b'INFO {"headers":true,"server_id":"N1"}\r\nPONG\r\n']


def answer(dialect: Any, event: object) -> None:
    """Each outcome is operations that can be read, and what is published can be sent on."""
    assert isinstance(dialect, Nats)
    for result in outcomes(event):
        said = dialect.outcome(event, result)
        operations(said.data if isinstance(said, Close) else said)
    if isinstance(event, Subscribe):
        dialect.ended(event.id)
    if isinstance(event, Publish):
        for headers in (False, True):
            operations(encode_message(event, b" 1", headers))
            operations(encode_publish(event, headers))


def outcomes(event: object) -> list[Any]:
    """What can become of an event without an end of its link."""
    if isinstance(event, Connect):
        return ["ada"]
    results: list[Any] = [Refusal("internal", "it is refused"), Refusal("not-authorized", "it is refused")]
    if isinstance(event, Fault | Close):
        return results
    return [*results, 0, 1] if isinstance(event, Publish) else [*results, None]


def output(dialect: Any, event: object) -> None:
    """No event of what a server says has an answer but to end the link."""
    for result in (None, Refusal("internal", "it is refused")):
        said = dialect.outcome(event, result)
        assert said == b"" or isinstance(said, Close)


def operations(data: bytes) -> None:
    reader = Operations((b"MSG", b"HMSG", b"PUB", b"HPUB"))
    found, error = reader.feed(data)
    assert error is None
    assert not reader.held()
    assert all(words[0] in (b"MSG", b"HMSG", b"PUB", b"HPUB", b"+OK", b"-ERR") for words, _ in found)


def headers(data: bytes) -> None:
    """A block that can be read is written as it is, and what is read of it is read again."""
    for block in (data, b"NATS/1.0" + data, b"NATS/1.0\r\n" + data + b"\r\n\r\n"):
        try:
            properties, content_type = read_headers(block)
        except Refusal:
            continue
        assert write_headers(Message("a", b"", properties=properties, content_type=content_type)) == block
        written = write_headers(Message("a", b"", properties=dict(properties), content_type=content_type))
        assert not written or read_headers(written)


def subjects(data: bytes) -> None:
    """What has a topic is its subject, and what has a filter is one of its subjects."""
    text = data.decode("latin-1")
    with contextlib.suppress(BadTopic):
        assert subject_of(topic_of(text)) == text
    try:
        filter = filter_of(text)
    except BadFilter:
        return
    assert text in (*subjects_of(filter), "*.>")
