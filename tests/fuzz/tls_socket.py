"""The transport of a plain socket, in memory, as TLS sees it; the socket may have room for little."""

from __future__ import annotations

from typing import Any

ROOM = 1 << 30  # bytes that a socket takes at once whose other end reads


class Socket:
    """What has been sent is `down`; what the socket has no `room` for waits in `dataBuffer`, as with Twisted."""

    offset = _tempDataLen = 0
    _tempDataBuffer = ()
    producerPaused = False

    def __init__(self) -> None:
        self.down = bytearray()
        self.dataBuffer = b""
        self.room = ROOM
        self.ended = self.aborted = False  # our side; the whole
        self.reading = True
        self._producer: Any = None

    def send(self, data: bytes) -> int:
        """As the socket's own: straight to it, past what waits."""
        assert not self.dataBuffer
        assert not self.ended
        taken = min(len(data), self.room)
        if not taken:
            raise BlockingIOError
        self.down += data[:taken]
        self.room -= taken
        return taken

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        waiting = self.dataBuffer[self.offset :]
        taken = min(len(waiting), self.room)
        self.down += waiting[:taken]
        self.room -= taken
        self.dataBuffer, self.offset = waiting[taken:], 0
        while not self.dataBuffer and self.producerPaused and self._producer is not None:
            self.producerPaused = False
            self._producer.resumeProducing()

    startWriting = flush

    def getPeer(self) -> None:
        return None

    def setTcpNoDelay(self, on: bool) -> None:
        pass

    def write(self, data: bytes) -> None:
        assert not self.ended or not data
        self.dataBuffer, self.offset = self.dataBuffer[self.offset :] + data, 0
        self.flush()

    def loseWriteConnection(self) -> None:
        self.ended = True

    loseConnection = loseWriteConnection

    def abortConnection(self) -> None:
        self.aborted = True
        self.unregisterProducer()

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None
