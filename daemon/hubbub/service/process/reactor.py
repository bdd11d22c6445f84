"""Twisted's epoll reactor with turns of bounded time, and a shorter way from a readable socket to its protocol.

A turn handles events until its time is over. A socket that had more than a little to read is late from then on, until
it has little again: late ones take turns behind the others, as flow queueing does it (RFC 8290 section 4.2), so a
client that asks for little doesn't wait for busy ones. One that becomes late is read on in the same turn, if there is
time: a message that is a little longer has one turn, not two. What has hung up comes first, before more is queued for
it, and has half of the time at most: the ends of a thousand links may cost as much as thousands of messages. Of the
sockets that have little to read, those that last took little time have the first half: a thousand clients that come
together, each with one command, don't keep those waiting that were there before, and neither do those whose commands
take long.

Twisted enters a log context around each event, so that a log line can name its connection; hubbub's lines name theirs
themselves. `hubbub run` and `twistd hubbub` use it, and `twistd --reactor=NAME hubbub` another one.
"""

from __future__ import annotations

import fcntl
import select
import termios
from array import array
from collections.abc import Callable
from enum import Enum, auto
from time import monotonic, thread_time
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.python import log

from hubbub.limits import JOB_SECONDS, LATE_BYTES, PROMPT_BYTES, TURN_SECONDS

# Exactly these read with one `recv` and hand it on; a subclass, or a connection under TLS, may do more.
_PLAIN = frozenset({tcp.Server, tcp.Client, unix.Server, unix.Client})
_HUNG_UP = select.EPOLLHUP | select.EPOLLERR
_Event = tuple[int, int]


class _Pace(Enum):
    """What is known of a socket that isn't quick."""

    NEW = auto()  # it has had no event, or is amid a TLS handshake
    DOUBTFUL = auto()  # its last event took JOB_SECONDS, but other processes may have run meanwhile
    SLOW = auto()


_BEHIND = (_Pace.NEW, _Pace.SLOW)


