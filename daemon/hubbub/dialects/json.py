"""json: for browsers and programs. One JSON object a line, a WebSocket message, a line of a datagram.

    {"op":"subscribe","topic":"a/#","id":1}             {"op":"subscribed","topic":"a/#","id":1}
       also "echo":false "meta":true "parse":true "full":"latest"
       and one of "after":<position> "since":<seconds> "last":n, to begin with what the history has: the answer has
       "position", where it ends, and "complete":false where something is kept no more; {"op":"lost","topic":..,
       "position":..} the same while messages come; {"op":"live","topic":..,"position":..} before what is new.
       Without these the answer has "position" where the history covers the filter: "after" goes on from there
    {"op":"unsubscribe","topic":"a/#"}                  {"op":"unsubscribed","topic":"a/#"}
    {"op":"publish","topic":"a/b","data":<any JSON>}    with "id": {"op":"published","id":..,"receivers":n}, and
       "position" if the history keeps the message
       or "base64":".."; also "retain":true "content_type" "reply_to" "properties":{..}
       "qos":1 (or 2) "message_expiry" (seconds) "correlation" (base64)
       "once":<key>: published once, however often it comes with that key
    {"op":"message","topic":"a/b","data":<any JSON>}    or "base64" where the payload isn't UTF-8
       with meta: "time" (Unix seconds) "retained" "content_type" "properties" "reply_to"
       "qos" (that it was published with) "message_expiry" (what is left) "correlation" (base64) "position" (history)
    {"op":"request","topic":..,"data":..,"timeout":2,"id":7}   {"op":"reply","id":7,"data":..}
    {"op":"auth","user":..,"password":..}, or "token"   {"op":"authenticated","user":..}
    {"op":"ping"}                                       {"op":"pong"}; over UDP with "subscriptions":n
    {"op":"bye"}                                        {"op":"bye"}, which the hub says too when it closes
    "confirm":<token>        over UDP, in a command: the hub asked for it with {"op":"confirm","token":..}
    {"op":"error","code":"bad-topic","reason":"..","id":..}   {"op":"gap","count":n}: n messages were lost

`id` is a string or an integer, and comes back with the answer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.json_client import JsonClient
from hubbub.dialects.json_commands import UNREADABLE, Id, explain, parse
from hubbub.dialects.json_text import SUBPROTOCOLS, carry, max_unit
from hubbub.errors import Refusal
from hubbub.events import Close, Confirm, Connect, Event, Fault, Ping, Subscribe, Unsubscribe
from hubbub.line_dialect import LineDialect
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish, Request

_write = msgspec.json.Encoder().encode


# What the hub says. What is None is left out; `data` is a str, or Raw where it is JSON that `compact` has made.


class _Answer(Struct, tag_field="op", omit_defaults=True, gc=False):
    pass


class _Message(_Answer, tag="message"):
    topic: str
    data: str | Raw | None = None
    base64: bytes | None = None
    time: float | None = None
    retained: bool | None = None
    content_type: str | None = None
    properties: dict[str, str] | None = None
    reply_to: str | None = None
    qos: int | None = None
    message_expiry: float | None = None
    correlation: bytes | None = None
    position: str | None = None


class _Reply(_Answer, tag="reply"):
    id: Id | None = None
    data: str | Raw | None = None
    base64: bytes | None = None


class _Subscribed(_Answer, tag="subscribed"):
    topic: str
    id: Id | None = None
    position: str | None = None
    complete: bool | None = None


class _Live(_Answer, tag="live"):
    topic: str
    position: str


class _Lost(_Answer, tag="lost"):
    topic: str
    position: str


class _Unsubscribed(_Answer, tag="unsubscribed"):
    topic: str
    id: Id | None = None


class _Published(_Answer, tag="published"):
    id: Id
    receivers: int
    position: str | None = None


class _Authenticated(_Answer, tag="authenticated"):
    user: str
    id: Id | None = None


class _Pong(_Answer, tag="pong"):
    subscriptions: int | None = None
    id: Id | None = None


class _Error(_Answer, tag="error"):
    code: str
    reason: str
    id: Id | None = None


class _Gap(_Answer, tag="gap"):
    count: int


class _Bye(_Answer, tag="bye"):
    pass


class _Confirm(_Answer, tag="confirm"):
    token: str
    id: Id | None = None


class Json(LineDialect):
    """JSON objects, for browsers and programs: publish, subscribe, request."""

    roles = ("server", "client")
    subprotocols = SUBPROTOCOLS
    text = True
    priority = 10
    write_after_eof = True
    single_line = ("websocket",)

    @classmethod
    def for_role(cls, role: str) -> type[Dialect]:
        return cls if role == "server" else JsonClient

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return max_unit(context)

    # What comes in

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        found: list[Event | Message] = []
        max_message = self.context.max_message
        for line in lines:
            if not line:
                continue
            try:
                command = parse(line)
                if command.confirm is not None:
                    found.append(Confirm(command.confirm))
                found.append(command.event(max_message))
            except Refusal as refusal:
                found.append(self._refused(refusal, command.id))
            except UNREADABLE as error:
                if line.strip():
                    found.append(explain(error, line))
            if found and type(found[-1]) is Close:
                found[-1].data = found[-1].data or self.encode_close("")
                break
        return found

    def _refused(self, refusal: Refusal, tag: Any) -> Event:
        return self.too_long(refusal.reason, tag) if refusal.code == "too-long" else Fault(refusal, tag)

    # What goes out

    def outcome(self, event: Any, result: Any) -> bytes:
        tag = event.tag
        if isinstance(result, Refusal):
            return self._unit(_Error(result.code, result.reason, tag))
        if isinstance(event, Request):
            return self._unit(_Reply(tag, *carry(result, parse=False)))
        if isinstance(event, Publish):
            return self._unit(_Published(tag, result, event.position or None))
        if isinstance(event, Subscribe):
            history = event.history
            if history is None:
                return self._unit(_Subscribed(event.filter, tag, event.position or None))
            return self._unit(_Subscribed(event.filter, tag, history.position, False if history.lost else None))
        if isinstance(event, Unsubscribe):
            return self._unit(_Unsubscribed(event.filter, tag))
        if isinstance(event, Ping):
            return self._unit(_Pong(result if self.context.transport == "udp" else None, tag))
        if isinstance(event, Connect):
            return self._unit(_Authenticated(result, tag))
        return b""

    def form(self, subscription: Subscribe) -> tuple[bool, bool, bool]:
        """Tell whether a unit ends with LF, tells more than topic and data, and has text that is JSON as its value."""
        options: Any = subscription.options or (False, False)
        return (self.context.stream, *options)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        stream, meta, parse = form
        answer = _Message(message.topic, *carry(message, parse))
        if meta:
            answer.time = message.time
            answer.position = message.position or None
            answer.retained = message.retained
            answer.content_type = message.content_type
            answer.properties = dict(message.properties) if message.properties else None
            answer.reply_to = message.reply_to
            if isinstance(message, QosPublish):
                answer.qos = message.qos or None
                answer.message_expiry = message.message_expiry
                answer.correlation = message.correlation
        try:
            unit = _write(answer)
        except UnicodeEncodeError:  # a lone surrogate that came with a property
            return None
        return unit + b"\n" if stream else unit

    def gap(self, n: int) -> bytes:
        return self._unit(_Gap(n))

    def encode_lost(self, subscription: Subscribe, position: str) -> bytes:
        return self._unit(_Lost(subscription.filter, position))

    def replayed(self, subscription: Subscribe, position: str) -> bytes:
        return self._unit(_Live(subscription.filter, position))

    def encode_close(self, reason: str) -> bytes:
        return self._unit(_Bye())

    def confirm(self, event: Any, token: str) -> bytes:
        return self._unit(_Confirm(token, event.tag))

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        head = head.lstrip()
        return head.startswith(b"{") if head else None

    def _unit(self, answer: _Answer) -> bytes:
        return _write(answer) + self.unit_end
