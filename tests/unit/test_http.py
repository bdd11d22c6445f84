"""The dialect of HTTP: requests to events, results to responses, messages to units of a stream."""

from __future__ import annotations

import json

import pytest

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.dialects import http_text
from hubbub.dialects.http import Http
from hubbub.errors import KeyReused, NotKept, Refusal
from hubbub.events import Answer, Close, Fetch, PublishOnce, Subscribe, SubscriptionBatch
from hubbub.http import HttpRequest
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish, Request


def made(user=None):
    return Http(DialectContext("websocket"), Session("192.0.2.7", 1, "websocket", "web", user))


def ask(method, path, body=b"", *, dialect=None, query=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest.made(method, path.encode(), query, named, body)
    return (dialect or made()).receive(request, 100.0)


def problem(events):
    (answer,) = events
    assert type(answer) is Answer
    assert ("Content-Type", "application/problem+json") in answer.data.headers
    said = json.loads(answer.data)
    assert said["status"] == answer.data.status
    return answer.data.status, said["detail"]


def test_publish():
    (event,) = ask("POST", "/topics/a/b%20c", b"hi", content_type="text/plain")
    assert (type(event), event.topic, event.payload, event.retain) == (Publish, "a/b c", b"hi", False)
    assert event.content_type == "text/plain"


def test_what_curl_says_of_any_data_is_no_content_type():
    (event,) = ask("POST", "/topics/a", b"hi", content_type="application/x-www-form-urlencoded")
    assert event.content_type is None


@pytest.mark.parametrize(("said", "key"), [("k", "k"), ('"k"', "k"), (r'"a\"b\\"', 'a"b\\'), ('"', '"'), ("", "")])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_an_idempotency_key(method, said, key):
    (event,) = ask(method, "/topics/a", b"1", idempotency_key=said)
    assert (type(event), event.key, event.message.topic) == (PublishOnce, key, "a")
    assert type(event.tag) is HttpRequest


def test_a_request_for_a_reply_takes_no_idempotency_key():
    status, detail = problem(ask("POST", "/requests/a", b"1", idempotency_key="k"))
    assert (status, detail) == (400, "Idempotency-Key is for /topics/; a request that comes again is sent again")


def test_retain_clear_and_quality():
    (kept,) = ask("PUT", "/topics/a", b"1")
    (cleared,) = ask("DELETE", "/topics/a")
    (certain,) = ask("POST", "/topics//a", b"1", query={"qos": ["1"]})
    assert (kept.retain, kept.payload) == (True, b"1")
    assert (cleared.retain, cleared.payload) == (True, b"")
    assert (type(certain), certain.qos, certain.topic) == (QosPublish, 1, "/a")


@pytest.mark.parametrize(
    ("method", "path", "query", "status"), [
        ("POST", "/topics/", {}, 400),
        ("POST", "/topics/a/+", {}, 400),
        ("POST", "/topics/a%00", {}, 400),
        ("POST", "/topics/a%ff", {}, 400),
        ("POST", "/topics/a%", {}, 400),
        ("POST", "/topics/a", {"qos": ["3"]}, 400),
        ("POST", "/topics/a", {"qos": ["0.5"]}, 400),
        ("POST", "/requests/a", {"timeout": ["nan"]}, 400),
        ("POST", "/requests/a", {"timeout": ["1e9"]}, 400),
        ("GET", "/events", {}, 400),
        ("GET", "/events", {"filter": ["a/#/b"]}, 400),
        ("GET", "/events", {"filter": ["\udcff"]}, 400),
        ("GET", "/events", {"filter": ["a"], "format": ["xml"]}, 400),
        ("GET", "/messages", {"filter": ["a"], "poll": ["yes"]}, 400),
        ("PATCH", "/topics/a", {}, 405),
        ("POST", "/events", {"filter": ["a"]}, 405),
        ("HEAD", "/events", {"filter": ["a/#/b"]}, 400),
        ("HEAD", "/api/v1/reload", {}, 405),
        ("GET", "/requests/a", {}, 405),
        ("GET", "/eventsx", {}, 404),
    ],
)  # fmt: skip
def test_mistakes(method, path, query, status):
    assert problem(ask(method, path, query=query))[0] == status


def test_a_content_type_may_be_too_long():
    assert problem(ask("POST", "/topics/a", content_type="x" * 257))[0] == 413


@pytest.mark.parametrize(
    ("result", "method", "status"), [
        (2, "POST", 200), (0, "POST", 202), (0, "PUT", 200), (0, "DELETE", 204),
        (Refusal("rate-limited", "x"), "POST", 429), (Refusal("quota", "x"), "PUT", 429),
        (Refusal("not-authorized", "x"), "POST", 401), (Refusal("unavailable", "x"), "POST", 503),
        (NotKept("x"), "POST", 507), (KeyReused(), "POST", 422),
    ],
)  # fmt: skip
def test_outcomes_of_a_publish(result, method, status):
    dialect = made()
    (event,) = ask(method, "/topics/a", b"1", dialect=dialect)
    response = dialect.outcome(event, result)
    assert response.status == status
    assert bool(response)
    if isinstance(result, int) and method != "DELETE":
        assert json.loads(response) == {"receivers": result}


def test_a_login_helps_only_a_client_that_has_none():
    for user, status in ((None, 401), ("ann", 403)):
        dialect = made(user)
        (event,) = ask("POST", "/topics/a", b"1", dialect=dialect)
        assert dialect.outcome(event, Refusal("not-authorized", "no")).status == status


def fetched(message, method="GET", **headers):
    dialect = made()
    (event,) = ask(method, "/topics/a", dialect=dialect, **headers)
    assert type(event) is Fetch
    return dialect.outcome(event, message)


def kept(payload, content_type=None):
    message = Message("a", payload, content_type=content_type)
    message.time = 1.7e9
    return message


def test_a_retained_message():
    response = fetched(kept(b'{"t":1}', "application/json"))
    headers = dict(response.headers)
    assert (response.status, bytes(response)) == (200, b'{"t":1}')
    assert headers["Content-Type"] == "application/json"
    assert headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert headers["Content-Security-Policy"].startswith("sandbox")  # a page that anybody may publish runs nothing
    for condition in (headers["ETag"], f'"x", W/{headers["ETag"]}', "*"):
        again = fetched(kept(b'{"t":1}', "application/json"), if_none_match=condition)
        assert (again.status, bytes(again)) == (304, b"")
    assert fetched(kept(b"other"), if_none_match=headers["ETag"]).status == 200
    assert fetched(kept(b'{"t":1}', "text/plain"), if_none_match=headers["ETag"]).status == 200
    assert fetched(None).status == 404
    assert fetched(kept(b"x"), "HEAD").silent


@pytest.mark.parametrize(
    ("payload", "said", "shown"), [
        (b"x", None, "text/plain; charset=utf-8"), (b"\xff", None, "application/octet-stream"),
        (b"x", "text/html\r\nSet-Cookie: a=b", "text/plain; charset=utf-8"),
        (b"x", "täxt", "text/plain; charset=utf-8"),
        (b"x", "", "text/plain; charset=utf-8"), (b"x", "text/csv", "text/csv"),
    ],
)  # fmt: skip
def test_a_content_type_that_no_header_can_carry(payload, said, shown):
    assert dict(fetched(kept(payload, said)).headers)["Content-Type"] == shown


def test_a_request_and_its_reply():
    dialect = made()
    (event,) = ask("POST", "/requests/a", b"?", dialect=dialect, query={"timeout": ["5"]})
    assert (type(event), event.timeout, event.blocking) == (Request, 5.0, False)
    assert dialect.encode_close("shutdown").status == 503
    (event,) = ask("POST", "/requests/a", b"?", dialect=dialect)
    assert event.timeout == limits.REQUEST_SECONDS
    assert bytes(dialect.outcome(event, Message("$reply/x", b"!"))) == b"!"
    assert dialect.encode_close("shutdown") == b""
    assert dialect.outcome(event, Refusal("timeout", "x")).status == 504
    assert dialect.outcome(event, Refusal("no-responders", "x")).status == 404


# Streams


def stream(path, **query):
    dialect = made()
    events = ask("GET", path, dialect=dialect, query={name: [value] for name, value in query.items()})
    assert dialect.deadline == 100.0 + limits.COMMENT_SECONDS
    batch = events[0]
    assert type(batch) is SubscriptionBatch
    assert batch.all_or_none
    begun = dialect.outcome(batch, [None] * len(batch.events))
    assert begun.stream
    return dialect, batch.events[0], begun, events[1:]


def test_events():
    dialect, wish, begun, _ = stream("/events", filter="a/#")
    assert (wish.filter, begun.status) == ("a/#", 200)
    assert ("X-Accel-Buffering", "no") in begun.headers
    encode = lambda topic, payload: dialect.encode(Message(topic, payload), dialect.form(wish))  # noqa: E731
    assert encode("a/b c", b"hi\nthere\n") == b"event: a/b c\ndata: hi\ndata: there\ndata: \n\n"
    assert encode("a\r\n%", b"") == b"event: a%0D%0A%25\ndata: \n\n"
    assert encode("a", b"\xff") == b"event: a\ndata: data:application/octet-stream;base64,/w==\n\n"
    assert encode("a", b"1\r\n2") == b"event: a\ndata: data:application/octet-stream;base64,MQ0KMg==\n\n"
    assert dialect.gap(3) == b"event: $hubbub/gap\ndata: 3\n\n"
    assert [one.data for one in dialect.timeout(104.0)] == [b":\n"]
    assert dialect.deadline == 104.0 + limits.COMMENT_SECONDS


def test_events_as_json():
    dialect, wish, _, _ = stream("/events", filter="a", format="json")
    unit = dialect.encode(Message("a", b"\xff"), dialect.form(wish))
    assert unit.startswith(b"data: {")
    assert unit.endswith(b"}\n\n")
    assert json.loads(unit[5:])["base64"] == "/w=="


def test_messages_and_a_poll():
    dialect, wish, begun, more = stream("/messages", filter="a", poll="1")
    assert [type(one) for one in more] == [Close]
    assert dict(begun.headers)["Content-Type"] == "application/x-ndjson"
    line = dialect.encode(Message("a", b"hi"), dialect.form(wish))
    assert line.endswith(b"}\n")
    assert json.loads(line)["data"] == "hi"
    assert json.loads(dialect.gap(2)) == {"op": "gap", "count": 2}
    assert [one.data for one in dialect.timeout(104.0)] == [b"\n"]


def test_one_refused_filter_refuses_the_stream():
    dialect = made("ann")
    (batch,) = ask("GET", "/events", dialect=dialect, query={"filter": ["a", "b"]})
    refused = dialect.outcome(batch, [None, Refusal("not-authorized", "b isn't for you")])
    assert (refused.status, refused.stream) == (403, False)
    assert dialect.deadline is None


def test_only_a_stream_takes_messages():
    dialect = made()
    assert dialect.encode(Message("a", b"x"), dialect.form(Subscribe("a"))) is None


def test_a_tag_is_one_of_several():
    etag = '"abc"'
    assert http_text.matches('W/"abc"', etag)
    assert not http_text.matches('"ab", "bc"', etag)
