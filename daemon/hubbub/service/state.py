"""`--state`: where sessions and retained messages are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

from twisted.logger import Logger

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.kernel.history.rule import HistoryRule
from hubbub.kernel.hub import Hub
from hubbub.service.config.settings import Settings

IN_MEMORY = "sessions and retained messages are kept in memory, and end with this process; --state DIR keeps them"


NO_APSW = "needs apsw, which brings its own SQLite: pip install 'hubbub[state]'"


def has_apsw() -> bool:
    """Return whether there can be a store."""
    return find_spec("apsw") is not None


def check_state(settings: Settings) -> None:
    """Check that there can be a durable store. Raises ConfigError."""
    if settings.state is None:
        return
    if not has_apsw():
        raise ConfigError(f"--state {NO_APSW}")
    if not settings.state.parent.is_dir():
        raise ConfigError(f"--state {settings.state}: there is no folder {settings.state.parent}")
    if settings.state.exists() and not settings.state.is_dir():
        raise ConfigError(f"--state {settings.state}: it exists, and isn't a folder")
    folder = settings.state if settings.state.exists() else settings.state.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"--state {settings.state}: this user can't write to {folder}")


def make_store(settings: Settings, call: Callable[..., object], log: Logger) -> Any:
    """Return the DurableStore that was asked for, or None; `call` calls a function in the reactor.

    Raises ConfigError.
    """
    check_state(settings)
    if settings.state is None:
        return None
    from hubbub.storage.opening import open_store  # which imports apsw: not every installation has it

    def warn(text: str) -> None:
        log.critical("{damage}", damage=text)

    store = open_store(settings.state, settings.durability, call, settings.on_damage, warn)
    store.on_alarm = partial(tell_alarm, log)
    return store


def history_of(store: Any) -> Any:
    """Return where the history is in a DurableStore; None: there is no store, so it is in memory."""
    if store is None:
        return None
    from hubbub.storage.history import DurableHistory

    return DurableHistory(store)


def tell_alarm(log: Logger, why: str) -> None:
    """Log that the store can't write, once, and that it can again."""
    if why:
        log.critical("the store can't write, so hubbub acknowledges nothing that it must store: {why}", why=why)
    else:
        log.info("the store writes again")


def describe_lost(hub: Hub, clustered: bool = False) -> str:
    """Return in a line what ends with a process that keeps its state in memory; empty: nothing.

    clustered  whether all of that is in the cluster
    """
    if clustered:
        return ""
    clients, retained = hub.clients, hub.retained.count
    counts = (
        (clients.away, "offline session"), (clients.queued, "queued message"), (retained, "retained message"),
    )  # fmt: skip
    lost = [f"{count} {what}{'s' * (count != 1)}" for count, what in counts if count]
    return f"forgotten with this process: {', '.join(lost)}; --state DIR keeps them" if lost else ""


def describe_history(rules: Sequence[HistoryRule], store: Any, clustered: bool = False) -> str:
    """Return in a line what is kept of the messages."""
    where = f"in memory, {limits.HISTORY_MEMORY_BYTES // limits.MiB} MiB at most" if store is None else "with them"
    if clustered:
        where = "in the stream of the cluster"
    return f"the history of {', '.join(rule.filter for rule in rules)} is kept {where}"


def describe(store: Any, clustered: bool = False) -> str:
    """Return in a line where things are kept."""
    if clustered:
        return "sessions and retained messages are kept in the cluster"
    if store is None:
        return IN_MEMORY
    database = store.database
    return f"sessions and retained messages are kept in {database.folder}, durability {database.durability}"
