"""What the tests of the json dialect share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.dialects.json import Json
from hubbub.events import Fault
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message

JSON = "application/json"
PLAIN = (True, False, False)  # the form of a subscription without options on a stream


def link(transport: str = "tcp", max_message: int = limits.MESSAGE_BYTES) -> Json:
    return Json(DialectContext(transport, max_message), Session("127.0.0.1", 1, transport, "test"))


def brief(value: object) -> str:
    """A test's name for a value of any length."""
    return repr(value)[:40]


def shown(events: list[Any]) -> list[str]:
    """Events with all that they say, to be compared."""
    names = "topic payload retain content_type reply_to properties".split()
    return [
        repr((type(e).__name__, e.tag, *(getattr(e, n) for n in names))) if isinstance(e, Message) else repr(e)
        for e in events
    ]


def read(command: object, transport: str = "tcp") -> Any:
    """The one event that a command makes."""
    line = command if isinstance(command, bytes) else json.dumps(command).encode()
    (event,) = link(transport).receive(line + b"\n" if transport == "tcp" else line, 0.0)
    return event


def refused(command: object, transport: str = "tcp") -> tuple[str, str, Any]:
    """Code, sentence and id of the one error that a command makes."""
    event = read(command, transport)
    assert type(event) is Fault, event
    answer = json.loads(link().outcome(event, event.refusal))
    assert answer["op"] == "error"
    assert (answer["code"], answer["reason"]) == (event.refusal.code, event.refusal.reason)
    assert answer.get("id") == event.tag
    return event.refusal.code, event.refusal.reason, event.tag


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        yield data[at : at + 1]


def by_line(data: bytes) -> Iterator[bytes]:
    yield from data.splitlines(keepends=True)


def with_a_tail(data: bytes) -> Iterator[bytes]:
    """Each piece ends a few bytes into the next command."""
    cuts = [at + 5 for at in range(len(data)) if data[at : at + 1] == b"\n"]
    for start, end in zip([0, *cuts], [*cuts, None], strict=True):
        yield data[start:end]


feeds = pytest.mark.parametrize("feed", [whole, byte_by_byte, by_line, with_a_tail])
