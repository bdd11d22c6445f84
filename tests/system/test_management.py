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
    mistakes = ({}, {"listener": "plain", "usr": "ben"}, {"link": "1"}, {"link": True}, {"link": -1}, {"user": None})
    for mistaken in mistakes:
        refused = web.post("api/v1/kick", json=mistaken, auth=ANN)
        assert (refused.status_code, refused.json()["code"]) == (400, "bad-payload")
    assert web.post("api/v1/kick", json={"link": 0.0}, auth=ANN).json() == {"kicked": 0}
    assert "changed" in web.post("api/v1/reload", auth=ANN).json()


def test_permissions(web):
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
        ("nothing", {}, 404), ("topics", {"below": "a/#"}, 400), ("subscriptions", {"after": "x.1"}, 400),
        ("links", {"after": "x"}, 400), ("links", {"limit": -1}, 400),
        ("links", {"listener": "nowhere"}, 404), ("links", {"host": "nowhere"}, 400), ("a/+", {}, 400),
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


def pages(web: httpx.Client, name: str, **query: object) -> list[dict]:
    """All rows of a list, read by pages of three."""
    rows, query = [], {"limit": 3, **query}
    while query.get("after", 0) is not None:
        page = ask(web, name, **query)
        assert len(page[name]) <= 3
        rows += page[name]
        query["after"] = page["next"]
    return rows


def test_topics_as_a_tree(web):
    assert web.put("topics/tree/kept", content=b"before", auth=ANN).status_code == 200
    pages(web, "topics")  # the first look
    for n in range(10):
        for _ in range(n + 1):
            web.post(f"topics/tree/{n}/temp", content=b"21.5", auth=ANN)
    web.post("topics/tree/0/bytes", content=b"\xff" * 1000, auth=ANN)
    (root,) = [row for row in pages(web, "topics") if row["level"] == "tree"]
    assert (root["children"], root["messages"]) == (11, 56)
    rows = {row["level"]: row for row in pages(web, "topics", below="tree")}
    assert rows["kept"]["data"] == "before"
    assert rows["kept"]["retained"] is True
    assert [rows[str(n)]["messages"] for n in range(1, 10)] == list(range(2, 11))
    bits = {row["topic"]: row for row in pages(web, "topics", below="tree/0")}
    assert bits["tree/0/temp"]["data"] == "21.5"
    assert (bits["tree/0/bytes"]["size"], len(bits["tree/0/bytes"]["base64"])) == (1000, 344)
    assert {row["topic"] for row in pages(web, "topics", search="/temp")} == {f"tree/{n}/temp" for n in range(10)}
    assert [row["topic"] for row in pages(web, "topics", search="/temp", below="tree/3")] == ["tree/3/temp"]
    web.post("topics//slash/first", content=b"1", auth=ANN)
    assert [row["topic"] for row in pages(web, "topics", below="")] == ["/slash"]
    assert [row["topic"] for row in pages(web, "topics", below="/slash")] == ["/slash/first"]
    for wrong in ({"below": "a/#"}, {"below": "a/#", "search": "temp"}, {"limit": 2**53 + 1}):
        assert web.get("api/v1/topics", params=wrong, auth=ANN).status_code == 400
    assert pages(web, "topics", below="nothing/here") == []


def test_retained_as_a_tree(web):
    for n in range(10):
        web.put(f"topics/kept/{n}/a", content=b"%d" % n, auth=ANN)
    web.put("topics/kept/3", content=b"three", auth=ANN)
    web.delete("topics/kept/4/a", auth=ANN)
    rows = pages(web, "retained", below="kept")
    assert [row["level"] for row in rows] == [str(n) for n in range(10) if n != 4]
    assert [(row["data"], row["children"]) for row in rows if "data" in row] == [("three", 1)]
    web.put("topics//kept", content=b"slash", auth=ANN)
    assert [row["data"] for row in pages(web, "retained", below="")] == ["slash"]
    (leaf,) = pages(web, "retained", below="kept/3")
    assert (leaf["topic"], leaf["data"], leaf["size"]) == ("kept/3/a", "3", 1)


