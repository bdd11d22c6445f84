"""Packets that come together are read as each of them alone is."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hubbub_plugins.mqtt.packets import V5, V311
from hubbub_plugins.mqtt.reader import Reader

# PUBLISH, remaining length, topic "a" or "b", length of the properties or the first byte of the payload, payload
A, OTHER_PAYLOAD, OTHER_TOPIC = b"\x30\x05\0\1a\0x", b"\x30\x05\0\1a\0y", b"\x30\x05\0\1b\0x"
WITH_PROPERTIES = b"\x30\x05\0\1a\1\1"
WITHIN = b"\x30\x0c\0\1a\0" + A + b"z"
EMPTY = b"\x30\x04\0\1a\0"
SOME = [
    A,
    OTHER_PAYLOAD,
    OTHER_TOPIC,
    WITH_PROPERTIES,
    EMPTY,
    WITHIN,
    b"\x31\x05\0\1a\0x",
    b"\xc0\0",
    b"\x30\x05\0\2a\0x",
]
ODD = [b"", b"\x30", b"\x30\x00\x30\x00", b"\x30\xff\xff\xff\xff", b"\x30\x80\x00", b"\x30\x01\0\x30\x01\0", A[:5]]


@example([OTHER_TOPIC, A], b"")
@example([WITHIN, A], b"")
@example([WITH_PROPERTIES, A], b"")
@given(st.lists(st.sampled_from(SOME), max_size=6), st.sampled_from(ODD))
def test_packets_that_come_together_are_read_as_each_alone(some: list[bytes], odd: bytes) -> None:
    def read(version: int, pieces: list[bytes]) -> list[object]:
        reader = Reader(1_000)
        reader.read_frequent(version, 10)
        found: list[object] = []
        for piece in [A, *pieces]:
            more, error = reader.feed(piece)
            found += [one if isinstance(one, tuple) else (type(one), one.topic, one.payload) for one in more]
            if error is not None:
                return [*found, error.reason]
        return [*found, reader.held()]

    for first in (A, EMPTY, WITH_PROPERTIES):
        data = first * 2 + b"".join(some) + odd
        for version in (V311, V5):
            assert read(version, [data]) == read(version, [bytes([byte]) for byte in data])


def test_a_long_payload_of_many_is_refused_as_ever() -> None:
    reader = Reader(1_000)
    reader.read_frequent(V311, 2)
    assert len(reader.feed(A)[0]) == 1
    found, error = reader.feed(b"\x30\x06\0\1a123" * 2)
    assert found == []
    assert error is not None
    assert error.reason == "a payload has more than 2 bytes"
