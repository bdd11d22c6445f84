"""What TCP and WebSocket links share: a byte stream with a valve.

The stream is its transport's push producer; while it holds bytes that the socket doesn't take, the link's outbox
keeps the rest. Where nothing waits before it, a write goes straight to the socket.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Connect
from hubbub.identity import Identity
from hubbub.transports.forwarded import UNIX, plain_host

# A transport of exactly these types, not switched to TLS, has nothing between `write` and its socket. On any other
# `transport.socket` may be the raw socket under TLS, and what is sent there goes out as plaintext.
_PLAIN = (tcp.Server, tcp.Client, unix.Server, unix.Client)

_KEEPALIVE = (60, 10, 3)  # seconds before the first probe, between probes; probes without an answer
_KEEPALIVE_HALF_CLOSED = (2, 2, 2)


class StreamLink(Protocol):
    """What a stream needs of its link, a kernel.connection.link.Link."""

    def admit(self, identity: Identity) -> None: ...
    def start(self) -> None: ...
    def receive(self, data: bytes, text: bool | None = None) -> None: ...
    def receive_units(self, units: Sequence[tuple[bytes, bool | None]]) -> None: ...
    def ended(self, listens: bool = True) -> None: ...
    def lost(self) -> None: ...
    def transport_paused(self, held: int) -> None: ...
    def transport_resumed(self) -> None: ...
    def sign_of_life(self, size: int = 0) -> None: ...
    def cut(self, reason: str) -> None: ...
    def settle(self) -> None: ...


MakeLink = Callable[[Any, str, int], StreamLink | None]
"""wire, host, port -> the link that the wire serves; None: it can't be made, and the wire is cut."""

Acquire = Callable[[str], Callable[[], object]]
"""Counts a connection from a host, and returns what is to be called when it has gone. Raises Refusal."""

Authenticate = Callable[[Connect | None, Any, str], "Deferred[Identity | None]"]
"""The credentials of the connection, transport, host -> the identity; None: anonymous. Fails with Refusal."""


@implementer(IPushProducer)
class Stream:
    """The wire of a link (see kernel.connection.link.Wire) over a stream transport; a mixin of the protocol classes."""

    proof = None
    transport: Any
    link: StreamLink | None = None
    _send_now: Callable[[bytes], int] | None = None
    _handed = 0
    _paused = False
    _eof = False
    _closing = False

    def take_over(self) -> None:
        """Write straight to the socket from now on."""
        if is_plain(self.transport):
            self._send_now = self.transport.socket.send

    def open_stream(self, make_link: MakeLink, identity: Identity | None = None) -> None:
        """Take over the transport, make the link and start it; `identity`: that of the client, if it is known."""
        transport = self.transport
        self.take_over()
        _bound_unsent(transport)
        _set_keepalive(transport, _KEEPALIVE)
        peer = transport.getPeer()
        host = plain_host(str(getattr(peer, "host", "") or UNIX))
        self.link = link = make_link(self, host, getattr(peer, "port", 0))
        if link is not None:
            transport.registerProducer(self, True)
            if identity is not None:
                link.admit(identity)
            link.start()

    # The wire

    def write(self, data: bytes) -> None:
        """Send `data`, straight to the socket if nothing waits before it."""
        transport = self.transport
        if self._send_now is not None and not transport.dataBuffer and not transport._tempDataBuffer:
            try:
                sent = self._send_now(data)
            except OSError:  # full, or lost: the reactor will find out which
                sent = 0
            if sent == len(data):
                return
            self._handed = len(data) - sent
            keep_unsent(transport, data, sent)
            if not self._paused:
                self.pauseProducing()
            return
        self._handed = len(data)
        transport.write(data)

    def reading(self, on: bool) -> None:
        """Go on or stop reading."""
        if self._eof:
            return
        if on:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def unsent(self) -> int:
        """How many bytes wait in the transport and in the kernel."""
        raw, waiting = _below_tls(self.transport), getattr(self.transport, "unsealed", 0)
        waiting += len(raw.dataBuffer) - raw.offset + raw._tempDataLen if isinstance(raw, tcp.Connection) else 0
        try:
            return waiting + _queued(_socket_of(raw))
        except (OSError, AttributeError):
            return waiting

    def ping(self) -> bool:
        """A stream can't ask; TCP keepalive does, below."""
        return False

    def there(self) -> bool:
        """Tell whether a peer that has closed its side can still hear: the reactor no longer watches that."""
        try:
            watch = select.poll()
            watch.register(_socket_of(_below_tls(self.transport)), 0)
            return not watch.poll(0)
        except (OSError, ValueError):
            return False
        except AttributeError:  # no socket to ask
            return True

    def reject(self, last: bytes, refusal: Refusal) -> None:
        """Say `last` and close, before there is a link: there is no room for one."""
        self._closing = True
        reject(self.transport, last)

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            self._closing = True
            self.transport.abortConnection()

    # IPushProducer, called by the transport

    def pauseProducing(self) -> None:
        self._paused = True
        if self.link is not None:
            self.link.transport_paused(self._handed)

    def resumeProducing(self) -> None:
        self._paused = False
        if self.link is not None:
            self.link.transport_resumed()

    def stopProducing(self) -> None:
        """The transport has gone; connectionLost follows."""

    def stream_lost(self) -> None:
        """Let go of everything."""
        self._send_now = None
        link, self.link = self.link, None
        if link is not None:
            link.lost()


