"""The supervisor of `--workers N`: it binds the sockets, starts the workers, and speaks for them. It has no hub.

systemd, operators -> Supervisor -> begin.py -> worker 1..N, each a daemon      sockets, signals
                          ^---- notifications, answers on control sockets ----'
worker 1..N <-> nats-server                                                     messages
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import host_port
from hubbub.service.config.settings import Settings
from hubbub.service.control.control_socket import ControlSocket, open_control
from hubbub.service.control.neighbours import holder
from hubbub.service.logs.last_words import give_up
from hubbub.service.metrics.port import MetricsEndpoint
from hubbub.service.metrics.prometheus import probe_page
from hubbub.service.process import signals
from hubbub.service.process.descriptor_limit import raise_descriptor_limit
from hubbub.service.process.notify import Notifier
from hubbub.service.workers.handover import Handover
from hubbub.service.workers.nats_server import NatsServer, check_workers
from hubbub.service.workers.sockets import SharedSockets
from hubbub.service.workers.supervised import Supervised
from hubbub.service.workers.worker import Worker
from hubbub.transports import inherited

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Supervisor(Service):
    """N workers. Making it raises ConfigError.

    reread     returns the settings as the operator has them now; raises ConfigError
    arguments  the options of each worker, read in `folder`
    """

    log = Logger(namespace="hubbub.workers")

    def __init__(
        self, reactor: Any, settings: Settings, reread: Callable[[], Settings], arguments: Sequence[str], folder: Path
    ) -> None:
        check_workers(settings)
        self.reactor = reactor
        self.settings = settings
        self.workers: list[Worker] = []
        self._arguments = arguments
        self._began = time.monotonic()
        self._control: ControlSocket | None = None
        self._folder = folder
        self._metrics = MetricsEndpoint(reactor, settings, self._page)
        self._nats: NatsServer | None = None
        self._notifier = Notifier(reactor, lambda: sum(worker.links for worker in self.workers))
        self._place: Path | None = None  # a folder of this process alone
        self._reread = reread
        self._served = False
        self._sockets: list[SharedSockets] = []
        self._supervised = Supervised(self)

    # The start

    def privilegedStartService(self) -> None:
        """Bind all sockets, as the user with the right to."""
        raise_descriptor_limit()
        for config in self.settings.listeners:
            try:
                self._sockets.append(SharedSockets(self.reactor, config, self.settings.workers))
            except ConfigError as error:
                self._give_up(f"{error}{holder(config.transport, config.address.port)}")
        try:
            self._metrics.listen()
        except ConfigError as error:
            self._give_up(str(error))

    def startService(self) -> None:
        """Start what there is to start, as the user that serves."""
        super().startService()
        try:
            self._control = open_control(self.reactor, self.settings.control, self._supervised.commands())
            self._make_place()
        except ConfigError as error:
            self._give_up(str(error))
        self.reactor.callWhenRunning(self._start)

    def _give_up(self, reason: str) -> NoReturn:
        for sockets in self._sockets:
            sockets.close()
        give_up(self.reactor, self.log, reason)

    def _make_place(self) -> None:
        """Make the folder of this process, and those of the workers' state. Raises ConfigError."""
        given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or None
        try:
            self._place = Path(tempfile.mkdtemp(prefix="workers-" if given else "hubbub-workers-", dir=given))
            if self.settings.state is not None:
                self.settings.state.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--workers: {error.filename}: {error.strerror}") from None

    def _start(self) -> None:
        signals.install(self.reactor, self.log, self._hang_up, self._hurry)
        Deferred.fromCoroutine(self._start_all()).addErrback(self._failed)

    async def _start_all(self) -> None:
        place = self._place
        assert place is not None
        if self.settings.cluster is None:
            self._nats = NatsServer(self.reactor, place, (self.settings.state or place) / "jetstream")
            self._nats.start()
        for number in range(1, self.settings.workers + 1):
            worker = self._make_worker(number, place)
            self.workers.append(worker)
            serving = worker.begin()
            if number == 1:  # what is wrong is wrong for all: one logs it
                await serving
        for worker in self.workers:
            await worker.serving
        await self._joined()
        self._served = True
        where = ", ".join(f"{one.config.transport} {_where(one)}" for one in self._sockets)
        self.log.info("{count} workers are ready: {where}", count=len(self.workers), where=where)
        self._notifier.ready()

    def _make_worker(self, number: int, place: Path) -> Worker:
        hands = {one.config.id: found for one in self._sockets if (found := one.of[number - 1]) is not None}
        cluster = "" if self._nats is None else self._nats.spec
        handover = Handover(number, str(place / f"worker{number}.sock"), tuple(hands), cluster)
        worker = Worker(self.reactor, handover, self._arguments)
        worker.folder = self._folder
        worker.hands = {inherited.name_for(id): one.fileno() for id, one in hands.items()}
        worker.ended = self._worker_ended
        return worker

    async def _joined(self) -> None:
        """Wait until messages pass between the workers, but not for ever: NATS may be elsewhere, and away."""
        until = self.reactor.seconds() + limits.WORKERS_JOIN_SECONDS
        while self.running and self.reactor.seconds() < until:
            answers = [found[0]["status"] for _, found in await self._supervised.ask_all({"command": "status"})]
            if all(one["cluster"]["state"] == "joined" for one in answers):
                return
            await deferLater(self.reactor, limits.WORKERS_LOOK_SECONDS)

    def _worker_ended(self, why: str) -> bool:
        """A worker that ends before all have served has logged why, and ends the others."""
        if self._served or not self.running:
            return False
        self._end_with(f"a worker {why}")
        return True

    def _failed(self, failure: Failure) -> None:
        if self.running:
            self.log.failure("the workers can't be started", failure)
            self._end_with(failure.getErrorMessage())

    def _end_with(self, reason: str) -> None:
        self.log.error("the workers end: {reason}", reason=reason)
        atexit.register(os._exit, 1)  # twistd has no other way to end with a status once the reactor runs
        self.reactor.stop()

    # While it runs

    def describe(self) -> dict[str, Any]:
        """Describe this process in a status."""
        return {"pid": os.getpid(), "uptime": round(time.monotonic() - self._began, 3)}

    async def reload(self) -> str:
        """Have all workers take up what has changed. Returns what. Raises ConfigError."""
        if not self.running:
            raise ConfigError("the daemon is stopping")
        self._notifier.reloading()
        try:
            settings = self._reread()
            if [one.binding for one in settings.listeners] != [one.binding for one in self.settings.listeners]:
                raise ConfigError("with --workers, other listeners take a restart: one process has the sockets of all")
            commit = self._metrics.prepare(settings)
            found = [answers[-1]["changed"] for _, answers in await self._supervised.ask_all({"command": "reload"})]
            self.settings = settings
            return ", ".join([*commit(), found[0]])
        finally:
            self._notifier.ready()

    def _hang_up(self) -> None:
        Deferred.fromCoroutine(self.reload()).addErrback(self._not_reloaded)

    def _not_reloaded(self, failure: Failure) -> None:
        if failure.check(ConfigError):
            self.log.error("not reloaded: {why}", why=failure.getErrorMessage())
        else:
            self.log.failure("the reload failed", failure)

    def _page(self, path: str, accept: str) -> Any:
        """Return a page of metrics, or a Deferred of it (service.metrics.port)."""
        if path == "/metrics":
            found = Deferred.fromCoroutine(self._supervised.metrics())
            return found.addCallbacks(
                lambda text: (200, _TEXT, text.encode()), lambda failure: (503, _TEXT, b"no worker answers\n")
            )
        return probe_page(path, lambda: self._served and all(worker.ready for worker in self.workers))

    # The end

    def _hurry(self) -> None:
        for worker in self.workers:
            worker.signal(signal.SIGTERM)

    def stopService(self) -> Deferred[None]:
        """End all workers, then what they need."""
        super().stopService()
        self._notifier.stopping()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await DeferredList([worker.stop() for worker in self.workers])
        if self._nats is not None:
            await self._nats.stop()
        await self._metrics.close()
        if self._control is not None:
            await self._control.close()
        await DeferredList([sockets.close() for sockets in self._sockets])
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
        self._notifier.stop()


def _where(sockets: SharedSockets) -> str:
    made = next(one for one in sockets.of if one is not None)
    name = made.getsockname()
    if isinstance(name, tuple):
        return host_port(name[0], name[1])
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
