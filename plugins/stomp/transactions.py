"""Transactions of one connection (STOMP 1.2, BEGIN, COMMIT and ABORT): frames that are acted on all at once."""

from __future__ import annotations

from collections.abc import Sequence

from hubbub import Event, Message, PublishOnce, limits
from hubbub.message import cost
from hubbub_plugins.stomp.frames import Frame, Malformed

Step = Event | Message | Frame
"""An event of SEND, or an ACK or NACK, which means something only when it is acted on."""


class Transactions:
    """Those that are open. `max_bytes`: bytes of all their steps."""

    __slots__ = ("_bytes", "_max_bytes", "_open", "_steps")

    def __init__(self, max_bytes: int) -> None:
        self._bytes = 0
        self._max_bytes = max_bytes
        self._open: dict[str, list[Step]] = {}
        self._steps = 0

    def begin(self, name: str) -> None:
        """Open one. Raises Malformed."""
        if name in self._open:
            raise Malformed("a transaction of that name is open")
        if len(self._open) >= limits.STOMP_TRANSACTIONS or len(name) > limits.NAME_CHARACTERS:
            most = (
                f"{limits.STOMP_TRANSACTIONS} transactions, with names of at most {limits.NAME_CHARACTERS} characters"
            )
            raise Malformed(f"a client may have {most}", "quota")
        self._open[name] = []

    def add(self, name: str, steps: Sequence[Step]) -> None:
        """Keep the steps of a frame. Raises Malformed."""
        if name not in self._open:
            raise Malformed("no transaction of that name is open")
        self._bytes += sum(map(_size, steps))
        self._steps += len(steps)
        if self._bytes > self._max_bytes or self._steps > limits.STOMP_TRANSACTION_STEPS:
            most = f"{limits.STOMP_TRANSACTION_STEPS} frames and {self._max_bytes} bytes"
            raise Malformed(f"the transactions of a client may have at most {most}", "quota")
        self._open[name] += steps

    def end(self, name: str) -> list[Step]:
        """Close one, and return its steps. Raises Malformed."""
        try:
            steps = self._open.pop(name)
        except KeyError:
            raise Malformed("no transaction of that name is open") from None
        self._bytes -= sum(map(_size, steps))
        self._steps -= len(steps)
        return steps


def _size(step: Step) -> int:
    if isinstance(step, Frame):
        return limits.QUEUED_MESSAGE_BYTES + sum(len(name) + len(value) for name, value in step.headers.items())
    message = step.message if isinstance(step, PublishOnce) else step
    return limits.QUEUED_MESSAGE_BYTES + (cost(message) if isinstance(message, Message) else 0)
