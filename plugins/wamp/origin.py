"""What only other WAMP sessions see of a message: its sender, and its purpose."""

from __future__ import annotations

from typing import Any


class Origin(dict[str, str]):
    """Properties of a message of a session or of the realm itself: none, for other dialects.

    call     whether it is a CALL, which is no EVENT; progress: whether the caller takes progressive results
    details  those that EVENT or INVOCATION get
    meta     whether it comes from the realm itself
    """

    __slots__ = ("call", "details", "meta", "progress")

    def __init__(
        self, details: dict[str, Any] | None = None, call: bool = False, progress: bool = False, meta: bool = False
    ) -> None:
        super().__init__()
        self.call = call
        self.details = details or {}
        self.meta = meta
        self.progress = progress


META = Origin(meta=True)
