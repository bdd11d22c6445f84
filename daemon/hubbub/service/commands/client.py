"""The other end of the control socket: asks a running daemon, and reads its answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from hubbub.errors import ConfigError
from hubbub.service.control.control_path import where_to_look


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
                        raise ConfigError(answer["error"])
                    yield answer
                    if "done" in answer:
                        return
        except TimeoutError:
            raise ConfigError(f"the daemon hasn't answered for {seconds:g} s") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"the daemon was lost: {getattr(error, 'strerror', None) or error}") from None
    raise ConfigError("the daemon has ended")


def _connect(path: Path | None) -> socket.socket:
    tried = []
    for one in [path] if path is not None else where_to_look():
        found = socket.socket(socket.AF_UNIX)
        try:
            found.connect(str(one))
        except OSError as error:
            found.close()
            tried.append(f"{one}: {error.strerror or error}")
        else:
            return found
    hint = "" if path is not None else "; --control FILE says where it is"
    raise ConfigError(f"no daemon answers ({', '.join(tried)}){hint}")
