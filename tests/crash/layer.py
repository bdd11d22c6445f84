"""A layer below SQLite that does what the file `fault` beside it says; crash.disk has it in a plugin folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import apsw

SLOW = 0.2  # seconds of a slow sync
REAL = apsw.vfs_names()[0]  # "" would be this one, which is the default


class Layer(apsw.VFS):
    """Over the real one, and what every connection has."""

    def __init__(self, fault: Path) -> None:
        super().__init__("crash", REAL, makedefault=True)
        self.fault = fault

    def xOpen(self, name: Any, flags: Any) -> File:
        return File(self.fault, name, flags)


class File(apsw.VFSFile):
    """One file of SQLite."""

    def __init__(self, fault: Path, name: Any, flags: Any) -> None:
        super().__init__(REAL, name, flags)
        self._fault = fault

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._fault.read_text() == "full":
            raise apsw.FullError("no space left")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        fault = self._fault.read_text()
        if fault == "slow":
            time.sleep(SLOW)
        if fault == "unsynced":
            raise apsw.exceptionfor(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


layer = Layer(Path(__file__).with_name("fault"))
