"""nats, the client's side: a link to a NATS server.

--connect nats://demo.example.org:4222:pull=sensors/#:push=cmd/#
--connect tls:nats.example.org:4222:dialect=nats:pull=jobs/+:queue-group=hubs:user=hub:password-file=nats.password
--connect wss://nats.example.org/:dialect=nats:pull=#

The link subscribes at the server to `pull=`, and publishes here what arrives. It publishes there what `push=` matches
here. Nothing is kept while there is no connection. A header with the hubs that a message has passed keeps it from going
round.
"""

from __future__ import annotations

import platform
from typing import Any

from hubbub import (
    Answer,
    Close,
    DialectContext,
    Event,
    Fault,
    Message,
    Notice,
    Publish,
    Refusal,
    Sender,
    Subscribe,
    flag,
    limits,
    option,
    secret,
)
from hubbub.loop_prevention import LoopPrevention, path_of, with_hop
from hubbub.nats_protocol.connect import Info, encode_connect, read_info
from hubbub.nats_protocol.headers import read_headers
from hubbub.nats_protocol.messages import encode_publish
from hubbub.nats_protocol.nkeys import credentials, login
from hubbub.nats_protocol.subjects import subjects_of
from hubbub.nats_protocol.wire import Malformed, number
from hubbub.option import shown
from hubbub.topics import matches
from hubbub_plugins.nats.base import NatsBase

_SERVER_LINE = 4_096  # bytes of the longest line that nats-server takes
_HARMLESS = ("permissions violation", "invalid subject", "invalid publish subject", "maximum subscriptions exceeded")


