"""How many files may be open: a client costs one, and the last few aren't for clients."""

from __future__ import annotations

import resource
from pathlib import Path

from twisted.logger import Logger

from hubbub import limits

log = Logger(namespace="hubbub")


def raise_descriptor_limit() -> None:
    """Raise RLIMIT_NOFILE to its hard limit (getrlimit(2)); the soft one is low for the sake of select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warn("the limit of open files stays at {soft}: {error}", soft=soft, error=error)  # noqa: G010  Twisted's name


def room_for_clients() -> int:
    """Return how many more clients may be connected, with some descriptors left for the operator's own commands."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    kept = min(limits.DESCRIPTORS_RESERVED, most // limits.DESCRIPTORS_SHARE)
    return max(1, most - kept - len(list(Path("/proc/self/fd").iterdir())))
