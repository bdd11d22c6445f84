"""Logins, sessions, tickets and permissions over HTTP, and what ends with them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from running import Daemon
from service.test_passwords import cheap
from system.test_http import detail

RULES = """
[[rule]]
who.user = "ann"
allow.publish = "plant/#"
allow.subscribe = ["plant/#"]
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "passwords").write_text(f"ann:{cheap('secret')}\nben:{cheap('secret')}\n")
    (folder / "permissions.toml").write_text(RULES)
    with Daemon(
        "--tcp", "tcp:0", "--websocket", "tcp:0", "--auth", f"hubbub:{folder / 'passwords'}",
        "--permissions", str(folder / "permissions.toml"), folder=folder,
    ) as one:  # fmt: skip
        yield one
    assert "Traceback" not in one.log


@pytest.fixture
def nobody(guarded: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=guarded.url(scheme="http"), timeout=20, trust_env=False) as one:
        yield one


ANN, BEN = ("ann", "secret"), ("ben", "secret")


def test_logins_and_permissions(nobody):
    refused = nobody.post("topics/plant/a", content=b"1")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert nobody.post("topics/plant/a", content=b"1", auth=("ann", "wrong")).status_code == 401
    assert nobody.post("topics/plant/a", content=b"1", auth=ANN).status_code == 202
    assert nobody.post("topics/plant/a", content=b"1", auth=BEN).status_code == 403  # on the same connection
    assert nobody.post("topics/plant/a", content=b"1").status_code == 401
    assert nobody.post("topics/office", content=b"1", auth=ANN).status_code == 403
    assert nobody.put("topics/plant/a", content=b"1", auth=ANN).status_code == 200
    assert nobody.get("topics/plant/a", auth=ANN).text == "1"
    assert nobody.get("topics/plant/a", auth=BEN).status_code == 403
    assert nobody.get("events?filter=plant/%23&filter=office", auth=ANN).status_code == 403
    assert nobody.get("messages?filter=plant/%23&poll=1", auth=ANN).status_code == 200
    assert nobody.post("topics/$hubbub/a", content=b"1", auth=ANN).status_code == 403


def test_a_client_that_logs_in_may_use_any_name(nobody):
    assert nobody.post("topics/plant/a", content=b"1", auth=ANN, headers={"host": "hub.lan"}).status_code == 202


def test_a_session_of_a_browser(nobody):
    assert nobody.post("session").status_code == 401
    made = nobody.post("session", auth=ANN)
    assert made.status_code == 204
    cookie = made.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert nobody.post("topics/plant/a", content=b"1").status_code == 202  # httpx keeps the cookie
    value = nobody.cookies["hubbub"]
    assert nobody.delete("session").status_code == 204
    assert nobody.post("topics/plant/a", content=b"1", headers={"cookie": f"hubbub={value}"}).status_code == 401


def test_a_ticket_is_good_once(nobody):
    ticket = nobody.post("tickets", auth=ANN).json()["ticket"]
    with nobody.stream("GET", "events", params={"filter": "plant/%23", "ticket": ticket}) as stream:
        assert stream.status_code == 200
        again = nobody.get("events", params={"filter": "plant/%23", "ticket": ticket})
        assert again.status_code == 401
        assert "log in anew" in detail(again)


# Rights that end


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "passwords").write_text(f"ann:{cheap('secret')}\n")
    (tmp_path / "permissions.toml").write_text(RULES)
    options = ("--auth", "hubbub:passwords", "--permissions", "permissions.toml")
    with Daemon("--websocket", "tcp:0", *options, folder=tmp_path) as one:
        yield one


def test_a_login_that_ends(ending, tmp_path):
    """The stream ends, and neither its session, nor a ticket, nor the kept connection is good any more."""
    with httpx.Client(base_url=ending.url(scheme="http"), timeout=20, trust_env=False) as ann:
        ticket = ann.post("tickets", auth=ANN).json()["ticket"]
        assert ann.post("topics/plant/a", content=b"1", auth=ANN).status_code == 202
        ann.post("session", auth=ANN)
        with ann.stream("GET", "events?filter=plant/%23") as stream:
            assert stream.status_code == 200
            (tmp_path / "passwords").write_text(f"ben:{cheap('secret')}\n")
            ending.process.send_signal(signal.SIGHUP)
            for _ in stream.iter_raw():
                pass
        assert ann.post("topics/plant/a", content=b"1").status_code == 401
        ann.cookies.clear()
        assert ann.post("topics/plant/a", content=b"1", auth=ANN).status_code == 401
        assert ann.get(f"events?filter=plant/%23&ticket={ticket}").status_code == 401


def test_a_permission_that_ends(ending, tmp_path):
    """The stream ends, and the client hears why when it comes back: an EventSource doesn't try again then."""
    with httpx.Client(base_url=ending.url(scheme="http"), timeout=20, trust_env=False, auth=ANN) as ann:
        with ann.stream("GET", "events?filter=plant/%23") as stream:
            assert stream.status_code == 200
            (tmp_path / "permissions.toml").write_text(RULES.replace("plant", "office"))
            ending.process.send_signal(signal.SIGHUP)
            for _ in stream.iter_raw():
                pass
        assert ann.get("events?filter=plant/%23").status_code == 403
        assert ann.get("topics/plant/a").status_code == 403
