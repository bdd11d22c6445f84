"""lines, the client's side: what a connector says to a hub, or to whatever else speaks lines.

    SUB <filter>             for each filter of `pull=`, when the link is there
    MSG <topic> <payload>    comes in, and is published here; so is MSGB <topic> <base64>
    PUB <topic> <payload>    goes out for what matches `subscribe=`; PUB!, PUBB, PUBB! likewise

Everything else that a hub says (OK, PONG, GAP, #) needs no action; ERR is counted as refused, BYE ends the link.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from hubbub.dialect import DialectContext
from hubbub.dialects.line_client import pushes, refused, refused_push
from hubbub.dialects.lines_text import SUBPROTOCOLS, from_base64, is_text, max_unit
from hubbub.errors import Refusal
from hubbub.events import Answer, Close, Event, Fault
from hubbub.line_dialect import LineDialect
from hubbub.message import Message, Sender
from hubbub.publish import Publish
from hubbub.topics import TopicTable, quote


class LinesClient(LineDialect):
    """What a client of lines says and hears."""

    name = "lines"
    roles = ("client",)
    can_pull = True
    text = True
    subprotocols = SUBPROTOCOLS

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topics = TopicTable()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return max_unit(context)

    def opened(self, now: float) -> list[Event | Message]:
        wishes = [Answer(b"SUB %b%b" % (quote(filter).encode(), self.unit_end)) for filter in self.context.pull]
        return [*wishes, *pushes(self.context)]

    # What comes in

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        events: list[Event | Message] = []
        for line in lines:
            words = line.removesuffix(b"\r").split(b" ", 2)
            try:
                if words[0] in (b"MSG", b"MSGB") and len(words) == 3:
                    events.append(self._message(words))
                elif words[0] == b"ERR":
                    reason = b" ".join(words[1:]).decode(errors="replace")
                    events.append(refused(reason))
                elif words[0] == b"BYE":
                    events.append(Close("the hub sent BYE"))
                    break
            except Refusal as refusal:
                events.append(Fault(refusal))
            except UnicodeDecodeError:
                events.append(Fault(Refusal("bad-utf8", "a line is UTF-8")))
        return events

    def _message(self, words: list[bytes]) -> Publish:
        topic, payload = self._topics[words[1]], words[2]
        if words[0] == b"MSGB":
            payload = from_base64(payload)
        elif not payload.isascii():
            payload.decode()
        if len(payload) > self.context.max_message:
            raise Refusal("too-long", f"a payload is longer than {self.context.max_message} bytes")
        return Publish(topic, payload)

    # What goes out

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        return refused_push(self, event, result)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes:
        payload, topic = message.payload, quote(message.topic).encode()
        mark = b"!" if message.retain or message.retained else b""
        if is_text(payload):
            return b"PUB%b %b %b%b" % (mark, topic, payload, form)
        return b"PUBB%b %b %b%b" % (mark, topic, b64encode(payload), form)

    def encode_close(self, reason: str) -> bytes:
        return b"QUIT" + self.unit_end