class NatsClient(NatsBase):
    """A link to a NATS server."""

    roles = ("client",)
    can_pull = True

    client = option("", str, "the name of the connection; without one it is made of the machine's name and the id=")
    user = option("", str, "the user's name there")
    password_file = option("", secret, "the file with the password, or without user= with the token")
    credentials_file = option(None, credentials, "a .creds file, or the seed of an NKey, instead of a password")
    handshake_first = option(False, flag, "whether TLS comes before INFO, as with handshake_first of nats-server")
    queue_group = option("", str, "the queue group in which it gets the messages of pull=")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer, (b"MSG", b"HMSG"))
        self._info: Info | None = None
        self._loops = LoopPrevention(context.node, f"{context.node}.{peer.listener}")
        self._filters: dict[bytes, str] = {}  # by the ids of its subscriptions there
        self._ready = False

    # The handshake

    def opened(self, now: float) -> list[Event | Message]:
        self._begin_by = now + self.context.handshake
        self.note_received(now)
        return []

    def _on_info(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        first, self._info = self._info is None, read_info(rest)
        if not first:
            events += [Notice("the server is in lame duck mode: it will close")] if self._info.ldm else []
            return
        if self._info.tls_required and not self.context.secure:
            raise Malformed("", "it requires TLS: dial tls:HOST:PORT:dialect=nats", "unavailable")
        if self._info.max_payload > self.context.max_message:
            longest = f"messages of more than {self.context.max_message} bytes end the link, and it allows"
            events.append(Notice(f"{longest} {self._info.max_payload}: raise max-message="))
        remote = self._info.server_id or self._loops.remote
        self._loops = LoopPrevention(self.context.node, remote)
        events.append(Answer(encode_connect(self._name(), self.context.secure, self._login(self._info.nonce))))

    def _name(self) -> str:
        return self.client or f"{platform.node()}.{self.peer.listener}"

    def _login(self, nonce: str) -> dict[str, str]:
        password = str(self.password_file)
        if password:
            self.secrets = (password.encode(),)
        return login(self.user, password, self.credentials_file, nonce)

    def _on_pong(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        """The first one says that the server has accepted the login: subscribe at both sides."""
        if self._info is None or self._ready:
            return
        self._ready, self._begin_by = True, None
        events += [Subscribe(one, echo=False, retained="never") for one in self.context.push]
        queue = f"{self.queue_group} " if self.queue_group else ""
        for filter in self.context.pull:
            for subject in subjects_of(filter):
                id = b"%d" % (len(self._filters) + 1)
                self._filters[id] = filter
                events.append(Answer(f"SUB {subject} {queue}".encode() + id + b"\r\n"))

    # Inbound

    def _act(self, line: bytes, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        """Turn one operation into events. Raises Malformed."""
        action = _ACTIONS.get(words[0].upper()) if words else None
        if self._info is None and words[:1] not in ([b"INFO"], [b"-ERR"]):
            raise Malformed("", "it isn't a NATS server: it sends no INFO")
        if action is None:
            raise Malformed("", "it sends an unknown operation")
        try:
            action(self, words, rest, events)
        except Refusal as refusal:
            events.append(Fault(refusal))

    def _on_message(self, words: list[bytes], payload: bytes, events: list[Event | Message]) -> None:
        if not 4 <= len(words) <= 5:
            raise Malformed("", "it sends a MSG that is none")
        self._message(words[1], words[2], words[3:-1], payload, b"", events)

    def _on_message_with_headers(self, words: list[bytes], data: bytes, events: list[Event | Message]) -> None:
        if not 5 <= len(words) <= 6:
            raise Malformed("", "it sends an HMSG that is none")
        size = number(words[-2], len(data))
        self._message(words[1], words[2], words[3:-2], data[size:], data[:size], events)

    def _message(
        self, subject: bytes, id: bytes, reply: list[bytes], payload: bytes, block: bytes, events: list[Event | Message]
    ) -> None:
        """Append a message, unless another of the filters brings it too, or it went round. Raises Refusal."""
        topic = self._topics[subject]
        if not self._is_first(id, topic):
            return
        event = Publish(topic, payload)
        if reply:
            event.reply_to = self._topics[reply[0]]
        if block:
            event.properties, event.content_type = read_headers(block)
        if self._loops.arrived(event):
            events.append(event)

    def _is_first(self, id: bytes, topic: str) -> bool:
        """Return whether a message is taken by that subscription: that of the first filter that matches.

        `>` matches what begins with $ too, and `#` doesn't. In a queue group each message comes once. Raises Refusal.
        """
        filter = self._filters.get(id)
        if filter is None:
            raise Refusal("not-authorized", "it sends what no filter of pull= matches")
        if self.queue_group:
            return matches(filter, topic)
        return next((one for one in self.context.pull if matches(one, topic)), None) == filter

    def _on_error(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        text = shown(rest.decode(errors="replace").strip("'"))
        if text.lower().startswith(_HARMLESS):
            events += [Notice(f"it refuses: {text}"), Fault(Refusal("unavailable", f"it refuses: {text}"))]
        else:
            raise Malformed("", f"it closes: {text}", "unavailable")

    def _on_ok(self, words: list[bytes], rest: bytes, events: list[Event | Message]) -> None:
        """It needs no action."""

    def fail(self, error: Malformed) -> Close:
        self._closed = True
        return Close(error.reason, b"", Refusal(error.code, error.reason))

    # Outbound

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Subscribe) and isinstance(result, Refusal):
            return self.fail(Malformed("", f"push={event.filter}: {result.reason}", "unavailable"))
        return b""

    def form(self, subscription: Subscribe) -> Any:
        """Return whether the server takes headers, its maximum payload, and the names of this hub and of the server."""
        info = self._info or Info()
        return (info.headers, info.max_payload, self._loops.node, self._loops.remote)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        headers, max_payload, node, remote = form
        path = path_of(message)
        if remote in path or len(path) >= limits.HOPS:
            return None
        copy = message.on(message.topic)
        copy.properties = with_hop(message, node)
        unit = encode_publish(copy, headers)
        line = unit.index(b"\n") + 1
        return unit if line <= _SERVER_LINE and len(unit) - line - 2 <= max_payload else None


_ACTIONS: dict[bytes, Any] = {
    b"INFO": NatsClient._on_info,
    b"MSG": NatsClient._on_message,
    b"HMSG": NatsClient._on_message_with_headers,
    b"PING": NatsClient._on_ping,
    b"PONG": NatsClient._on_pong,
    b"+OK": NatsClient._on_ok,
    b"-ERR": NatsClient._on_error,
}
