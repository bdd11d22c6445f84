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

from collections.abc import Callable
from typing import Any

from hubbub import (
    Answer,
    AuthResponse,
    Close,
    Connect,
    Dialect,
    DialectContext,
    Event,
    Fault,
    Message,
    Refusal,
    Sender,
    Subscribe,
    limits,
    many,
    option,
)
from hubbub_plugins.wamp import codes, login
from hubbub_plugins.wamp.announcements import announce
from hubbub_plugins.wamp.broker import Broker
from hubbub_plugins.wamp.codec import SUBPROTOCOLS, Malformed, codec_of
from hubbub_plugins.wamp.codes import uri_of_refusal
from hubbub_plugins.wamp.dealer import PROCEDURE, Dealer
from hubbub_plugins.wamp.events import OWN, Asked, Form, encode_event
from hubbub_plugins.wamp.meta import Failure, Meta
from hubbub_plugins.wamp.options import HelloDetails, id_at, read, uri_at
from hubbub_plugins.wamp.rawsocket import MAGIC, MESSAGE, PING, PONG, RawSocket, framed
from hubbub_plugins.wamp.realm import Realms
from hubbub_plugins.wamp.speaker import Speaker
from hubbub_plugins.wamp.uris import Topics

_HELLO_JSON, _HELLOS = b'[1,"', (b"\x93\x01", b"\x83\x01")  # over WebSocket without a subprotocol
_NO_REALMS: tuple[str, ...] = ()
_NO_ROLE = {True: "user", False: "anonymous"}


