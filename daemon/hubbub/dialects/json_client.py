"""json, the client's side: what a connector says to a hub, or to whatever else speaks json.

    {"op":"subscribe","topic":..,"echo":false,"meta":true}   for each filter of `pull=`, when the link is there
    {"op":"message","topic":..,"data":..}                    comes in, and is published here
    {"op":"publish","topic":..,"data":..}                    goes out for what matches `subscribe=`

Everything else that a hub says needs no action; an error is counted as refused, bye ends the link. With `"echo":false`
what goes out doesn't come back, so that `pull=` and `subscribe=` may overlap.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from hubbub.dialect import DialectContext
from hubbub.dialects.json_commands import UNREADABLE, MessageCommand, explain
from hubbub.dialects.json_text import SUBPROTOCOLS, carry, max_unit
from hubbub.dialects.line_client import pushes, refused, refused_push
from hubbub.errors import Refusal
from hubbub.events import Answer, Close, Event, Fault
from hubbub.line_dialect import LineDialect
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish

_write = msgspec.json.Encoder().encode


class _Command(Struct, gc=False):
    op: str = ""
    reason: str = ""


class _Message(MessageCommand, tag="message", kw_only=True, gc=False):
    retained: bool = False


class _Publish(Struct, tag_field="op", tag="publish", omit_defaults=True, gc=False):
    topic: str
    data: str | Raw | None = None
    base64: bytes | None = None
    retain: bool = False
    content_type: str | None = None
    properties: dict[str, str] | None = None
    qos: int = 0
    message_expiry: float | None = None
    correlation: bytes | None = None


_read_command = msgspec.json.Decoder(_Command).decode
_read_message = msgspec.json.Decoder(_Message).decode


class JsonClient(LineDialect):
    """What a client of json says and hears."""

    name = "json"
    roles = ("client",)
    can_pull = True
    text = True
    subprotocols = SUBPROTOCOLS

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return max_unit(context)

    def opened(self, now: float) -> list[Event | Message]:
        wishes = [{"op": "subscribe", "topic": one, "echo": False, "meta": True} for one in self.context.pull]
        return [*(Answer(_write(wish) + self.unit_end) for wish in wishes), *pushes(self.context)]

    # What comes in

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        events: list[Event | Message] = []
        for line in lines:
            if not line.strip():
                continue
            try:
                command = _read_command(line)
                if command.op == "message":
                    events.append(self._publish(_read_message(line)))
                elif command.op == "error":
                    events.append(refused(command.reason))
                elif command.op == "bye":
                    events.append(Close("the hub sent bye"))
                    break
            except Refusal as refusal:
                events.append(Fault(refusal))
            except UNREADABLE as error:
                events.append(explain(error, line))
        return events

    def _publish(self, command: _Message) -> Publish:
        return command.message(self.context.max_message, command.retained)

    # What goes out

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        return refused_push(self, event, result)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        data, base64 = carry(message, parse=False)
        properties = dict(message.properties) if message.properties else None
        retain = message.retain or message.retained
        command = _Publish(message.topic, data, base64, retain, message.content_type, properties)
        if isinstance(message, QosPublish):
            command.qos, command.message_expiry, command.correlation = (
                message.qos,
                message.message_expiry,
                message.correlation,
            )
        try:
            unit = _write(command)
        except UnicodeEncodeError:  # a lone surrogate that came with a property
            return None
        end: bytes = form
        return unit + end

    def encode_close(self, reason: str) -> bytes:
        return b'{"op":"bye"}' + self.unit_end
