"""Run as a program: imports what `hubbub` does once, and then forks for each command that it is asked for.

Importing takes 20 times as long as the rest of a start, and the tests start a thousand daemons and commands. A fork has
the arguments, folder, environment and standard streams of its request, no reactor yet, and nothing of an earlier one.
tests/hub_process.py asks it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins, pluginPackagePaths

import hubbub_plugins
import twisted.plugins
from hubbub.service.cli import COMMANDS, main

LONGEST = 131_072  # bytes of a request; what doesn't fit is refused by sendmsg
FDS = 4  # standard input, output and error, and the pipe that takes the process id and the exit status
IMPORTED = (
    "twisted.scripts.twistd",
    "hubbub.service.tap",
    "hubbub.service.process.reactor",
    "hubbub.service.logs.observers",
    "hubbub.dialects.json",
    "hubbub.dialects.raw",
    "hubbub.storage.history",
    "hubbub.storage.opening",
)


def import_all() -> None:
    """Import what the commands and each daemon import, which installs no reactor."""
    plugins = (f"hubbub_plugins.{one.name}" for one in iter_modules(hubbub_plugins.__path__))
    for name in {*IMPORTED, *plugins, *(target.partition(":")[0] for target in COMMANDS.values())}:
        import_module(name, "hubbub.service")
    list(getPlugins(IServiceMaker))
    assert "twisted.internet.reactor" not in sys.modules
    assert threading.active_count() == 1, "a fork has none of the threads"
    gc.collect()
    gc.freeze()


def serve(link: socket.socket) -> list[str]:
    """Fork for each request, until the one that asks has gone. Returns in a fork alone, with its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end all the others
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, fds, _, _ = socket.recv_fds(link, LONGEST, FDS)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            link.close()
            return begin(json.loads(request), fds)
        for fd in fds:
            os.close(fd)


def begin(request: dict[str, object], fds: list[int]) -> list[str]:
    """Return the arguments in the process that was asked for; this one tells its number and its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, reported = fds
    if pid := os.fork():
        for stream in (0, 1, 2, *streams):
            os.close(stream)
        os.write(reported, b"%d\n" % pid)
        os.write(reported, b"%d\n" % os.waitpid(pid, 0)[1])
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.close(reported)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = str(Path.cwd())  # where `python -m hubbub` would look first
    twisted.plugins.__path__ += pluginPackagePaths("twisted.plugins")
    return request["arguments"]


def run(arguments: list[str]) -> object:
    """Return what the command returns or exits with."""
    try:
        return main(arguments)
    except SystemExit as error:
        return error.code


def end(status: object) -> None:
    """End as an interpreter does, but for freeing each object: that takes longer than all the rest of a short command.

    Returns where an interpreter would have something to say at its end.
    """
    if status is not None and not isinstance(status, int):
        return
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(status or 0)


if __name__ == "__main__":
    import_all()
    status = run(serve(socket.socket(fileno=int(sys.argv[1]))))
    end(status)
    sys.exit(status)
