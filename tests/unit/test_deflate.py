"""transports/deflate.py: what it writes can be read, and is written once for all who agreed on the same."""

from __future__ import annotations

import os
import zlib
from types import SimpleNamespace

import pytest

from hubbub.dialect import Text
from hubbub.transports.deflate import deflated_frame, longest_deflated


@pytest.mark.parametrize("bits", range(9, 16))
def test_a_frame_can_be_read_with_the_window_of_its_client(bits: int) -> None:
    agreed = SimpleNamespace(server_max_window_bits=bits)
    for data in (b"", b"x", b"x" * 100_000, os.urandom(300)):
        frame = deflated_frame(agreed, False)(data)
        size = frame[1] if frame[1] < 126 else int.from_bytes(frame[2:4])
        assert frame[0] == 0xC2
        assert zlib.decompressobj(-bits).decompress(frame[-size:] + b"\0\0\xff\xff") == data


def test_text_is_distinguished_from_bytes() -> None:
    agreed = SimpleNamespace(server_max_window_bits=15)
    assert deflated_frame(agreed, True)(b"x")[0] == 0xC1
    assert deflated_frame(agreed, False)(Text(b"x"))[0] == 0xC1
    assert deflated_frame(agreed, False) is deflated_frame(SimpleNamespace(server_max_window_bits=15), False)


@pytest.mark.parametrize("memory", [1, 8, 9])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_noise_becomes_no_longer_than_allowed(level: int, memory: int) -> None:
    for size in (0, 1, 100, 65_536, 200_000):
        press = zlib.compressobj(level, zlib.DEFLATED, -15, memory)
        assert len(press.compress(os.urandom(size)) + press.flush(zlib.Z_SYNC_FLUSH)) - 4 <= longest_deflated(size)
