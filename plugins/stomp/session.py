"""What the frames of a client become, and what becomes frames; dialect.py begins and keeps up its session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mypy_extensions import mypyc_attr

from hubbub import (
    Ack,
    Answer,
    Close,
    Connect,
    Dialect,
    DialectContext,
    Event,
    IdForm,
    Message,
    OpenQueue,
    Publish,
    PublishOnce,
    Refusal,
    Sender,
    Subscribe,
    Text,
    Unsubscribe,
    limits,
)
from hubbub.user_properties import ONCE
from hubbub_plugins.stomp.acknowledgements import AUTO, MODES, Acknowledgements
from hubbub_plugins.stomp.connect import VERSIONS, connected
from hubbub_plugins.stomp.destinations import PLAIN, QUEUE, filter_of, queue_of, style_of
from hubbub_plugins.stomp.frames import V10, V12, Frame, Malformed, read_frame, write_frame, write_header
from hubbub_plugins.stomp.heart_beat import HeartBeat
from hubbub_plugins.stomp.messages import encode_around, encode_plain, form_of, send_event, with_ack_id
from hubbub_plugins.stomp.reader import Head, Reader
from hubbub_plugins.stomp.transactions import Transactions

_ID_AT = len("subscription:")
_NO_CONNECT = "the first frame isn't CONNECT or STOMP"
_UNTOLD = 0  # the tag of what has no receipt of its own, and yet is to be safe before the receipt behind it
_STAGES = {"ACK": "acknowledged", "NACK": "returned"}


@mypyc_attr(allow_interpreted_subclasses=True)
class StompSession(Dialect):
    """Base of Stomp, for what passes while a client is connected."""

    name = "stomp"

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._acknowledgements = Acknowledgements()
        self._closed = False
        self._heart_beat = HeartBeat()
        self._reader = Reader(context.max_message)
        self._transactions = Transactions(self.max_unit(context))
        self._version = ""  # until CONNECT has come
        self._websocket = context.transport == "websocket"

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return context.max_message + limits.STOMP_HEAD_BYTES

    def held(self) -> str:
        return self._reader.held()

    def connect(self, frame: Frame) -> list[Event | Message]:
        """Begin the session by a CONNECT or STOMP frame. Raises Malformed."""
        raise NotImplementedError

    # Inbound

    def cut(self, data: bytes, most: int) -> int:
        return most  # units are pieces of a stream

    def units(self, data: bytes) -> int:
        return data.count(b"\0")

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        events: list[Event | Message] = []
        if self._closed:
            return events
        self._heart_beat.last_received = now
        if not self._version and _is_foreign(self._reader.begin_with(data)):
            return [self._fail(Malformed(_NO_CONNECT))]  # an HTTP request has no NUL: its end would never come
        error = self._reader.feed(data, events, self._read)
        if error is not None:
            events.append(self._fail(error, error.receipt))
        return events

    def _read(self, head: Head, body: bytes, events: list[Event | Message]) -> bool:
        """Append the events of one frame, and return whether more may follow. Raises Malformed."""
        frame = read_frame(head.raw, body, self._version or V10)
        try:
            found = self._act(frame)
        except Refusal as refusal:
            error = Malformed(refusal.reason, refusal.code)
            error.receipt = frame.headers.get("receipt")
            raise error from None
        except Malformed as error:
            error.receipt = frame.headers.get("receipt")
            raise
        events += found
        if len(found) == 1 and type(event := found[0]) is Publish and event.tag is None and not _has_more(event):
            self._reader.remember(head, event.topic, event.content_type)
        return not self._closed

    def _act(self, frame: Frame) -> list[Event | Message]:
        command = frame.command
        if command in ("CONNECT", "STOMP"):
            return self.connect(frame)
        action = _ACTIONS.get(command)
        if action is None:
            raise Malformed("no such command")
        if not self._version:
            raise Malformed(_NO_CONNECT)
        if frame.body and command != "SEND":
            raise Malformed(f"a {command} has no body")
        return action(self, frame)

    def _send(self, frame: Frame) -> list[Event | Message]:
        event, key, transaction = send_event(frame), frame.headers.get(ONCE), frame.headers.get("transaction")
        tag = event.tag
        if transaction is not None:
            event.tag = _UNTOLD
        found: list[Event | Message] = [event if key is None else PublishOnce(key, event)]
        if style_of(frame.header("destination")) == QUEUE:
            found.insert(0, OpenQueue(queue_of(event.topic), True, tag))
        if transaction is None:
            return found
        self._transactions.add(transaction, found)
        return self._done(frame)

    def _subscribe(self, frame: Frame) -> list[Event | Message]:
        destination, mode = frame.header("destination"), frame.headers.get("ack", AUTO)
        if mode not in MODES:
            raise Malformed(f"ack is one of {', '.join(MODES)}")
        filter, style = filter_of(destination), style_of(destination)
        id, tag = self._subscription_id(frame, destination), frame.headers.get("receipt")
        wish = Subscribe(filter, options=style or None, tag=tag, qos=int(mode != AUTO), id=id)
        self._acknowledgements.subscribe(self._written(id)[_ID_AT:-1], mode)
        return [OpenQueue(filter, tag=tag), wish] if style == QUEUE else [wish]

    def _unsubscribe(self, frame: Frame) -> list[Event | Message]:
        id = self._subscription_id(frame, frame.headers.get("destination"))
        wish = Unsubscribe("", frame.headers.get("receipt"), id)
        self._acknowledgements.unsubscribe(self._written(id)[_ID_AT:-1])
        return [wish]

    def _acknowledge(self, frame: Frame) -> list[Event | Message]:
        transaction = frame.headers.get("transaction")
        if transaction is not None:
            self._transactions.add(transaction, [frame])
            return self._done(frame)
        return [*self._acks(frame), *self._done(frame)]

    def _acks(self, frame: Frame) -> list[Event | Message]:
        stage = _STAGES[frame.command]
        return [Ack(id, stage) for id in self._acknowledgements.take(frame)]

    def _done(self, frame: Frame) -> list[Event | Message]:
        """Return the receipt of a frame that the hub needn't answer itself; it waits for what stands before it."""
        receipt = frame.headers.get("receipt")
        return [] if receipt is None else [Answer(self._receipt(receipt))]

    def _begin(self, frame: Frame) -> list[Event | Message]:
        self._transactions.begin(frame.header("transaction"))
        return self._done(frame)

    def _commit(self, frame: Frame) -> list[Event | Message]:
        found: list[Event | Message] = []
        for step in self._transactions.end(frame.header("transaction")):
            found += self._acks(step) if isinstance(step, Frame) else [step]
        return [*found, *self._done(frame)]

    def _abort(self, frame: Frame) -> list[Event | Message]:
        self._transactions.end(frame.header("transaction"))
        return self._done(frame)

    def _subscription_id(self, frame: Frame, destination: str | None) -> str:
        """Return the id of a subscription; in STOMP 1.0 it may have none, and then its destination is the id."""
        if self._version == V10 and destination is not None:
            return frame.headers.get("id", destination)
        id = frame.header("id")
        if len(id) > limits.NAME_CHARACTERS:
            raise Malformed(f"an id has more than {limits.NAME_CHARACTERS} characters")
        return id

    def _disconnect(self, frame: Frame) -> list[Event | Message]:
        self._closed = True
        receipt = frame.headers.get("receipt")
        return [Close("the client disconnects", b"" if receipt is None else self._receipt(receipt))]

    # Outbound

    def _unit(self, data: bytes) -> bytes:
        return Text(data) if self._websocket else data

    def _receipt(self, receipt: str) -> bytes:
        return self._unit(write_frame("RECEIPT", {"receipt-id": receipt}, self._version))

    def _error(self, code: str, reason: str, receipt: str | None = None) -> bytes:
        headers = {"message": reason, "code": code}
        if not self._version:
            headers["version"] = ",".join(VERSIONS)
        if receipt is not None:
            headers["receipt-id"] = receipt
        return self._unit(write_frame("ERROR", headers, self._version or V10))

    def _fail(self, error: Malformed | Refusal, receipt: str | None = None) -> Close:
        """End the connection: nothing follows an ERROR."""
        self._closed = True
        return Close(error.reason, self._error(error.code, error.reason, receipt), Refusal(error.code, error.reason))

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Connect):
            if isinstance(result, Refusal):
                return self._ended(result)
            return self._unit(connected(event, self._version))
        receipt = event.tag if isinstance(event, Event | Publish) and isinstance(event.tag, str) else None
        if not isinstance(result, Refusal):
            return b"" if receipt is None or isinstance(event, OpenQueue) else self._receipt(receipt)
        if receipt is None and result.code == "rate-limited":  # `over=drop`: the connection goes on
            return b""
        return self._ended(result, receipt)

    def _ended(self, refusal: Refusal, receipt: str | None = None) -> Close:
        self._closed = True
        return Close(refusal.reason, self._error(refusal.code, refusal.reason, receipt))

    def form(self, subscription: Subscribe) -> IdForm:
        style: Any = subscription.options or PLAIN
        form = form_of(self._version or V12, style, bool(subscription.qos), self._websocket)
        return IdForm(form, self._written(str(subscription.key)))

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        return cls.encode_all((message,), form)[0]

    @classmethod
    def encode_all(cls, messages: Sequence[Message], form: Any) -> list[bytes | None]:
        units = encode_plain(messages, form.shared, form.id)
        if None in units:
            for at, unit in enumerate(units):
                if unit is None:
                    units[at] = super().encode(messages[at], form)
        return units

    @classmethod
    def encode_around(cls, message: Message, shared: Any) -> tuple[bytes, bytes] | None:
        return encode_around(message, shared)

    def _written(self, id: str) -> bytes:
        """Return the header line of a subscription's id."""
        return write_header("subscription", id, self._version or V12)

    def frame_qos(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        unit, subscription, token = with_ack_id(frame, id)
        self._acknowledgements.sent(subscription, token, id)
        return Text(unit) if isinstance(frame, Text) else unit

    def pieces_qos(self, frame: bytes, message: Message, id: int, again: bool) -> Sequence[bytes]:
        payload = message.payload
        head = frame[: len(frame) - len(payload) - 1]
        return self.frame_qos(Text(head) if isinstance(frame, Text) else head, message, id, again), payload, b"\0"

    def encode_close(self, reason: str) -> bytes:
        return b"" if self._closed else self._error("unavailable", reason)

    def encode_disconnect(self, reason: str, refusal: Refusal) -> bytes:
        return b"" if self._closed else self._error(refusal.code, refusal.reason)


def _has_more(event: Publish) -> bool:
    """Return whether a message has more than a topic and a content type."""
    return event.retain or event.reply_to is not None or event.properties is not None


_ACTIONS: dict[str, Callable[[StompSession, Frame], list[Event | Message]]] = {
    "SEND": StompSession._send,
    "SUBSCRIBE": StompSession._subscribe,
    "UNSUBSCRIBE": StompSession._unsubscribe,
    "ACK": StompSession._acknowledge,
    "NACK": StompSession._acknowledge,
    "BEGIN": StompSession._begin,
    "COMMIT": StompSession._commit,
    "ABORT": StompSession._abort,
    "DISCONNECT": StompSession._disconnect,
}

_COMMANDS = [f"{command}\n".encode() for command in ("CONNECT", "STOMP", *_ACTIONS)]


def _is_foreign(begin: bytes) -> bool:
    """Return whether what begins a stream is no frame of STOMP, whatever follows."""
    line = begin.replace(b"\r\n", b"\n").rstrip(b"\r")
    return not any(line.startswith(command) or command.startswith(line) for command in _COMMANDS)
