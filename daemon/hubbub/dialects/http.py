"""http: what requests over HTTP mean. docs/http.md describes them for users.

    POST /topics/TOPIC        publish the body; ?qos=1             200 {"receivers": 2}, 202 with 0
    PUT /topics/TOPIC         the same, and retain it              200 {"receivers": 2}
    GET /topics/TOPIC         read the retained message            200, 304, 404
    DELETE /topics/TOPIC      clear it                             204
    POST /requests/TOPIC      wait for a reply; ?timeout=5         200, 404 no subscriber, 504 no reply in time
    GET /events?filter=F      server-sent events; &format=json
    GET /messages?filter=F    JSON lines; &poll=1
                              both &after=POSITION, or Last-Event-ID; &since=1h; &last=10
    GET /api/openapi.json     all of this for programs
    GET /api/v1/NAME          a request on $hubbub/NAME, with the query as a JSON object; POST with the body

HEAD is a GET whose answer has no body. With the header Idempotency-Key a message is published once, however often the
request comes.
TOPIC is written with %XX where a URL needs it. Requests of one connection and user go to one link, one at a time.
A unit is an HttpRequest, and the answer an HttpResponse; a stream's further units are messages and comments.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects import http_text
from hubbub.dialects.http_openapi import document
from hubbub.errors import BadTopic, Refusal
from hubbub.events import (
    Answer,
    Close,
    Event,
    Fetch,
    PublishOnce,
    Subscribe,
    SubscriptionBatch,
)
from hubbub.history_request import HistoryRequest, read_history
from hubbub.http import API, EVENTS, JSON, MESSAGES, OPENAPI, REQUESTS, TOPICS, HttpRequest, HttpResponse
from hubbub.message import Message, Sender
from hubbub.publish import Publish, QosPublish, Request
from hubbub.topics import check_filter, check_topic, read_name

_METHODS = {
    TOPICS: "GET, HEAD, POST, PUT, DELETE",
    REQUESTS: "POST",
    API: "GET, HEAD, POST",
    OPENAPI: "GET, HEAD",
    EVENTS: "GET, HEAD",
    MESSAGES: "GET, HEAD",
}
_ACTIONS = ("kick", "reload")  # of the hub itself; all else only reads
_FORM = "application/x-www-form-urlencoded"  # what curl -d says of any data
_OF_STRANGERS = (("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "sandbox; default-src 'none'"))
_STREAM = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"), ("X-Content-Type-Options", "nosniff"))


def _place_of(path: bytes) -> bytes | None:
    for place in (TOPICS, REQUESTS, API):
        if path.startswith(place):
            return place
    return path if path in _METHODS else None


class Http(Dialect):
    """Requests over HTTP: publish, read and request; streams of messages."""

    transports = ("websocket",)
    visits = True

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._open: HttpRequest | None = None  # is yet to be answered
        self._form = ""  # of the stream that the link has become
        self._replays = 0  # of a poll, that are yet to end

    # What comes in

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Turn a request into events."""
        assert isinstance(data, HttpRequest)
        self._open = data
        if data.plan is not None:
            return [_publish(data, *data.plan)]
        place = _place_of(data.path)
        if place is None:
            return [Answer(self._answered(data.problem(404, "there is nothing at this path; see docs/http.md")))]
        if data.method not in _METHODS[place].split(", "):
            allow = _METHODS[place]
            problem = data.problem(405, f"the methods of this path are {allow}", headers=(("Allow", allow),))
            return [Answer(self._answered(problem))]
        if place == OPENAPI:
            body = json.dumps(document()).encode()
            return [Answer(self._answered(data.respond(200, body, JSON)))]
        try:
            if place == API:
                return [self._manage(data)]
            if place in (EVENTS, MESSAGES):
                return self._stream(data, now)
            return [self._exchange(data, check_topic(read_name(data.path[len(place) :], BadTopic)))]
        except Refusal as refusal:
            return [Answer(self._refused(data, refusal))]

    def _manage(self, request: HttpRequest) -> Event | Message:
        """Make the request to the hub itself. A GET changes nothing, since a page of any origin can send one."""
        name = check_topic(read_name(request.path[len(API) :], BadTopic))
        methods = ("POST",) if name in _ACTIONS else ("GET", "HEAD")
        if request.method not in methods:
            allow = ", ".join(methods)
            problem = request.problem(405, f"the methods of this path are {allow}", headers=(("Allow", allow),))
            return Answer(self._answered(problem))
        asked = {key: values[-1] for key, values in request.query.items()}
        body = bytes(request) if request.method == "POST" else json.dumps(asked).encode()
        return Request(f"$hubbub/{name}", body, limits.REQUEST_SECONDS_MAX, blocking=False, tag=request)

    def _exchange(self, request: HttpRequest, topic: str) -> Event | Message:
        body, key = bytes(request), _idempotency_key(request)
        if request.path.startswith(REQUESTS):
            if key is not None:
                raise Refusal(
                    "bad-command", "Idempotency-Key is for /topics/; a request that comes again is sent again"
                )
            seconds = _number(request, "timeout", limits.REQUEST_SECONDS, limits.REQUEST_SECONDS_MAX)
            return Request(topic, body, seconds, blocking=False, content_type=_content_type(request), tag=request)
        if request.method in ("GET", "HEAD"):
            return Fetch(topic, request)
        retain = request.method != "POST"
        if request.method == "DELETE":
            return _publish(request, topic, 0, retain, None, key)
        qos = int(_number(request, "qos", 0, 2))
        request.plan = topic, qos, retain, _content_type(request), key
        return _publish(request, *request.plan)

    def _stream(self, request: HttpRequest, now: float) -> list[Event | Message]:
        filters = request.query.get("filter", ())
        if not filters:
            raise Refusal("bad-filter", "name a filter, as in ?filter=plant/%23; filter= may be repeated")
        form = http_text.LINES
        if request.path == EVENTS:
            form = http_text.JSON_EVENTS if _one_of(request, "format", ("text", "json")) == "json" else http_text.EVENTS
        poll = request.path == MESSAGES and _one_of(request, "poll", ("0", "1")) == "1"
        history = _history(request)
        names = dict.fromkeys(filters)
        if request.method == "HEAD":  # its answer ends before the first message
            looks = [Subscribe(check_filter(filter), retained="never") for filter in names]
            return [SubscriptionBatch(looks, request, all_or_none=True), Close("")]
        wishes = [Subscribe(check_filter(filter), options=form, history=history) for filter in names]
        self._form = form
        self.deadline = now + limits.COMMENT_SECONDS
        events: list[Event | Message] = [SubscriptionBatch(wishes, request, all_or_none=True)]
        if poll and history is not None:
            self._replays = len(wishes)
            return events
        return [*events, Close("")] if poll else events

    def timeout(self, now: float) -> list[Event | Message]:
        """Show a stream's client, and the proxies before it, that the stream is there.

        Without an empty line, which httpx-sse and sseclient take for the end of an event.
        """
        self.deadline = now + limits.COMMENT_SECONDS
        return [Answer(b"\n" if self._form == http_text.LINES else b":\n")]

    # What goes out

    def outcome(self, event: Event | Message, result: Any) -> bytes:
        request = getattr(event, "tag", None)
        if not isinstance(request, HttpRequest):  # the link's own, of no request
            return b""
        if isinstance(event, SubscriptionBatch):
            refusal = next((one for one in result if isinstance(one, Refusal)), None)
            if refusal is not None:
                return self._refused(request, refusal)
            return self._begun(request, event.events)
        if isinstance(result, Refusal):
            return self._refused(request, result)
        if isinstance(event, Fetch | Request):
            return self._answered(self._message(request, result))
        if request.method == "DELETE":
            return self._answered(request.respond(204))
        body = b'{"receivers": %d}\n' % result
        if isinstance(event, Message) and event.position:
            body = json.dumps({"receivers": result, "position": event.position}).encode() + b"\n"
        return self._answered(request.respond(200 if result or request.method == "PUT" else 202, body, JSON))

    def _answered(self, response: HttpResponse) -> HttpResponse:
        self._open = None
        return response

    def _refused(self, request: HttpRequest, refusal: Refusal) -> HttpResponse:
        self.deadline = None
        self._form = ""
        return self._answered(request.refuse(refusal, self.peer.user))

    def _begun(self, request: HttpRequest, wishes: Sequence[Any]) -> HttpResponse:
        lines = request.path == MESSAGES
        kind = "application/x-ndjson" if lines else "text/event-stream"
        if request.method == "HEAD":
            head = request.respond(200, content_type=kind, headers=_STREAM)
            head.stream = True
            return self._answered(head)
        request.stream = True
        begin = b"" if lines else b":\n\n"
        history = wishes[0].history
        if history is not None and history.lost:
            begin += http_text.lost(history.lost, self._form)
        elif history is None and not lines and all(one.position for one in wishes):
            begin += http_text.live(wishes[0].position, self._form)  # that an EventSource comes back with
        return self._answered(request.respond(200, begin, kind, _STREAM))

    def _message(self, request: HttpRequest, message: Message | None) -> HttpResponse:
        """Answer with the reply to a request, or with a retained message."""
        if message is None:
            return request.problem(404, "this topic has no retained message")
        kind = http_text.content_type(message)
        if request.path.startswith((REQUESTS, API)):
            return request.respond(200, message.payload, kind, (*_OF_STRANGERS, ("Cache-Control", "no-store")))
        headers = (*http_text.validators(message), ("Cache-Control", "no-cache"))
        condition = request.headers.get("if-none-match")
        if condition is not None and http_text.matches(condition, headers[0][1]):
            return request.respond(304, headers=headers)
        return request.respond(200, message.payload, kind, (*headers, *_OF_STRANGERS))

    def form(self, subscription: Subscribe) -> Any:
        return subscription.options

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        return None if form is None else http_text.encode(message, form)

    def gap(self, n: int) -> bytes:
        return http_text.gap(n, self._form) if self._form else b""

    def encode_lost(self, subscription: Subscribe, position: str) -> bytes:
        return http_text.lost(position, self._form) if self._form else b""

    def replayed(self, subscription: Subscribe, position: str) -> bytes | Close:
        data = http_text.live(position, self._form)
        if self._replays == 1:
            return Close("", data)
        self._replays = max(0, self._replays - 1)
        return data

    def encode_close(self, reason: str) -> bytes:
        if self._open is None:
            return b""
        return self._refused(self._open, Refusal("unavailable", f"the link is closed: {reason}"))

    def encode_disconnect(self, reason: str, refusal: Refusal) -> bytes:
        return b"" if self._open is None else self._refused(self._open, refusal)


