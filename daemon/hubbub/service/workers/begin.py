"""Becomes the program of its arguments, as a child of a supervisor: `python begin.py SUPERVISOR SOCKETS PROGRAM...`.

A child ends when its supervisor does, gets no Ctrl-C of the terminal, and finds its sockets as sd_listen_fds(3) says.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    """Never return."""
    supervisor, sockets, *program = sys.argv[1:]
    os.setpgid(0, 0)
    with suppress(MemoryError, OSError):  # of a hardened service, whose processes systemd ends together
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):
        raise SystemExit("the supervisor has ended")
    if sockets:
        names = sockets.split(":")
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)), LISTEN_FDNAMES=sockets)
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main()
