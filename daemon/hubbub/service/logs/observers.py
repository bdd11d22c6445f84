"""Writes the log: lines for people on a terminal, JSON lines for machines, fields for systemd's journal.

`hubbub run` chooses by where the log goes. With twistd:
`--logger=hubbub.service.logs.observers.json_lines`, or `human_lines`, `journal_fields`, `by_destination`. Entries that
clients can cause again and again are written limits.LOG_REPEATS times in limits.LOG_SECONDS, then counted. A log output
that isn't read loses entries, which are counted, before it stops the daemon.
"""

from __future__ import annotations

import json
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from zope.interface import implementer

from hubbub import limits
from hubbub.option import printable
from hubbub.service.logs.journal import Journal, is_journal

_FIELD = re.compile("[a-z][a-z0-9_]*")
_OWN = frozenset({"ts", "level", "ns", "msg", "traceback", "isError", "message", "time", "system", "format", "failure"})
_TWISTED = re.compile(  # what Twisted says of each port, and of plugins that another user has installed
    r"(<class )?\S+ starting on .*|\((\w+ )?Port .* Closed\)|Unable to write to plugin cache .*", re.DOTALL
)
_COLOURS = {"warn": "33", "error": "31", "critical": "1;31"}  # numbers of ECMA-48 section 8.3.117
_PRINTED = ("stdout", "stderr")  # what a plugin prints is its author's wish, and no repeat

WORKER = "HUBBUB_WORKER_NUMBER"
"""The environment variable with the number of this process among the workers of `--workers`, for each entry."""

_WORKER = int(os.environ[WORKER]) if WORKER in os.environ else None

Entry = dict[str, str | int | float | bool | None]
"""What is written of an event: ts, level, ns, msg, maybe traceback, and the event's own fields."""


def entry(event: LogEvent) -> Entry:
    """Return what is written of `event`: of its own fields the plain ones, since an object may tell a secret."""
    level = event.get("log_level", LogLevel.info)
    failure = event.get("log_failure")
    text = eventAsText(event, includeTraceback=False, includeTimestamp=False, includeSystem=False)
    made: Entry = {
        "ts": datetime.fromtimestamp(event.get("log_time", time.time()), UTC).isoformat(timespec="milliseconds"),
        "level": level.name,
        "ns": str(event.get("log_namespace", "")),
        "msg": _shortened(text.strip() or (failure.getErrorMessage() if failure is not None else "")),
    }
    if _WORKER is not None:
        made["worker"] = _WORKER
    for name, value in event.items():
        if _FIELD.fullmatch(name) and not name.startswith("log_") and name not in _OWN:
            if isinstance(value, str):
                made[name] = _shortened(value)
            elif value is None or isinstance(value, int | float):
                made[name] = value
    if failure is not None:
        made["traceback"] = _shortened(failure.getTraceback())
    return made


def _shortened(text: str) -> str:
    return text if len(text) <= limits.LOG_CHARACTERS else text[: limits.LOG_CHARACTERS] + "..."


def human(made: Entry) -> str:
    """Word an entry for people: time, level, what. What comes from outside can't begin a line, or move the cursor."""
    at = datetime.fromisoformat(str(made["ts"])).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    worker = f"worker {made['worker']}: " if "worker" in made else ""
    lines = [f"{at} {made['level']:<8} {worker}{printable(str(made['msg']))}"]
    lines += [f"    {printable(line)}" for line in str(made.get("traceback") or "").split("\n") if line]
    return "\n".join(lines)


def coloured(made: Entry) -> str:
    """Word an entry for people at a terminal with colours."""
    text, number = human(made), _COLOURS.get(str(made["level"]))
    return text if number is None else f"\033[{number}m{text}\033[0m"


def machine(made: Entry) -> str:
    """Write an entry as one line of JSON."""
    return json.dumps(made, allow_nan=True)


