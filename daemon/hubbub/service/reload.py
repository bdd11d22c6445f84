"""Reload, by SIGHUP and `hubbub reload`: what the operator has changed takes effect, all of it or nothing of it.

First everything is read, planned and bound: that may fail, and then nothing has changed. Then it takes its place, which
can't fail. A listener whose endpoint is the same keeps its socket and its links.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.logger import Logger

from hubbub.errors import ConfigError
from hubbub.service.config.reloadable import Commit
from hubbub.service.config.settings import HandlerConfig, LinkConfig, ListenerConfig, Settings
from hubbub.service.drain import Drain
from hubbub.service.links.listener import Listener
from hubbub.service.plugins.dialect_plan import DialectPlan
from hubbub.service.plugins.discovery import Changes, Plugins
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.service.running import Running

Config = TypeVar("Config", HandlerConfig, LinkConfig)
_log = Logger(namespace="hubbub.reload")


class Reloader:
    """Reloads one daemon, one reload after the other."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._lock = DeferredLock()

    def reload(self) -> Deferred[str]:
        """Reload, and log it. The result says what has changed; fails with ConfigError, and nothing has changed."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reload()))

    async def _reload(self) -> str:
        modules = {name: one for name, one in sys.modules.items() if name.startswith("hubbub_plugin_")}
        try:
            plan = _Plan(self._running, self._running.reread())
            await plan.bind()
        except ConfigError as error:
            sys.modules.update(modules)  # where the classes that run look up names
            _log.error("not reloaded: {error}", error=error)
            raise
        for why in plan.changes.broken:
            _log.error("not reloaded: {why}", why=why)
        done = [*plan.commit(), *await self._running.recheck()]
        what = "; ".join(filter(None, [", ".join(plan.changes.files), ", ".join(done)]))
        _log.info("reloaded: {what}", what=what or "nothing has changed")
        return what or "nothing has changed"


class _Plan:
    """What is to become of a daemon. Making it changes nothing, and raises ConfigError."""

    def __init__(self, running: Running, settings: Settings) -> None:
        self._running = running
        self._settings = settings
        self._plugins, self.changes = running.plugins.renewed(settings.plugin_dirs)
        _refuse_broken(self.changes, settings)
        self._bound: list[Listener] = []
        self._kept: dict[str, tuple[Listener, Listener]] = {}  # by id, and what each is to become
        self._added: dict[str, Listener] = {}
        self._starting: list[tuple[HandlerConfig, HandlerRunner]] = []
        self._plan_listeners()
        self._planned: list[
            tuple[Any, DialectPlan]
        ] = []  # connectors that stay, and what they speak from their next link on
        self._dialling = list(self._plan_connectors())
        self._plan_handlers()
        self._commits: list[Commit] = []

    def _plan_listeners(self) -> None:
        running, settings = self._running, self._settings
        there = {listener.config.id: listener for listener in running.listeners}
        for config in settings.listeners:
            new = running.make_listener(config, settings, self._plugins)
            old = there.get(config.id)
            if old is not None and old.config.binding == config.binding:
                new.context.anonymous = config.admits_anonymous(old.host, bool(settings.auth))
                self._kept[config.id] = old, new
            else:
                self._added[config.id] = new

    def _plan_connectors(self) -> Iterator[tuple[Any, Any]]:
        """Yield each connector that is wanted, and what takes its place; None where it may stay as it is."""
        there = {connector.config.id: connector for connector in self._running.connectors}
        for config in self._settings.connectors:
            new = self._running.make_connector(config, self._settings, self._plugins)
            old = there.get(config.id)
            if old is not None and _same(old.config, config):
                self._planned.append((old, new.dialect_plan))
                yield old, None
            else:
                yield old, new

    def _plan_handlers(self) -> None:
        running, plugins = self._running, self._plugins
        before = {config.id: config for config in running.settings.handlers}
        for config in self._settings.handlers:
            same = config.id in before and _same(before[config.id], config)
            if same and not plugins.has("handler", config.name):
                continue  # its file has gone, and it stops
            old = running.handlers.get(config.id)
            if same and old is not None and type(old.handler) is _wanted(plugins, config):
                continue
            self._starting.append((config, running.make_runner(config, plugins)))

    # Binding

    async def bind(self) -> None:
        """Open the ports that are new. Raises ConfigError, and all is as it was."""
        moved: list[Listener] = []  # had a port that a new one wants; for a moment the port is closed
        try:
            waiting = [(listener, holder) for listener in self._added.values() if (holder := self._listen(listener))]
            for listener, holder in waiting:
                moved.append(holder)
                await _closed(holder)
                self._listen(listener, last=True)
            self._commits += [prepare(self._settings) for prepare in self._running.parts]
        except ConfigError:
            for listener in self._bound:
                await _closed(listener)
            for holder in moved:
                holder.listen(self._running.reactor)
            raise

    def _listen(self, listener: Listener, last: bool = False) -> Listener | None:
        """Bind. Returns the listener that holds the port, if it has to go anyway. Raises ConfigError."""
        self._bound.append(listener)
        try:
            listener.listen(self._running.reactor)
        except ConfigError:
            holder = None if last else next((one for one in self._gone() if _clash(one.config, listener.config)), None)
            if holder is None:
                raise
            return holder
        return None

    def _gone(self) -> list[Listener]:
        return [listener for listener in self._running.listeners if listener.config.id not in self._kept]

    # Putting it into effect

    def commit(self) -> list[str]:
        """Let all of it take its place, and tell what has changed."""
        running = self._running
        gone = self._gone()
        running.plugins, running.settings = self._plugins, self._settings
        running.hub.bound(self._settings.bounds)
        says = [*self._commit_listeners(gone), *self._commit_connectors()]
        says += [line for commit in self._commits for line in commit()]
        says += self._commit_handlers()
        for listener in gone:
            _end(running.reactor, listener)
        return says

    def _commit_listeners(self, gone: list[Listener]) -> Iterator[str]:
        """Yield what to say of each listener that is different."""
        for old, new in self._kept.values():
            different, renewed = (
                _differences(old.config, new.config),
                new.dialect_plan.dialects != old.dialect_plan.dialects,
            )
            old.adopt(new)
            if different:
                yield f"listener {old.config.id} changed ({', '.join(different)})"
            elif renewed:
                yield f"new links of {old.config.id}"
        ids = {listener.config.id for listener in gone}
        yield from (f"listener {one.config.id} removed" for one in gone if one.config.id not in self._added)
        yield from (f"listener {id} {'moved' if id in ids else 'added'}" for id in self._added)
        wanted = [config.id for config in self._settings.listeners]
        self._running.listeners[:] = [self._added.get(id) or self._kept[id][0] for id in wanted]

    def _commit_connectors(self) -> Iterator[str]:
        running = self._running
        for connector, dialect_plan in self._planned:
            if connector.dialect_plan.dialects != dialect_plan.dialects:
                connector.dialect_plan = dialect_plan
                yield f"new links of {connector.config.id}"
        staying = [old for old, new in self._dialling if new is None]
        gone = [connector for connector in running.connectors if connector not in staying]
        for connector in gone:
            connector.stop()
        replaced = {old.config.id for old, new in self._dialling if old is not None and new is not None}
        wanted = {config.id for config in self._settings.connectors}
        yield from (f"connector {one.config.id} removed" for one in running.connectors if one.config.id not in wanted)
        running.connectors[:] = [new or old for old, new in self._dialling]
        for _, new in self._dialling:
            if new is not None:
                new.start()
                yield f"connector {new.config.id} {'changed' if new.config.id in replaced else 'added'}"
        for connector in gone:  # whose session one of the new ones may have taken over
            connector.forget()

    def _commit_handlers(self) -> Iterator[str]:
        runners = self._running.handlers
        starting = {config.id for config, _ in self._starting}
        configs = {config.id: config for config in self._settings.handlers}
        for id in list(runners):
            config = configs.get(id)
            if config is None or (id not in starting and not self._plugins.has("handler", config.name)):
                runners.pop(id).stop()
                yield f"handler {id} has stopped"
                if config is not None:
                    says = "handler {id} has stopped: no file in the plugin folders has a handler named {name} any more"
                    _log.warn(says, id=id, name=config.name)
        for config, new in self._starting:
            old = runners.get(config.id)
            runners[config.id] = new
            if old is None:
                new.start()
            else:
                new.replace(old)
            yield f"handler {config.id}"


def _refuse_broken(changes: Changes, settings: Settings) -> None:
    """Raise ConfigError if a named plugin can't be run; others don't matter."""
    named = {config.name for config in settings.handlers}
    for config in (*settings.listeners, *settings.connectors):
        named |= {config.dialect, *getattr(config, "auto", ())}
    for why, plugins in changes.broken.items():
        if named & plugins:
            raise ConfigError(why)


def _wanted(plugins: Plugins, config: HandlerConfig) -> type[Any]:
    try:
        found: type[Any] = plugins.configured("handler", config.name, config.options)
    except ConfigError as error:
        raise ConfigError(f"{config.spec}: {error}") from None
    return found


def _same(one: Config, other: Config) -> bool:
    return replace(one, spec="") == replace(other, spec="")


def _differences(one: LinkConfig, other: LinkConfig) -> list[str]:
    """Return the names of the keys that differ, as an operator writes them."""
    names = [field.name for field in fields(one) if field.name != "spec"]
    return [_NAMES.get(name, name.replace("_", "-")) for name in names if getattr(one, name) != getattr(other, name)]


_NAMES = {"user": "as", "dialect_options": "options of the dialect"}


def _clash(one: ListenerConfig, other: ListenerConfig) -> bool:
    """Tell whether the one may hold what the other wants: a port, or a file."""
    if (one.transport == "udp") != (other.transport == "udp"):
        return False
    port, file = one.address.port, one.address.values.get("address")
    return (port, file) == (other.address.port, other.address.values.get("address")) and bool(port or file)


def _closed(listener: Listener) -> Deferred[Any]:
    """Close a port; its links stay. Fires once it is free."""
    port, listener.port = listener.port, None
    return maybeDeferred(port.stopListening) if port is not None else maybeDeferred(lambda: None)


def _end(reactor: Any, listener: Listener) -> None:
    """End a listener that isn't configured any more: it accepts no connections, and its links are closed."""
    drain = Drain(reactor, [listener.context], listener.settings.drain)
    if listener.config.transport == "udp":  # what it says goes out through its port
        drain.gone.addCallback(lambda _: _closed(listener))
    else:
        _closed(listener)
    drain.start()
