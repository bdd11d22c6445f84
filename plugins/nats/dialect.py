"""nats: the NATS client protocol, the server's side.

--tcp tcp:4222:dialect=nats          clients wait for the server's INFO, so they need a listener of their own
--tcp tcp:6999:auto=nats             or one on which INFO is sent after a short silence
--websocket tcp:8222:dialect=nats    the same bytes in binary messages, cut anywhere

    INFO {...}                                 CONNECT {...}     +OK, if "verbose"
    PUB subject [reply] bytes                  HPUB subject [reply] header-bytes bytes
    SUB subject [queue] sid                    UNSUB sid [max]
    MSG subject sid [reply] bytes              HMSG subject sid [reply] header-bytes bytes
    PING, PONG                                 -ERR 'text'
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Hashable
from typing import Any

from hubbub import (
    Answer,
    Close,
    Connect,
    Dialect,
    DialectContext,
    Event,
    Fault,
    IdForm,
    Message,
    Publish,
    PublishOnce,
    Refusal,
    Sender,
    Subscribe,
    Unsubscribe,
    flag,
    limits,
    option,
)
from hubbub.nats_protocol.connect import Options, connect_event, encode_info, read_connect
from hubbub.nats_protocol.headers import read_headers
from hubbub.nats_protocol.messages import encode_around, encode_message, encode_messages
from hubbub.nats_protocol.subjects import filter_of, shared_filter, subject_of
from hubbub.nats_protocol.wire import OK, Malformed, error_line, number
from hubbub_plugins.nats.base import NatsBase
from hubbub_plugins.nats.inboxes import Inboxes
from hubbub_plugins.nats.unanswered import unanswered

_MESSAGE_ID = "Nats-Msg-Id"  # as JetStream has it
_CLAIM = b"CONNECT {"
_SECRET = secrets.token_bytes(32)


class Nats(NatsBase):
    """The NATS client protocol: subjects, queue groups, requests, headers."""

    roles = ("server", "client")
    priority = 10
    full = "disconnect"  # it has no gap notice: a client that is cut knows that it has missed something
    overlapping = "each"
    counts = True
    encode_all = staticmethod(encode_messages)
    handshake_first = option(False, flag, "whether TLS comes before INFO, as with handshake_first of nats-server")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer, (b"PUB", b"HPUB"))
        self._inboxes = Inboxes()
        self._options = Options()

    @classmethod
    def for_role(cls, role: str) -> type[Dialect]:
        if role == "server":
            return cls
        from hubbub_plugins.nats.client import NatsClient  # only connectors need it

        return NatsClient

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        if head.startswith(_CLAIM):
            return True
        return None if _CLAIM.startswith(head) else False

    @classmethod
    def greeting(cls, context: DialectContext, peer: Sender) -> bytes:
        return encode_info(context, peer, nonce=_nonce(context, peer))

    def opened(self, now: float) -> list[Event | Message]:
        if self.context.login:
            self._begin_by = now + self.context.handshake
        self.note_received(now)
        return [] if self.context.greeted else [Answer(self.greeting(self.context, self.peer))]

    # Inbound

    def _act(self, line: bytes, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        """Turn any operation into events. Raises Malformed."""
        action = _ACTIONS.get(words[0].upper()) if words else None
        if action is None:
            raise Malformed("Unknown Protocol Operation", "there is no such operation")
        try:
            action(self, words, rest, events)
        except Refusal as refusal:
            events.append(Fault(refusal, self._not_published(words[1], refusal)))
        else:
            if len(words) == 3 and words[0] == b"PUB" and not self._options.verbose:
                self._remember(line, self._topics[words[1]], len(rest))

    def _remember(self, line: bytes, topic: str, size: int) -> None:
        """Have the line of a plain PUB read at once when it comes again."""
        known = self._reader.known
        if len(line) <= limits.TOPIC_TABLE_BYTES:
            if len(known) >= limits.TOPIC_TABLE:
                known.clear()
            known[line] = topic, size

    def _on_connect(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        self._options = read_connect(rest)
        self._reader.known.clear()
        if self._options.no_responders and not self._options.headers:
            raise Malformed("no responders requires headers support", "the status of a reply is a header")
        events.append(connect_event(self._options, _nonce(self.context, self.peer)))

    def _on_publish(self, words: list[bytes], payload: bytes, events: list[Event | Message]) -> None:
        if not 3 <= len(words) <= 4:
            raise Malformed("Parser Error", "PUB is followed by a subject, perhaps a reply subject, and a length")
        events.append(self._message(words[1], words[2:-1], payload))

    def _on_publish_with_headers(self, words: list[bytes], data: bytes, events: list[Event | Message]) -> None:
        if not 4 <= len(words) <= 5:
            raise Malformed("Parser Error", "HPUB is followed by a subject, perhaps a reply subject, and two lengths")
        size = number(words[-2], len(data))
        event = self._message(words[1], words[2:-2], data[size:])
        headers, event.content_type = read_headers(data[:size])
        event.properties, key = headers, headers.first(_MESSAGE_ID)
        events.append(event if key is None else PublishOnce(key, event))

    def _message(self, subject: bytes, reply: list[bytes], payload: bytes) -> Publish:
        """Return a message. Raises Refusal."""
        event = Publish(self._topics[subject], payload)
        if reply:
            event.reply_to = self._topics[reply[0]]
        if self._options.verbose or (reply and self._options.no_responders):
            event.tag = True
        return event

    def _on_subscribe(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        if not 3 <= len(words) <= 4 or len(words[-1]) > limits.NAME_CHARACTERS:
            raise Malformed("Parser Error", "SUB is followed by a subject, perhaps a queue, and a short id")
        try:
            subject, *queue, id = [word.decode() for word in words[1:]]
            filter = filter_of(subject)
        except UnicodeDecodeError:
            events.append(Fault(Refusal("bad-utf8", "a subject, a queue and an id are UTF-8"), "Invalid Subject"))
        except Refusal as refusal:
            events.append(Fault(refusal, "Invalid Subject"))
        else:
            filter = shared_filter(queue[0], filter) if queue else filter
            text = f'"{subject}"' + (f' using queue "{queue[0]}"' if queue else "")
            events.append(Subscribe(filter, self._options.echo, id=id, tag=text))

    def _on_unsubscribe(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        if not 2 <= len(words) <= 3:
            raise Malformed("Parser Error", "UNSUB is followed by an id, and perhaps a maximum")
        after = number(words[2]) if len(words) > 2 else 0
        events.append(Unsubscribe("", id=words[1].decode(errors="replace"), after=after))

    def _on_nothing(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        """A PONG has reset the clock, as everything does."""

    def _not_published(self, subject: bytes, refusal: Refusal) -> str:
        """Return the text for a message that nats-server would take: one that lets a client stay connected."""
        if self._options.pedantic and refusal.code == "bad-topic":
            return "Invalid Publish Subject"
        name = subject.decode(errors="replace")
        return f'Permissions Violation for Publish to "{name}": {refusal}'

    def fail(self, error: Malformed) -> Close:
        self._closed = True
        return Close(error.reason, error_line(error.text), Refusal(error.code, error.reason))

    # Outbound

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(result, Refusal):
            return self._refused(event, result)
        if isinstance(event, Connect):
            self._begin_by = None
        elif isinstance(event, Subscribe):
            self._inboxes.add(str(event.id), event.filter)
        answer = OK if self._options.verbose else b""
        if isinstance(event, Publish) and not result and event.reply_to and self._options.no_responders:
            id = self._inboxes.find(event.reply_to)
            return answer if id is None else answer + unanswered(event, id)
        return answer

    def _refused(self, event: Event | Message, refusal: Refusal) -> bytes | Close:
        if isinstance(event, Connect) or (refusal.code == "not-authorized" and self._begin_by is not None):
            self._closed = True
            return Close(refusal.reason, error_line("Authorization Violation"))
        if isinstance(event, Fault) and event.tag:
            return error_line(event.tag)
        why = "" if refusal.code == "not-authorized" else f": {refusal}"
        if isinstance(event, Publish):
            return error_line(f'Permissions Violation for Publish to "{subject_of(event.topic)}"{why}')
        if isinstance(event, Subscribe):
            quota = refusal.code == "quota"
            text = f"Permissions Violation for Subscription to {event.tag}{why}"
            return error_line("maximum subscriptions exceeded" if quota else text)
        return error_line(f"Permissions Violation: {refusal.reason}")

    def ended(self, id: Hashable) -> None:
        self._inboxes.remove(str(id))

    def form(self, subscription: Subscribe) -> IdForm:
        """Return the id, behind a space, whether the client takes headers, and whether it has a stream."""
        return IdForm((self._options.headers, self.context.stream), f" {subscription.id}".encode())

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes:
        return encode_message(message, form.id, form.shared[0])

    @classmethod
    def encode_around(cls, message: Message, shared: Any) -> tuple[bytes, bytes]:
        return encode_around(message, shared[0])

    def encode_close(self, reason: str) -> bytes:
        if self._closed or reason != "shutdown" or not self._options.protocol:
            return b""
        return encode_info(self.context, self.peer, ldm=True)

    def encode_disconnect(self, reason: str, refusal: Refusal) -> bytes:
        if self._closed:
            return b""
        text = "User Authentication Expired" if "expired" in refusal.reason else "Authorization Violation"
        return error_line(text) if refusal.code == "not-authorized" else b""


def _nonce(context: DialectContext, peer: Sender) -> str:
    """Return what the owner of an NKey signs: another nonce for each link, which INFO and CONNECT find alike.

    INFO before TLS is sent when there is no link yet; the signature comes within TLS then, so the nonce is the host's.
    """
    link = 0 if context.greeted else getattr(peer, "id", 0)
    return urlsafe_b64encode(hmac.digest(_SECRET, f"{peer.host} {link}".encode(), "sha256")[:16]).decode().rstrip("=")


_ACTIONS: dict[bytes, Callable[[Nats, list[bytes], bytes, list[Event | Message]], None]] = {
    b"CONNECT": Nats._on_connect,
    b"PUB": Nats._on_publish,
    b"HPUB": Nats._on_publish_with_headers,
    b"SUB": Nats._on_subscribe,
    b"UNSUB": Nats._on_unsubscribe,
    b"PING": Nats._on_ping,
    b"PONG": Nats._on_nothing,
}
