"""A RabbitMQ of unpacked packages, which speaks STOMP: `python rabbitmq.py RELEASE FOLDER PORT [LINE...]`.

It runs until a signal. RELEASE is `usr/lib/rabbitmq/lib/rabbitmq_server-VERSION` among the packages, FOLDER keeps its
files, and LINE is one more of its configuration.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ERL = """#!/bin/sh
exec "$BINDIR/erlexec" "$@"
"""  # Erlang's own has the path of an installation


def environment(release: Path, folder: Path, configuration: list[str]) -> dict[str, str]:
    """Write its configuration, and return what it finds in its environment."""
    packages = release.parents[4]
    erlang, ports = packages / "usr/lib/erlang", free_ports(3)
    (folder / "erl").write_text(ERL)
    (folder / "erl").chmod(0o755)
    (folder / "plugins").write_text("[rabbitmq_stomp].")
    (folder / "rabbit.conf").write_text("\n".join(configuration) + "\n")
    libraries = {str(path.parent) for path in packages.glob("**/*.so*")}
    return {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "LD_LIBRARY_PATH": ":".join(sorted(libraries)),
        "ROOTDIR": str(erlang), "BINDIR": str(next(erlang.glob("erts-*/bin"))), "EMU": "beam", "PROGNAME": "erl",
        "ERL_EPMD_PORT": str(ports[0]), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_HOME": str(release), "RABBITMQ_NODENAME": "hub@localhost", "RABBITMQ_NODE_PORT": str(ports[1]),
        "RABBITMQ_DIST_PORT": str(ports[2]), "RABBITMQ_MNESIA_BASE": str(folder), "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_CONFIG_FILE": str(folder / "rabbit"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
    }  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Return free TCP ports of 127.0.0.1."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


def main() -> None:
    """Run its name server, and it, until a signal or until it ends."""
    release, folder, port, *more = sys.argv[1:]
    found = environment(Path(release), Path(folder), [f"stomp.listeners.tcp.1 = 127.0.0.1:{port}", *more])
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    commands = [[f"{found['BINDIR']}/epmd", "-port", found["ERL_EPMD_PORT"]], [f"{release}/sbin/rabbitmq-server"]]
    children = [subprocess.Popen(command, env=found, cwd=folder) for command in commands]
    while not ended and children[-1].poll() is None:
        time.sleep(0.1)
    for child in reversed(children):
        child.terminate()
        child.wait()


if __name__ == "__main__":
    main()
