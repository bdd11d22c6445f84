"""One user, and what others do in the same name, from the same address, or with the same bytes."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import time

import pytest

from running import Daemon, LineClient
from service.test_passwords import cheap
from system.clients import Datagrams, WebSocketClient

KEY = bytes(range(32))
OPTIONS = (
    "--auth", "hubbub:passwords", "--tcp", "tcp:0:id=tcp", "--websocket", "tcp:0:id=web",
    "--udp", "udp:0:id=rated:anonymous=yes:rate=1/min:over=drop",
    "--udp", "udp:0:id=changes:anonymous=yes:changed=yes",
)  # fmt: skip


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    nul, long = cheap("x\0y"), cheap("y")
    (folder / "passwords").write_text(f"ann:{cheap('a')}:key={KEY.hex()}\nnul:{nul}\nlong:{long}\n")
    with Daemon(*OPTIONS, folder=folder) as one:
        yield one


@pytest.fixture
def watcher(hub):
    with LineClient(hub.tcp[0]) as one:
        assert one.ask("AUTH ann a") == "OK AUTH ann"
        yield one


def signed(command):
    head = f"SIGN ann {time.time_ns() // 1000}"
    mac = hmac.new(KEY, f"{head}\n{command}".encode(), "sha256").hexdigest()[:32]
    return f"{head} {mac}\n{command}"


def test_unsigned_datagrams_spend_no_rate_of_a_client_that_signs(hub, watcher):
    assert watcher.ask("SUB rate/#") == "OK SUB rate/#"
    with contextlib.closing(Datagrams(hub.udp[0])) as address:
        address.send("PUB rate/stranger 1")
        address.send(signed("PUB rate/ann 1"))
        assert watcher.line() == "MSG rate/stranger 1"
        assert watcher.line() == "MSG rate/ann 1"
        assert "rate-limited" in address.ask(signed("PUB rate/ann 2"))


def test_unsigned_datagrams_leave_nothing_unchanged_for_a_client_that_signs(hub, watcher):
    assert watcher.ask("SUB level") == "OK SUB level"
    with contextlib.closing(Datagrams(hub.udp[1])) as address:
        for datagram in (signed("PUB level 7"), "PUB level 8", signed("PUB level 8")):
            address.send(datagram)
        assert [watcher.line() for _ in range(3)] == ["MSG level 7", "MSG level 8", "MSG level 8"]


def log_in(hub, user, password):
    with LineClient(hub.tcp[0]) as client:
        return json.loads(client.ask(json.dumps({"op": "auth", "user": user, "password": password})))["op"]


@pytest.mark.parametrize(
    ("user", "password"),
    [("nul\0x", "y"), ("nul\0", "x\0y"), ("nul", "x"), ("nobody\0", "y"), ("", "nul\0x\0y"), ("nul\ud800", "x\0y")],
)
def test_a_password_with_nul_is_that_of_one_user(hub, user, password):
    assert log_in(hub, "nul", "x\0y") == "authenticated"
    assert log_in(hub, user, password) == "error"


def test_nor_is_it_by_a_header(hub):
    assert log_in(hub, "nul", "x\0y") == "authenticated"
    basic = base64.b64encode(b"nul\0x:y").decode()
    with pytest.raises(AssertionError, match="401"):
        WebSocketClient(hub.websocket[0], f"Authorization: Basic {basic}")
