"""The service: opens everything together or nothing, tells when it is ready, and ends politely."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.dialect import TRANSPORTS, this_node
from hubbub.errors import ConfigError
from hubbub.handler import Handler
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.service.auth.login import Admission, Logins
from hubbub.service.auth.permissions import Guard
from hubbub.service.auth.rechecks import Recheck
from hubbub.service.cluster.cluster import Cluster
from hubbub.service.cluster.shared_settings import shared_settings
from hubbub.service.config.reloadable import Commit, Prepare
from hubbub.service.config.settings import ConnectorConfig, HandlerConfig, ListenerConfig, Settings
from hubbub.service.control.control_socket import ControlSocket, open_control
from hubbub.service.control.link_index import LinkIndex
from hubbub.service.control.management import Management
from hubbub.service.control.neighbours import holder
from hubbub.service.control.requests import commands
from hubbub.service.control.status import about
from hubbub.service.drain import Drain
from hubbub.service.links.connector import Connector
from hubbub.service.links.listener import Listener
from hubbub.service.logs.failures import Failures, log_unraisable
from hubbub.service.logs.last_words import give_up
from hubbub.service.metrics.cluster_metrics import ClusterMetrics
from hubbub.service.metrics.port import MetricsEndpoint
from hubbub.service.metrics.prometheus import Metered, MetricsPage
from hubbub.service.metrics.sys_metrics import SysMetrics
from hubbub.service.plugins.discovery import Plugins, reason
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.service.plugins.watcher import PluginWatcher
from hubbub.service.process import signals
from hubbub.service.process.descriptor_limit import raise_descriptor_limit, room_for_clients
from hubbub.service.process.memory import Memory
from hubbub.service.process.notify import Notifier
from hubbub.service.process.turns import Turns
from hubbub.service.reload import Reloader
from hubbub.service.state import describe, describe_history, describe_lost, history_of, make_store


class HubbubService(Service):
    """One running hubbub. Making it validates the settings and raises ConfigError; binding is the next step.

    reread  returns the settings as the operator has them now, for a reload; raises ConfigError
    parts   what else a reload reads anew, see service.reload
    """

    log = Logger(namespace="hubbub")

    def __init__(self, reactor: Any, settings: Settings, reread: Callable[[], Settings] | None = None) -> None:
        self.reactor = reactor
        self.turns = Turns(reactor)
        clustered = settings.cluster is not None
        self.hub = Hub(self.turns.wake, time.time, time.monotonic, self._arm, None, settings.bounds, clustered)
        self.hub.idempotency.seconds = settings.once
        self.turns.serve(self.hub)
        self._memory = Memory(reactor, self.hub)
        self.metrics_page = MetricsPage(self.hub, self.turns, self._opens, self._is_ready)
        self.hub.system.metrics = SysMetrics(self.hub, self._contexts).metrics
        self.metrics = MetricsEndpoint(reactor, settings, self.metrics_page.page)
        self.hub.turn.failed = self._failures = Failures()
        self.plugins = Plugins(settings.plugin_dirs)
        self.guard = Guard(settings.permissions)
        self.logins = Logins(reactor, settings.auth, self.hub.sources)
        self.listeners = [self.make_listener(config, settings, self.plugins) for config in settings.listeners]
        self.connectors = [self.make_connector(config, settings, self.plugins) for config in settings.connectors]
        self.handlers = {config.id: self.make_runner(config, self.plugins) for config in settings.handlers}
        self.parts: list[Prepare] = [self.logins.prepare, self.guard.prepare, self._prepare, self.metrics.prepare]
        self.notifier = Notifier(reactor, lambda: sum(len(context.links) for context in self._contexts()))
        self.links = LinkIndex()
        self.hub.subscriptions.watchers.append(self.links)
        self.hub.requests.manager = Management(self).answer
        self.cluster = self._make_cluster(settings)
        self.settings = settings
        self.reread = reread or (lambda: settings)
        self._reloader = Reloader(self)
        self._watcher = PluginWatcher(reactor, lambda: self.settings.plugin_dirs, self._hang_up)
        self.control: ControlSocket | None = None
        self.store: Any = None  # a storage.store.DurableStore, if there is one
        self._timer: Any = None
        self._drain: Drain | None = None
        self._hurried: Deferred[None] = Deferred()

    def _make_cluster(self, settings: Settings) -> Cluster | None:
        """Return this daemon as a node, before it has subscriptions. Raises ConfigError."""
        if settings.cluster is None:
            return None
        config = settings.cluster
        cluster = Cluster(self.reactor, self.hub, config, this_node())
        cluster.nodes.settings = lambda: shared_settings(config, self.settings.history)
        self.metrics_page.add(ClusterMetrics(cluster.status))
        cluster.overview.about = partial(about, self)
        return cluster

    def make_listener(self, config: ListenerConfig, settings: Settings, plugins: Plugins) -> Listener:
        """Plan a listener. Raises ConfigError."""
        listener = Listener(config, settings, plugins, self.hub)
        listener.context.rights = self.guard.rights_of
        if settings.auth:
            listener.logins, listener.context.login = self.logins, self.logins.login
        listener.pages = self.metrics_page.page
        return listener

    def make_connector(self, config: ConnectorConfig, settings: Settings, plugins: Plugins) -> Connector:
        """Plan a connector. Raises ConfigError."""
        connector = Connector(self.reactor, config, plugins, self.hub)
        connector.context.rights = self.guard.rights_of
        return connector

    def make_runner(self, config: HandlerConfig, plugins: Plugins) -> HandlerRunner:
        """Make a handler, unstarted. Raises ConfigError."""
        try:
            handler: Handler = plugins.make("handler", config.name, config.options)
            return HandlerRunner(self.hub, handler, config.id, self.reactor)
        except ConfigError as error:
            raise ConfigError(f"{config.spec}: {error}") from None
        except Exception as error:
            raise ConfigError(f"{config.spec}: it can't be run: {reason(error, '')}") from error

    def reload(self) -> Deferred[str]:
        """Take up what has changed in files, folders and certificates. Says what, or fails with ConfigError."""
        if not self.running:
            return fail(ConfigError("the daemon is stopping"))
        self._failures.forget()
        self.notifier.reloading()
        return self._reloader.reload().addBoth(self._reloaded)

    def _reloaded(self, result: Any) -> Any:
        if self.running:
            self.notifier.ready()
        self._memory.collect()  # classes of an earlier run are circles
        return result

    def _hang_up(self) -> None:
        self.reload().addErrback(self._not_reloaded)

    def _not_reloaded(self, failure: Failure) -> None:
        if not failure.check(ConfigError):  # which is logged
            self.log.failure("the reload failed", failure)

    def _opens(self) -> Iterator[Metered]:
        yield from (Metered(one.context, one.datagrams, one.paces) for one in self.listeners)
        for connector in self.connectors:
            udp = connector.config.transport == "udp"
            yield Metered(connector.context, losses=connector.losses if udp else None)

    def _is_ready(self) -> bool:
        return bool(self.running) and all(listener.port is not None for listener in self.listeners)

    def _prepare(self, settings: Settings) -> Commit:
        """Change limits, the history, and the memory of idempotency keys (service.config.reloadable.Prepare)."""
        before = self.settings.history
        limited = settings.bounds != self.hub.turn.bounds

        def commit() -> Iterator[str]:
            if limited:
                yield "limits changed"
            self.hub.idempotency.seconds = settings.once
            if settings.history != before:
                self.hub.change_history(settings.history)
                yield "history changed"
            if settings.cluster != self.settings.cluster:
                yield "cluster is for the next start"

        return commit

    async def recheck(self) -> list[str]:
        """Look at all clients after a reload (service.running.Running)."""
        admission = Admission(self.logins, self._contexts())
        found = await Recheck(self.hub, self._contexts(), admission.admits).start()
        changed, self.guard.changed = self.guard.changed, False
        ended = found.subscriptions
        changes = [f"permissions changed ({ended} subscription{'s' * (ended != 1)} ended)"] if changed else []
        return [*changes, *filter(None, [found.ended()])]

    def _arm(self, when: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self.reactor.callLater(max(0.0, when - time.monotonic()), self._ring)

    def _ring(self) -> None:
        self.hub.turn.alarms.ring(time.monotonic())

    def privilegedStartService(self) -> None:
        """Bind all listeners, as the user with the right to. One that fails closes the others and ends the process."""
        raise_descriptor_limit()
        for listener in self.listeners:
            try:
                listener.listen(self.reactor)
            except ConfigError as error:
                config = listener.config
                self._give_up(ConfigError(f"{error}{holder(config.transport, config.address.port)}"))
        try:
            self.metrics.listen()
        except ConfigError as error:
            self._give_up(error)

    def _give_up(self, error: ConfigError) -> NoReturn:
        """Leave nothing half open, and end the process."""
        self._stop_listening(*TRANSPORTS)
        give_up(self.reactor, self.log, str(error))

    def startService(self) -> None:
        """Start the handlers, then say that the daemon is ready."""
        sys.unraisablehook = log_unraisable
        self._load()
        self.control = self._open_control()
        super().startService()
        self.turns.start()
        self.guard.check(self.settings)
        for runner in self.handlers.values():
            runner.start()
        self.reactor.callWhenRunning(self._ready)

    def _load(self) -> None:
        """Take what an earlier process has stored, as the user that serves."""
        try:
            self.store = store = make_store(self.settings, self.reactor.callFromThread, self.log)
        except ConfigError as error:
            self._give_up(error)
        self.hub.clients.trust(self.guard.rights_of, Admission(self.logins, self._contexts()))
        if store is not None:
            store.observed = self.turns.commits.add
            self.hub.load(store)
        try:
            self.hub.keep_history(self.settings.history, history_of(store))
        except ConfigError as error:
            self._give_up(error)
        if store is not None:
            store.start()
        self.log.info("{kept}", kept=describe(store, self.cluster is not None))
        if self.settings.history:
            self.log.info("{history}", history=describe_history(self.settings.history, store, self.cluster is not None))

    def _open_control(self) -> ControlSocket | None:
        """Return the control socket. That it can't be opened is a mistake where it was asked for."""
        try:
            return open_control(self.reactor, self.settings.control, commands(self))
        except ConfigError as error:
            if self.settings.control is not None:
                self._give_up(error)
            says = "no control socket, so `hubbub status` and the like can't reach this daemon: {error}"
            self.log.warn(says + "; --control FILE chooses another", error=error)  # noqa: G003, G010
            return None

    def _ready(self) -> None:
        signals.install(self.reactor, self.log, self._hang_up, self._hurry)
        self.hub.sources.room = room_for_clients()
        self._memory.start()
        # A call, so that the addresses stand in the line alone, and not a second time among its fields.
        self.log.info("ready: {where()}", where=lambda: ", ".join(map(str, self.listeners)))
        if pages := [page for listener in self.listeners if (page := listener.page_url) is not None]:
            self.log.info("in a browser: {pages()}", pages=lambda: " ".join(pages))
        self.notifier.ready()
        if self.settings.watch:
            self._watcher.start()
        for count, connector in enumerate(self.connectors):
            connector.start(count * limits.DIAL_SPREAD_SECONDS)
        if self.cluster is not None:
            self.cluster.start()
        self.hub.clients.dismiss_strays()

    def stopService(self) -> Deferred[Any]:
        """Accept no more connections, close links a few at a time, and wait a little until they have ended."""
        super().stopService()
        self.notifier.stopping()
        self._watcher.stop()
        for connector in self.connectors:
            connector.halt()
        closed = self._stop_listening("tcp", "websocket")
        for listener in self.listeners:
            port: Any = listener.port
            if listener.config.transport == "udp" and port is not None:
                port.stopReading()  # what the kernel holds is for the next process, if the socket is systemd's
        self._drain = drain = Drain(self.reactor, self._contexts(), self.settings.drain)
        if self._hurried.called:
            drain.cut()
        stopped = drain.announced.addCallback(lambda _: self._stop_handlers())
        gone = drain.gone.addCallback(lambda _: DeferredList(self._stop_listening("udp"), consumeErrors=True))
        drain.start()
        self.turns.stop()
        self._memory.stop()
        return Deferred.fromCoroutine(self._end([*closed, stopped, gone]))

    def _hurry(self) -> None:
        """End without waiting for clients."""
        if not self._hurried.called:
            self._hurried.callback(None)
        if self._drain is not None:
            self._drain.cut()

    async def _end(self, ended: Sequence[Deferred[Any]]) -> None:
        """Close last what tells of the end."""
        either: list[Deferred[Any]] = [DeferredList(ended, consumeErrors=True), self._hurried]
        await DeferredList(either, fireOnOneCallback=True)
        if self.cluster is not None:
            self.hub.turn.flush()
            await self.cluster.stop()
        await self.metrics.close()
        if self.control is not None:
            await self.control.close()
        if self.store is not None:
            self.hub.turn.flush()
            await deferToThread(self.store.stop)
        elif forgotten := describe_lost(self.hub, self.cluster is not None):
            self.log.warn("{forgotten}", forgotten=forgotten)  # noqa: G010  Twisted calls it so
        self.notifier.stop()

    def _stop_handlers(self) -> Deferred[Any]:
        stopped = [runner.stop() for runner in self.handlers.values()]
        self.hub.turn.flush()
        return DeferredList(stopped, consumeErrors=True)

    def _contexts(self) -> Iterator[ListenerContext]:
        yield from (listener.context for listener in self.listeners)
        yield from (connector.context for connector in self.connectors)

    def _stop_listening(self, *transports: str) -> Sequence[Deferred[Any]]:
        return [
            maybeDeferred(listener.port.stopListening)
            for listener in self.listeners
            if listener.port is not None and listener.config.transport in transports
        ]
