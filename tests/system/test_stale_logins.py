"""A reload ends the links of those whose login wouldn't be let in any more, and of nobody else."""

from __future__ import annotations

import contextlib
import hmac
import json
import time

import jwt
import pytest

from hubbub.service.commands.client import ask
from running import Daemon, LineClient
from service.test_passwords import cheap
from system.clients import Datagrams, WebSocketClient

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = bytes(range(32))
NO = "this login isn't good any more"


def signed(content: str) -> str:
    head = f"SIGN ann {time.time_ns() // 1000}"
    mac = hmac.new(KEY, f"{head}\n{content}".encode(), "sha256").hexdigest()[:32]
    return f"{head} {mac}\n{content}"


def reload(folder) -> str:
    return list(ask(folder / "control", {"command": "reload"}))[-1]["changed"]


@pytest.fixture
def daemon(tmp_path):
    ann, ben = f"ann:{cheap('a')}:key={KEY.hex()}\n", f"ben:{cheap('b')}\n"
    (tmp_path / "passwords").write_text(ann + ben)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "hubbub.toml").write_text(
        f'control = "{tmp_path}/control"\nauth = ["hubbub:passwords", "jwt:algorithms=HS256:key=secret"]\n'
        'tcp = ["tcp:0"]\nudp = ["udp:0"]\nwebsocket = ["tcp:0"]\n'
    )
    with Daemon("--config", str(tmp_path / "hubbub.toml")) as one, contextlib.ExitStack() as stack:
        one.stack = stack
        yield one


def come_in(daemon, user: str, password: str) -> LineClient:
    client = daemon.stack.enter_context(LineClient(daemon.tcp[0]))
    assert client.ask(f"AUTH {user} {password}") == f"OK AUTH {user}"
    return client


def test_a_user_that_is_not_in_the_file_any_more_has_to_go(daemon, tmp_path):
    lines, ben = come_in(daemon, "ann", "a"), come_in(daemon, "ben", "b")
    bearer = daemon.stack.enter_context(LineClient(daemon.tcp[0]))
    token = jwt.encode({"sub": "ann", "exp": time.time() + 60}, SECRET, "HS256")
    assert bearer.ask(f"AUTH TOKEN {token}") == "OK AUTH ann"
    as_json = daemon.stack.enter_context(LineClient(daemon.tcp[0]))
    assert '"authenticated"' in as_json.ask('{"op":"auth","user":"ann","password":"a"}')
    web = daemon.stack.enter_context(WebSocketClient(daemon.websocket[0], "Authorization: Basic YW5uOmE="))
    assert web.ask("PING") == "PONG"
    datagrams = daemon.stack.enter_context(Datagrams(daemon.udp[0]))
    assert datagrams.ask(signed("SUB a")) == "OK SUB a"
    assert reload(tmp_path) == "nothing has changed"
    assert datagrams.ask(signed("PING")) == "PONG 1"

    text = (tmp_path / "passwords").read_text()
    (tmp_path / "passwords").write_text(text[text.index("ben:") :])
    assert reload(tmp_path) == "4 links ended, as the login has changed"
    assert [lines.line(), lines.line()] == [f"ERR not-authorized {NO}", "BYE"]
    assert json.loads(as_json.line())["reason"] == NO
    assert web.line() == f"ERR not-authorized {NO}"
    assert web.line() == "BYE"
    assert web.closed() == 1008
    assert datagrams.line() == f"ERR not-authorized {NO}"
    assert lines.ended()
    assert datagrams.line() == "BYE"
    assert datagrams.ask(signed("PING")).startswith("ERR not-authorized")
    assert ben.ask("PING") == bearer.ask("PING") == "PONG"


def test_a_password_that_has_changed_is_no_login_any_more(daemon, tmp_path):
    ann, ben = come_in(daemon, "ann", "a"), come_in(daemon, "ben", "b")
    text = (tmp_path / "passwords").read_text()
    (tmp_path / "passwords").write_text(text[: text.index("ben:")] + f"ben:{cheap('c')}\n")
    assert reload(tmp_path) == "1 link ended, as the login has changed"
    assert ben.line() == f"ERR not-authorized {NO}"
    assert ann.ask("PING") == "PONG"
    assert come_in(daemon, "ben", "c").ask("PING") == "PONG"


def test_a_password_file_that_is_no_longer_used(daemon, tmp_path):
    """Who is in the one that stays has nothing to do with it."""
    config = tmp_path / "hubbub.toml"
    config.write_text(config.read_text().replace('"hubbub:passwords"', '"hubbub:passwords", "hubbub:others"'))
    (tmp_path / "others").write_text(f"cid:{cheap('c')}\n")
    assert reload(tmp_path) == "logins changed"
    ann, cid = come_in(daemon, "ann", "a"), come_in(daemon, "cid", "c")
    config.write_text(config.read_text().replace('"hubbub:passwords", ', ""))
    assert reload(tmp_path) == "logins changed, 1 link ended, as the login has changed"
    assert ann.line() == f"ERR not-authorized {NO}"
    assert cid.ask("PING") == "PONG"
