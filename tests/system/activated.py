"""A hubbub with sockets that aren't its own, as systemd starts one."""

from __future__ import annotations

import socket
import sys

from running import Daemon

# What systemd does between fork and exec: the sockets become descriptors 3, 4, ..., and the environment says so.
_EXEC = """
import fcntl, os, sys
given = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 100) for one in sys.argv[1].split(",")]
for at, one in enumerate(given):
    os.dup2(one, 3 + at)
    os.close(one)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.executable, [sys.executable, "-m", "hubbub", *sys.argv[3:]])
"""


def activated(*options: str, sockets: list[tuple[str, socket.socket]]) -> Daemon:
    """A daemon that is given `sockets`, each with its name; they stay open here."""
    return Daemon(*options, command=(*handing(sockets), "run"), hands=tuple(one.fileno() for _, one in sockets))


def handing(sockets: list[tuple[str, socket.socket]]) -> tuple[str, ...]:
    """What stands before hubbub's command where it is given `sockets`, which its process has to inherit."""
    numbers = ",".join(str(one.fileno()) for _, one in sockets)
    return sys.executable, "-c", _EXEC, numbers, ":".join(name for name, _ in sockets)


def bound(kind: socket.SocketKind, path: str | None = None) -> socket.socket:
    """A socket as a socket unit has it."""
    made = socket.socket(socket.AF_UNIX if path else socket.AF_INET, kind)
    made.bind(path or ("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        made.listen(1024)
    return made
