"""Plugin files that a test writes, and SIGHUP."""

from __future__ import annotations

import signal
from pathlib import Path

from running import Daemon


def write(folder: Path, name: str, source: str, version: object = 1) -> None:
    (folder / name).write_text(source.replace("{version}", str(version)))


def hang_up(daemon: Daemon, says: str) -> str:
    """Send SIGHUP and wait for a line of the log that says so; a line is waited for once."""
    daemon.process.send_signal(signal.SIGHUP)
    return daemon.wait_for(says)
