"""A client that stays connected, over asyncio or Twisted: `hubbub.client` and `hubbub.client.twisted` choose."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Protocol, Self

from hubbub import limits
from hubbub.client.address import Address, located
from hubbub.client.core import Core, Ignored, Result
from hubbub.client.errors import ClientError, Closed, Lost
from hubbub.client.feed import Feed, Start
from hubbub.client.message import Message, Payload, written
from hubbub.client.wire import LineWire, WebSocketWire, wire_of


class Transport(Protocol):
    """The connection of an event loop."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None: ...


class Waiter(Result, Protocol):
    """A result that can be awaited, once."""

    def __await__(self) -> Any: ...


class Loop(Protocol):
    """What an event loop gives a client."""

    def waiter(self) -> Waiter: ...
    def later(self, seconds: float, call: Callable[[], None]) -> Timer: ...
    def dial(self, address: Address, connection: Connection) -> None: ...


class Connection:
    """One connection of a client, made or not: the event loop calls `made`, `receive` and `lost`."""

    def __init__(self, client: BaseClient, wire: LineWire | WebSocketWire) -> None:
        self._client = client
        self._wire = wire
        self._transport: Transport | None = None
        self._begun = False
        self.full = False  # the hub takes no more for now: the event loop sets it
        self.silent = False  # nothing has come since this was set

    def made(self, transport: Transport) -> None:
        """The transport is connected."""
        self._transport = transport
        transport.write(self._wire.hello())
        self._begin()

    def receive(self, data: bytes) -> None:
        """Bytes have come."""
        self.silent = False
        try:
            units, answer = self._wire.receive(data)
            if answer and self._transport is not None and not self.full:
                self._transport.write(answer)
            self._begin()
            for unit in units:
                self._client.receive(unit)
        except Lost as error:
            self.lost(error)

    def lost(self, error: Lost) -> None:
        """The connection has ended, or couldn't be made."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._client.lost(self, error)

    def send(self, units: list[bytes]) -> None:
        """Send units."""
        if self._transport is not None and units:
            self._transport.write(b"".join(map(self._wire.encode, units)))

    def close(self) -> None:
        """Send what there is to be sent, and end."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.write(self._wire.goodbye())
            transport.close()

    def _begin(self) -> None:
        if self._wire.opened and not self._begun:
            self._begun = True
            self._client.begin(self)


