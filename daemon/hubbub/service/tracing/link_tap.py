"""Records one link at work, for its traces.

The methods of its dialect that are called for each unit are covered by the tap's own, on that one object, and its
outbox gets a class that tells what it is given. A link without a tap runs as if this weren't here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Answer, AuthResponse, Close, Connect, Subscribe, SwitchDialect, Unsubscribe
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.routing.batch import Batch
from hubbub.message import Message
from hubbub.publish import Publish, Request
from hubbub.service.tracing.event_text import describe
from hubbub.service.tracing.masking import Masker
from hubbub.topics import quote

_COVERED = ("opened", "receive", "receive_units", "eof", "timeout", "outcome")
_MARK = object()  # the tag of a Publish without one, whose result is wanted


class TraceSink(Protocol):
    """Takes the records: a service.tracing.traces.Trace."""

    @property
    def picks(self) -> bool:
        """Whether it wants some topics alone."""

    def wants_topic(self, topic: str) -> bool:
        """Whether what happens on `topic`, or to this filter, is to be seen."""

    def room(self) -> bool:
        """Whether there is room for one more record; else it is counted."""

    def tell(self, record: dict[str, object]) -> None:
        """Tell a record for which there was room."""


class Tap:
    """Sees one link at work.

    masker  of the tap that it had before, which knows what has begun; None: it had none
    """

    def __init__(self, link: Link, traces: Sequence[TraceSink], masker: Masker | None = None) -> None:
        context = link.context
        self.link = link
        self._traces = traces
        self._dialect = link.dialect
        self._mount = context.prefix.fill(link.session.fields()) + "/" if context.prefix is not None else ""
        self.masker = masker or Masker(context.dialect_context.stream, bool(link.dialect.held()))
        self._inside = False
        self._waiting = 0  # results that are still to come
        self._unchanged = 0

    def attach(self) -> None:
        """Begin to see."""
        mine = vars(self._dialect)
        for name in _COVERED:
            mine[name] = getattr(self, name)
        mine["tap"] = self
        self.link.outbox.stay_alone(True)
        self.link.outbox.__class__ = _traced(type(self.link.outbox))

    def detach(self) -> None:
        """See nothing more, but the results that this tap has asked for."""
        mine = vars(self._dialect)
        self._traces = ()
        for name in (*_COVERED, "tap"):
            if name != "outcome" or not self._waiting:
                mine.pop(name, None)
        self.link.outbox.stay_alone(False)
        receiver = type(self.link.outbox)
        if receiver in _TRACED.values():
            self.link.outbox.__class__ = receiver.__base__  # type: ignore[assignment]

    # The methods of the dialect, covered

    def opened(self, now: float) -> list[Any]:
        return self._see(b"", lambda: type(self._dialect).opened(self._dialect, now))

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Any]:
        return self._see(data, lambda: type(self._dialect).receive(self._dialect, data, now, text))

    def receive_units(self, units: Sequence[tuple[bytes, bool | None]], now: float) -> list[Any]:
        if self._inside:
            return type(self._dialect).receive_units(self._dialect, units, now)
        return [event for data, text in units for event in self.receive(data, now, text)]

    def eof(self, now: float) -> list[Any]:
        return self._see(b"", lambda: type(self._dialect).eof(self._dialect, now), "end of input")

    def timeout(self, now: float) -> list[Any]:
        return self._see(b"", lambda: type(self._dialect).timeout(self._dialect, now), "silence")

    def outcome(self, event: Any, result: Any) -> bytes | Close:
        marked = event.tag is _MARK
        if marked:
            event.tag = None
            self._waiting -= 1
            if not self._traces and not self._waiting:
                vars(self._dialect).pop("outcome", None)
        self._tell_result(event, result)
        if marked and not isinstance(result, Refusal):
            return b""  # only the tap has asked
        return type(self._dialect).outcome(self._dialect, event, result)

    def _see(self, data: bytes, call: Callable[[], list[Any]], what: str | None = None) -> list[Any]:
        """Call the dialect, and tell what came in and what it made of that."""
        if self._inside:
            return call()
        self._inside = True
        self._unchanged = self.link.context.unchanged
        try:
            events = call()
        except Exception as error:
            self._tell_unit(data, [], f"the dialect failed: {type(error).__name__}: {error}")
            raise
        finally:
            self._inside = False
        if data or events or what:
            self._tell_unit(data, events, what)
        return events

    # Records

    def _tell_unit(self, data: bytes, events: list[Any], what: str | None) -> None:
        if any(type(event) is SwitchDialect and event.head for event in events):
            return  # it comes again, to the dialect that it is for
        known = [secret for event in events if isinstance(event, Connect | AuthResponse) for secret in _secrets(event)]
        masked = self.masker.mask(data, known)
        if events:
            self.masker.amid = False
        record: dict[str, object] = {}
        for trace in self._traces:
            wanted = [event for event in events if self._concerns(trace, event)]
            if (trace.picks and not wanted) or not trace.room():
                continue
            if not record:
                record = self._record(time=self.link.hub.turn.wall(), events=list(map(self._describe, events[:_MOST])))
                if len(events) > _MOST:
                    record["more"] = len(events) - _MOST
                if data:
                    record |= _bytes("in", masked)
                if what is not None:
                    record["note"] = what
                if held := self._dialect.held():
                    record["held"] = held
            trace.tell(record)
            for event in wanted[:_MOST]:
                if type(event) is Publish and event.tag is None:
                    event.tag = _MARK
                    self._waiting += 1

    def _describe(self, event: Any) -> str:
        if isinstance(event, Answer) and self._dialect.secrets:
            event = Answer(Masker(False).mask(event.data, self._dialect.secrets))
        return describe(event)

    def _tell_result(self, event: Any, result: Any) -> None:
        text = self._result_text(event, result)
        for trace in self._traces:
            if text and self._concerns(trace, event) and trace.room():
                trace.tell(self._record(result=text))

    def _result_text(self, event: Any, result: Any) -> str:
        about = quote(event.topic) + ": " if isinstance(event, Message) else ""
        if isinstance(result, Refusal):
            return f"{about}{result.code}: {result.reason}"
        if isinstance(event, Request):
            return f"{about}answered"
        if not isinstance(event, Publish):
            return ""
        if result == 0 and not event.time:  # the hub hasn't had it
            unchanged = self.link.context.unchanged != self._unchanged
            self._unchanged = self.link.context.unchanged
            return about + ("unchanged, not published" if unchanged else "waits for its turn: rate")
        return about + (f"{result} receiver{'s' * (result != 1)}" if result else "no subscriber")

    def tell_out(self, data: bytes, topic: str | None, note: str | None = None) -> None:
        """Tell of a unit that goes out."""
        shown = _unframed(self.link, data)
        if hidden := self._dialect.secrets:
            shown = Masker(False).mask(shown, hidden)
        for trace in self._traces:
            if (not trace.picks or (topic is not None and trace.wants_topic(topic))) and trace.room():
                record = self._record(time=self.link.hub.turn.wall(), **_bytes("out", shown))
                record |= {name: value for name, value in (("topic", topic), ("note", note)) if value is not None}
                trace.tell(record)

    def _concerns(self, trace: TraceSink, event: Any) -> bool:
        if not trace.picks:
            return True
        if isinstance(event, Message):
            mounted = event.topic if event.topic.startswith(self._mount) else self._mount + event.topic
            return trace.wants_topic(mounted)
        return isinstance(event, Subscribe | Unsubscribe) and trace.wants_topic(self._mount + event.filter)

    def _record(self, **more: object) -> dict[str, object]:
        session = self.link.session
        peer = f"{session.host}:{session.port}" if session.port else session.host
        return {
            "link": session.id, "listener": session.listener, "peer": peer, "dialect": type(self._dialect).name, **more,
        }  # fmt: skip


_MOST = 100  # events of one unit that are recorded one by one
_TRACED: dict[type[Outbox], type[Outbox]] = {}


def _traced(receiver: type[Outbox]) -> type[Outbox]:
    """Return the kind of outbox that does the same, and tells the tap of its link."""
    if receiver in _TRACED.values():
        return receiver
    if receiver not in _TRACED:

        def put(self: Outbox, batch: Batch) -> None:
            before = self.dropped
            receiver.put(self, batch)
            lost = self.dropped - before
            note = f"{lost} dropped: the outbox is full" if lost else None
            if tap := _tap_of(self):
                for message, frame in zip(batch.messages, batch.frames, strict=True):
                    tap.tell_out(frame, message.topic, note)

        def answer(self: Outbox, data: bytes, more: Sequence[bytes] = ()) -> None:
            data += b"".join(more)
            receiver.answer(self, data)
            if tap := _tap_of(self):
                tap.tell_out(data, None)

        _TRACED[receiver] = type(
            f"Traced{receiver.__name__}", (receiver,), {"__slots__": (), "put": put, "answer": answer}
        )
    return _TRACED[receiver]


def _tap_of(outbox: Outbox) -> Any:
    """Return the tap of an outbox's link; None: it isn't traced, or the link has gone."""
    dialect = getattr(outbox.owner, "dialect", None)
    return None if dialect is None else vars(dialect).get("tap")


def _secrets(event: Connect | AuthResponse) -> list[bytes]:
    """Return the secrets of a login."""
    secrets = [event.auth_data]
    if isinstance(event, Connect):
        secrets += [text.encode(errors="surrogatepass") for text in (event.password, event.token) if text]
    return [secret for secret in secrets if secret]


def _bytes(name: str, data: bytes) -> dict[str, object]:
    """Show bytes as text and hex, the beginning where they are many."""
    shown = data[: limits.TRACE_BYTES]
    return {name: repr(shown)[2:-1].replace("\\'", "'"), "hex": shown.hex(" "), "bytes": len(data)}


def _unframed(link: Link, data: bytes) -> bytes:
    """Take the header of a WebSocket frame of ours off (RFC 6455 section 5.2); responses of HTTP have none."""
    if link.context.dialect_context.transport != "websocket" or len(data) < 2 or data[0] < 0x80:
        return data
    at = {126: 4, 127: 10}.get(data[1] & 127, 2)
    if not data[1] & 0x80:
        return data[at:]
    key, rest = data[at : at + 4], data[at + 4 :]  # a client's frame is masked (section 5.3)
    keys = (key * (len(rest) // 4 + 1))[: len(rest)]
    return (int.from_bytes(rest, "big") ^ int.from_bytes(keys, "big")).to_bytes(len(rest), "big")
