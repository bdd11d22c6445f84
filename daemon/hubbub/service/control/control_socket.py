"""The control socket: a Unix socket through which `hubbub status`, `reload`, `kick`, `top` and `trace` ask a daemon.

    {"command": "status", "links": true}        one request, a line of JSON
    {"link": 7, ...}                            any number of answers
    {"done": true, ...} or {"error": "..."}     the last one; then the daemon closes

Its file has mode 600, and the kernel tells the peer's user (SO_PEERCRED in unix(7)): the daemon's own user, or root.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.framing import EndReader, TooLong
from hubbub.service.control.control_path import default_path, make_folder, own_path, peer_pid, peer_user

_log = Logger(namespace="hubbub.control")
Request = Mapping[str, Any]
Command = Callable[[Request, "ControlProtocol"], None]
"""Acts on a request, now or later: it calls `answer`, `finish` or `refuse` of the caller. Raises ConfigError."""


class ControlProtocol(Protocol, TimeoutMixin):
    """One connection: one request, and its answers."""

    log = Logger(namespace="hubbub.control")
    factory: ControlFactory
    transport: Any

    def __init__(self) -> None:
        self.gone: Callable[[], object] = lambda: None
        self._reader = EndReader(b"\n", limits.CONTROL_BYTES)
        self._has_request = False

    def connectionMade(self) -> None:
        self.factory.callers.add(self)
        self.setTimeout(limits.CONTROL_SECONDS)
        if peer_user(self.transport.getHandle()) not in (0, os.geteuid()):
            self._has_request = True
            self.refuse("only the daemon's own user and root may control it")
        elif len(self.factory.callers) > limits.CONTROL_CONNECTIONS:
            self._has_request = True
            self.refuse(f"{limits.CONTROL_CONNECTIONS} commands are at work already")

    def dataReceived(self, data: bytes) -> None:
        if self._has_request:
            return
        try:
            lines = self._reader.feed(data)
        except TooLong as error:
            self._has_request = True
            self.refuse(f"a request {error}")
            return
        if lines:
            self._has_request = True
            self._act(lines[0])

    def _act(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            command = self.factory.commands[request["command"]]
        except (ValueError, TypeError, LookupError, RecursionError):
            self.refuse(f"expected a line of JSON with a command, one of {', '.join(self.factory.commands)}")
            return
        try:
            command(request, self)
        except ConfigError as error:
            self.refuse(str(error))
        except Exception:  # noqa: BLE001  a command is no reason for a daemon to stumble
            self.log.failure("the command {name} failed", Failure(), name=request["command"])
            self.refuse("it failed inside the daemon; the daemon's log has the reason")

    # What a command does

    def answer(self, **fields: object) -> None:
        """Send one answer."""
        self.transport.write(json.dumps(fields, ensure_ascii=False).encode(errors="replace") + b"\n")

    def finish(self, **fields: object) -> None:
        """Send the last answer."""
        self.answer(done=True, **fields)
        self._close()

    def refuse(self, reason: str) -> None:
        """Say why it can't be done."""
        self.answer(error=reason)
        self._close()

    def stream(self, answers: Iterator[Mapping[str, object]]) -> None:
        """Send many answers, as fast as the client takes them, then the last one."""
        _Pull(self, answers).start()

    def follow(self, pause: Callable[[bool], object]) -> None:
        """Send answers as they come for as long as the client wants; `pause` tells when it doesn't take them."""
        self.setTimeout(None)
        self.transport.registerProducer(_Push(self, pause), True)

    # The end

    def _close(self) -> None:
        """Close our side first: a socket that is closed with unread input resets the client's."""
        self.transport.unregisterProducer()
        self.setTimeout(limits.CLOSE_SECONDS)
        self.transport.loseWriteConnection()

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()

    def connectionLost(self, reason: object = None) -> None:
        self.setTimeout(None)
        self.factory.callers.discard(self)
        self.gone()