class BaseClient:
    """A client of one hub; when the connection is lost, it connects again. A subclass has the event loop.

    url    tcp://, ws:// or wss://, with USER:PASSWORD@ or beside a `token`
    ca     the file with the certificates to trust, None: those of the system
    cert   the file with a certificate of the program's own; key: with its private key, None: the same file
    queue  messages of one subscription that the program hasn't taken yet, at most

    Raises ConfigError for a URL or a file that it can't use.
    """

    loop: ClassVar[type[Loop]]

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        queue: int = limits.CLIENT_QUEUE,
    ) -> None:
        self._loop = loop = self.loop()
        self._address = address = located(url, token, ca, cert, key)
        self._queue = queue
        self._core = Core(_login(address), self._ended)
        self._connection: Connection | None = None
        self._timer: Timer | None = None
        self._pause = limits.CLIENT_RETRY_FIRST_SECONDS  # seconds until it connects again, at most
        self._error: ClientError | None = None  # what has ended it
        self._first: Waiter | None = loop.waiter()  # is done with the first connection
        self._dial()

    async def __aenter__(self) -> Self:
        await self.connected()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    async def connected(self) -> None:
        """Wait for the first connection. Raises Lost where there is no hub, Refused where it refuses the login."""
        if self._first is not None:
            await self._first
        if self._error is not None:
            raise self._error.with_traceback(None)  # else it keeps that of each call

    async def publish(self, topic: str, payload: Payload, *, qos: int = 1, retain: bool = False, **more: Any) -> int:
        """Publish, and return how many receivers there are, once the hub has taken it.

        A str or bytes is the payload as it is; all else becomes JSON. At QoS 1 and 2 it is sent again when the
        connection was lost, and published once; QoS 0 then raises Lost. `more`: `content_type`, `reply_to`,
        `properties`, `message_expiry` (seconds). Raises Refused, Lost, Busy.
        """
        command = {"topic": topic, **written(payload), **more}
        if qos:
            command["qos"] = qos
        if retain:
            command["retain"] = True
        receivers: int = await self._call(self._core.publish, command)
        return receivers

    async def request(self, topic: str, payload: Payload = "", *, timeout: float = 2.0) -> Message:
        """Return the reply. Raises Refused (`no-responders`: no client is subscribed; `timeout`), Lost, Busy."""
        command = {"topic": topic, **written(payload), "timeout": timeout}
        reply: Message = await self._call(self._core.request, command)
        return reply

    async def reply(self, message: Message, payload: Payload) -> None:
        """Answer a message that wants a reply. Raises ValueError where it wants none, and what `publish` raises."""
        if message.reply_to is None:
            raise ValueError(f"the message of {message.topic} has no reply_to, so it can't be answered")
        more: dict[str, Any] = {} if message.correlation is None else {"correlation": message.correlation}
        await self.publish(message.reply_to, payload, qos=0, **more)

    def subscribe(self, *filters: str, since: float | None = None, last: int | None = None) -> Subscription:
        """Return the messages of these filters, for `async for`.

        since  begin with those of the hub's history that are at most so many seconds old
        last   or with the newest so many of each topic

        With one of these the subscription raises Refused (`bad-command`) where the hub has no history, and gets no
        retained messages. Raises ValueError if it shares topics with another subscription of this client.
        """
        if not filters:
            raise ValueError("name a filter, as in subscribe('a/#')")
        start = None if since is None and last is None else Start(since, last)
        subscription = Subscription(self, filters, self._queue, self._loop, start)
        if self._error is not None:
            subscription.feed.end(self._error)
        else:
            self._send(self._core.subscribe(subscription.feed))
        return subscription

    def unsubscribe(self, feed: Feed) -> None:
        """End what `subscribe` has begun."""
        self._send(self._core.unsubscribe(feed))

    def close(self) -> None:
        """End the connection: what still waits for an answer raises Lost."""
        if self._error is None:
            self._core.end(Closed("the client is closed"))

    # What the connection reports

    def begin(self, connection: Connection) -> None:
        """The hub listens."""
        self._pause = limits.CLIENT_RETRY_FIRST_SECONDS
        connection.send(self._core.connected())
        self._watch()
        if self._first is not None:
            connection.send(self._core.ping(_First(self)))

    def answered(self) -> None:
        """The hub has answered for the first time: the login is right."""
        if self._first is not None:
            self._first.done(None)
            self._first = None

    def receive(self, unit: bytes) -> None:
        """A unit has come."""
        self._send(self._core.receive(unit))

    def lost(self, connection: Connection, error: Lost) -> None:
        """The connection has ended."""
        if connection is not self._connection:
            return
        self._connection = None
        self._stop_timer()
        if self._first is not None:
            self._core.end(error)
            return
        self._core.lost(error)
        self._timer = self._loop.later(self._pause * random.uniform(0.5, 1), self._dial)  # noqa: S311  no secret
        self._pause = min(2 * self._pause, limits.CLIENT_RETRY_SECONDS)

    def _ended(self, error: ClientError) -> None:
        self._error = error
        self._stop_timer()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._first is not None:
            self._first.fail(error)
            self._first = None

    def _dial(self) -> None:
        self._connection = Connection(self, wire_of(self._address))
        self._loop.dial(self._address, self._connection)

    def _watch(self) -> None:
        self._timer = self._loop.later(limits.CLIENT_PING_SECONDS, self._look)

    def _look(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if connection.silent:
            connection.lost(Lost("the hub has sent nothing for too long"))
            return
        connection.silent = True
        connection.send(self._core.ping(Ignored()))
        self._watch()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _call(
        self, command: Callable[[dict[str, Any], Result], list[bytes]], members: dict[str, Any]
    ) -> Awaitable[Any]:
        if self._error is not None:
            raise self._error.with_traceback(None)  # else it keeps that of each call
        waiter = self._loop.waiter()
        self._send(command(members, waiter))
        return waiter

    def _send(self, units: list[bytes]) -> None:
        if self._connection is not None:
            self._connection.send(units)


class Subscription:
    """The messages of some filters: `async for message in subscription`.

    Iteration ends when it is closed. It raises Refused where the hub refuses a filter or the login.
    """

    def __init__(
        self, client: BaseClient, filters: Sequence[str], queue: int, loop: Loop, start: Start | None = None
    ) -> None:
        self.feed = Feed(filters, queue, self._notify, start)
        self._client = client
        self._loop = loop
        self._waiters: list[Waiter] = []

    async def ready(self) -> Self:
        """Wait until the hub has taken all filters. Raises Refused."""
        while not self.feed.begun:
            if self.feed.error is not None:
                raise self.feed.error.with_traceback(None)
            await self._news()
        return self

    def close(self) -> None:
        """Unsubscribe."""
        self._client.unsubscribe(self.feed)

    async def __aenter__(self) -> Self:
        return await self.ready()

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while True:
            try:
                message = self.feed.take()
            except Closed:
                raise StopAsyncIteration from None
            if message is not None:
                return message
            if self.feed.ended:
                raise StopAsyncIteration
            await self._news()

    def _news(self) -> Waiter:
        waiter = self._loop.waiter()
        self._waiters.append(waiter)
        return waiter

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.done(None)


class _First:
    """The result of the first command."""

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def done(self, value: Any) -> None:
        self._client.answered()

    def fail(self, error: ClientError) -> None: ...


def _login(address: Address) -> dict[str, str] | None:
    if address.token is not None:
        return {"token": address.token}
    return None if address.user is None else {"user": address.user, "password": address.password or ""}