def is_plain(transport: Any) -> bool:
    """Tell whether nothing stands between a transport and its socket."""
    return type(transport) in _PLAIN and not transport.TLS


def keep_unsent(transport: Any, data: bytes, sent: int) -> None:
    """Leave what a plain transport's socket hasn't taken of `data` to its empty buffer; its producer is paused."""
    if sent > len(data) // 2:  # what is left is little, and would keep all of it in memory
        data, sent = data[sent:], 0
    # The transport goes on there, without a copy: links that stop reading share the data.
    transport.dataBuffer, transport.offset = data, sent
    transport.startWriting()
    # Below its own threshold the transport doesn't pause, and so wouldn't tell when it is empty.
    transport.producerPaused = True


def close_code(refusal: Refusal | None, reason: str) -> int:
    """The WebSocket close code for the end of a link (RFC 6455 section 7.4.1, and as IANA says: 1012, 1013)."""
    if refusal is None:
        return 1012 if reason == "shutdown" else 1000
    return {"too-long": 1009, "unavailable": 1013}.get(refusal.code, 1008)


def half_closed(transport: Any) -> None:
    """Look sooner whether a peer that only listens is still there."""
    _set_keepalive(transport, _KEEPALIVE_HALF_CLOSED)


def _below_tls(transport: Any) -> Any:
    """Return the transport of the socket."""
    return getattr(transport, "transport", None) or transport


def _socket_of(raw: Any) -> Any:
    """Return the socket of the transport below TLS; its handle is that of TLS, where TLS has begun later."""
    return raw.socket if isinstance(raw, tcp.Connection) else raw.getHandle()


def _bound_unsent(transport: Any) -> None:
    """Let the kernel take no more than it can send soon: what waits there can't be dropped, or withdrawn any more."""
    try:
        handle = _socket_of(_below_tls(transport))
        if handle.family in (socket.AF_INET, socket.AF_INET6):
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, limits.UNSENT_BYTES)
    except (OSError, AttributeError):
        pass  # a transport without a socket of its own, or one that has gone already


def _set_keepalive(transport: Any, times: tuple[int, int, int]) -> None:
    try:
        handle = _socket_of(_below_tls(transport))
        if handle.family in (socket.AF_INET, socket.AF_INET6):
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            for name, value in zip(names, times, strict=True):
                handle.setsockopt(socket.IPPROTO_TCP, name, value)
    except (OSError, AttributeError):
        pass  # a transport without a socket of its own, or one that has gone already


def _queued(handle: socket.socket) -> int:
    """How many bytes the kernel hasn't got rid of (tcp(7), SIOCOUTQ)."""
    return int(struct.unpack("i", fcntl.ioctl(handle, termios.TIOCOUTQ, b"\0\0\0\0"))[0])


def reject(transport: Any, last: bytes) -> None:
    """Say `last` and close a connection that there is no room for; where TLS would first shake hands, just close."""
    if getattr(transport, "TLS", False) or hasattr(transport, "getPeerCertificate"):
        transport.abortConnection()
    else:
        transport.write(last)
        transport.loseConnection()
