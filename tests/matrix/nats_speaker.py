"""A client of NATS; see matrix.speakers."""

from __future__ import annotations

from typing import Any

from hubbub.nats_protocol.subjects import subject_of, subjects_of, topic_of
from hubbub.testing import World
from hubbub_plugins.nats import Nats
from matrix.speaker import Output, Speaker
from nats_operations import Operations


class NatsSpeaker(Speaker):
    """It is verbose, so that it learns what became of a command; what went well is told of a SUB alone."""

    dialect = Nats

    def __init__(self, world: World, transport: str, **keys: Any) -> None:
        super().__init__(world, transport, **keys)
        self._reader = Operations((b"MSG", b"HMSG"))
        self._sids: dict[str, str] = {}  # ids by subject
        self._asked: set[str] = set()  # reply topics
        self._wishes: list[Output] = []  # what +OK means, for each command
        self.command(b'CONNECT {"headers":true,"no_responders":true,"protocol":1}')
        self.first = self.output()

    def command(self, line: bytes, *meaning: Any) -> None:
        self._wishes.append(meaning)
        self.tell(line + b"\r\n")

    def subscribe(self, filter: str) -> None:
        self._each(filter, "SUB {subject} {sid}", "subscribed")

    def unsubscribe(self, filter: str) -> None:
        self._each(filter, "UNSUB {sid}", "unsubscribed")

    def _each(self, filter: str, command: str, meaning: str) -> None:
        """Command for each subject of a filter; it means something where the last has succeeded."""
        *others, last = subjects_of(filter)
        for subject, said in [*((one, ()) for one in others), (last, (meaning, filter))]:
            sid = self._sids.setdefault(subject, str(len(self._sids) + 1))
            self.command(command.format(subject=subject, sid=sid).encode(), *said)

    def publish(self, topic: str, payload: bytes, reply: str = "", headers: bytes = b"") -> None:
        words = [
            b"HPUB" if headers else b"PUB",
            subject_of(topic).encode(),
            subject_of(reply).encode() if reply else b"",
        ]
        sizes = b"%d %d" % (len(headers), len(headers + payload)) if headers else b"%d" % len(payload)
        self.command(b" ".join([*words, sizes]) + b"\r\n" + headers + payload)

    def request(self, topic: str, payload: bytes, back: str = "back") -> None:
        """Ask: who asks has subscribed to `back`."""
        self._asked.add(back)
        self.publish(topic, payload, back)

    def output(self) -> list[Output]:
        return [one for one in super().output() if one]

    def units(self) -> list[Any]:
        received = self.client.received()
        found, wrong = self._reader.feed(received if isinstance(received, bytes) else b"".join(received))
        assert wrong is None
        return found

    def framed(self, unit: bytes) -> bytes:
        return unit

    def read(self, unit: Any) -> Output:
        words, data = unit
        if words[0] in (b"MSG", b"HMSG"):
            topic = topic_of(words[1].decode())
            payload = data[int(words[-2]) :] if words[0] == b"HMSG" else data
            return ("reply", payload) if topic in self._asked else ("message", topic, payload)
        if words[0] == b"+OK":
            return self._wishes.pop(0)
        if words[0] == b"-ERR":
            if self._wishes:
                self._wishes.pop(0)
            text = data.decode().strip("'")
            return ("error", next(code for words, code in _NATS_ERRORS.items() if words in text))
        assert words[0] in (b"INFO", b"PONG", b"PING"), words
        return ("bye",) if b'"ldm"' in data else ()


_NATS_ERRORS = {
    **{f": {code}: ": code for code in ("rate-limited", "quota", "bad-topic", "bad-payload", "unavailable")},
    "Permissions Violation": "not-authorized", "Authorization Violation": "not-authorized",
    "maximum subscriptions exceeded": "quota", "Invalid Subject": "bad-filter", "Maximum Payload": "too-long",
    "Parser Error": "bad-command", "Unknown Protocol Operation": "bad-command", "maximum control line": "too-long",
}  # fmt: skip
