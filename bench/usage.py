"""What a process takes of its core. The loads run as scripts, with this folder first on their path."""

from __future__ import annotations

import resource
from pathlib import Path


def processor() -> float:
    """Return the seconds that this process has had a core."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def waited(pid: int | str = "self") -> float:
    """Return the seconds that a process was ready to run and had no core.

    It is about its main thread: others wait for each other.
    """
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
