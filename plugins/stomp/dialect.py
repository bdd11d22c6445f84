"""stomp: STOMP 1.2, 1.1 and 1.0, the server's side.

--tcp tcp:61613:dialect=stomp      or without `dialect=`: CONNECT or STOMP tells it
--websocket tcp:15674              the subprotocols v12.stomp, v11.stomp and v10.stomp; frames may span messages
"""

from __future__ import annotations

import re

from hubbub import Answer, Event, Message, limits, option
from hubbub_plugins.stomp.connect import choose_version, connect_event
from hubbub_plugins.stomp.frames import Frame, Malformed
from hubbub_plugins.stomp.heart_beat import read_heart_beat, seconds_between
from hubbub_plugins.stomp.session import StompSession

_CLAIM = re.compile(rb"(?:CONNECT|STOMP)\r?\n")
_BEGIN = (b"CONNECT\r\n", b"CONNECT\n", b"STOMP\r\n", b"STOMP\n")


def _prefetch(raw: object) -> int:
    """Read the option `prefetch=`. Raises ValueError."""
    if str(raw).isdecimal() and 1 <= int(str(raw)) <= limits.INFLIGHT_MESSAGES:
        return int(str(raw))
    raise ValueError(f"expected 1 to {limits.INFLIGHT_MESSAGES} messages")


class Stomp(StompSession):
    """STOMP 1.2, 1.1 and 1.0: receipts, heart-beats, acknowledgements, transactions, work queues."""

    transports = ("tcp", "websocket")
    subprotocols = ("v12.stomp", "v11.stomp", "v10.stomp")
    priority = 20
    overlapping = "each"
    heart_beat = option(10.0, seconds_between, "how often clients are to send a heart-beat, if they send any")
    prefetch = option(limits.INFLIGHT_MESSAGES, _prefetch, "messages that a client may have unacknowledged")

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        if _CLAIM.match(head):
            return True
        return None if any(one.startswith(head) for one in _BEGIN) else False

    # Time

    def opened(self, now: float) -> list[Event | Message]:
        self.deadline = now + self.context.handshake
        return []

    def timeout(self, now: float) -> list[Event | Message]:
        timer = self._heart_beat
        if self._closed:
            return []
        if not self._version:
            return [self._fail(Malformed("no CONNECT in time", "timeout"))]
        if timer.is_silent(now):
            return [self._fail(Malformed("no heart-beat has come in time", "timeout"))]
        due = timer.beat(now)
        self.deadline = timer.deadline
        return [Answer(self._unit(b"\n"))] if due else []

    def connect(self, frame: Frame) -> list[Event | Message]:
        if self._version:
            raise Malformed("a second CONNECT")
        version = choose_version(frame.headers)
        can_send, wants = read_heart_beat(frame.headers.get("heart-beat", "0,0"))
        timer = self._heart_beat
        heart_beat = timer.agree(can_send, wants, self.heart_beat)
        self.deadline = timer.deadline
        self._version = version
        return [connect_event(frame.headers, heart_beat, self.prefetch)]
