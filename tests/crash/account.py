"""What a daemon says of itself while messages that it should have acknowledged aren't: why a run has failed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from hub_process import hubbub
from running import Daemon

LINES = 20  # of the log
SECONDS = 10.0  # that a daemon has for an answer


def account(daemon: Daemon, state: Path, control: Path) -> str:
    """Return, in lines, whether a daemon runs, what its disk has, its log, and its status with each link."""
    ended = daemon.process.poll()
    usage = shutil.disk_usage(state)
    sizes = ", ".join(f"{one.name} {one.stat().st_size}" for one in sorted(state.iterdir()))
    said = [
        f"{state}: {'the daemon runs' if ended is None else f'the daemon has ended with status {ended}'}",
        f"{usage.free} of {usage.total} bytes are free; {sizes}",
        *daemon.lines[-LINES:],
    ]
    if ended is None:
        said.append(_status(control))
    return "\n".join(said)


def _status(control: Path) -> str:
    try:
        done = hubbub("status", "--json", "--links", "--control", control, seconds=SECONDS)
    except subprocess.TimeoutExpired:
        return f"it doesn't answer `hubbub status` within {SECONDS:g} s"
    return done.stdout + done.stderr
