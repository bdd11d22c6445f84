"""Where a daemon's control socket is, for the daemon and for the commands that look for it."""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hubbub import limits
from hubbub.errors import ConfigError

NAME = "control.sock"
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_SYSTEM = Path("/run/hubbub") / NAME  # RuntimeDirectory= of the unit


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a daemon of this user has its socket: systemd's folder for it, the session's, or one of its own."""
    if folders := environment.get("RUNTIME_DIRECTORY"):  # several are separated by colons (systemd.exec(5))
        return Path(folders.partition(":")[0]) / NAME
    if folder := environment.get("XDG_RUNTIME_DIR"):
        return Path(folder) / "hubbub" / NAME
    return Path(tempfile.gettempdir()) / f"hubbub-{os.geteuid()}" / NAME


def where_to_look(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the places of a daemon that no --control names: first where the environment says, last in a shared one."""
    chosen = environment.get("RUNTIME_DIRECTORY") or environment.get("XDG_RUNTIME_DIR")
    own = default_path(environment)
    return list(dict.fromkeys((own, _SYSTEM) if chosen else (_SYSTEM, own)))


def own_path(place: Path, pid: object) -> Path:
    """Return where the daemon `pid` has its socket if another one has `place`."""
    return place.with_stem(f"{place.stem}-{pid}")


def own_paths(place: Path) -> list[Path]:
    """Return where other daemons than the one of `place` have their sockets, at most limits.NEIGHBOURS."""
    try:
        return sorted(place.parent.glob(own_path(place, "*").name))[: limits.NEIGHBOURS]
    except OSError:
        return []


def peer_pid(link: socket.socket) -> int:
    """Return the process that listens at the other end of a Unix socket, as the kernel knows it."""
    return int(_credentials(link)[0])


def peer_user(link: socket.socket) -> int:
    """Return the id of the user at the other end of a Unix socket, as the kernel knows it (SO_PEERCRED in unix(7))."""
    return int(_credentials(link)[1])


def _credentials(link: socket.socket) -> tuple[int, ...]:
    return _CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))


def is_trusted(path: Path, user: int, named: bool) -> bool:
    """Return whether `user` may answer at `path`: this one, root, or the owner of a folder that is its alone.

    named  whether the operator has named that path; if not, that folder must be where only root can have put it

    Raises OSError.
    """
    if user in (0, os.geteuid()):
        return True
    folder = path.absolute().parent
    found = folder.stat()
    return user == found.st_uid and not found.st_mode & 0o022 and (named or _is_root_s(folder.parent))


def _is_root_s(folder: Path) -> bool:
    found = folder.stat()
    return found.st_uid == 0 and not found.st_mode & 0o022


def make_folder(folder: Path) -> None:
    """Make the folder of a default path, for this user alone. Raises ConfigError if it is another user's."""
    try:
        folder.mkdir(mode=0o700, parents=False, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ConfigError(f"{folder} isn't a folder that only this user can write to")
