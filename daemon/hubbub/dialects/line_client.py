"""The common parts of the client sides of lines and json."""

from __future__ import annotations

from typing import Any

from hubbub.dialect import Dialect, DialectContext
from hubbub.errors import Refusal
from hubbub.events import Close, Event, Fault, Subscribe
from hubbub.message import Message
from hubbub.option import shown


def pushes(context: DialectContext) -> list[Event | Message]:
    """Return the subscriptions of `push=`, whose messages go to the server."""
    return [Subscribe(filter, echo=False) for filter in context.push]


def refused_push(dialect: Dialect, event: Event | Message, result: Any) -> bytes | Close:
    """Return the outcome of an event: a Close if this hub refuses a filter of `push=`, else nothing."""
    if isinstance(event, Subscribe) and isinstance(result, Refusal):
        return Close(result.reason, dialect.encode_close(result.reason), result)
    return b""


def refused(reason: str) -> Fault:
    """Return a Fault for an error of the server; its reason may be any text, or empty."""
    return Fault(Refusal("unavailable", shown(reason) or "it gives no reason"))
