"""wamp: WAMP version 2, the router's side: broker and dealer.

--websocket tcp:8080                 the subprotocols wamp.2.json, .msgpack, .cbor, and those with .batched
--tcp tcp:8081:dialect=wamp          RawSocket, also without `dialect=`: its first octet tells it

    HELLO realm details                          WELCOME session details, or CHALLENGE and AUTHENTICATE, or ABORT
    SUBSCRIBE, UNSUBSCRIBE, PUBLISH              EVENT
    REGISTER, UNREGISTER, YIELD, ERROR           INVOCATION, INTERRUPT
    CALL, CANCEL                                 RESULT, ERROR
    GOODBYE details reason                       GOODBYE
"""

from __future__ import annotations

from typing import Any

from hubbub import (
    Answer,
    AuthResponse,
    Close,
    Connect,
    DialectContext,
    Event,
    Message,
    Refusal,
    limits,
    many,
    option,
)
from hubbub_plugins.wamp import codes, login
from hubbub_plugins.wamp.announcements import announce
from hubbub_plugins.wamp.codec import SUBPROTOCOLS, Malformed
from hubbub_plugins.wamp.codes import uri_of_refusal
from hubbub_plugins.wamp.fields import options_at, uri_at
from hubbub_plugins.wamp.options import HelloDetails, read
from hubbub_plugins.wamp.rawsocket import MAGIC
from hubbub_plugins.wamp.realm import Realms
from hubbub_plugins.wamp.session import WampSession
from hubbub_plugins.wamp.uris import Topics

_HELLO_JSON, _HELLOS = b'[1,"', (b"\x93\x01", b"\x83\x01")  # over WebSocket without a subprotocol
_NO_REALMS: tuple[str, ...] = ()
_NO_ROLE = {True: "user", False: "anonymous"}


class Wamp(WampSession):
    """WAMP 2 over WebSocket and RawSocket: topics, procedures, the meta API."""

    transports = ("tcp", "websocket")
    subprotocols = SUBPROTOCOLS
    priority = 15
    full = "disconnect"  # it has no gap notice: a client that is cut knows that it has missed something
    overlapping = "each"
    root = option("realm1", str, "the realm without a topic prefix")
    realms = option(_NO_REALMS, many(str), "other realms: the topics of each begin with its name")

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return 2 * context.max_message + limits.LINE_SLACK  # binary values take more in JSON

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        if head[:1] == bytes((MAGIC,)):
            return None if len(head) < 4 else head[2:4] == b"\0\0"
        if head.startswith(_HELLO_JSON) or head[:2] in _HELLOS:
            return True
        return None if any(one.startswith(head) for one in (_HELLO_JSON, *_HELLOS)) else False

    def held(self) -> str:
        count = 0 if self._raw is None else self._raw.held()
        return f"{count} bytes held, no whole message" if count else ""

    # Time

    def opened(self, now: float) -> list[Event | Message]:
        self.deadline = now + self.context.handshake
        return []

    def timeout(self, now: float) -> list[Event | Message]:
        if self._closed:
            return []
        if self._speaker.member is None:
            return [self._fail(Malformed("no session in time", "wamp.error.timeout", "timeout"))]
        events = self._dealer.timeout(now)
        self.deadline = self._dealer.deadline
        return events

    def greet(self, message: list[Any]) -> list[Event | Message]:
        code = message[0]
        if code == codes.ABORT:
            return self._aborted(message, 0.0)
        if code == codes.AUTHENTICATE and self._method:
            return self._authenticate(message)
        if code != codes.HELLO or self._method:
            raise Malformed("a session begins with HELLO")
        speaker, name = self._speaker, uri_at(message, 1)
        hello = read(HelloDetails, options_at(message, 2))
        if name != self.root and name not in self.realms:
            raise Malformed(
                f"there is no realm of that name; the operator sets {self.root}", "wamp.error.no_such_realm"
            )
        try:
            speaker.realm = self.context.shared.setdefault(self.name, Realms()).get(name, self.root)
        except Refusal as refusal:
            raise Malformed(refusal.reason, "wamp.error.no_such_realm") from None
        self._broker.topics = Topics(speaker.realm.mount)
        speaker.hello = hello
        method = login.choose_method(hello, self.context.login)
        if method == login.ANONYMOUS:
            return [login.connect_event(method, hello)]
        self._method, self._ticket = method, method == login.TICKET
        if self._ticket:
            return [Answer(login.challenge(speaker, method, {}))]
        return [login.connect_event(method, hello)]

    def _authenticate(self, message: list[Any]) -> list[Event | Message]:
        signature = message[1] if len(message) > 1 else None
        hello = self._speaker.hello
        if type(signature) is not str or hello is None:
            raise Malformed("AUTHENTICATE has a text as signature")
        if self._ticket:
            self._method = ""
            return [login.ticket_event(hello, signature)]
        return [AuthResponse(login.answer(message))]

    # Outbound

    def challenge(self, event: Connect, data: bytes) -> bytes:
        return login.asked(self._speaker, self._method, data)

    def connected(self, event: Connect, result: Any) -> bytes | Close:
        speaker, hello, method = self._speaker, self._speaker.hello, self._method
        self._method = ""
        if isinstance(result, Refusal):
            self._closed = True
            return Close(result.reason, login.refused(speaker, result))
        assert hello is not None
        method = method or (login.TICKET if self._ticket else login.ANONYMOUS)
        groups = self.peer.groups or frozenset({_NO_ROLE[bool(result)]})  # type: ignore[attr-defined]
        speaker.member = member = speaker.realm.join(speaker, result, groups, method)
        self.deadline = None
        self.follow_up = announce(speaker.realm, "session.on_join", [member.details()])
        return login.welcome(speaker, method, event.server_data)

    def closed(self) -> list[Event | Message]:
        member, realm = self._speaker.member, self._speaker.hello and self._speaker.realm
        if member is None or not realm:
            return []
        events = [*self._dealer.end(), *self._broker.end(), *[testament for _, testament in member.testaments]]
        realm.leave(member)
        self._speaker.member = None
        return [*events, *announce(realm, "session.on_leave", [member.id, member.authid, member.role])]

    def encode_close(self, reason: str) -> bytes:
        return b""  # a client that gets GOODBYE doesn't come back

    def encode_disconnect(self, reason: str, refusal: Refusal) -> bytes:
        if self._closed or not self._known:
            return b""
        if self._speaker.member is None:
            return self._speaker.abort(uri_of_refusal(refusal), reason)
        return self._speaker.goodbye(uri_of_refusal(refusal), reason)
