"""A half-duplex link, `answer=`: one command at a time goes out, and the next frame that comes in is its reply.

    Router -> HalfDuplexQueue (other commands wait) -> Outbox -> device -> HalfDuplexQueue.received -> reply

The clock of `answer=` starts when the transport has taken the command; the timeout of the request waits for that. With
no answer in time the request is refused, and the queue pauses for as long again or until something comes: the late
answer, which must not be taken for that of the next command. A frame that comes while no command is out is no reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.requests import Requests
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.subscription import LATER, LOST, NOW, Receiver
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish


class HalfDuplexQueue:
    """The line of one link.

    answer  seconds that the device has for a reply
    """

    __slots__ = (
        "alarm_at", "_answer", "_marked", "_command", "_queue", "_outbox", "_requests", "_resting", "_router",
        "_turn", "_until",
    )  # fmt: skip

    def __init__(self, turn: Turn, router: Router, requests: Requests, outbox: Outbox, answer: float) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self._turn = turn
        self._router = router
        self._requests = requests
        self._outbox = outbox
        self._answer = answer
        self._queue: deque[tuple[Batch, Receiver]] = deque()
        self._command: Message | None = None  # the one that is out
        self._until: float | None = None  # when its time, or the rest, is over; None: it isn't written yet
        self._resting = False
        self._marked = False  # for a turn's end

    def before(self, receiver: Receiver) -> Receiver:
        """Return the receiver of a subscription whose messages wait in the queue before they go to `box`."""
        return _QueuedReceiver(self, receiver)

    # What goes out

    def put(self, batch: Batch, receiver: Receiver) -> None:
        """Queue each message of `batch`; one that finds no room is refused."""
        for one in batch.singles(self._outbox.stream):
            message = one.messages[0]
            if len(self._queue) - self._idle >= limits.COMMANDS_WAITING:
                self._outbox.lose(1)
                self._refuse(message, "quota", f"{limits.COMMANDS_WAITING} commands wait for this device already")
                continue
            self._queue.append((one, receiver))
            if reply := self._requests.pending.get(message.reply_to or ""):
                reply.suspend()
        self._ask()

    def room(self) -> int:
        """Tell what would become of one more command (kernel.sessions.session.Member)."""
        if self._idle and not self._queue:
            return NOW
        return LATER if len(self._queue) < limits.COMMANDS_WAITING else LOST

    @property
    def _idle(self) -> bool:
        return self._command is None and not self._resting

    def _ask(self) -> None:
        if self._idle and self._queue and not self._marked:
            self._marked = True
            self._turn.outboxes.append(self)
            self._turn.schedule_flush()

    def flush(self) -> None:
        """Send the next command (kernel.hub.Flushed): now, so that what comes before it is written can't answer it."""
        self._marked = False
        found = self._next() if self._idle else None
        if found is None:
            return
        one, receiver = found
        self._command = one.messages[0]
        receiver.put(one)
        self._outbox.flush()
        if not self._outbox.paused:
            self._written()

    def _next(self) -> tuple[Batch, Receiver] | None:
        """Take the next command out of the queue; a request that has timed out by now is dropped."""
        while self._queue:
            one, receiver = self._queue.popleft()
            message = one.messages[0]
            if not isinstance(message, QosPublish) or not message.has_expired(self._turn.wall()):
                return one, receiver
            self._outbox.lose(1)
        return None

    def _written(self) -> None:
        if self._command is not None:
            self._until = self._turn.now() + self._answer
            self._turn.alarms.at(self, self._until)
            if reply := self._requests.pending.get(self._command.reply_to or ""):
                reply.resume()

    def resumed(self) -> None:
        """The transport has taken what it couldn't take at once."""
        if self._until is None:
            self._written()

    # What comes in

    def received(self, frame: Publish) -> None:
        """Give `frame` to the request that waits for it."""
        if self._resting:
            self._resting = False
            self._until = None
        elif self._command is not None and self._until is not None:
            command, self._command, self._until = self._command, None, None
            if command.reply_to:
                self._reply(command, frame)
        self._ask()

    def _reply(self, command: Message, frame: Publish) -> None:
        assert command.reply_to is not None
        reply = _answer(command, command.reply_to, frame)
        reply.sender = frame.sender
        rights = getattr(command.sender, "rights", None)
        try:
            if rights is not None and command.reply_to not in self._requests.pending:
                rights.publish(command.reply_to)
            receivers = self._router.publish(reply)
        except Refusal:  # the client that asked chose that topic
            receivers = 0
        if not receivers:
            self._turn.counters.unanswered += 1

    def alarm(self, now: float) -> None:
        """The device's time may be over, or the rest after it (kernel.alarms.Sleeper)."""
        if self._until is None:
            return
        if now < self._until:
            self._turn.alarms.at(self, self._until)
            return
        self._until = None
        if self._resting:
            self._resting = False
        elif self._command is not None:
            command, self._command = self._command, None
            self._refuse(command, "timeout", f"the device hasn't answered in {self._answer:g} s")
            self._resting = True
            self._until = now + self._answer
            self._turn.alarms.at(self, self._until)
        self._ask()

    def _refuse(self, command: Message, code: str, reason: str) -> None:
        if reply := self._requests.pending.get(command.reply_to or ""):
            reply.refuse(Refusal(code, reason))

    def purge(self, keep: Callable[[str], bool]) -> None:
        """Forget what waits in the line on topics that `keep` says no to."""
        line, self._queue = self._queue, deque()
        for one, receiver in line:
            command = one.messages[0]
            if keep(command.topic):
                self._queue.append((one, receiver))
            else:
                self._refuse(command, "unavailable", "the device may no longer receive that topic")

    def clear(self) -> None:
        """The link has gone: refuse the requests that wait."""
        waiting = [one.messages[0] for one, _ in self._queue]
        if self._command is not None:
            waiting.append(self._command)
        self._queue.clear()
        self._command = self._until = None
        self._turn.alarms.cancel(self)
        for command in waiting:
            self._refuse(command, "unavailable", "the device has disconnected")


def _answer(command: Message, topic: str, frame: Publish) -> Message:
    """Make the reply to a command: with its QoS and its correlation data."""
    kind, properties = frame.content_type, frame.properties
    if not isinstance(command, QosPublish):
        return Message(topic, frame.payload, False, kind, None, properties)
    about = command.correlation
    return QosPublish(topic, frame.payload, command.qos, content_type=kind, properties=properties, correlation=about)


class _QueuedReceiver:
    """The box of one subscription of a half-duplex link (kernel.sessions.session.Box)."""

    __slots__ = ("_box", "_exchange")

    def __init__(self, half_duplex: HalfDuplexQueue, receiver: Receiver) -> None:
        self._exchange = half_duplex
        self._box = receiver

    def put(self, batch: Batch) -> None:
        """Take messages."""
        self._exchange.put(batch, self._box)

    def room(self, message: Message) -> int:
        """Tell what would become of a message here."""
        return self._exchange.room()

    def miss(self, count: int) -> None:
        """Note that `count` messages could not be carried."""
        self._box.miss(count)