def _publish(
    request: HttpRequest, topic: str, qos: int, retain: bool, kind: str | None, key: str | None
) -> Publish | PublishOnce:
    """Return what a request publishes."""
    body = b"" if request.method == "DELETE" else bytes(request)
    message = (
        QosPublish(topic, body, qos, retain=retain, content_type=kind, tag=request)
        if qos
        else Publish(topic, body, retain, kind, tag=request)
    )
    return message if key is None else PublishOnce(key, message)


def _content_type(request: HttpRequest) -> str | None:
    """Return what the client says that its body is. Raises Refusal."""
    content_type = request.headers.get("content-type") or None
    if content_type is not None and len(content_type) > limits.NAME_CHARACTERS:
        raise Refusal("too-long", f"a content type has at most {limits.NAME_CHARACTERS} characters")
    return None if content_type == _FORM else content_type


def _idempotency_key(request: HttpRequest) -> str | None:
    """Return the idempotency key, in quotes or without (draft-ietf-httpapi-idempotency-key-header, section 2.1)."""
    key = request.headers.get("idempotency-key")
    if key is not None and len(key) > 1 and key[0] == key[-1] == '"':
        return re.sub(r"\\(.)", r"\1", key[1:-1])
    return key


def _history(request: HttpRequest) -> HistoryRequest | None:
    """Return what a stream begins with; a client that comes back says more than its address does. Raises Refusal."""
    last_seen = request.headers.get("last-event-id")
    if last_seen:
        return HistoryRequest(after=last_seen)
    given = [(name, request.query[name][-1]) for name in ("after", "since", "last") if request.query.get(name)]
    if len(given) > 1:
        raise Refusal("bad-command", "after=, since= and last=: one of them")
    return read_history(*given[0]) if given else None


def _number(request: HttpRequest, name: str, usual: float, most: float) -> float:
    """Return a number of the query, at least 0. Raises Refusal."""
    values = request.query.get(name)
    if not values:
        return usual
    try:
        number = float(values[-1])
    except ValueError:
        number = math.nan
    if not 0 <= number <= most or (name == "qos" and number % 1):
        raise Refusal("bad-command", f"{name}= is a number from 0 to {most:g}")
    return number


def _one_of(request: HttpRequest, name: str, choices: tuple[str, ...]) -> str:
    """Return a word of the query, by default the first of `choices`. Raises Refusal."""
    chosen = request.query[name][-1] if request.query.get(name) else choices[0]
    if chosen not in choices:
        raise Refusal("bad-command", f"{name}= is {' or '.join(choices)}")
    return chosen