class Stream:
    """Writes entries as lines to a descriptor; one that finds no reader is dropped, and counted in the next."""

    def __init__(self, descriptor: int, word: Callable[[Entry], str]) -> None:
        self._descriptor = descriptor
        self._word = word
        self._lost = 0

    def __call__(self, made: Entry) -> None:
        if not _takes(self._descriptor):
            self._lost += 1
            return
        if self._lost:
            made["lost"], self._lost = self._lost, 0
            made["msg"] = f"{made['msg']} ({made['lost']} lines before this one were lost, as nothing read them)"
        data = (self._word(made) + "\n").encode(errors="backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:  # closed, or full
            self._lost += 1


def _takes(descriptor: int) -> bool:
    """Tell whether a line can be written without waiting; a pipe has room for 4 KiB then (pipe(7))."""
    try:
        watch = select.poll()
        watch.register(descriptor, select.POLLOUT)
        found = watch.poll(0)
    except (OSError, ValueError):
        return True  # what can't be polled never waits
    return bool(found and found[0][1] & select.POLLOUT)


class Repeats:
    """Passes events on, of each kind at most limits.LOG_REPEATS in limits.LOG_SECONDS; then says how many there were.

    A kind is what the code says, without what it says it about.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = now()
        self._seen: dict[tuple[str, str, str], int] = {}
        self.left_out = False

    def allow(self, event: LogEvent) -> Iterator[LogEvent]:
        """Yield what is to be written now: what was left out before, and `event` or not."""
        if self._now() - self._since >= limits.LOG_SECONDS:
            yield from self.over()
        if event.get("log_namespace") in _PRINTED:
            yield event
            return
        kind = _kind(event)
        count = self._seen.get(kind, 0)
        if count or len(self._seen) < limits.LOG_KINDS:
            self._seen[kind] = count + 1
            if count < limits.LOG_REPEATS:
                yield event
                return
        self.left_out = True

    def over(self) -> Iterator[LogEvent]:
        """Begin to count anew, and yield a line for each kind that was left out."""
        seen, self._seen, self._since, self.left_out = self._seen, {}, self._now(), False
        for (namespace, format, level), count in seen.items():
            if count > limits.LOG_REPEATS:
                yield {
                    "log_level": LogLevel.lookupByName(level),
                    "log_namespace": namespace,
                    "log_format": "{count} more lines like this were left out: {like}",
                    "count": count - limits.LOG_REPEATS,
                    "like": format,
                }


def _kind(event: LogEvent) -> tuple[str, str, str]:
    level = event.get("log_level", LogLevel.info).name
    return str(event.get("log_namespace", "")), str(event.get("log_format") or event.get("format") or ""), level


@implementer(ILogObserver)
class Observer:
    """Takes Twisted's events from any thread, and hands their entries to `write`.

    Debug events aren't written, nor what Twisted itself tells of its start, its ports and its end.
    """

    def __init__(self, write: Callable[[Entry], object]) -> None:
        self._write = write
        self._repeats = Repeats()
        self._lock = threading.Lock()
        self._armed = False

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level is LogLevel.debug or (level is LogLevel.info and _is_twisted_s(event)):
            return
        with self._lock:
            for one in self._repeats.allow(event):
                self._write(entry(one))
            if self._repeats.left_out and not self._armed:
                self._armed = True
                _later(limits.LOG_SECONDS, self._tell)

    def _tell(self) -> None:
        """Say what was left out, though nothing else is logged."""
        with self._lock:
            self._armed = False
            for one in self._repeats.over():
                self._write(entry(one))


def _is_twisted_s(event: LogEvent) -> bool:
    namespace = event.get("log_namespace", "")
    if namespace.startswith("twisted.internet.tcp"):  # says that descriptors have run out, and whom it has turned away
        return False
    return namespace.startswith("twisted.") or (
        namespace == "log_legacy" and _TWISTED.fullmatch(eventAsText(event, False, False, False)) is not None
    )


def _later(seconds: float, call: Callable[[], object]) -> None:
    from twisted.internet import reactor as installed

    reactor: Any = installed
    reactor.callFromThread(reactor.callLater, seconds, call)


def human_lines() -> Observer:
    """Write lines for people to standard output, with colours on a terminal unless NO_COLOR is set (no-color.org)."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Observer(Stream(sys.stdout.fileno(), human if plain else coloured))


def json_lines() -> Observer:
    """Write lines of JSON to standard output."""
    return Observer(Stream(sys.stdout.fileno(), machine))


def journal_fields() -> Observer:
    """Write entries with their fields to systemd's journal; where there is none, lines of JSON."""
    try:
        return Observer(Journal())
    except OSError:
        return json_lines()


def by_destination() -> Observer:
    """Choose by where the log goes: to the journal, to a terminal, or to a machine."""
    if is_journal(os.environ.get("JOURNAL_STREAM"), sys.stderr):
        return journal_fields()
    return human_lines() if sys.stdout.isatty() else json_lines()
