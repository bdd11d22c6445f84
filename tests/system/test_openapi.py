"""What /api/openapi.json describes is there, and answers as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from hubbub.dialects.http_openapi import document
from running import Daemon

OPERATIONS = [(path, method) for path, found in document()["paths"].items() for method in found]
BAD = {
    "filter": "a/#/b",
    "qos": "x",
    "timeout": "x",
    "after": "x",
    "format": "x",
    "poll": "x",
    "link": "x",
    "below": "a/#",
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon("--websocket", "tcp:0") as one:
        yield one
    assert "Traceback" not in one.log


@pytest.fixture
def web(daemon: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=daemon.url(scheme="http"), timeout=30, trust_env=False) as one:
        yield one


def test_it_is_there(web):
    assert web.get("api/openapi.json").json() == document()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_each_operation_answers_as_described(web, path, method):
    described = document()["paths"][path][method]
    names = [one["name"] for one in described["parameters"] if one["in"] == "query"]
    good = {name: value for name, value in {"filter": "a", "poll": "1", "timeout": "0.1"}.items() if name in names}
    bad = {name: BAD[name] for name in names if name in BAD}
    for query in (good, *({**good, name: value} for name, value in bad.items())):
        with web.stream(method, path.replace("{topic}", "a/b").lstrip("/"), params=query) as answer:
            assert str(answer.status_code) in described["responses"], (query, answer.status_code)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
            else:
                content = described["responses"][str(answer.status_code)].get("content", {})
                assert "*/*" in content or answer.headers.get("content-type") in (None, *content)


def test_a_page_beyond_all_others_is_refused(web):
    for path in ("topics", "links", "retained", "subscriptions"):
        answer = web.get(f"api/v1/{path}", params={"after": str(2**63 - 2)})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-payload")
        last = "9" * 16 if path == "subscriptions" else str(2**53)
        assert web.get(f"api/v1/{path}", params={"after": last}).status_code == 200


@pytest.mark.parametrize("path", document()["paths"])
def test_no_method_is_left_out(web, path):
    """What the Allow header names is described, but HEAD, which is as GET."""
    refused = web.request("PATCH", path.replace("{topic}", "a/b").lstrip("/"))
    if refused.status_code == 405 and not path.startswith("/api/"):
        allowed = set(re.split(", ", refused.headers["allow"].lower())) - {"head"}
        assert allowed <= set(document()["paths"][path])
