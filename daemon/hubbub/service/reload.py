"""Reload on SIGHUP: plugin files that are new, changed or gone take effect, and no socket is closed.

A handler whose class has changed gives way to an instance of the new one; new links speak the new dialect, live ones
the one they have. What can't be taken up leaves what runs as it is, and is told in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence

from twisted.logger import Logger

from hubbub.errors import ConfigError
from hubbub.service.config import HandlerConfig
from hubbub.service.handlers import HandlerRunner
from hubbub.service.listeners import Listener
from hubbub.service.plugins import Plugins

log = Logger(namespace="hubbub.reload")


def reload(
    plugins: Plugins,
    listeners: Sequence[Listener],
    configs: Sequence[HandlerConfig],
    runners: MutableMapping[str, HandlerRunner],
    make_runner: Callable[[HandlerConfig], HandlerRunner],
) -> None:
    """Look at the plugin folders again, and have listeners and handlers take up what is there.

    configs      the handlers that the operator wants; runners: those that run, by id, which is brought up to date
    make_runner  makes the runner of a config, unstarted; raises ConfigError
    """
    try:
        changes = plugins.look()
    except ConfigError as error:
        log.error("not reloaded: {error}", error=error)
        return
    for why in changes.broken:
        log.error("not reloaded: {why}", why=why)
    taken = [*_listeners(plugins, listeners), *_handlers(plugins, configs, runners, make_runner)]
    what = "; ".join(filter(None, [", ".join(changes.files), ", ".join(taken)]))
    log.info("reloaded: {what}", what=what or "nothing has changed")


def _listeners(plugins: Plugins, listeners: Sequence[Listener]) -> Iterator[str]:
    """Yield what to say of each listener that has taken up something."""
    for listener in listeners:
        try:
            if listener.reload(plugins):
                yield f"new links of {listener.config.id}"
        except ConfigError as error:
            log.error("not reloaded: {error}; new links get what there was", error=error)


def _handlers(
    plugins: Plugins,
    configs: Sequence[HandlerConfig],
    runners: MutableMapping[str, HandlerRunner],
    make_runner: Callable[[HandlerConfig], HandlerRunner],
) -> Iterator[str]:
    """Yield what to say of each handler that has taken up something."""
    for config in configs:
        old = runners.get(config.id)
        if old is not None and not plugins.has("handler", config.name):
            del runners[config.id]
            old.stop()
            yield f"handler {config.id} has stopped"
            continue
        try:
            if old is not None and type(old.handler) is plugins.configured("handler", config.name, config.options):
                continue
            new = make_runner(config)
        except ConfigError as error:
            log.error("not reloaded: {error}{rest}", error=error, rest="; the old one runs on" if old else "")
            continue
        if old is None:
            new.start()
        else:
            new.replace(old)
        runners[config.id] = new
        yield f"handler {config.id}"
