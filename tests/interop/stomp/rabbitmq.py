"""A RabbitMQ that speaks STOMP, of Debian packages that `make test-all` unpacks and doesn't install."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports import free_port
from waiting import wait_for_port

FOLDER = Path(sys.prefix) / "debian-rabbitmq"
ERL = """#!/bin/sh
exec "$BINDIR/erlexec" "$@"
"""  # Erlang's own has the path of an installation
SECONDS = 60.0


@contextmanager
def rabbitmq(folder: Path) -> Iterator[int]:
    """Yields the port on which it speaks STOMP, to guest with the password guest."""
    erlang, home = FOLDER / "usr/lib/erlang", next(FOLDER.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*"), None)
    if home is None:
        pytest.skip(f"RabbitMQ isn't in {FOLDER}: tools/unpacked-packages puts it there")
    ports = [free_port() for _ in range(4)]
    programs = next(erlang.glob("erts-*/bin"))
    (folder / "erl").write_text(ERL)
    (folder / "erl").chmod(0o755)
    (folder / "plugins").write_text("[rabbitmq_stomp].")
    (folder / "rabbit.conf").write_text(f"stomp.listeners.tcp.1 = 127.0.0.1:{ports[0]}\n")
    libraries = {str(path.parent) for path in FOLDER.glob("**/*.so*")}
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "LD_LIBRARY_PATH": ":".join(sorted(libraries)),
        "ROOTDIR": str(erlang), "BINDIR": str(programs), "EMU": "beam", "PROGNAME": "erl",
        "ERL_EPMD_PORT": str(ports[1]), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_HOME": str(home), "RABBITMQ_NODENAME": "hub@localhost", "RABBITMQ_NODE_PORT": str(ports[2]),
        "RABBITMQ_DIST_PORT": str(ports[3]), "RABBITMQ_MNESIA_BASE": str(folder), "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_CONFIG_FILE": str(folder / "rabbit"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
    }  # fmt: skip
    quiet = {"env": environment, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    names = subprocess.Popen([programs / "epmd", "-port", str(ports[1])], **quiet)
    try:
        wait_for_port(ports[1], names)
        server = subprocess.Popen([home / "sbin" / "rabbitmq-server"], **quiet)
        try:
            wait_for_port(ports[0], server, SECONDS)
            yield ports[0]
        finally:
            server.terminate()
            server.wait(SECONDS)
    finally:
        names.terminate()
        names.wait(SECONDS)
