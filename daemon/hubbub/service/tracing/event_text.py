"""Events in words, for people: `hubbub try`, taps, and what a contract expects."""

from __future__ import annotations

from collections.abc import Iterator

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import (
    FIELDS,
    Answer,
    Close,
    Event,
    Fault,
    OpenQueue,
    PublishOnce,
    Subscribe,
    SwitchDialect,
    Unsubscribe,
)
from hubbub.message import Message
from hubbub.topics import quote

_OF_THE_HUB = frozenset(  # not what a client says
    {"sender", "time", "hops", "retained", "ask", "position", "path", "number"}
)
_SHOWN_FIRST = frozenset(
    {"topic", "payload", "filter", "data", "reason", "refusal", "dialect", "head"}
)  # without a name
_MOSTLY_TRUE = frozenset({"answers", "echo", "blocking", "clean_start", "will", "knows_receive_maximum"})
_MOSTLY = {
    "qos": 0,
    "session_expiry": 0.0,
    "will_delay": 0.0,
    "after": 0,
    "dropped": 0,
    "auth_data": b"",
    "server_data": b"",
}
_SECRET = frozenset({"password", "token", "auth_data"})


def describe(event: Event | Message) -> str:
    """Write an event in one line: what it is, what it is about, and by name what else it says.

    Quotes are as in Python: '...' is text, b'...' is bytes that aren't UTF-8.
    """
    words = [type(event).__name__]
    match event:
        case Message():
            words += [quote(event.topic), _value(event.payload)]
        case Subscribe() | Unsubscribe() | OpenQueue():
            words.append(quote(event.filter))
        case PublishOnce():
            words += [f"key={_value(event.key)}", describe(event.message)]
            return " ".join(words)
        case Fault():
            words.append(_refusal(event.refusal))
        case Close():
            words.append(_refusal(event.refusal) if event.refusal is not None else _line(event.reason))
            words += [f"data={_value(event.data)}"] * bool(event.data)
        case Answer():
            words.append(_value(event.data))
        case SwitchDialect():
            words.append(event.dialect.name)
    return " ".join([*words, *_more(event)])


def _more(event: Event | Message) -> Iterator[str]:
    """Name what differs from what it mostly is."""
    names = dict.fromkeys([name for kind in reversed(type(event).__mro__) for name in getattr(kind, FIELDS, ())])
    for name in sorted(names, key="tag".__eq__):  # last
        value = getattr(event, name, None)
        usual = value is None or value is (name in _MOSTLY_TRUE) or value == _MOSTLY.get(name)
        if not usual and name not in _SHOWN_FIRST | _OF_THE_HUB:
            yield f"{name}={'...' if name in _SECRET else _value(value)}"


def _refusal(refusal: Refusal) -> str:
    return f"{refusal.code}: {_line(refusal.reason)}"


def _line(text: str) -> str:
    return repr(text)[1:-1]


def _value(value: object) -> str:
    """Write any value, cut where it is long."""
    most = limits.CAPTURE_VALUE_CHARACTERS
    if isinstance(value, bytes):
        text = as_text(value)
        whole = value if text is None else text
        return repr(whole[:most]) + (f"... ({len(value)} bytes)" if len(whole) > most else "")
    written = repr(value)
    return written if len(written) <= most else written[:most] + "..."


def as_text(data: bytes) -> str | None:
    """Return bytes as text, or None for what is no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
