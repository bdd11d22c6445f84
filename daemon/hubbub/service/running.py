"""A running daemon, as reloads and the control socket see it."""

from __future__ import annotations

from typing import Any, Protocol

from hubbub.kernel.hub import Hub
from hubbub.service.cluster.cluster import Cluster
from hubbub.service.config.reloadable import Prepare
from hubbub.service.config.settings import HandlerConfig, ListenerConfig, Settings
from hubbub.service.control.link_index import LinkIndex
from hubbub.service.links.listener import Listener
from hubbub.service.plugins.discovery import Plugins
from hubbub.service.plugins.handler_runner import HandlerRunner


class Running(Protocol):
    """What is reloaded: a daemon.

    parts  what else has something to read anew, users and permissions; the last may bind, as nothing can fail after it
    """

    reactor: Any
    hub: Hub
    settings: Settings
    plugins: Plugins
    listeners: list[Listener]
    connectors: list[Any]
    handlers: dict[str, HandlerRunner]
    links: LinkIndex
    cluster: Cluster | None
    parts: list[Prepare]

    def reread(self) -> Settings:
        """Read the options again. Raises ConfigError."""

    async def recheck(self) -> list[str]:
        """Look at all clients after a reload, and tell what has ended."""

    def make_listener(self, config: ListenerConfig, settings: Settings, plugins: Plugins) -> Listener:
        """Plan a listener. Raises ConfigError."""

    def make_connector(self, config: Any, settings: Settings, plugins: Plugins) -> Any:
        """Plan a connector. Raises ConfigError."""

    def make_runner(self, config: HandlerConfig, plugins: Plugins) -> HandlerRunner:
        """Make a handler, unstarted. Raises ConfigError."""
