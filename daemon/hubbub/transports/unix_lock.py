"""The lock file beside a Unix socket, after a daemon was killed.

Twisted's lock names the process that has it, and a lock of a process that is gone is stale. In a container the daemon
is process 1 each time, so it would take the lock of its predecessor for its own, and never start again.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path


def remove_own_lock(path: str) -> None:
    """Remove the lock of the socket at `path`, and its file, if the lock names this process and nothing listens there.

    Twisted removes the file of a socket only together with a stale lock.
    """
    lock = Path(f"{path}.lock")
    if not lock.is_symlink() or str(lock.readlink()) != str(os.getpid()):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a listener whose queue is full would make it wait
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            Path(path).unlink(missing_ok=True)
            lock.unlink()
        except OSError:
            pass
