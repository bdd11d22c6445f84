"""Autobahn's Component, over Twisted or asyncio."""

from __future__ import annotations

from typing import Any

from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallOptions, CallResult, PublishOptions, RegisterOptions, SubscribeOptions
from framework import LOOP, TWISTED, Output, start

if TWISTED:
    from autobahn.twisted.component import Component
    from twisted.internet.defer import Deferred
else:
    from autobahn.asyncio.component import Component


def scheduler() -> Any:
    """What a component is started with."""
    if not TWISTED:
        return LOOP
    from twisted.internet import reactor

    return reactor


async def done(found: Any) -> Any:
    """Await what either framework has returned."""
    return await (found.asFuture(LOOP) if TWISTED and isinstance(found, Deferred) else found)


class Autobahn(Output):
    async def open(self, said: dict[str, Any]) -> None:
        kind = "websocket" if said["url"].startswith("ws") else "rawsocket"
        transport: dict[str, Any] = {
            "type": kind,
            "url": said["url"],
            "max_retries": 50,
            "initial_retry_delay": 0.2,
        }
        if said["url"].startswith("rss"):  # of which it takes the address alone
            port = int(said["url"].rpartition(":")[2])
            transport["endpoint"] = {"type": "tcp", "host": "localhost", "port": port, "tls": True}
        name = said["serializer"]
        transport |= {"serializers": [name]} if kind == "websocket" else {"serializer": name}
        login = None
        if said.get("user"):
            secret = {"ticket": "ticket", "wampcra": "secret", "scram": "password", "cryptosign": "privkey"}
            method = said["method"]
            login = {method: {"authid": said["user"], secret[method]: said["password"], **said.get("more", {})}}
        self.component = Component(transports=[transport], realm=said["realm"], authentication=login)
        self.session: Any = None
        self.wishes: list[Any] = []
        joined = LOOP.create_future()

        async def begin(session: Any) -> None:
            self.session = session
            for wish in self.wishes:
                await self._wish(*wish)
            if not joined.done():
                joined.set_result(None)

        @self.component.on_join
        def on_join(session: Any, details: Any) -> None:
            start(begin(session))

        @self.component.on_connectfailure
        def on_connectfailure(component: Any, error: Any) -> None:
            if not joined.done() and "wamp." in str(error):
                joined.set_exception(RuntimeError(str(error)))

        self._ends = self.component.start(scheduler())
        await joined

    async def _wish(self, uri: str, options: dict[str, Any]) -> None:
        def receive(*args: Any, **kwargs: Any) -> None:
            self.output.put_nowait((args, kwargs))

        self.last = await done(self.session.subscribe(receive, uri, SubscribeOptions(**options)))

    async def subscribe(self, uri: str, options: dict[str, Any]) -> None:
        self.wishes.append((uri, options))
        await self._wish(uri, options)

    async def unsubscribe(self) -> None:
        self.wishes.clear()
        await done(self.last.unsubscribe())

    async def publish(self, uri: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> None:
        said = PublishOptions(acknowledge=True, **options)
        await done(self.session.publish(uri, *args, options=said, **kwargs))

    async def register(self, uri: str, kind: str, options: dict[str, Any]) -> None:
        async def procedure(*args: Any, details: Any = None, **kwargs: Any) -> Any:
            if kind == "fail":
                raise ApplicationError("com.app.error", *args, **kwargs)
            if kind == "stay":
                await (Deferred() if TWISTED else LOOP.create_future())
            if kind == "parts":
                for part in args:
                    details.progress(part)
                return "all"
            return CallResult(*args, **kwargs)

        await done(self.session.register(procedure, uri, RegisterOptions(details_arg="details", **options)))

    async def call(self, uri: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> Any:
        parts: list[Any] = []
        more = {"timeout": options["timeout"]} if "timeout" in options else {}
        progress = parts.append if options.get("receive_progress") else None
        try:
            said = CallOptions(on_progress=progress, **more)
            found = await done(self.session.call(uri, *args, options=said, **kwargs))
        except ApplicationError as error:
            return {"error": error.error, "args": list(error.args)}
        if isinstance(found, CallResult):
            return {"parts": parts, "args": list(found.results), "kwargs": found.kwresults or {}}
        return {"parts": parts, "args": [] if found is None else [found], "kwargs": {}}

    async def end(self) -> None:
        await done(self.component.stop())

    async def die(self) -> None:
        self.component._can_reconnect = lambda: False
        self.session._transport.abort()
