"""The other end of the control socket: asks a running daemon, and reads its answers."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from hubbub.errors import ConfigError
from hubbub.option import printable
from hubbub.service.control.control_path import is_trusted, own_paths, peer_pid, peer_user, where_to_look


def ask(path: Path | None, request: Mapping[str, object], seconds: float | None = 30.0) -> Iterator[dict[str, Any]]:
    """Send a request to the daemon at `path`, None: the default places, and yield its answers.

    seconds  how long an answer may take; None: for ever

    Raises ConfigError: there is no daemon, it says no, or it ends meanwhile.
    """
    with closing(_connect(path)) as daemon:
        daemon.settimeout(seconds)
        try:
            with suppress(BrokenPipeError):  # it has refused already, and says why
                daemon.sendall(json.dumps(request).encode() + b"\n")
            with daemon.makefile("rb") as answers:
                for line in answers:
                    answer: dict[str, Any] = json.loads(line)
                    if "error" in answer:
                        raise ConfigError(printable(str(answer["error"])))
                    yield answer
                    if "done" in answer:
                        return
        except TimeoutError:
            raise ConfigError(f"the daemon hasn't answered for {seconds:g} s") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"the daemon was lost: {getattr(error, 'strerror', None) or error}") from None
    raise ConfigError("the daemon has ended")


def _connect(path: Path | None) -> socket.socket:
    """Connect to the daemon at `path`, or at the first of the default places where one answers that can be trusted."""
    tried: list[str] = []
    strange: list[str] = []
    for one in [path] if path is not None else where_to_look():
        found = socket.socket(socket.AF_UNIX)
        try:
            found.setblocking(False)  # a daemon that is stopped has a queue that may be full: then it would wait
            found.connect(str(one))
            user = peer_user(found)
            if is_trusted(one, user, path is not None):
                _warn(strange)
                return found
            reason = f"user {user} answers there; only your own user, root and the owner of a private folder may"
            strange.append(f"{one}: {reason}")
        except BlockingIOError:
            reason = "it takes no connections now"
        except OSError as error:
            reason = error.strerror or str(error)
        found.close()
        tried.append(f"{one}: {reason}")
    hint = "" if path is not None else _others() or "; --control FILE names it"
    raise ConfigError(f"no daemon answers ({', '.join(tried)}){hint}")


def _others() -> str:
    """Name the daemons that run beside the default places, whose own daemons don't answer."""
    hints = []
    for path in (path for place in where_to_look() for path in own_paths(place)):
        with closing(socket.socket(socket.AF_UNIX)) as found, suppress(OSError):
            found.setblocking(False)
            found.connect(str(path))
            if is_trusted(path, peer_user(found), named=False):
                hints.append(f"; pid {peer_pid(found)} is another daemon; for that one: --control {path} asks it")
    return "".join(hints)


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"hubbub: {line}", file=sys.stderr)
