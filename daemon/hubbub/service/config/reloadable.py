"""The two steps in which a part of the daemon takes up changed settings; see service.reload."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hubbub.service.config.settings import Settings

Commit = Callable[[], Iterable[str]]
"""Puts into effect what was prepared, which can't fail, and tells what has changed."""
Prepare = Callable[[Settings], Commit]
"""Reads what the settings name, and changes nothing. Raises ConfigError."""
