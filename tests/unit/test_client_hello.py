"""transports/client_hello.py: what a ClientHello offers by ALPN, however it is cut, and whatever else comes."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.transports.client_hello import ClientHello


def offered_protocols(data: bytes) -> Any:
    return ClientHello().offered(data)


def hello(*protocols: str, name: str | None = "localhost", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL's client sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(protocols)
    out = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


def fragmented(data: bytes, size: int) -> bytes:
    """The same message in records of `size` bytes."""
    body = data[5:]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(data[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", [None, "localhost"])
@pytest.mark.parametrize("protocols", [(), ("mqtt",), ("h2", "http/1.1"), ("x" * 255,)])
def test_what_openssl_offers(protocols, name, version):
    sent = hello(*protocols, name=name, version=version)
    assert offered_protocols(sent) == list(protocols)
    assert offered_protocols(sent + b"more") == list(protocols)
    assert offered_protocols(fragmented(sent, 7)) == list(protocols)


@pytest.mark.parametrize("size", [1, 64, 16_384])
def test_it_waits_for_the_whole_hello_and_no_longer(size):
    sent = fragmented(hello("mqtt"), size)
    reader = ClientHello()
    for at in range(len(sent) - 1):
        assert reader.offered(sent[at : at + 1]) is None
    assert reader.offered(sent[-1:]) == ["mqtt"]


@pytest.mark.parametrize(
    "sent",
    [
        b"PING\n",
        b"\x15\x03\x03\0\2\2\x28",  # an alert
        b"\x16\x03\x03\0\4\2\0\0\0",  # a ServerHello
        b"\x16\x03\x01\0\4\1\0\0\0",  # an empty ClientHello
        b"\x16\x03\x01\0\6\1\0\0\2\3\3",
        b"\x16\x03\x01\0\4\1\xff\xff\xff" + b"\x16\x03\x01\x40\0" + b"x" * 16_384,  # one without end
    ],
)
def test_what_offers_nothing(sent):
    assert offered_protocols(sent) == ()


def test_records_without_a_message_end():
    assert offered_protocols(b"\x16\x03\x01\0\0" * (limits.CLIENT_HELLO_BYTES // 5)) is None
    assert offered_protocols(b"\x16\x03\x01\0\0" * limits.CLIENT_HELLO_BYTES) == ()


SENT = hello("mqtt", "http/1.1")


@given(st.integers(0, len(SENT) - 1), st.integers(0, 255), st.integers(0, len(SENT)))
def test_a_spoiled_one_raises_nothing(at, byte, end):
    spoiled = bytearray(SENT)
    spoiled[at] = byte
    whole, part = offered_protocols(bytes(spoiled)), offered_protocols(bytes(spoiled[:end]))
    assert part is None or part == whole