class Wamp(Dialect):
    """WAMP 2 over WebSocket and RawSocket: topics, procedures, the meta API."""

    transports = ("tcp", "websocket")
    subprotocols = SUBPROTOCOLS
    priority = 15
    full = "disconnect"  # it has no gap notice: a client that is cut knows that it has missed something
    overlapping = "each"
    root = option("realm1", str, "the realm without a topic prefix")
    realms = option(_NO_REALMS, many(str), "other realms: the topics of each begin with its name")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._raw = RawSocket(self.max_unit(context)) if context.stream else None
        self._closed = False
        self._method = ""  # of a login that goes on
        self._ticket = False  # whether AUTHENTICATE brings a ticket
        self._speaker = speaker = Speaker(peer, self._raw is not None)
        self._broker = Broker(speaker, context.max_message)
        self._dealer = Dealer(speaker, context.max_message)
        self._meta = Meta(speaker, self._broker)
        self._known = context.stream  # whether the codec is known

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

    # Inbound

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        events: list[Event | Message] = []
        if self._closed:
            return events
        error = None
        frames = [(MESSAGE, data)]
        try:
            if self._raw is not None:
                frames, error = self._unframed(data, events)
            for kind, payload in frames:
                if kind == PING and not self._closed:
                    events.append(Answer(framed(payload, PONG)))
                elif kind == MESSAGE and not self._closed:
                    self._unit(payload, now, events)
        except Malformed as malformed:
            error = malformed
        if error is not None and not self._closed:
            events.append(self._fail(error))
        return events

    def _unframed(self, data: bytes, events: list[Event | Message]) -> tuple[list[tuple[int, bytes]], Malformed | None]:
        """Return the frames of RawSocket, and what is wrong behind them."""
        raw = self._raw
        assert raw is not None
        frames, error = raw.feed(data)
        if raw.answer:
            events.append(Answer(raw.answer))
            raw.answer = b""
        if raw.codec is None:
            if error is not None:
                self._closed = True
                events.append(Close(error.reason, b"", Refusal(error.code, error.reason)))
            return [], None
        self._speaker.codec, self._speaker.most = raw.codec, raw.most
        return frames, error

    def _unit(self, data: bytes, now: float, events: list[Event | Message]) -> None:
        """Turn one unit into events. Raises Malformed."""
        if not self._known:
            self._speaker.codec, self._known = codec_of(data), True
        for message in self._speaker.codec.read(data):
            if type(message) is not list or not message or type(message[0]) is not int:
                raise Malformed("a message is an array that begins with a number")
            if self._closed:
                return
            if self._speaker.hello is None or self._method:
                events += self._greet(message)
                continue
            action = _ACTIONS.get(message[0])
            if action is None:
                raise Malformed(f"a message with the number {message[0]} can't come here")
            events += action(self, message, now)

    def _greet(self, message: list[Any]) -> list[Event | Message]:
        """Act on what comes before there is a session."""
        code = message[0]
        if code == codes.ABORT:
            return self._aborted(message, 0.0)
        if code == codes.AUTHENTICATE and self._method:
            return self._authenticate(message)
        if code != codes.HELLO or self._method:
            raise Malformed("a session begins with HELLO")
        speaker, name = self._speaker, uri_at(message, 1)
        hello = read(HelloDetails, message[2] if len(message) > 2 else {})
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

    def _publish(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._broker.publish(message)

    def _subscribe(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._broker.subscribe(message)

    def _unsubscribe(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._broker.unsubscribe(message)

    def _register(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._dealer.register(message)

    def _unregister(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._dealer.unregister(message)

    def _yield(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._dealer.yield_(message)

    def _error(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._dealer.failed(message)

    def _cancel(self, message: list[Any], now: float) -> list[Event | Message]:
        return self._dealer.cancel(message)

    def _call(self, message: list[Any], now: float) -> list[Event | Message]:
        uri = uri_at(message, 3)
        if uri.startswith(OWN):
            return self._ask_realm(message, uri)
        events = self._dealer.call(message, now)
        self.deadline = self._dealer.deadline
        return events

    def _ask_realm(self, message: list[Any], uri: str) -> list[Event | Message]:
        request, speaker = id_at(message, 1), self._speaker
        args = message[4] if len(message) > 4 else []
        kwargs = message[5] if len(message) > 5 else {}
        try:
            result = self._meta.call(uri, args or [], kwargs or {})
        except Failure as failure:
            return [Answer(speaker.error(codes.CALL, request, failure.uri, failure.reason))]
        except Refusal as refusal:
            return [Fault(refusal, Asked(codes.CALL, request))]
        return [*self._meta.events, Answer(speaker.say(codes.RESULT, request, {}, [result]))]

    def _goodbye(self, message: list[Any], now: float) -> list[Event | Message]:
        self._closed = True
        return [Close("the client sent GOODBYE", self._speaker.goodbye("wamp.close.goodbye_and_out"))]

    def _aborted(self, message: list[Any], now: float) -> list[Event | Message]:
        self._closed = True
        return [Close("the client aborts")]

    def _fail(self, error: Malformed) -> Close:
        self._closed = True
        return Close(error.reason, self._speaker.abort(error.uri, error.reason), Refusal(error.code, error.reason))

    # Outbound

    def challenge(self, event: Connect, data: bytes) -> bytes:
        return login.asked(self._speaker, self._method, data)

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Connect):
            return self._connected(event, result)
        asked = getattr(event, "tag", None)
        if type(asked) is not Asked:
            return b""
        if isinstance(result, Refusal) and asked.code not in (codes.REGISTER, codes.CALL):
            return self._speaker.refuse(asked.code, asked.request, result)
        data, self.follow_up = _OUTCOMES[asked.code](self, asked, result)
        return data

    def _connected(self, event: Connect, result: Any) -> bytes | Close:
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

    def form(self, subscription: Subscribe) -> Any:
        if subscription.options == PROCEDURE:
            return self._speaker
        speaker, options = self._speaker, subscription.options
        id, pattern, own = options if isinstance(options, tuple) else (0, False, False)
        mount = "" if speaker.hello is None else speaker.realm.own if own else speaker.realm.mount
        return Form(speaker.codec, id, speaker.most, mount, own, pattern, speaker.raw)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        if type(form) is Speaker:
            return message.payload if form.fits(message) else None  # frame_for_link makes it INVOCATION
        return encode_event(message, form)

    def frames_per_link(self, subscription: Subscribe) -> bool:
        return subscription.options == PROCEDURE

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        if subscription.options != PROCEDURE:
            return frame
        id: Any = subscription.id
        return self._dealer.invocation(message, id[1])

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


_Action = Callable[[Wamp, list[Any], float], list[Event | Message]]
_ACTIONS: dict[int, _Action] = {
    codes.PUBLISH: Wamp._publish,
    codes.CALL: Wamp._call,
    codes.YIELD: Wamp._yield,
    codes.SUBSCRIBE: Wamp._subscribe,
    codes.UNSUBSCRIBE: Wamp._unsubscribe,
    codes.REGISTER: Wamp._register,
    codes.UNREGISTER: Wamp._unregister,
    codes.ERROR: Wamp._error,
    codes.CANCEL: Wamp._cancel,
    codes.GOODBYE: Wamp._goodbye,
    codes.ABORT: Wamp._aborted,
}
_OUTCOMES: dict[int, Callable[[Wamp, Asked, Any], tuple[bytes, list[Event | Message]]]] = {
    codes.PUBLISH: lambda self, asked, result: self._broker.published(asked, result),
    codes.SUBSCRIBE: lambda self, asked, result: self._broker.subscribed(asked, result),
    codes.UNSUBSCRIBE: lambda self, asked, result: self._broker.unsubscribed(asked, result),
    codes.REGISTER: lambda self, asked, result: self._dealer.registered(asked, result),
    codes.UNREGISTER: lambda self, asked, result: self._dealer.unregistered(asked, result),
    codes.CALL: lambda self, asked, result: self._dealer.result(asked, result),
}
