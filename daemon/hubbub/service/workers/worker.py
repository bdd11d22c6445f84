"""One worker, as its supervisor sees it."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol

from hubbub import limits
from hubbub.service.logs import observers
from hubbub.service.workers.child import Child
from hubbub.service.workers.handover import VARIABLE, Handover

_LINKS = re.compile(r"^STATUS=.*links: (\d+)$", re.MULTILINE)
_OWN = ("WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")  # variables for the supervisor alone


class Worker(Child):
    """A daemon that notifies its supervisor as others notify systemd (sd_notify(3)).

    number  from 1 on; control: the path of its control socket
    serving  fires when it serves for the first time
    ready   whether it serves; links: how many it has, by its last STATUS=
    """

    def __init__(self, reactor: Any, handover: Handover, arguments: Sequence[str]) -> None:
        super().__init__(reactor, f"worker {handover.number}")
        self.command = [sys.executable, "-P", "-m", "hubbub", "run", *arguments]
        self.control = handover.control
        self.links = 0
        self.number = handover.number
        self.ready = False
        self.serving: Deferred[None] = Deferred()
        self._notified_at = 0.0  # seconds of the reactor's clock
        self._notifications = f"{handover.control}.notify"
        self._watch: Any = None
        self.environment = {name: value for name, value in os.environ.items() if name not in _OWN} | {
            observers.WORKER: str(handover.number),
            VARIABLE: msgspec.json.encode(handover).decode(),
            "NOTIFY_SOCKET": self._notifications,
            "WATCHDOG_USEC": str(int(limits.WORKER_SILENCE_SECONDS * 1e6)),
        }

    def begin(self) -> Deferred[None]:
        """Start it for the first time; the Deferred fires once it serves."""
        self._port = self._reactor.listenUNIXDatagram(self._notifications, _Notifications(self))
        self.start()
        self._look()
        return self.serving

    def notified(self, state: str) -> None:
        """Take a notification: lines of NAME=VALUE."""
        self._notified_at = self._reactor.seconds()
        if found := _LINKS.search(state):
            self.links = int(found[1])
        if "READY=1" in state.split("\n"):
            self.ready = True
            if not self.serving.called:
                self.serving.callback(None)

    def _look(self) -> None:
        """Kill it if it serves, but has sent no notification for limits.WORKER_SILENCE_SECONDS."""
        if self.ready and self._reactor.seconds() - self._notified_at > limits.WORKER_SILENCE_SECONDS:
            seconds = limits.WORKER_SILENCE_SECONDS
            self.log.error("{name} has done nothing for {seconds:g} s: it is killed", name=self.name, seconds=seconds)
            self.ready = False
            self.signal(signal.SIGKILL)
        self._watch = self._reactor.callLater(limits.WORKER_SILENCE_SECONDS / 4, self._look)

    def processEnded(self, reason: Any) -> None:
        self.ready, self.links = False, 0
        Path(self.control).unlink(missing_ok=True)
        super().processEnded(reason)

    def stop(self) -> Deferred[None]:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        return super().stop().addCallback(lambda _: self._port.stopListening())

    def describe(self) -> dict[str, Any]:
        """Describe it in short."""
        state = "ready" if self.ready else "starting" if self.pid is not None else "down"
        return {"number": self.number, "pid": self.pid, "state": state, "starts": self.starts, "links": self.links}


class _Notifications(DatagramProtocol):
    noisy = False

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self._worker.notified(datagram.decode(errors="replace"))
