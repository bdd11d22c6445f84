"""The service: opens everything together or nothing, tells when it is ready, and ends politely."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.handler import Handler
from hubbub.kernel.hub import Hub
from hubbub.service import signals
from hubbub.service.config import HandlerConfig, Settings
from hubbub.service.failures import Failures
from hubbub.service.handlers import HandlerRunner
from hubbub.service.listeners import Listener
from hubbub.service.plugins import Plugins, reason
from hubbub.service.reload import reload


class CannotServe(SystemExit, Exception):
    """Ends the process with status 1; an Exception too, so that twistd removes its pid file and tells its parent."""


class HubbubService(Service):
    """One running hubbub. Making it validates the settings and raises ConfigError; binding is the next step."""

    log = Logger(namespace="hubbub")

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self.reactor = reactor
        self.hub = Hub(self._wake, time.time, time.monotonic, self._arm)
        self.hub.failed = self._failures = Failures()
        self.plugins = Plugins(settings.plugin_dirs)
        self.listeners = [Listener(config, settings, self.plugins, self.hub) for config in settings.listeners]
        self.handlers = {config.id: self._make_runner(config) for config in settings.handlers}
        self._settings = settings
        self._timer: Any = None

    def _make_runner(self, config: HandlerConfig) -> HandlerRunner:
        try:
            handler: Handler = self.plugins.make("handler", config.name, config.options)
            return HandlerRunner(self.hub, handler, config.id, self.reactor)
        except ConfigError as error:
            raise ConfigError(f"{config.spec}: {error}") from None
        except Exception as error:
            raise ConfigError(f"{config.spec}: it can't be run: {reason(error, '')}") from error

    def reload(self) -> None:
        """Take up what has changed in the plugin folders."""
        if self.running:
            self._failures.forget()
            reload(self.plugins, self.listeners, self._settings.handlers, self.handlers, self._make_runner)

    def _wake(self) -> None:
        self.reactor.callLater(0, self.hub.flush)

    def _arm(self, when: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self.reactor.callLater(max(0.0, when - time.monotonic()), self._ring)

    def _ring(self) -> None:
        self.hub.alarms.ring(time.monotonic())

    def privilegedStartService(self) -> None:
        """Bind all listeners, as the user who may. One that fails closes the others and ends the process."""
        try:
            for listener in self.listeners:
                listener.listen(self.reactor)
        except ConfigError as error:
            self._stop_listening()
            self.reactor.iterate(0)  # a Unix socket's file goes in the next turn, which wouldn't come
            if sys.__stderr__ is not None:
                sys.__stderr__.write(f"hubbub: {error}\n")  # sys.stderr goes to the log by now
            raise CannotServe(f"hubbub: {error}") from None

    def startService(self) -> None:
        """Start the handlers, then say that the daemon is ready."""
        super().startService()
        for runner in self.handlers.values():
            runner.start()
        self.reactor.callWhenRunning(self._ready)

    def _ready(self) -> None:
        signals.install(self.reactor, self.log, self.reload)
        # What is here now stays, and messages die without cycles: looking through all links for garbage after every
        # 700 messages cost 15% of a fan-in.
        gc.freeze()
        gc.set_threshold(*limits.GARBAGE)
        self.log.info("ready: {listeners}", listeners=", ".join(map(str, self.listeners)))

    def stopService(self) -> Deferred[Any]:
        """Accept nobody any more, say goodbye to everybody, and wait a little until that is heard."""
        super().stopService()
        for listener in self.listeners:
            for link in list(listener.place.links):
                link.close("shutdown")
        stopped = [runner.stop() for runner in self.handlers.values()]
        self.hub.flush()
        closed = self._stop_listening()
        gone: Deferred[None] = Deferred()
        self._await_links(gone, self.reactor.seconds() + limits.DRAIN_SECONDS)
        return DeferredList([*closed, *stopped, gone], consumeErrors=True)

    def _await_links(self, gone: Deferred[None], until: float) -> None:
        links = [link for listener in self.listeners for link in listener.place.links]
        if not links or self.reactor.seconds() >= until:
            for link in links:
                link.abort()
            gone.callback(None)
        else:
            self.reactor.callLater(0.05, self._await_links, gone, until)

    def _stop_listening(self) -> Sequence[Deferred[Any]]:
        return [maybeDeferred(listener.port.stopListening) for listener in self.listeners if listener.port is not None]
