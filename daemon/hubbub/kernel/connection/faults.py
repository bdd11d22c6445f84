"""What an exception of a plugin costs: its own link, and no other."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def own_fault(method: Callable[..., None]) -> Callable[..., None]:
    """Let an exception of a plugin's dialect in `method` close this link alone."""

    @wraps(method)
    def guarded(link: Any, *arguments: Any) -> None:
        try:
            method(link, *arguments)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises
            link.fail(error)

    return guarded


def guarded(link: Any, call: Callable[..., None], *arguments: Any) -> None:
    """Call a function of the link, and let an exception of its dialect close this link alone."""
    try:
        call(link, *arguments)
    except Exception as error:  # noqa: BLE001  whatever a plugin raises
        link.fail(error)
