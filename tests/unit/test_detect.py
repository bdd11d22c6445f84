"""dialects/detect.py: which dialect a link speaks, however its first bytes are split."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.events import SwitchDialect
from hubbub.kernel.sessions.session import Session

PEER = Session("127.0.0.1", 1, "tcp", "test")


class Binary(Dialect):
    """Begins with two bytes that mean it."""

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        return None if b"\x7fB".startswith(head) and len(head) < 2 else head.startswith(b"\x7fB")


AUTO = Auto.among([Lines, Binary, Json], Lines)
HEADS = [
    (b"\x7fB rest", Binary),
    (b'{"op":"ping"}\n', Json),
    (b'  {"op":"ping"}\n', Json),
    (b"PUB a b\n", Lines),
    (b"\x7fX", Lines),
]


def feed(*pieces: bytes, transport: str = "tcp") -> list[SwitchDialect]:
    auto = AUTO(DialectContext(transport), PEER)
    found = [event for piece in pieces for event in auto.receive(piece, 5.0)]
    return (found or auto.eof(5.0))[:1]


@pytest.mark.parametrize(("head", "dialect"), HEADS)
def test_however_it_is_split(head: bytes, dialect: type[Dialect]) -> None:
    for pieces in ([head], [head[:1], head[1:]], [bytes((byte,)) for byte in head]):
        (become,) = feed(*pieces)
        assert become.dialect is dialect
        assert head.startswith(become.head)


@pytest.mark.parametrize(("head", "dialect"), HEADS)
def test_units_are_distinguished_at_once(head: bytes, dialect: type[Dialect]) -> None:
    assert feed(head, transport="websocket")[0].dialect is dialect
    assert AUTO.choose(head) is dialect


def test_silence_is_lines() -> None:
    auto = AUTO(DialectContext(), PEER)
    assert auto.receive(b"\x7f", 5.0) == []
    assert auto.deadline == 5.0 + limits.HANDSHAKE_SECONDS
    (become,) = auto.timeout(15.0)
    assert (become.dialect, become.head) == (Lines, b"\x7f")


def test_not_for_ever() -> None:
    auto = AUTO(DialectContext(), PEER)
    assert auto.receive(b" " * limits.DETECT_BYTES, 5.0)[0].dialect is Lines
