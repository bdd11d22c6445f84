"""Debian's Mosquitto, as the broker that hubbub is a client of."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Self

from interop.mqtt.base import SECONDS, At
from ports import free_port
from waiting import wait_until

STORED = "persistence true\npersistence_file stored.db\n"


class Mosquitto:
    """A broker with its files in `folder`. `listener`: more of its configuration, below the listener.

    A restart keeps the port and, as it is stopped in peace, the sessions.
    """

    def __init__(self, program: str, folder: Path, listener: str = "", where: str = "", general: str = "") -> None:
        self.port = 0 if where else free_port()
        self._folder = folder
        self._command = [program, "-v", "-c", str(folder / "mosquitto.conf")]
        self._where = where
        anonymous = "" if "allow_anonymous" in listener else "allow_anonymous true\n"
        place = f"0 {where}" if where else f"{self.port} 127.0.0.1"
        text = f"{STORED}persistence_location {folder}/\n{general}\nlistener {place}\n{anonymous}{listener}\n"
        if not general:
            text += "max_queued_messages 100000\n"
        (folder / "mosquitto.conf").write_text("user root\n" + text)

    @property
    def at(self) -> At:
        return At("unix", path=self._where) if self._where else At("tcp", "127.0.0.1", self.port)

    def start(self) -> None:
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_until(self._answers, SECONDS, self._process)

    def _answers(self) -> bool:
        one = socket.socket(socket.AF_UNIX if self._where else socket.AF_INET)
        with one:
            return one.connect_ex(self._where or ("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.stop()
