"""Where a daemon's control socket is, for the daemon and for the commands that look for it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hubbub.errors import ConfigError

NAME = "control.sock"
_SYSTEM = Path("/run/hubbub") / NAME  # RuntimeDirectory= of the unit


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a daemon of this user has its socket: systemd's folder for it, the session's, or one of its own."""
    if folders := environment.get("RUNTIME_DIRECTORY"):  # several are separated by colons (systemd.exec(5))
        return Path(folders.partition(":")[0]) / NAME
    if folder := environment.get("XDG_RUNTIME_DIR"):
        return Path(folder) / "hubbub" / NAME
    return Path(tempfile.gettempdir()) / f"hubbub-{os.geteuid()}" / NAME


def where_to_look(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the places of a daemon that no --control names, the likelier first."""
    return list(dict.fromkeys((default_path(environment), _SYSTEM)))


def make_folder(folder: Path) -> None:
    """Make the folder of a default path, for this user alone. Raises ConfigError where it is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=False, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ConfigError(f"{folder} isn't a folder that only this user can write to")
