"""Cuts a stream into messages. Senders use four framings, and this module detects which one a stream has.

    12 <13>counted<13>a line\\n<13>up to a NUL\\0

RFC 6587 section 3.4 has the first two. Python's SysLogHandler, OpenBSD and NetScreen write NUL, and then LF is text.
winston-syslog and pino-syslog write nothing between messages.
"""

from __future__ import annotations

import re

from hubbub.framing import TooLong
from hubbub_plugins.syslog.entry import PRI

_NUMBER = rb"([1-9][0-9]{0,9})"
_COUNT = re.compile(rb"%b (?=<)" % _NUMBER)
_MAYBE_COUNT = re.compile(rb"%b ?\Z" % _NUMBER)
_COUNT_OF_MESSAGE = re.compile(rb"%b (?=%b)" % (_NUMBER, PRI))
_MAYBE_COUNT_OF_MESSAGE = re.compile(rb"%b(?: (?:<[0-9]{0,3})?)?\Z" % _NUMBER)
_ENDS = b"\0\r\n"
_LF_OR_NUL = re.compile(rb"[\n\0]")
_NUL = re.compile(rb"\0")
_BEGIN = re.compile(PRI)
_HEADER = re.compile(  # a priority and a date, which no text has by chance
    rb"%b(?:1 [0-9]{4}-[0-9]{2}-[0-9]{2}T|[0-9]{4}-[0-9]{2}-[0-9]{2}T|[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:)"
    % PRI
)
_LONGEST = 24  # bytes of the longest match of _BEGIN and _HEADER, rounded up


def uncounted(datagram: bytes) -> bytes:
    """Return the message of a datagram without a count: syslog-ng and logger write one over UDP too."""
    count = _COUNT_OF_MESSAGE.match(datagram)
    if count and int(count[1]) == len(datagram) - count.end():
        return datagram[count.end() :].removesuffix(b"\n")
    return datagram


class Frames:
    """The messages of a stream: each behind its length in digits, or ended by LF or NUL, or joined without an end.

    max_frame  bytes of the longest message
    joined     bool: nothing is between messages; a `<PRI>` begins one, and `pause` ends the last
    guessed    bool: the reader itself found that they are joined, by a second header before any end mark

    If the first frame is a number and `<`, that number is a count, and so is each later number with a `<`. In other
    streams a number is a count if a whole `<PRI>` follows it. A `<` after a NUL shows that NUL ends the messages, and
    that LF is text. Empty lines are skipped, up to `max_frame` bytes in a row. A frame has neither the CR of a CR LF
    nor an LF at the end of its count.
    """

    def __init__(self, max_frame: int, joined: bool = False) -> None:
        self.max_frame = max_frame
        self.guessed = False
        self._begin = _BEGIN if joined else None
        self._end = _LF_OR_NUL
        self._after_nul = False
        self._counted: bool | None = None  # whether the first frame is; None: none is complete yet
        self._empty = 0  # bytes of the empty lines since the last message
        self._rest = bytearray()
        self._searched = 0  # bytes of the rest that have no end mark

    @property
    def waits(self) -> bool:
        """Whether `pause` may return messages."""
        return bool(self._rest) and (self._begin is not None or self._counted is None)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that `data` completes. Raises TooLong."""
        self._rest += data
        return self._cut()

    def _cut(self) -> list[bytes]:
        frames: list[bytes] = []
        at = 0
        while at < len(self._rest):
            start, end, after = self._next(at)
            if max(start, end) - start > self.max_frame:
                if self._guess(at):
                    continue
                self.rest()
                raise TooLong(frames, self.max_frame)
            if after > len(self._rest):
                break
            if end > start:
                frames.append(bytes(self._rest[start:end]))
                self._counted = bool(self._counted)
                self._empty = 0
            else:
                self._empty += after - at
            at, self._searched = after, 0
            if self._empty > self.max_frame:
                self.rest()
                raise TooLong(frames, self.max_frame)
        del self._rest[:at]
        return frames

    def _next(self, at: int) -> tuple[int, int, int]:
        """Return where the frame at `at` begins and ends, and the next begins: past the end if it is incomplete."""
        rest = self._rest
        if self._begin is None or self._counted is None:
            found = self._next_counted(at)
            if found is not None:
                return found
        if self._begin is not None:
            return self._next_joined(at, self._begin)
        if self._after_nul and rest[at] == ord("<"):
            self._end = _NUL
        mark = self._end.search(rest, at + self._searched)
        if mark is None:
            self._searched = len(rest) - at
            return at, len(rest) - rest.endswith(b"\r"), len(rest) + 1
        end = mark.start()
        self._after_nul = rest[end] == 0
        return at, end if self._after_nul else end - rest.endswith(b"\r", at, end), end + 1

    def _next_counted(self, at: int) -> tuple[int, int, int] | None:
        rest, any_text = self._rest, self._counted is not False
        count = (_COUNT if any_text else _COUNT_OF_MESSAGE).match(rest, at)
        if count:
            self._counted, self._begin = any_text, None
            end = after = count.end() + int(count[1])
            if after <= len(rest) and rest[after - 1] == ord("\n"):
                end -= 1
            return count.end(), end, after
        if (_MAYBE_COUNT if any_text else _MAYBE_COUNT_OF_MESSAGE).match(rest, at):
            return at, at, len(rest) + 1
        return None

    def _next_joined(self, at: int, begin: re.Pattern[bytes]) -> tuple[int, int, int]:
        rest = self._rest
        following = begin.search(rest, at + max(1, self._searched))
        if following is None:
            self._searched = max(0, len(rest) - at - _LONGEST)
            return at, at + self._searched, len(rest) + 1
        after = following.start()
        return at, at + len(rest[at:after].rstrip(_ENDS)), after

    def _guess(self, at: int) -> bool:
        """Switch to joined messages if a second header comes before any end mark; return whether this did it."""
        rest = self._rest
        if self._begin is not None or self._counted is not None:
            return False
        if not _HEADER.match(rest, at) or not _HEADER.search(rest, at + 1, at + self.max_frame):
            return False
        self._begin, self._searched, self.guessed = _HEADER, 0, True
        return True

    def pause(self) -> list[bytes]:
        """Return the messages that a pause, or the end of input, completes."""
        if self._begin is None and not self._guess(0):
            return []
        frames = self._cut()
        last = self.rest().rstrip(_ENDS)
        return [*frames, last] if last else frames

    def held(self) -> str:
        """Describe an incomplete message; empty: there is none."""
        return f"{len(self._rest)} bytes held, no end of a message" if self._rest else ""

    def rest(self) -> bytes:
        """Remove and return an incomplete message, with its count if it has one."""
        rest = bytes(self._rest)
        self._rest.clear()
        self._searched = 0
        return rest


def cut_short(rest: bytes) -> bool:
    """Return whether `rest` is a part of a counted message."""
    return _COUNT.match(rest) is not None
