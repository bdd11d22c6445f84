"""What is hidden of what clients send, in whatever pieces it comes."""

from __future__ import annotations

import pytest

from hubbub.service.tracing.masking import Masker

SECRETS = [
    b"AUTH bob hunter2 hunter2\nPUB a b\n",
    b"auth TOKEN hunter2\r\n",
    b'{"op":"auth","user":"bob","password":"hunter2"}\n',
    b'{"op":"auth", "token" : "hunter2\\"hunter2", "id":1}\n',
    rb'{"op":"auth","user":"bob","pass\u0077ord":"hunter2"}',  # another way to write that key
    b'CONNECT {"auth_token":"hunter2","pass":"hunter2"}\r\n',
    b"GET / HTTP/1.1\r\nAuthorization: Basic hunter2\r\nCookie: s=hunter2\r\n\r\n",
    b"CONNECT\nlogin:bob\npasscode:hunter2\n\n\0",
    b"GET /?access_token=hunter2&x=1 HTTP/1.1\r\n",
    b"\x10\x1f\0\4MQTT\4\xc2\0\n\0\3bob\0\1\n\0\7hunter2\xc0\0",
    b"\x10\x9f\x80\x01\0\6MQIsdp\3\xc2\0<\0\3bob\0\3bob\0\7hunter2",
    b"\xc0\0\xf0\x14\x18\x12\x15\0\1m\x16\0\7hunter2",
]


@pytest.mark.parametrize("data", SECRETS)
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_no_piece_shows_a_secret(data, step):
    """Nor do they together; all else is shown as it is."""
    masker = Masker(stream=True)
    shown = b"".join(masker.mask(data[at : at + step]) for at in range(0, len(data), step))
    assert len(shown) == len(data)
    assert b"hunter2" not in shown
    assert all(ours in (theirs, ord("*")) for ours, theirs in zip(shown, data, strict=True))


def test_what_is_no_secret_is_shown():
    masker = Masker(stream=True)
    for data in (
        b"PUB a AUTH bob x\n",
        b'{"op":"publish","topic":"a","data":"password"}\n',
        b"$GPGGA,1*00\r\n",
        b"\0\xff",
    ):
        assert masker.mask(data) == data


@pytest.mark.parametrize("stream", [True, False])
def test_the_password_of_a_packet_that_never_ends(stream):
    """A client of MQTT may be cut off before the hub has read what it says, and frames of a WebSocket end anywhere."""
    masker = Masker(stream)
    head = b"\x10\xff\x7f\0\4MQTT\5\xc2\0<"
    assert masker.mask(head[:7]) + masker.mask(head[7:]) == head
    assert masker.mask(b"\0\0\3bob") == b"*" * 6
    assert masker.mask(b"\nhunter2") == b"*" * 8


def test_a_packet_without_a_password_is_shown():
    greeting = b"\x10\x0f\0\4MQTT\4\2\0<\0\3bob"
    assert Masker(stream=True).mask(greeting) == greeting


def test_what_is_known_to_be_one():
    assert Masker(stream=False).mask(b"\x10\x05hunter2hunter2.", [b"hunter2", b""]) == b"\x10\x05**************."


def test_units_stand_alone():
    masker = Masker(stream=False)
    assert masker.mask(b"AUTH bob ") == b"AUTH bob "
    assert masker.mask(b"hey") == b"hey"


def test_a_line_without_end_is_looked_at_in_part():
    masker = Masker(stream=True)
    for _ in range(20):
        masker.mask(b"x" * 1000)
    assert len(masker._before) <= 4096