def test_subscriptions_by_pages(daemon, web):
    with LineClient(daemon.tcp[0]) as one, LineClient(daemon.tcp[0]) as other:
        for client, count in ((one, 7), (other, 2)):
            assert client.ask("AUTH ben b").startswith("OK")
            for n in range(count):
                assert client.ask(f"SUB some/{n}/#").startswith("OK")
        rows = pages(web, "subscriptions")
        assert [row["filter"] for row in rows] == [f"some/{n}/#" for n in (*range(7), 0, 1)]
        link = rows[0]["link"]
        assert pages(web, "subscriptions", link=link) == rows[:7]


def test_handlers_with_their_errors(tmp_path: Path):
    (tmp_path / "fails.py").write_text(
        "from hubbub import Handler, on\n\n\nclass Fails(Handler):\n"
        "    @on('fail')\n    def fail(self, message):\n        raise ValueError('no such thing')\n"
    )
    (tmp_path / "broken.py").write_text("nonsense\n")
    options = ("--plugin-dir", str(tmp_path), "--handler", "fails")
    with Daemon("--websocket", "tcp:0", *options) as one, httpx.Client(trust_env=False) as web:
        at = one.url(scheme="http")
        assert web.post(at + "topics/fail", content=b"x").json() == {"receivers": 1}
        found = web.get(at + "api/v1/plugins").json()
        assert found["handlers"] == [
            {"id": "fails", "name": "fails", "dropped": 0, "failed": 1, "error": "ValueError: no such thing"}
        ]
        assert found["broken"][0]["plugins"] == ["broken"]
        assert "NameError" in found["broken"][0]["error"]


def test_what_a_client_may_not_receive_is_left_out(tmp_path: Path):
    (tmp_path / "permissions.toml").write_text(
        '[[rule]]\nwho = "everyone"\nallow.publish = "#"\nallow.manage = "$hubbub/#"\n'
        'allow.subscribe = ["a/+/open", "b/#"]\n'
    )
    options = ("--permissions", str(tmp_path / "permissions.toml"))
    with Daemon("--websocket", "tcp:0", *options) as one, httpx.Client(base_url=one.url(scheme="http")) as web:
        for name in ("topics", "retained"):
            web.get(f"api/v1/{name}")
            for topic in ("a/1/open", "a/1/shut", "b/x", "c/x"):
                web.put(f"topics/{topic}", content=b"v")
            rows = web.get(f"api/v1/{name}").json()[name]
            assert [row["level"] for row in rows] == ["a", "b"]
            assert "messages" not in rows[0]
            rows = web.get(f"api/v1/{name}", params={"below": "a/1"}).json()[name]
            assert [(row["level"], row["data"]) for row in rows] == [("open", "v")]


def test_without_permissions_none_may_change_anything():
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as one, LineClient(one.tcp[0]) as client:
        assert client.ask('REQ $hubbub/kick {"link": 1}').startswith("ERR not-authorized")
        assert client.ask("REQ $hubbub/status {}").startswith("REP {")
        assert httpx.post(one.url(scheme="http") + "api/v1/reload", trust_env=False).status_code == 401


def test_with_logins_and_without_permissions_clients_read_topics_alone(tmp_path: Path):
    (tmp_path / "passwords").write_text(f"ann:{cheap('a')}\n")
    with Daemon("--websocket", "tcp:0", "--auth", f"hubbub:{tmp_path / 'passwords'}") as one:
        for name, status in (("topics", 200), ("retained", 200), ("links", 403), ("status", 403)):
            answer = httpx.get(one.url(scheme="http") + f"api/v1/{name}", auth=ANN, trust_env=False)
            assert answer.status_code == status
