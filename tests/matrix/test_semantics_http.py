"""Every cell of the table of HTTP in docs/semantics.md, with a json client at the other end."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx
import httpx_sse
import pytest

from matrix import page
from running import Daemon
from system.clients import WebSocketClient

CELLS = list(page.crossed("HTTP"))
ALL = {
    "data": {"t": 1}, "retain": True, "qos": 1, "content_type": "application/json", "reply_to": "back",
    "correlation": base64.b64encode(b"\0\xff").decode(), "properties": {"a": "b"},
}  # fmt: skip


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon("--websocket", "tcp:0") as one:
        yield one


@pytest.fixture
def web(daemon: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=daemon.url(scheme="http"), timeout=30, trust_env=False) as one:
        yield one


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WebSocketClient]:
    with WebSocketClient(daemon.websocket[0], protocol="hubbub.json") as one:
        yield one


def published(client: WebSocketClient, **members: object) -> None:
    """Have json publish."""
    assert json.loads(client.ask(json.dumps({"op": "publish", "id": 1, **members})))["op"] == "published"


def to_json(web, client, method: str = "POST", query: str = "", **request: object) -> dict:
    """What json gets of a request."""
    client.ask('{"op":"subscribe","topic":"to/a b","meta":true,"echo":false}')
    web.request(method, f"topics/to/a b{query}", **request)
    return json.loads(client.line())


def event(web, client, **members: object) -> httpx_sse.ServerSentEvent:
    with web.stream("GET", "events?filter=of/%23") as stream:
        found = httpx_sse.EventSource(stream).iter_sse()
        published(client, topic="of/a b", **members)
        return next(found)


def line(web, client, **members: object) -> dict:
    with web.stream("GET", "messages?filter=of/%23") as stream:
        published(client, topic="of/a b", **members)
        return json.loads(next(stream.iter_lines()))


def fetched(web, client, **members: object) -> httpx.Response:
    published(client, topic="got/a b", **{**members, "retain": True})
    return web.get("topics/got/a b")


def check_to_json(web, client) -> None:
    found = to_json(web, client, content=b'{"t":1}', headers={"content-type": "application/json"})
    assert (found["topic"], found["data"], found["content_type"]) == ("to/a b", {"t": 1}, "application/json")
    assert abs(found["time"] - time.time()) < 10
    assert not {"reply_to", "correlation", "properties", "qos"} & found.keys()
    assert "content_type" not in to_json(web, client, data={"t": "1"})
    assert to_json(web, client, query="?qos=2", content=b"1")["qos"] == 2
    to_json(web, client, method="PUT", content=b"kept")
    assert web.get("topics/to/a b").text == "kept"
    assert web.delete("topics/to/a b").status_code == 204
    assert json.loads(client.line())["data"] == ""


def check_fetched(web, client) -> None:
    found = fetched(web, client, **ALL)
    assert (found.content, found.headers["content-type"]) == (b'{"t":1}', "application/json")
    assert abs(parsedate_to_datetime(found.headers["last-modified"]).timestamp() - time.time()) < 10
    assert not [value for value in found.headers.values() if "back" in value or "got/" in value]
    assert fetched(web, client, base64="/wA=").content == b"\xff\0"


def check_event(web, client) -> None:
    found = event(web, client, data="x\ny")
    assert (found.event, found.data, found.id, found.retry) == ("of/a b", "x\ny", "", None)
    assert event(web, client, base64="/wA=").data == "data:application/octet-stream;base64,/wA="
    assert event(web, client, data="\r").data == "data:application/octet-stream;base64,DQ=="


def check_line(web, client) -> None:
    found = line(web, client, **ALL)
    assert abs(found.pop("time") - time.time()) < 10
    expected = {"op": "message", "topic": "of/a b", "retained": False, **ALL}
    assert found == {name: value for name, value in expected.items() if name != "retain"}
    kept = json.loads(web.get("messages?filter=of/%23&poll=1").text)
    assert kept["retained"] is True
    published(client, topic="of/a b", data="", retain=True)
    assert line(web, client, base64="/wA=")["base64"] == "/wA="


CHECKS = {
    "to json": check_to_json, "`GET /topics/`": check_fetched, "`/events`": check_event, "`/messages`": check_line,
}  # fmt: skip
TRUE = {  # the words that the checks above show
    "to json": {"same", "of the request", "of `?qos=`", "of `PUT`", "arrival", "none"},
    "`GET /topics/`": {"not sent", "same", "in whole seconds"},
    "`/events`": {"same", "or a data URL", "not sent"},
    "`/messages`": {"same", "as published", "sent", "arrival"},
}


@pytest.mark.parametrize("column", CHECKS)
def test_a_column_is_true(web, client, column):
    CHECKS[column](web, client)
    words = {word for _, name, cell in CELLS if name == column for word in cell.split(", ")}
    assert words == TRUE[column]


def test_every_word_is_explained():
    assert {word for *_, cell in CELLS for word in cell.split(", ")} <= page.explained()
