"""`hubbub ARGUMENTS` in a process of its own, forked by tests/forkserver.py: a start takes 0.03 s instead of 0.8 s.

With HUBBUB_FULL=1 each is an interpreter of its own, as `make test-all` has it.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from scale import FULL

HUBBUB = (sys.executable, "-m", "hubbub")
NOTHING_MORE: Mapping[str, str] = {}


class Forked:
    """A process, with those names of subprocess.Popen that the tests use."""

    stdout: IO[bytes] | None = None
    stderr: IO[bytes] | None = None

    def __init__(
        self,
        arguments: Sequence[str],
        streams: tuple[int, int, int],
        folder: Path | None = None,
        environment: Mapping[str, str] = NOTHING_MORE,
    ) -> None:
        request = {
            "arguments": arguments,
            "folder": str(folder or Path.cwd()),
            "environment": {**os.environ, **environment},
        }
        mine, theirs = os.pipe()
        self._reported = os.fdopen(mine, "rb", buffering=0)
        try:
            socket.send_fds(_server(), [json.dumps(request).encode()], [*streams, theirs])
        finally:
            os.close(theirs)
        self.returncode: int | None = None
        self.pid = int(self._reported.readline())

    def poll(self) -> int | None:
        """The exit status, or minus the signal, or None while it runs."""
        if self.returncode is None and self._ended(0):
            self.returncode = os.waitstatus_to_exitcode(int(self._reported.readline()))
            self._reported.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired after so many seconds."""
        if self.returncode is None and not self._ended(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.poll()

    def _ended(self, timeout: float | None) -> bool:
        poll = select.poll()  # select knows no descriptors from 1024 on
        poll.register(self._reported, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1_000))

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, and that isn't reported yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@functools.cache
def _server() -> socket.socket:
    """The way to the fork server of this process, which ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = str(Path(__file__).with_name("forkserver.py"))
    with theirs:
        number = theirs.fileno()
        server = subprocess.Popen([sys.executable, program, str(number)], stdin=subprocess.DEVNULL, pass_fds=[number])
    atexit.register(server.wait)
    atexit.register(ours.close)
    return ours


def start(*arguments: str, folder: Path | None = None, errors: bool = False) -> Forked | subprocess.Popen[bytes]:
    """Begin `hubbub ARGUMENTS`; `stdout` of what is returned is a pipe with all that it prints.

    errors  whether standard error is another pipe, `stderr`
    """
    if FULL:
        command = [*HUBBUB, *arguments]
        stderr = subprocess.PIPE if errors else subprocess.STDOUT
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, cwd=folder)
    pipes = [os.pipe() for _ in range(1 + errors)]
    ours = [os.fdopen(mine, "rb") for mine, _ in pipes]
    try:
        with Path(os.devnull).open("rb") as nothing:
            process = Forked(arguments, (nothing.fileno(), pipes[0][1], pipes[-1][1]), folder)
    finally:
        for _, theirs in pipes:
            os.close(theirs)
    process.stdout, process.stderr = ours[0], ours[1] if errors else None
    return process


def hubbub(
    *arguments: object, said: str = "", folder: Path | None = None, seconds: float = 40, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `hubbub ARGUMENTS` to its end, with `said` on standard input; what runs longer is killed, and an error."""
    done = hubbub_bytes(*arguments, given=said.encode(), folder=folder, seconds=seconds, **environment)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def hubbub_bytes(
    *arguments: object, given: bytes = b"", folder: Path | None = None, seconds: float = 40, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `hubbub ARGUMENTS` as `hubbub` does, with bytes on standard input and output."""
    words = [str(one) for one in arguments]
    if FULL:
        command = [*HUBBUB, *words]
        return subprocess.run(
            command, input=given, cwd=folder, env={**os.environ, **environment}, capture_output=True, timeout=seconds,
            check=False,
        )  # fmt: skip
    with TemporaryFile() as standard_input, TemporaryFile() as out, TemporaryFile() as errors:
        standard_input.write(given)
        standard_input.seek(0)
        streams = (standard_input.fileno(), out.fileno(), errors.fileno())
        process = Forked(words, streams, folder, environment)
        try:
            process.wait(seconds)
        finally:
            process.kill()
        out.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(words, process.returncode, out.read(), errors.read())
