"""`--watch`: reloads when a file in the plugin folders has changed, so that an author needn't."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.watched_file import Stamp, stamp
from hubbub.service.plugins.discovery import plugin_files


class PluginWatcher:
    """Calls `reload` once for each look at `folders` that finds a file changed, new or gone."""

    def __init__(self, reactor: Any, folders: Callable[[], Iterable[Path]], reload: Callable[[], object]) -> None:
        self._folders = folders
        self._reload = reload
        self._before: dict[Path, Stamp | None] = {}
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Remember the files as they are, and look again every limits.WATCH_SECONDS."""
        self._before = self._stamps()
        self._loop.start(limits.WATCH_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        found = self._stamps()
        if found != self._before:
            self._before = found
            self._reload()

    def _stamps(self) -> dict[Path, Stamp | None]:
        try:
            return {path: stamp(path) for path in plugin_files(self._folders())}
        except ConfigError:  # a folder has gone; the reload says so
            return {}