@implementer(IPullProducer)
class _Pull:
    """Takes answers from an iterator while the transport has room."""

    def __init__(self, caller: ControlProtocol, answers: Iterator[Mapping[str, object]]) -> None:
        self._caller = caller
        self._answers = answers

    def start(self) -> None:
        self._caller.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self._caller.resetTimeout()
        for _ in range(limits.CONTROL_ANSWERS):
            fields = next(self._answers, None)
            if fields is None:
                self._caller.finish()
                return
            self._caller.answer(**fields)

    def stopProducing(self) -> None:
        self._answers = iter(())


@implementer(IPushProducer)
class _Push:
    """Passes on whether the transport has room; a client that takes nothing for too long is cut."""

    def __init__(self, caller: ControlProtocol, pause: Callable[[bool], object]) -> None:
        self._caller = caller
        self._pause = pause

    def pauseProducing(self) -> None:
        self._caller.setTimeout(limits.CONTROL_SECONDS)
        self._pause(True)

    def resumeProducing(self) -> None:
        self._caller.setTimeout(None)
        self._pause(False)

    def stopProducing(self) -> None:
        """The connection has gone, and `gone` is called."""


class ControlFactory(Factory):
    """Makes a ControlProtocol for each connection."""

    protocol = ControlProtocol  # type: ignore[assignment]
    noisy = False

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self.commands = commands
        self.callers: set[ControlProtocol] = set()


class Taken(ConfigError):
    """Another daemon has the control socket."""


def open_control(reactor: Any, path: Path | None, commands: Mapping[str, Command]) -> ControlSocket:
    """Open the control socket at `path`, or at the default path, whose folder is made. Raises ConfigError.

    If another daemon has the default path, this one gets a name of its own beside it.
    """
    control = ControlSocket(reactor, path or default_path(), commands)
    if path is None:
        make_folder(control.path.parent)
    try:
        control.open()
    except Taken as error:
        if path is not None:
            raise
        control = ControlSocket(reactor, own_path(control.path, os.getpid()), commands)
        control.open()
        _log.warn("{taken}; commands for this one: --control {own}", taken=error, own=str(control.path))
    return control


class ControlSocket:
    """The socket of one daemon."""

    def __init__(self, reactor: Any, path: Path, commands: Mapping[str, Command]) -> None:
        self.path = path
        self._reactor = reactor
        self._factory = ControlFactory(commands)
        self._port: IListeningPort | None = None

    def open(self) -> None:
        """Listen. Raises ConfigError where it can't be, or another daemon listens there."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ConfigError(f"the control socket {self.path}: {error.strerror}") from None
        before = os.umask(0o177)  # Twisted changes the mode after it has bound
        try:
            _lock(folder)
            _remove_stale(self.path)
            self._port = self._reactor.listenUNIX(str(self.path), self._factory, mode=0o600)
        except Exception as error:
            if isinstance(error, ConfigError):
                raise
            cause: Any = getattr(error, "socketError", error)
            says = getattr(cause, "strerror", None) or str(cause)
            raise ConfigError(f"the control socket {self.path}: {says}") from None
        finally:
            os.umask(before)
            os.close(folder)

    def close(self) -> Deferred[Any]:
        """Accept no more commands, and remove the file."""
        port, self._port = self._port, None
        for caller in list(self._factory.callers):
            caller.transport.loseConnection()
        return maybeDeferred(port.stopListening if port is not None else lambda: None)


def _lock(folder: int) -> None:
    """Lock a folder, so that two daemons that start together don't take each other's socket for a stale one.

    Any user that may read the folder may hold that lock, so it isn't waited for long.
    """
    until = time.monotonic() + limits.CONTROL_LOCK_SECONDS
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        else:
            return


def _remove_stale(path: Path) -> None:
    """Remove what a daemon has left that ended without a chance to. Raises ConfigError, OSError."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} exists, and isn't a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a daemon that is stopped has a queue that may be full: then it would wait
        try:
            probe.connect(str(path))
            by = f", pid {peer_pid(probe)},"
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            by = ""
    raise Taken(f"another daemon{by} has the control socket {path}")
