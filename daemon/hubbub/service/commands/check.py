"""`hubbub check`: everything that a start would do, undone at once, and every mistake that is found on the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred

from hubbub.errors import ConfigError
from hubbub.service.auth.login import Logins
from hubbub.service.auth.permissions import Guard
from hubbub.service.commands.arguments import wants_help
from hubbub.service.commands.client import ask
from hubbub.service.config.options import Options
from hubbub.service.config.settings import ListenerConfig, Settings
from hubbub.service.control.neighbours import holder
from hubbub.service.daemon import HubbubService
from hubbub.service.links.listener import Listener
from hubbub.service.metrics.port import MetricsPort
from hubbub.service.state import check_state
from hubbub.service.workers.nats_server import check_workers
from hubbub.transports.http.pages import no_pages
from hubbub.transports.inherited import handed_over

USAGE = """\
hubbub check: print the mistakes in options and files, and start nothing

  hubbub check [OPTIONS]   the options of `hubbub run`, such as --config FILE

Checks every option, file, certificate, plugin and handler, and opens each
port for a moment; a port of the running hubbub is fine too. Prints a line for
each mistake, and then the exit status is 1.
"""


class Check:
    """One look at what `options` ask for. After `run`, `fine` and `mistakes` are what to say, in lines."""

    def __init__(self, options: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._options = options
        self._control: Path | None = None
        self._running: Mapping[str, Any] | None = None  # what the running daemon says of itself
        self.fine: list[str] = []
        self.mistakes: list[str] = []
        self._names = self._socket_names()

    def run(self, reactor: Any) -> None:
        """Look at everything."""
        options = Options()
        try:
            options.look(self._options, self.mistakes.append)
        except ConfigError as error:
            self.mistakes.append(str(error))
            return
        settings = options.settings()
        self._control = settings.control
        self._ports(reactor, settings, self._make(reactor, settings))
        self._metrics(reactor, settings)
        for _ in range(2):  # ports are closed now: until then two that are the same clash, as at a start
            reactor.iterate(0)
        self._place_of_control()
        with self._finding():
            check_state(settings)
            check_workers(settings)
        self._sockets(settings)

    @contextmanager
    def _finding(self) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            if str(error) not in self.mistakes:
                self.mistakes.append(str(error))

    def _make(self, reactor: Any, settings: Settings) -> list[Listener]:
        """Make the daemon of these settings, and return its listeners; where it can't be, find out what is wrong."""
        try:
            daemon = HubbubService(reactor, settings)
        except ConfigError as error:
            return self._make_parts(reactor, settings, str(error))
        counts = _counted(len(settings.listeners), "listener"), _counted(len(settings.connectors), "connector")
        self.fine.append(", ".join(counts))
        if settings.handlers:
            self.fine.append(f"handlers {', '.join(config.id for config in settings.handlers)}")
        if settings.permissions is not None:
            self.fine.append(f"permissions {settings.permissions}")
        return daemon.listeners

    def _make_parts(self, reactor: Any, settings: Settings, why: str) -> list[Listener]:
        """Make each part alone, so that each can be wrong alone; return the listeners that can be made."""
        made = []
        with self._finding():
            Guard(settings.permissions)
        with self._finding():
            bare = HubbubService(reactor, Settings(plugin_dirs=settings.plugin_dirs))
            with self._finding():
                Logins(reactor, settings.auth, bare.hub.sources)
            for config in settings.listeners:
                with self._finding():
                    made.append(bare.make_listener(config, settings, bare.plugins))
            for one in settings.connectors:
                with self._finding():
                    bare.make_connector(one, settings, bare.plugins)
            for handler in settings.handlers:
                with self._finding():
                    bare.make_runner(handler, bare.plugins)
        if why not in self.mistakes:  # it is of none of those
            self.mistakes.append(why)
        return made

    # Ports

    def _metrics(self, reactor: Any, settings: Settings) -> None:
        if settings.metrics is None:
            return
        with self._finding():
            self._try_metrics(reactor, MetricsPort(settings.metrics, no_pages))

    def _try_metrics(self, reactor: Any, metrics: MetricsPort) -> None:
        try:
            metrics.listen(reactor)
            self.fine.append(f"metrics {metrics.spec} is free")
        except ConfigError:
            if self._status().get("metrics") == metrics.spec:
                self.fine.append(f"metrics {metrics.spec} is open in the running daemon")
            else:
                raise
        finally:
            metrics.close()

    def _place_of_control(self) -> None:
        """Look whether a socket could be where --control wants it, unless the running daemon has it there."""
        if self._control is None or self._status():
            return
        folder = self._control.parent
        if not folder.is_dir():
            self.mistakes.append(f"--control {self._control}: there is no folder {folder}")
        elif self._control.exists() and not self._control.is_socket():
            self.mistakes.append(f"--control {self._control}: it exists, and isn't a socket")

    def _ports(self, reactor: Any, settings: Settings, listeners: list[Listener]) -> None:
        """Bind each port, and close it again; one that the running daemon has is what is wanted."""
        held = self._held(settings)
        for listener in listeners:
            if listener.config.address.kind == "systemd" and not handed_over():
                self.fine.append(f"{listener.config.id}: systemd hands its socket over, not looked at")
                continue
            try:
                listener.listen(reactor)
                self.fine.append(f"{listener.config.id}: {listener} is free")
            except ConfigError as error:
                if where := held.get(listener.config.id):
                    self.fine.append(f"{listener.config.id}: {where} is open in the running daemon")
                else:
                    config = listener.config
                    self.mistakes.append(f"{error}{holder(config.transport, config.address.port)}")
            finally:
                if listener.port is not None:
                    maybeDeferred(listener.port.stopListening)

    def _held(self, settings: Settings) -> dict[str, str]:
        """Return where the running daemon has listeners that these settings want too."""
        there = {one["id"]: one for one in self._status().get("listeners", ())}
        return {
            config.id: there[config.id]["where"]
            for config in settings.listeners
            if config.id in there and _is_there(config, there[config.id])
        }

    def _status(self) -> Mapping[str, Any]:
        """Ask the running daemon, if there is one."""
        if self._running is None:
            self._running = {}
            with suppress(ConfigError):
                self._running = next(ask(self._control, {"command": "status"}))["status"]
        return self._running

    def _socket_names(self) -> list[str]:
        """How systemd calls its sockets; a unit whose sockets aren't here can be told by LISTEN_FDNAMES alone."""
        given = [name for name, _ in handed_over()]
        return given or [name for name in self._environment.get("LISTEN_FDNAMES", "").split(":") if name]

    def _sockets(self, settings: Settings) -> None:
        """Find sockets of the unit that no listener uses: clients would wait there for ever."""
        used = [config.address.values for config in settings.listeners if config.address.kind == "systemd"]
        for index, name in enumerate(self._names):
            if not any(one.get("name") == name or one.get("index") == str(index) for one in used):
                which = f"name={name}" if name else f"index={index}"
                self.mistakes.append(
                    f"systemd hands over the socket {name or 'without a name'}, number {index}, and no listener "
                    f"uses it: systemd:domain=INET:{which} does"
                )


def _is_there(config: ListenerConfig, running: Mapping[str, Any]) -> bool:
    port, where = config.address.port, str(running["where"])
    same = where.endswith(f":{port}") if port is not None else where == config.address.values.get("address")
    return same and config.transport == running["transport"]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def check(options: Sequence[str]) -> int:
    """Print what is fine and what isn't; return the exit status."""
    from twisted.internet import reactor

    if options and wants_help(options):
        print(USAGE, end="")
        return 0
    found = Check(options)
    found.run(reactor)
    for line in found.fine:
        print(f"  fine: {line}")
    for line in found.mistakes:
        print(f"hubbub: {line}", file=sys.stderr)
    count = len(found.mistakes)
    print("everything is fine" if not count else _counted(count, "mistake"))
    return 1 if count else 0
