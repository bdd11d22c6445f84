"""The other daemons of this machine that a command without --control may mean, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.commands.client import ask
from hubbub.service.control.control_path import own_paths, where_to_look


def neighbours() -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the control socket and the status of each other daemon that answers at once, in the default places."""
    for place in where_to_look():
        for path in (place, *own_paths(place)):
            with suppress(ConfigError, OSError):
                status = next(ask(path, {"command": "status"}, limits.NEIGHBOUR_SECONDS))["status"]
                if status["pid"] != os.getpid():
                    yield path, status


def holder(transport: str, port: int | None) -> str:
    """Return the end of an error about a taken port: which hubbub has it, or nothing if it is none that answers."""
    if port:
        for path, status in neighbours():
            for listener in status["listeners"]:
                if (listener["transport"] == "udp") == (transport == "udp") and _port(listener["where"]) == port:
                    known = f"`hubbub status --control {path}` shows it"
                    return f": the hubbub of pid {status['pid']} has it as {listener['id']}; {known}"
    return ""


def _port(where: str) -> int | None:
    port = where.rpartition(":")[2]
    return int(port) if port.isdecimal() else None
