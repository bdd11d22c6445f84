"""lines: for people and scripts. UTF-8, one command a line, split at LF, one CR before it stripped.

The grammar is HELP, which the command of that name shows.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.lines_client import LinesClient
from hubbub.dialects.lines_text import SUBPROTOCOLS, from_base64, is_ascii_text, is_text, max_unit
from hubbub.errors import BadFilter, Refusal
from hubbub.events import (
    Answer,
    Close,
    Confirm,
    Connect,
    Event,
    Fault,
    Ping,
    PublishOnce,
    ReadPosition,
    Subscribe,
    Unsubscribe,
)
from hubbub.history_request import HistoryRequest, read_history
from hubbub.joined_frames import JoinedFrames
from hubbub.line_dialect import LineDialect
from hubbub.message import Message, Sender
from hubbub.publish import Publish, Request
from hubbub.topics import TopicTable, check_filter, quote, read_name

HELP = """\
SUB <filter>             OK SUB <filter>      then, for each message:  MSG <topic> <payload>
SUB <filter> AFTER <position> | SINCE <duration> | LAST <n>            first what the hub's history has, then LIVE
                         <position>, then what is new;  LOST <position>: something up to there is kept no more
POSITION                 POSITION <position>, where the history ends
UNSUB <filter>           OK UNSUB <filter>
PUB <topic> <payload>    no answer unless it fails; PUB! keeps it as the topic's retained message
PUBB <topic> <base64>    PUBB! likewise; a payload that isn't a line of text arrives as MSGB <topic> <base64>
ONCE <key> <PUB ...>     OK ONCE <key>; any kind of PUB. The hub publishes once, however often it comes
REQ <topic> <payload>    REP <payload> | REPB <base64> | ERR timeout ... | ERR no-responders ...
PING                     PONG; over UDP PONG <subscriptions>
AUTH <user> <password>   OK AUTH <user>; also AUTH TOKEN <token>
HELP                     lines that begin with #
QUIT                     BYE
CONFIRM <token>          over UDP, before a command: the hub asked for it with CONFIRM <token>
ERR <code> <sentence>    what was wrong;  GAP <n>: n messages were dropped for you
Commands may be in any case; exactly one space separates; in a topic, space, % and controls are written as %XX.
"""

_CR = 13


class Lines(LineDialect):
    """Commands a person can type into nc: SUB, PUB, REQ, HELP."""

    subprotocols = SUBPROTOCOLS
    roles = ("server", "client")
    text = True
    write_after_eof = True

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._max = context.max_message
        self._topics = TopicTable()

    @classmethod
    def for_role(cls, role: str) -> type[Dialect]:
        return cls if role == "server" else LinesClient

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return max_unit(context)

    # What comes in

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        events: list[Event | Message] = self._read_alike(lines) if len(lines) > 1 else []
        if events:
            return events
        topics, longest = self._topics, self._max
        for line in lines:
            if line and line[-1] == _CR:
                line = line[:-1]
            words = line.split(b" ", 2)
            try:
                if len(words) == 3 and words[0] == b"PUB":
                    payload = words[2]
                    if not payload.isascii():
                        payload.decode()
                    if len(payload) <= longest:
                        events.append(Publish(topics[words[1]], payload))
                        continue
                self._command(line, words, events)
            except Refusal as refusal:
                events.append(Fault(refusal))
            except UnicodeDecodeError:
                events.append(Fault(Refusal("bad-utf8", "a line is UTF-8; send other bytes with PUBB and base64")))
            if type(events[-1]) is Close:
                break
        return events

    def _read_alike(self, lines: list[bytes]) -> list[Event | Message]:
        """Read lines that all publish ASCII on one topic that came before: they are cut at once. Empty: others."""
        first, end = lines[0], self.line_end
        head = first[: first.find(b" ", 4) + 1]
        topic = self._topics.get(head[4:-1]) if head.startswith(b"PUB ") and lines[-1].startswith(head) else None
        if topic is None:
            return []
        together = end.join(lines)
        if len(together) > self._max or not together.isascii() or b"\r" in together:
            return []
        payloads = together[len(head) :].split(end + head)
        return [Publish(topic, payload) for payload in payloads] if len(payloads) == len(lines) else []

    def _command(self, line: bytes, words: list[bytes], events: list[Event | Message]) -> None:
        """Act on any command but the plainest PUB. Raises Refusal or UnicodeDecodeError."""
        command = _COMMANDS.get(words[0].upper())
        if command is None:
            line.decode()
            raise Refusal("bad-command", "no such command; HELP lists them")
        command(self, words, events)

    def _publish(self, words: list[bytes], events: list[Event | Message]) -> None:
        word = words[0].upper()
        topic = self._topics[_argument(words, "a topic")]
        payload = words[2] if len(words) > 2 else b""
        if word.startswith(b"PUBB"):
            payload = from_base64(payload)
        else:
            payload.decode()
        if len(payload) > self._max:
            events.append(self._payload_too_long())
        else:
            events.append(Publish(topic, payload, retain=word.endswith(b"!")))

    def _once(self, words: list[bytes], events: list[Event | Message]) -> None:
        key = _argument(words, "a key").decode()
        command = words[2].split(b" ", 2) if len(words) > 2 else [b""]
        if _COMMANDS.get(command[0].upper()) is not _PUB:
            raise Refusal("bad-command", "ONCE <key> PUB <topic> <payload>; PUB!, PUBB and PUBB! likewise")
        self._publish(command, events)
        message = events[-1]
        if isinstance(message, Publish):
            message.tag = key
            events[-1] = PublishOnce(key, message)

    def _request(self, words: list[bytes], events: list[Event | Message]) -> None:
        topic = self._topics[_argument(words, "a topic")]
        payload = words[2] if len(words) > 2 else b""
        payload.decode()
        if len(payload) > self._max:
            events.append(self._payload_too_long())
        else:
            events.append(Request(topic, payload))

    def _subscribe(self, words: list[bytes], events: list[Event | Message]) -> None:
        history = _history(words[2].split(b" ")) if len(words) > 2 else None
        events.append(Subscribe(_filter(words[:2]), history=history))

    def _position(self, words: list[bytes], events: list[Event | Message]) -> None:
        events.append(ReadPosition())

    def _unsubscribe(self, words: list[bytes], events: list[Event | Message]) -> None:
        events.append(Unsubscribe(_filter(words)))

    def _auth(self, words: list[bytes], events: list[Event | Message]) -> None:
        user = _argument(words, "a user and a password").decode()
        if len(words) < 3:
            raise Refusal("bad-command", "AUTH <user> <password>, or AUTH TOKEN <token>")
        if user == "TOKEN":
            events.append(Connect(token=words[2].decode()))
        else:
            events.append(Connect(user=user, password=words[2].decode()))

    def _confirm(self, words: list[bytes], events: list[Event | Message]) -> None:
        events.append(Confirm(_argument(words, "a token").decode()))

    def _ping(self, words: list[bytes], events: list[Event | Message]) -> None:
        events.append(Ping())

    def _help(self, words: list[bytes], events: list[Event | Message]) -> None:
        events += [Answer(f"# {line}".encode() + self.unit_end) for line in HELP.splitlines()]

    def _quit(self, words: list[bytes], events: list[Event | Message]) -> None:
        events.append(Close("the client sent QUIT", b"BYE" + self.unit_end))

    # What goes out

    def outcome(self, event: Event | Message, result: Any) -> bytes:
        if isinstance(result, Refusal):
            return self._error(result)
        if isinstance(event, Subscribe | Unsubscribe):
            word = b"SUB" if isinstance(event, Subscribe) else b"UNSUB"
            answer = b"OK %b %b%b" % (word, quote(event.filter).encode(), self.unit_end)
            lost = event.history.lost if isinstance(event, Subscribe) and event.history is not None else ""
            return answer + self.encode_lost(event, lost) if lost else answer
        if isinstance(event, Request):
            if is_text(result.payload):
                return b"REP %b%b" % (result.payload, self.unit_end)
            return b"REPB %b%b" % (b64encode(result.payload), self.unit_end)
        if isinstance(event, Publish) and event.tag is not None:
            return b"OK ONCE %b%b" % (event.tag.encode(), self.unit_end)
        if isinstance(event, Ping):
            count = b" %d" % result if self.context.transport == "udp" else b""
            return b"PONG%b%b" % (count, self.unit_end)
        if isinstance(event, ReadPosition):
            return b"POSITION %b%b" % (result.encode(), self.unit_end)
        if isinstance(event, Connect):
            user = f" {quote(result)}" if result else ""
            return b"OK AUTH%b%b" % (user.encode(), self.unit_end)
        return b""

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes:
        payload = message.payload
        if is_text(payload):
            return b"".join((_HEADS[message.topic], payload, form))
        return b"MSGB %b %b%b" % (quote(message.topic).encode(), b64encode(payload), form)

    @classmethod
    def encode_all(cls, messages: Sequence[Message], form: Any) -> Sequence[bytes | None]:
        if len(messages) == 1:
            message = messages[0]
            if is_ascii_text(message.payload):
                return [b"".join((_HEADS[message.topic], message.payload, form))]
            return [cls.encode(message, form)]
        payloads = [message.payload for message in messages]
        if not payloads or not is_ascii_text(b"".join(payloads)):
            return [cls.encode(message, form) for message in messages]
        first = messages[0]
        if form and messages[-1].topic == first.topic and len({message.topic for message in messages}) == 1:
            head = _HEADS[first.topic]
            return JoinedFrames(b"".join((head, (form + head).join(payloads), form)), len(payloads), end=form)
        return [b"".join((_HEADS[message.topic], message.payload, form)) for message in messages]

    def gap(self, n: int) -> bytes:
        return b"GAP %d%b" % (n, self.unit_end)

    def encode_lost(self, subscription: Any, position: str) -> bytes:
        return b"LOST %b%b" % (position.encode(), self.unit_end)

    def replayed(self, subscription: Subscribe, position: str) -> bytes:
        return b"LIVE %b%b" % (position.encode(), self.unit_end)

    def encode_close(self, reason: str) -> bytes:
        return b"BYE" + self.unit_end

    def confirm(self, event: Event | Message, token: str) -> bytes:
        return b"CONFIRM %b%b" % (token.encode(), self.unit_end)

    def _error(self, refusal: Refusal) -> bytes:
        return f"ERR {refusal.code} {refusal.reason}".encode() + self.unit_end

    def _payload_too_long(self) -> Close:
        return self.too_long(f"the payload is longer than {self._max} bytes")


_COMMANDS: dict[bytes, Callable[[Lines, list[bytes], list[Event | Message]], None]] = {
    b"PUB": Lines._publish,
    b"PUB!": Lines._publish,
    b"PUBB": Lines._publish,
    b"PUBB!": Lines._publish,
    b"ONCE": Lines._once,
    b"REQ": Lines._request,
    b"SUB": Lines._subscribe,
    b"UNSUB": Lines._unsubscribe,
    b"POSITION": Lines._position,
    b"PING": Lines._ping,
    b"HELP": Lines._help,
    b"QUIT": Lines._quit,
    b"AUTH": Lines._auth,
    b"CONFIRM": Lines._confirm,
}


_PUB = _COMMANDS[b"PUB"]


class _Heads(dict[str, bytes]):
    """What stands before the payload of a message, for each topic. Bounded."""

    def __missing__(self, topic: str) -> bytes:
        head = b"MSG %b " % quote(topic).encode()
        if len(topic) <= limits.MATCH_CACHE_TOPIC:
            if len(self) >= limits.MATCH_CACHE:
                self.clear()
            self[topic] = head
        return head


_HEADS = _Heads()


def _argument(words: list[bytes], what: str) -> bytes:
    if len(words) < 2:
        raise Refusal("bad-command", f"{words[0].upper().decode()} wants {what}; HELP shows how")
    return words[1]


def _history(words: list[bytes]) -> HistoryRequest:
    """Read what stands behind a filter. Raises BadFilter, Refusal."""
    name, value = words[0].upper(), words[-1].decode()
    if len(words) != 2 or name not in (b"AFTER", b"SINCE", b"LAST"):
        raise BadFilter(
            "a filter may be followed by AFTER <position>, SINCE <duration> or LAST <n>; a space in it is %20"
        )
    return read_history(name.decode().lower(), value)


def _filter(words: list[bytes]) -> str:
    name = _argument(words, "a filter")
    if len(words) > 2:
        raise BadFilter("a filter has no spaces; write them as %20")
    return check_filter(read_name(name, BadFilter))
