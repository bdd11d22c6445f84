"""A disk for one daemon: a small tmpfs that fills up, and a layer below SQLite whose syncs fail or take their time."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar, Self

BYTES = 24 << 20  # of the tmpfs: some seconds of messages, and the log of SQLite
CHUNK = bytes(1 << 16)


class Disk:
    """`fail` makes it fail in one of the FAULTS, and `mend` makes it well; a context, in which it is mounted.

    folder   where the daemon has its state; options: those that put the layer below it
    """

    FAULTS: ClassVar[tuple[str, ...]] = ("full", "slow", "unsynced")

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        plugins = folder / "plugins"
        plugins.mkdir()
        shutil.copy(Path(__file__).with_name("layer.py"), plugins)
        self._fault = plugins / "fault"
        self._fault.write_text("")
        self._filler = self.folder / "filler"
        self._mounted = os.geteuid() == 0
        self.options = ("--plugin-dir", str(plugins))

    def __enter__(self) -> Self:
        self.folder.mkdir()
        if self._mounted:  # anyone else has the layer below SQLite say that there is no room
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", self.folder], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._mounted:
            subprocess.run(["umount", self.folder], check=True)

    def fail(self, fault: str) -> None:
        """Fail from now on."""
        if fault == "full" and self._mounted:
            with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as filler:
                while filler.write(CHUNK):
                    pass
        else:
            self._fault.write_text(fault)

    def mend(self) -> None:
        """Be well again."""
        self._filler.unlink(missing_ok=True)
        self._fault.write_text("")
