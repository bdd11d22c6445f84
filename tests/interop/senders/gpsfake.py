"""gpsfake: a gpsd that reads a log of sentences from a terminal, as from a receiver, again and again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from interop.senders.unpacked import environment, unpacked
from ports import free_port
from waiting import wait_for_port

PYTHON = "/usr/bin/python3"  # Debian's, for which its packages are
CYCLE = 0.02  # seconds between two sentences


@contextmanager
def gpsfake(folder: Path, sentences: Iterable[str]) -> Iterator[int]:
    """Yields the port of its gpsd."""
    log, port = folder / "sentences.nmea", free_port()
    log.write_text("".join(f"{sentence}\r\n" for sentence in sentences))
    command = [PYTHON, unpacked("bin/gpsfake"), "-q", "-n", "-c", str(CYCLE), "-P", str(port), log]
    library = folder / "library"  # Python finds none (ctypes.util.find_library) whose path has a space
    library.symlink_to(unpacked("libgpsdpacket.so").parent)
    paths = {**environment(), "LD_LIBRARY_PATH": str(library)}
    process = subprocess.Popen(command, env=paths, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)
