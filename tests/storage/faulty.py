"""A disk that fails when a test says so, between SQLite and the real one, and what a power loss leaves of it."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw

NAME = "faulty"


class FaultyDisk(apsw.VFS):
    """`full`: no write has room; `unsynced`: no sync succeeds; `tears`: a write stops midway; slow: see `hold`.

    room     whether files may become longer
    lasting  by path, the bytes that are on the disk for certain
    """

    def __init__(self) -> None:
        super().__init__(NAME, "")
        self.full = self.unsynced = self.tears = False
        self.room = True
        self.lasting: dict[str, bytearray] = {}
        self.lock = threading.Lock()  # of `lasting`: the power fails at one moment for all files
        self.go = threading.Event()
        self.go.set()
        self.syncs = 0

    def xOpen(self, name, flags):
        return FaultyFile(self, name, flags)

    def xDelete(self, path, sync):
        super().xDelete(path, sync)
        with self.lock:
            self.lasting.pop(path, None)

    def lose_power(self, folder: Path) -> None:
        """Write the files as they are after a power loss."""
        folder.mkdir()
        with self.lock:
            lasting = {path: bytes(data) for path, data in self.lasting.items()}
        for path, data in lasting.items():
            (folder / Path(path).name).write_bytes(data)


class FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name, flags) -> None:
        super().__init__("", name, flags)
        self.disk = disk
        self.path = name if isinstance(name, str) else name.filename()
        self.dirty: list[tuple[int, bytes]] = []
        if Path(self.path).exists():
            disk.lasting.setdefault(self.path, bytearray(Path(self.path).read_bytes()))

    def xWrite(self, data, offset):
        self.disk.go.wait()
        if self.disk.full or not (self.disk.room or offset + len(data) <= self.xFileSize()):
            raise apsw.FullError("no space left")
        if self.disk.tears:
            super().xWrite(data[: len(data) // 2], offset)
            raise apsw.IOError("torn")
        super().xWrite(data, offset)
        self.dirty.append((offset, bytes(data)))

    def xTruncate(self, size):
        super().xTruncate(size)
        with self.disk.lock:
            del self.disk.lasting.setdefault(self.path, bytearray())[size:]

    def xSync(self, flags):
        self.disk.go.wait()
        self.disk.syncs += 1
        dirty, self.dirty = self.dirty, []
        if self.disk.unsynced:  # Linux takes the pages for clean now
            raise apsw.exceptionfor(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)
        with self.disk.lock:
            lasting = self.disk.lasting.setdefault(self.path, bytearray())
            for offset, data in dirty:
                lasting.extend(bytes(max(0, offset + len(data) - len(lasting))))
                lasting[offset : offset + len(data)] = data
