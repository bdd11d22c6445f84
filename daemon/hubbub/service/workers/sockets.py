"""The sockets of listeners, bound for several workers: one for each of them where the kernel can share a port.

TCP, UDP   a socket for each worker with SO_REUSEPORT: the kernel chooses by the addresses and ports of both sides, so
           the datagrams of one address reach one worker, as long as the number of workers stays
Unix       one socket, on which all workers accept connections; so with a stream socket of systemd
UDP of systemd, multicast groups: the first worker's alone, as others would get some of the datagrams, or all again
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.settings import ListenerConfig
from hubbub.service.links.listener import now, sentence
from hubbub.transports import inherited
from hubbub.transports.udp_socket import open_datagram
from hubbub.transports.unix_lock import remove_own_lock


class SharedSockets:
    """The sockets of one listener. Making it binds them, and raises ConfigError.

    of  the socket of each worker, None where it has none
    """

    def __init__(self, reactor: Any, config: ListenerConfig, workers: int) -> None:
        self.config = config
        self._port: IListeningPort | None = None  # has a Unix socket, and its file
        self._made: list[socket.socket] = []
        try:
            self.of = self._bind(reactor, workers)
        except ConfigError as error:
            self.close()
            raise ConfigError(f"{config.spec}: {error}") from None
        except Exception as error:
            self.close()
            raise ConfigError(f"{config.spec}: can't listen: {sentence(error)}") from error

    def _bind(self, reactor: Any, workers: int) -> list[socket.socket | None]:
        config, kind = self.config, self.config.address.kind
        if config.transport == "udp":
            alone = kind == "systemd" or config.group is not None
            if not alone:
                self._check_free(socket.SOCK_DGRAM)
            found = [self._datagram() for _ in range(1 if alone else workers)]
            return [*found, *[None] * (workers - len(found))]
        if kind == "systemd":
            return [self._keep(inherited.take(config.address.values, socket.SOCK_STREAM))] * workers
        if kind == "unix":
            return [self._unix(reactor)] * workers
        self._check_free(socket.SOCK_STREAM)
        return [self._stream() for _ in range(workers)]

    def _keep(self, made: socket.socket) -> socket.socket:
        self._made.append(made)
        return made

    def _check_free(self, kind: socket.SocketKind) -> None:
        """Check that no other process has the port, since SO_REUSEPORT would share it with one. Raises OSError."""
        host, port = self.config.address.host or "", self.config.address.port
        if not port or self.config.reuse:
            return
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections may be closing
            probe.bind((host, port))

    def _taken_port(self) -> int:
        """Return the port: that of the first socket, where any will do."""
        return int(self._made[0].getsockname()[1]) if self._made else self.config.address.port or 0

    def _datagram(self) -> socket.socket:
        config = self.config
        if config.address.kind != "systemd":
            values = {**config.address.values, "port": str(self._taken_port())}
            config = replace(config, reuse=True, address=replace(config.address, values=values))
        return self._keep(open_datagram(config))

    def _stream(self) -> socket.socket:
        address = self.config.address
        host = address.host or ""
        port = self._taken_port()
        made = self._keep(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
        made.listen(int(address.values.get("backlog", limits.BACKLOG)))
        return made

    def _unix(self, reactor: Any) -> socket.socket:
        remove_own_lock(self.config.address.values["address"])
        port: Any = now(serverFromString(reactor, self.config.endpoint).listen(Factory()))
        self._port = port
        port.stopReading()
        return self._keep(port.socket.dup())

    def close(self) -> Deferred[Any]:
        """Hold them no longer; the Deferred fires when the file of a Unix socket has gone too."""
        for one in self._made:
            one.close()
        return maybeDeferred(lambda: None if self._port is None else self._port.stopListening())