class HubbubReactor(EPollReactor):
    """Reads plain connections itself and leaves every other event to Twisted."""

    _turning = False
    _endings: tuple[Callable[[], object], ...] = ()
    _place = 0

    def __init__(self) -> None:
        self._late: dict[int, int] = {}  # places of the sockets that take turns, by descriptor
        self._more: list[int] = []  # those that have become late in this turn, and may have more to read
        self._missed: set[int] = set()  # prompt ones that the last turn didn't come to
        self._paces: dict[int, _Pace] = {}  # of those whose last event didn't take less than JOB_SECONDS
        self._answer = array("i", [0])  # of an ioctl
        super().__init__()

    def call_at_turn_end(self, ending: Callable[[], object]) -> None:
        """Have `ending` called once, after the events that are there now: sooner than a timer of 0 s, and cheaper."""
        if self._turning:
            self._endings += (ending,)
        else:
            self.callLater(0, ending)

    def addReader(self, reader: Any) -> None:
        """Read `reader` from now on; nothing that is known of its descriptor holds for a new connection."""
        if not getattr(reader, "connected", True):  # Twisted sets it once it has added one that it has accepted
            fd = reader.fileno()
            self._late.pop(fd, None)
            self._missed.discard(fd)
            self._paces[fd] = _Pace.NEW
        super().addReader(reader)

    def doPoll(self, timeout: float | None) -> None:
        """Wait up to `timeout` seconds for events (None: for ever), and act on them."""
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        except InterruptedError:
            return
        self._turning = True
        ends = monotonic() + TURN_SECONDS
        hung_up = [one for one in events if one[1] & _HUNG_UP] if len(events) > 1 else []
        if hung_up:
            events = [one for one in events if not one[1] & _HUNG_UP]
            self._handle(hung_up, ends - TURN_SECONDS / 2)
        prompt, late = self._in_order(events)
        paces = self._paces
        if paces and len(prompt) > 1:
            quick = [one for one in prompt if paces.get(one[0]) not in _BEHIND]
            if 0 < len(quick) < len(prompt):
                prompt = [one for one in prompt if paces.get(one[0]) in _BEHIND]
                self._leave(self._handle(quick, ends - TURN_SECONDS / 2))
        self._leave(self._handle(prompt, ends))
        if self._more:
            more, self._more = self._more, []
            late += [(fd, select.EPOLLIN) for fd in more if fd in self._reads]
        if late:
            self._leave(self._handle(late, ends))
        self._turning = False
        endings, self._endings = self._endings, ()
        for ending in endings:
            try:
                ending()
            except Exception:  # noqa: BLE001  as for what callLater calls
                log.err()

    doIteration = doPoll

    def _in_order(self, events: list[_Event]) -> tuple[list[_Event], list[_Event]]:
        """Return the events of prompt sockets, first those that a turn didn't come to, and of late ones in turn."""
        missed, late = self._missed, self._late
        if missed:
            self._missed = set()
            events = [one for one in events if one[0] in missed] + [one for one in events if one[0] not in missed]
        if not late:
            return events, []
        behind = sorted([one for one in events if one[0] in late], key=lambda one: late[one[0]])
        return [one for one in events if one[0] not in late], behind

    def _handle(self, events: list[_Event], ends: float) -> list[_Event]:
        """Act on events until the time is over, on one at least. Returns those that it didn't come to."""
        selectables, others, paces = self._selectables, self._doReadOrWrite, self._paces
        before, used = monotonic(), 0.0
        rest = iter(events)
        for fd, event in rest:
            selectable: Any = selectables.get(fd)
            if paces and fd in paces:
                used = thread_time()
            if event == select.EPOLLIN and type(selectable) in _PLAIN and self._read(fd, selectable):
                pass
            elif selectable is not None:
                log.callWithLogger(selectable, others, selectable, fd, event)
            now = monotonic()
            if now - before >= JOB_SECONDS:
                self._note_slow(fd, used)
            elif paces and fd in paces:
                self._note_quick(fd, selectable)
            if now >= ends:
                return list(rest)
            before = now
        return []

    def _note_quick(self, fd: int, selectable: Any) -> None:
        """An event took little time. It says nothing of the next ones amid a TLS handshake, whose last piece costs."""
        if not getattr(getattr(selectable, "protocol", None), "shaking", False):
            del self._paces[fd]

    def _note_slow(self, fd: int, used: float) -> None:
        """An event took long; `used`: the processor time before it, if that of the socket's last one did so too."""
        pace = self._paces.get(fd)
        if pace is None or (pace is not _Pace.NEW and thread_time() - used < JOB_SECONDS):
            self._paces[fd] = _Pace.DOUBTFUL
        else:
            self._paces[fd] = _Pace.SLOW

    def _leave(self, events: list[_Event]) -> None:
        """The turn didn't come to these: sockets with more than a little to read become late unread."""
        for fd, _ in events:
            if fd in self._late:
                continue
            if self._unread(fd) < PROMPT_BYTES:
                self._missed.add(fd)
            else:
                self._put_behind(fd)

    def _unread(self, fd: int) -> int:
        try:
            fcntl.ioctl(fd, termios.FIONREAD, self._answer)
        except OSError:  # no socket that is read, such as a listening one
            return 0
        return self._answer[0]

    def _put_behind(self, fd: int) -> None:
        self._place += 1
        self._late[fd] = self._place

    def _read(self, fd: int, connection: Any) -> bool:
        """Pass on what there is to read. False: there is nothing, or an error that Twisted is to find."""
        late = self._late
        most = LATE_BYTES if late and fd in late else PROMPT_BYTES
        try:
            data = connection.socket.recv(most)
        except OSError:
            return False
        if not data:
            return False
        if len(data) >= PROMPT_BYTES:
            self._put_behind(fd)
            if most == PROMPT_BYTES:
                self._more.append(fd)
        elif late:
            late.pop(fd, None)
        try:
            connection.protocol.dataReceived(data)
        except Exception as error:  # noqa: BLE001  one connection's fault ends that connection, as in Twisted
            log.err()
            self._disconnectSelectable(connection, error, True)
        return True


def install() -> None:
    """Make it the reactor of this process."""
    installReactor(HubbubReactor())
