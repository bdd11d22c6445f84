"""What a session's messages become, and what becomes messages of a session; dialect.py begins and ends sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mypy_extensions import mypyc_attr

from hubbub import Answer, Close, Connect, Dialect, DialectContext, Event, Fault, Message, Refusal, Sender, Subscribe
from hubbub_plugins.wamp import codes
from hubbub_plugins.wamp.broker import Broker
from hubbub_plugins.wamp.codec import Malformed, codec_of
from hubbub_plugins.wamp.dealer import PROCEDURE, Dealer
from hubbub_plugins.wamp.fields import id_at, uri_at
from hubbub_plugins.wamp.meta import Failure, Meta
from hubbub_plugins.wamp.publications import OWN, Asked, Form, encode_event
from hubbub_plugins.wamp.rawsocket import MESSAGE, PING, PONG, RawSocket, framed
from hubbub_plugins.wamp.speaker import Speaker


@mypyc_attr(allow_interpreted_subclasses=True)
class WampSession(Dialect):
    """Base of Wamp, for a session that has begun."""

    name = "wamp"

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

    def greet(self, message: list[Any]) -> list[Event | Message]:
        """Act on what comes before there is a session. Raises Malformed."""
        raise NotImplementedError

    def connected(self, event: Connect, result: Any) -> bytes | Close:
        """Answer the login."""
        raise NotImplementedError

    # Inbound

    def cut(self, data: bytes, most: int) -> int:
        if self._raw is not None:
            return most
        return self._speaker.codec.cut(data, most) if self._known else len(data)

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
                events += self.greet(message)
                continue
            action = _ACTIONS.get(message[0])
            if action is None:
                raise Malformed(f"a message with the number {message[0]} can't come here")
            events += action(self, message, now)

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
        except Failure as error:
            return [Answer(speaker.error(codes.CALL, request, error.uri, error.reason))]
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

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Connect):
            return self.connected(event, result)
        asked = getattr(event, "tag", None)
        if type(asked) is not Asked:
            return b""
        if isinstance(result, Refusal) and asked.code not in (codes.REGISTER, codes.CALL):
            return self._speaker.refuse(asked.code, asked.request, result)
        data, self.follow_up = _OUTCOMES[asked.code](self, asked, result)
        return data

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


_Action = Callable[[WampSession, list[Any], float], list[Event | Message]]
_ACTIONS: dict[int, _Action] = {
    codes.PUBLISH: lambda self, message, now: self._broker.publish(message),
    codes.CALL: WampSession._call,
    codes.YIELD: lambda self, message, now: self._dealer.yield_(message),
    codes.SUBSCRIBE: lambda self, message, now: self._broker.subscribe(message),
    codes.UNSUBSCRIBE: lambda self, message, now: self._broker.unsubscribe(message),
    codes.REGISTER: lambda self, message, now: self._dealer.register(message),
    codes.UNREGISTER: lambda self, message, now: self._dealer.unregister(message),
    codes.ERROR: lambda self, message, now: self._dealer.failed(message),
    codes.CANCEL: lambda self, message, now: self._dealer.cancel(message),
    codes.GOODBYE: WampSession._goodbye,
    codes.ABORT: WampSession._aborted,
}
_OUTCOMES: dict[int, Callable[[WampSession, Asked, Any], tuple[bytes, list[Event | Message]]]] = {
    codes.PUBLISH: lambda self, asked, result: self._broker.published(asked, result),
    codes.SUBSCRIBE: lambda self, asked, result: self._broker.subscribed(asked, result),
    codes.UNSUBSCRIBE: lambda self, asked, result: self._broker.unsubscribed(asked, result),
    codes.REGISTER: lambda self, asked, result: self._dealer.registered(asked, result),
    codes.UNREGISTER: lambda self, asked, result: self._dealer.unregistered(asked, result),
    codes.CALL: lambda self, asked, result: self._dealer.result(asked, result),
}
