"""EVENT messages."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from hubbub.dialect import Text
from hubbub.message import Message
from hubbub.publish import Publish
from hubbub_plugins.wamp.arguments import write
from hubbub_plugins.wamp.codec import Codec
from hubbub_plugins.wamp.codes import EVENT
from hubbub_plugins.wamp.origin import Origin
from hubbub_plugins.wamp.rawsocket import framed
from hubbub_plugins.wamp.uris import uri_of

OWN = "wamp."  # how URIs of the realm itself begin
_RESERVED = "wamp/"


class Asked(NamedTuple):
    """The tag of an event that is answered.

    code     of the client's message; request: its id
    about    of PUBLISH the Publication, of SUBSCRIBE and REGISTER the realm.Entry
    """

    code: int
    request: int
    about: Any = None


class Form(NamedTuple):
    """The wire format of a subscription: sessions with the same serializer share it.

    id       of the subscription; 0: there is none, as for messages to one client alone
    most     bytes of the longest message; 0: any
    mount    what its topics begin with; own: whether they are those of the realm itself
    pattern  whether EVENT says the topic
    raw      whether each message has the head of RawSocket
    """

    codec: Codec
    id: int
    most: int
    mount: str
    own: bool
    pattern: bool
    raw: bool


class _Publications:
    """Numbers of publications: all events of one message have the same."""

    last: ClassVar[Message | None] = None
    last_id: ClassVar[int] = 0
    number: ClassVar[int] = 1_000_000_000  # as realm.Numbers


def _next() -> int:
    _Publications.number += 1
    return _Publications.number


class Publication:
    """The id of a message whose publisher is told it; it has one once it is asked for."""

    __slots__ = ("_id",)

    def __init__(self) -> None:
        self._id = 0

    @property
    def id(self) -> int:
        """The id."""
        self._id = self._id or _next()
        return self._id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Publication)  # the id is no part of what a client has said

    __hash__ = None  # type: ignore[assignment]


def _publication(message: Message) -> int:
    if isinstance(message, Publish) and type(message.tag) is Asked and type(message.tag.about) is Publication:
        return message.tag.about.id
    if message is not _Publications.last:
        _Publications.last = message
        _Publications.last_id = _next()
    return _Publications.last_id


def encode_event(message: Message, form: Form) -> bytes | None:
    """Encode EVENT. None: it isn't for this subscription, or longer than the client takes."""
    codec, id, most, mount, own, pattern, raw = form
    topic, origin = message.topic, message.properties
    if not id or not topic.startswith(mount) or len(topic) == len(mount):
        return None
    details: dict[str, Any] = {}
    if type(origin) is Origin:
        if origin.call or origin.meta is not own:
            return None
        details |= origin.details
    elif own or topic.startswith(_RESERVED, len(mount)):
        return None
    if pattern:
        details["topic"] = OWN * own + uri_of(topic[len(mount) :])
    if message.retained:
        details["retained"] = True
    data = write(codec, [EVENT, id, _publication(message), details], message)
    if most and len(data) > most:
        return None
    return framed(data) if raw else Text(data) if codec.text else data
