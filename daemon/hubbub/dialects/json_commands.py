"""The commands of the `json` dialect: each is a typed struct that msgspec fills at once.

    parse(b'{"op":"ping","id":1}').event(max_message)    ->  Ping(tag=1)

msgspec checks names, presence and types; `event` checks the rest. `explain` words what either finds wrong.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from hubbub import events, limits, publish
from hubbub.dialects.json_text import APPLICATION_JSON, compact, is_too_deep, not_json, too_deep
from hubbub.errors import BadTopic, Refusal
from hubbub.history_request import HistoryRequest
from hubbub.topics import check_filter, check_topic

Policy = Literal["drop-oldest", "drop-newest", "latest", "disconnect"]
Qos = Annotated[int, Meta(ge=0, le=2)]
Seconds = Annotated[float, Meta(gt=0, le=2**32 - 1)]
Correlation = Annotated[bytes, Meta(max_length=limits.CORRELATION_BYTES)]
Name = Annotated[str, Meta(max_length=limits.NAME_CHARACTERS)]
Id = Name | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_ABSENT: Any = None  # an id that is absent; in its place null is an error

_text = msgspec.json.Decoder(str).decode


class _Command(Struct, tag_field="op", kw_only=True, gc=False):
    """What every command may say.

    id       comes back with the answer
    confirm  over UDP the token that shows that the client is where it says
    """

    id: Id = _ABSENT
    confirm: str | None = None


class Carrier(Struct, tag_field="op", kw_only=True, gc=False):
    """A command with a payload; `id` and `confirm` are those of every command."""

    id: Id = _ABSENT
    confirm: str | None = None
    topic: str
    data: Raw = Raw()
    base64: bytes | None = None
    content_type: Name | None = None
    properties: Annotated[dict[str, str], Meta(max_length=limits.PROPERTIES)] | None = None

    def read(self, max_message: int) -> tuple[bytes, str | None]:
        """Return payload and content type. Raises Refusal, or UnicodeDecodeError."""
        data, payload = bytes(self.data), self.base64
        if (not data) is (payload is None):
            raise Refusal("bad-payload", 'a payload is "data" or "base64", one of them')
        if payload is None:
            if data[:1] != b'"':
                return compact(data, max_message), self.content_type or APPLICATION_JSON
            payload = _text(data).encode()
        if len(payload) > max_message:
            raise Refusal("too-long", f"the payload is longer than {max_message} bytes")
        return payload, self.content_type

    def checked_properties(self) -> dict[str, str] | None:
        found = self.properties
        if found and sum(map(len, found)) + sum(map(len, found.values())) > limits.LINE_SLACK:
            raise Refusal("bad-command", f'"properties": more than {limits.LINE_SLACK} characters')
        return found or None


class MessageCommand(Carrier, kw_only=True, gc=False):
    """A message, with what it says of itself where it says more than most: see publish.QosPublish."""

    reply_to: str | None = None
    qos: Qos = 0
    message_expiry: Seconds | None = None
    correlation: Correlation | None = None

    def message(self, max_message: int, retain: bool) -> publish.Publish:
        """Return the event. Raises Refusal, or UnicodeDecodeError."""
        topic = check_topic(self.topic)
        payload, kind = self.read(max_message)
        back = None if self.reply_to is None else _check_reply_to(self.reply_to)
        properties = None if self.properties is None else self.checked_properties()
        qos, message_expiry, about = self.qos, self.message_expiry, self.correlation
        if qos or message_expiry is not None or about is not None:
            return publish.QosPublish(
                topic, payload, qos, None, retain, kind, back, properties, self.id, message_expiry, about
            )
        return publish.Publish(topic, payload, retain, kind, back, properties, self.id)


class Publish(MessageCommand, tag="publish", kw_only=True, gc=False):
    """Send a message."""

    retain: bool = False
    once: str | None = None

    def event(self, max_message: int) -> publish.Publish | events.PublishOnce:
        """Return the event. Raises Refusal, or UnicodeDecodeError."""
        message = self.message(max_message, self.retain)
        return message if self.once is None else events.PublishOnce(self.once, message)


class Request(Carrier, tag="request", kw_only=True, gc=False):
    """Send a message that wants a reply within `timeout` seconds."""

    timeout: float = limits.REQUEST_SECONDS
    once: Raw = Raw()

    def event(self, max_message: int) -> publish.Request:
        """Return the event. Raises Refusal, or UnicodeDecodeError."""
        if not 0 < self.timeout <= limits.REQUEST_SECONDS_MAX:
            raise Refusal("bad-command", f'"timeout": above 0 and at most {limits.REQUEST_SECONDS_MAX:g} seconds')
        if self.once:
            raise Refusal("bad-command", '"once" is for publish; a request that comes again is sent again')
        topic = check_topic(self.topic)
        payload, content_type = self.read(max_message)
        return publish.Request(
            topic,
            payload,
            self.timeout,
            blocking=False,
            content_type=content_type,
            properties=self.checked_properties(),
            tag=self.id,
        )


class Subscribe(_Command, tag="subscribe", kw_only=True, gc=False):
    """Let what matches come. `topic` is a filter; `after`, `since` and `last` are as in HistoryRequest."""

    topic: str
    echo: bool = True
    meta: bool = False
    parse: bool = False
    full: Policy | None = None
    after: Name | None = None
    since: Annotated[float, Meta(ge=0, le=2**32 - 1)] | None = None
    last: Annotated[int, Meta(ge=0, le=10**9)] | None = None

    def event(self, max_message: int) -> events.Subscribe:
        """Return the event. Raises BadFilter, Refusal."""
        options = self.meta, self.parse
        return events.Subscribe(
            check_filter(self.topic), self.echo, self.full, options, self.id, history=self._history()
        )

    def _history(self) -> HistoryRequest | None:
        given = sum(one is not None for one in (self.after, self.since, self.last))
        if given > 1:
            raise Refusal("bad-command", '"after", "since" and "last": one of them')
        return HistoryRequest(self.after, self.since, self.last) if given else None


class Unsubscribe(_Command, tag="unsubscribe", kw_only=True, gc=False):
    """End a subscription."""

    topic: str

    def event(self, max_message: int) -> events.Unsubscribe:
        """Return the event. Raises BadFilter."""
        return events.Unsubscribe(check_filter(self.topic), self.id)


class Auth(_Command, tag="auth", kw_only=True, gc=False):
    """Log in."""

    user: str | None = None
    password: str | None = None
    token: str | None = None

    def event(self, max_message: int) -> events.Connect:
        """Return the event. Raises Refusal."""
        given = (self.user is not None, self.password is not None, self.token is not None)
        if given not in ((True, True, False), (False, False, True)):
            raise Refusal("bad-command", 'auth takes "user" and "password", or "token"')
        return events.Connect(user=self.user, password=self.password, token=self.token, tag=self.id)


class Ping(_Command, tag="ping", kw_only=True, gc=False):
    """Ask for a sign of life."""

    def event(self, max_message: int) -> events.Ping:
        """Return the event."""
        return events.Ping(self.id)


class Bye(_Command, tag="bye", kw_only=True, gc=False):
    """Leave."""

    def event(self, max_message: int) -> events.Close:
        """Return the event."""
        return events.Close("the client sent bye")


Command = Publish | Request | Subscribe | Unsubscribe | Auth | Ping | Bye

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
parse = msgspec.json.Decoder[Command](Command).decode  # raises UNREADABLE


def _check_reply_to(topic: str) -> str:
    try:
        return check_topic(topic)
    except BadTopic as refusal:
        raise BadTopic(f'"reply_to": {refusal.reason}') from None


# What is wrong, in words


class _Tag(Struct, gc=False):
    id: Id = _ABSENT


_tag = msgspec.json.Decoder(_Tag).decode
_ERROR_CHARACTERS = (
    200  # characters of the end of what msgspec says: the rest may repeat what the client said, at any length
)
_NOT_UTF8 = Refusal("bad-utf8", "a command is UTF-8")
_INVALID_UTF8 = "Invalid UTF-8"  # begins what msgspec says from 0.23 on, where it raised UnicodeDecodeError before
_NO_OBJECT = Refusal("bad-command", "a command is a JSON object")
_OPS = "publish, subscribe, unsubscribe, request, auth, ping, bye"
_KINDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
}
_KIND = re.compile("`([a-z| ]+)`")
_MISSING = "Object missing required field "


def explain(error: Exception, line: bytes) -> events.Fault:
    """Say why `line` is no command, where reading it raised one of UNREADABLE, with its `id` if it can be read."""
    if line.lstrip()[:1] != b"{":
        return events.Fault(_NO_OBJECT)
    if isinstance(error, RecursionError) or is_too_deep(line):  # from 3.14 on Python bounds the stack, not the depth
        return events.Fault(too_deep())
    if isinstance(error, UnicodeDecodeError) or str(error).startswith(_INVALID_UTF8):
        return events.Fault(_NOT_UTF8, _find_tag(line))
    refusal = _refusal(str(error)[-_ERROR_CHARACTERS:])
    return events.Fault(refusal, _find_tag(line) if isinstance(error, msgspec.ValidationError) else None)


def _find_tag(line: bytes) -> Any:
    try:
        return _tag(line).id
    except UNREADABLE:
        return None


@lru_cache(maxsize=64)  # a client that sends nonsense repeats it
def _refusal(text: str) -> Refusal:
    """Say in plain words what msgspec says."""
    what, _, where = text.rpartition(" - at `$.")
    if where.startswith(_MISSING):
        return Refusal("bad-command", where.removeprefix(_MISSING).replace("`", '"') + " is missing")
    if not what:
        return Refusal("bad-command", not_json(text))
    field = re.split(r"\W", where)[0]
    if field == "op":
        return Refusal("bad-command", f"no such op; there are {_OPS}")
    if field in ("base64", "correlation"):
        code = "bad-payload" if field == "base64" else "bad-command"
        return Refusal(code, f'"{field}": padded base64 without spaces (RFC 4648 section 4)')
    if field == "full":
        what = f"one of {', '.join(get_args(Policy))}"
    return Refusal("bad-command", f'"{field}": {_plain(what)}')


def _plain(what: str) -> str:
    """Say in plain words what msgspec says of types."""
    what = _KIND.sub(lambda found: " or ".join(_KINDS.get(kind, kind) for kind in found[1].split(" | ")), what)
    return what[0].lower() + what[1:]
