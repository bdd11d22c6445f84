"""Who tries passwords, tokens and signatures that aren't theirs."""

from __future__ import annotations

import base64
import contextlib
import gc
import hmac
import json
import socket
import struct
import threading
import time

import jwt
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fuzz.web import UPGRADE, Visit
from hostile.oracle import LISTENERS, Probe
from hubbub.service.auth import hashes
from hubbub.testing import World
from running import Daemon, LineClient
from service.test_passwords import cheap
from service.test_tokens import forged
from system.clients import TEXT, Datagrams, frame, received, status, upgrade
from system.clients import connect as dial

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = bytes(range(32))
GUESSES = 8
WANT_LOGIN = (
    "--tcp", "tcp:0:id=want-tcp:anonymous=no",
    "--udp", "udp:0:id=want-udp:anonymous=no",
    "--websocket", "tcp:0:id=want-web:anonymous=no",
)  # fmt: skip


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A daemon that wants logins on its last listeners."""
    folder = tmp_path_factory.mktemp("logins")
    (folder / "passwords").write_text(f"ann:{cheap('right')}:key={KEY.hex()}\n")
    (folder / "secret").write_bytes(SECRET)
    open_to_all = [word if word.startswith("--") else word + ":anonymous=yes" for word in LISTENERS]
    auth = ("--auth", f"hubbub:{folder}/passwords", "--auth", f"jwt:algorithms=HS256:key={folder}/secret:leeway=1s")
    with Daemon(*open_to_all, *WANT_LOGIN, *auth) as one, contextlib.closing(Probe(one)) as probe:
        probe.check()
        yield one, probe


def token(key=SECRET, algorithm="HS256", **more):
    return jwt.encode({"sub": "ann", "exp": time.time() + 60, **more}, key, algorithm)


BAD_TOKENS = {
    "expired": lambda: token(exp=time.time() - 5),
    "forged": lambda: token(b"x" * 32),
    "alg none": lambda: forged({"alg": "none", "typ": "JWT"}, {"sub": "ann", "exp": time.time() + 60}),
    "without an end": lambda: jwt.encode({"sub": "ann"}, SECRET, "HS256"),
    "another algorithm": lambda: token(SECRET * 2, algorithm="HS512"),
}


def shake_hands(daemon, **headers):
    """The status of a WebSocket handshake on the listener that wants a login."""
    host, port = daemon.websocket[-1]
    try:
        with connect(f"ws://{host}:{port}/", additional_headers=headers, proxy=None) as client:
            client.send("PING")
            assert client.recv(10) == "PONG"
        return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def say_lines(daemon, credential):
    with LineClient(daemon.tcp[-1]) as client:
        return client.ask(f"AUTH TOKEN {credential}")


def say_json(daemon, credential):
    with LineClient(daemon.tcp[-1]) as client:
        return client.ask(json.dumps({"op": "auth", "token": credential}))


@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_a_token_that_is_not_good(daemon, bad):
    made = BAD_TOKENS[bad]()
    assert "not-authorized" in say_lines(daemon, made)
    assert "not-authorized" in say_json(daemon, made)
    assert shake_hands(daemon, Authorization=f"Bearer {made}") == 401
    assert shake_hands(daemon, Cookie=f"a=b; hubbub={made}") == 401
    good = token()
    assert say_lines(daemon, good) == "OK AUTH ann"
    assert shake_hands(daemon, Authorization=f"Bearer {good}") == 101
    assert shake_hands(daemon, Cookie=f"a=b; hubbub={good}") == 101


def test_a_link_ends_with_its_token(daemon):
    with LineClient(daemon.tcp[-1]) as client:
        assert client.ask(f"AUTH TOKEN {token(exp=time.time() + 0.5)}") == "OK AUTH ann"
        assert client.ask("SUB a") == "OK SUB a"
        assert client.line() == "ERR not-authorized the login has expired"
        assert client.line() == "BYE"
        assert client.ended()


def test_passwords_are_not_guessed(tmp_path):
    """After a few no password is looked at any more, the right one neither, by whatever way."""
    (tmp_path / "passwords").write_text(f"ann:{cheap('right')}\n")
    limits = ("--limit", "local=yes", "--limit", f"failed-logins={GUESSES}")
    auth = ("--auth", f"hubbub:{tmp_path}/passwords")
    with (
        Daemon(*auth, *limits, "--tcp", "tcp:0", "--websocket", "tcp:0") as daemon,
        LineClient(daemon.tcp[0]) as client,
    ):
        said = []
        while not said or not said[-1].startswith("ERR rate-limited"):
            said.append(client.ask("AUTH ann guess"))
            assert len(said) <= 2 * GUESSES + 1, "a minute may have ended meanwhile, two not"
        assert all(one == "ERR not-authorized wrong user or password" for one in said[:-1])
        assert client.ask("AUTH ann right").startswith("ERR rate-limited")
        assert client.ask("PING") == "PONG"
        basic = base64.b64encode(b"ann:right").decode()
        assert shake_hands(daemon, Authorization=f"Basic {basic}") == 429


def test_a_storm_of_logins(daemon):
    """Many at once, each from a connection of its own: each is answered, and nobody else waits for them."""
    clients = [LineClient(daemon.tcp[-1], 30) for _ in range(150)]
    for client in clients:
        client.send("AUTH ann wrong" + "g" * 900)
    answers = {client.line().split()[1] for client in clients}
    assert answers <= {"not-authorized", "rate-limited", "unavailable"}
    for client in clients:
        client.close()


@pytest.mark.parametrize("header", ["Basic", "Basic ", "Basic %%%", "Basic YW5u", "Bearer", "Bearer ", "Digest x=y",
                                    "Basic " + "A" * 9_000, "Basic /////w=="])  # fmt: skip
def test_a_header_that_makes_no_sense(daemon, header):
    assert shake_hands(daemon, Authorization=header) in (400, 401, 429, 431)


def test_a_header_that_makes_no_sense_is_forgotten():
    """What it was refused with keeps no request: whoever sends many would fill the memory."""

    def worlds() -> int:
        gc.collect()
        return sum(isinstance(one, World) for one in gc.get_objects())

    before = worlds()
    for _ in range(20):
        Visit(UPGRADE + b"Authorization: nonsense\r\n\r\n")
    assert worlds() <= before


def test_a_client_that_hangs_up_while_being_checked(daemon):
    reset = struct.pack("ii", 1, 0)

    def dial():
        with socket.create_connection(daemon.tcp[-1]) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            client.sendall(b"AUTH ann right\nSUB a\n")

    threads = [threading.Thread(target=dial) for _ in range(50)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_what_comes_while_a_handshake_is_being_checked(tmp_path):
    """It is no part of the handshake, which is answered later, and nobody would read it: that is said."""
    (tmp_path / "passwords").write_text(f"ann:{hashes.make(b'right')}\n")
    basic = base64.b64encode(b"ann:right").decode()
    with (
        Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", "--auth", f"hubbub:{tmp_path}/passwords") as daemon,
        LineClient(daemon.tcp[0]) as other,
        dial(daemon.websocket[0]) as client,
    ):
        client.sendall(upgrade("127.0.0.1", f"Authorization: Basic {basic}"))
        other.ask("PING")
        client.sendall(frame(TEXT, b"PUB a 1"))
        answer = b"".join(iter(lambda: received(client), b""))
        assert status(answer) == 400
        assert b"sends nothing before our answer" in answer


def signed(content, when=None, key=KEY):
    head = b"SIGN ann %d" % (when or time.time_ns() // 1000)
    mac = hmac.new(key, head + b"\n" + content, "sha256").hexdigest()[:32].encode()
    return head + b" " + mac + b"\n" + content


def test_datagrams_that_are_forged_or_come_again(daemon):
    with LineClient(daemon.tcp[0]) as watcher, contextlib.closing(Datagrams(daemon.udp[-1])) as client:
        watcher.ask("SUB signed/#")
        good = signed(b"PUB signed/a 1")
        old = time.time_ns() // 1000 - 3_600_000_000
        for bad in (good, good, good.replace(b" 1", b" 2"), signed(b"PUB signed/a 3", key=b"x"),
                    signed(b"PUB signed/a 4", old), b"PUB signed/a 5"):  # fmt: skip
            client.socket.send(bad)
        answers = [client.line() for _ in range(5)]
        assert all(answer.startswith("ERR not-authorized") for answer in answers), answers
        client.socket.send(signed(b"PUB signed/a 6"))
        assert [watcher.line(), watcher.line()] == ["MSG signed/a 1", "MSG signed/a 6"]
        assert watcher.ask("QUIT") == "BYE"  # else it would stay to listen
