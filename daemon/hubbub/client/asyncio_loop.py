"""The client over asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, cast

from hubbub import limits
from hubbub.client.address import Address
from hubbub.client.client import BaseClient, Connection, Timer
from hubbub.client.errors import ClientError, Lost
from hubbub.errors import ConfigError


class _Waiter:
    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def done(self, value: Any) -> None:
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: ClientError) -> None:
        if not self._future.done():
            self._future.set_exception(error)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._future.__await__()


class _Loop:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._dialling: asyncio.Task[None] | None = None

    def waiter(self) -> _Waiter:
        return _Waiter(self._loop.create_future())

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        return self._loop.call_later(seconds, call)

    def dial(self, address: Address, connection: Connection) -> None:
        self._dialling = self._loop.create_task(self._dial(address, connection))

    async def _dial(self, address: Address, connection: Connection) -> None:
        try:
            async with asyncio.timeout(limits.CONNECT_SECONDS):
                await self._loop.create_connection(
                    lambda: _Protocol(address, connection), address.host, address.port, ssl=address.tls()
                )
        except (OSError, ConfigError) as error:
            reason = getattr(error, "strerror", None) or error or "no answer"
            connection.lost(Lost(f"{address}: {reason}"))


class _Protocol(asyncio.Protocol):
    def __init__(self, address: Address, connection: Connection) -> None:
        self._address = address
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.made(cast("asyncio.Transport", transport))

    def pause_writing(self) -> None:
        self._connection.full = True

    def resume_writing(self) -> None:
        self._connection.full = False

    def data_received(self, data: bytes) -> None:
        self._connection.receive(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.lost(Lost(f"{self._address}: {error or 'the hub closed the connection'}"))


class Client(BaseClient):
    """A client of one hub, within a running event loop; see BaseClient."""

    loop = _Loop
