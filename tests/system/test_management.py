"""The hub managed by requests on `$hubbub/`: over HTTP at /api/v1/, and over every other transport."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from running import Daemon, LineClient
from service.test_passwords import cheap

RULES = """
[[rule]]
who = "everyone"
allow.publish = "#"
allow.subscribe = "#"

[[rule]]
who.user = "ann"
allow.manage = "$hubbub/#"

[[rule]]
who.user = "ben"
allow.manage = "$hubbub/status"
"""
ANN, BEN = ("ann", "a"), ("ben", "b")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("managed")
    (folder / "passwords").write_text(f"ann:{cheap('a')}\nben:{cheap('b')}\n")
    (folder / "permissions.toml").write_text(RULES)
    options = ("--auth", "hubbub:passwords", "--permissions", "permissions.toml")
    with Daemon("--tcp", "tcp:0:id=plain", "--websocket", "tcp:0:id=web", *options, folder=folder) as one:
        yield one
    assert "Traceback" not in one.log


@pytest.fixture
def web(daemon: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=daemon.url(scheme="http"), timeout=20, trust_env=False) as one:
        yield one


def ask(web: httpx.Client, name: str, **query: object) -> dict:
    answer = web.get(f"api/v1/{name}", params=query, auth=ANN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_what_can_be_read(web):
    assert {"version", "uptime", "links", "topics", "counters"} <= ask(web, "status").keys()
    assert [one["id"] for one in ask(web, "listeners")["listeners"]] == ["plain", "web"]
    assert ask(web, "connectors") == {"connectors": []}


def test_links_by_pages(daemon, web):
    clients = [LineClient(daemon.tcp[0]) for _ in range(25)]
    for client in clients:
        assert client.ask("AUTH ben b").startswith("OK")
    seen, after = [], 0
    while after is not None:
        page = ask(web, "links", after=after, limit=10, listener="plain")
        assert len(page["links"]) <= 10
        seen += page["links"]
        after = page["next"]
    assert len(seen) == len({one["link"] for one in seen}) == 25
    assert {one["user"] for one in seen} == {"ben"}
    for client in clients:
        client.close()


def test_kick_and_reload(daemon, web):
    with LineClient(daemon.tcp[0]) as client:
        assert client.ask("AUTH ben b").startswith("OK")
        (link,) = [one for one in ask(web, "links", listener="plain", limit=1000)["links"] if one["user"] == "ben"][-1:]
        kicked = web.post("api/v1/kick", json={"link": link["link"]}, auth=ANN)
        assert kicked.json() == {"kicked": 1}
        assert client.line()
        assert client.ended()
    assert web.post("api/v1/kick", json={}, auth=ANN).status_code == 400
    assert "changed" in web.post("api/v1/reload", auth=ANN).json()


def test_who_may(web):
    assert web.get("api/v1/status").status_code == 401
    assert web.get("api/v1/status", auth=BEN).status_code == 200
    assert web.get("api/v1/links", auth=BEN).status_code == 403
    assert web.post("api/v1/kick", json={"user": "ann"}, auth=BEN).status_code == 403
    assert web.post("topics/$hubbub/status", content=b"x", auth=ANN).status_code == 403


def test_a_get_changes_nothing(web):
    for name in ("kick", "reload"):
        refused = web.get(f"api/v1/{name}", params={"user": "ben"}, auth=ANN)
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("name", "query", "status"), [
        ("nothing", {}, 404), ("links", {"after": "x"}, 400), ("links", {"limit": -1}, 400),
        ("links", {"listener": "nowhere"}, 400), ("links", {"host": "nowhere"}, 400), ("a/+", {}, 400),
    ],
)  # fmt: skip
def test_mistakes(web, name, query, status):
    assert web.get(f"api/v1/{name}", params=query, auth=ANN).status_code == status


def test_over_another_transport(daemon):
    with LineClient(daemon.tcp[0]) as ann:
        assert ann.ask("AUTH ann a").startswith("OK")
        said = ann.ask("REQ $hubbub/status {}")
        assert "version" in json.loads(said.removeprefix("REP "))
        assert ann.ask("REQ $hubbub/status [").startswith("ERR bad-payload")


def test_without_permissions_nobody_manages(tmp_path: Path):
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as one, LineClient(one.tcp[0]) as client:
        assert client.ask("REQ $hubbub/status {}").startswith("ERR not-authorized")
        assert httpx.get(one.url(scheme="http") + "api/v1/status", trust_env=False).status_code == 401
