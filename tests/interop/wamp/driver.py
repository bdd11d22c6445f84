"""Does with Autobahn over Twisted or asyncio, or with wampproto, what lines of JSON on standard input say.

Autobahn speaks over one of both in a process, so each has a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

import txaio

FRAMEWORK = sys.argv[1]
SECONDS = 10
if FRAMEWORK == "twisted":
    from twisted.internet import asyncioreactor

    LOOP = asyncio.new_event_loop()
    asyncioreactor.install(LOOP)
    txaio.use_twisted()
else:
    LOOP = asyncio.new_event_loop()
    asyncio.set_event_loop(LOOP)
    txaio.use_asyncio()
    txaio.config.loop = LOOP


class Base:
    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    async def next(self) -> Any:
        args, kwargs = await self.heard.get()
        return {"args": list(args), "kwargs": kwargs}


def make_autobahn() -> type:  # noqa: C901  several small methods
    if FRAMEWORK == "twisted":
        from autobahn.twisted.component import Component
        from twisted.internet import reactor
        from twisted.internet.defer import Deferred
    else:
        from autobahn.asyncio.component import Component
    from autobahn.wamp.exception import ApplicationError
    from autobahn.wamp.types import CallOptions, CallResult, PublishOptions, RegisterOptions, SubscribeOptions

    async def done(found: Any) -> Any:
        """Await what either framework has returned."""
        return await (found.asFuture(LOOP) if FRAMEWORK == "twisted" and isinstance(found, Deferred) else found)

    class Autobahn(Base):
        async def open(self, said: dict[str, Any]) -> None:
            kind = "websocket" if said["url"].startswith("ws") else "rawsocket"
            transport: dict[str, Any] = {
                "type": kind,
                "url": said["url"],
                "max_retries": 50,
                "initial_retry_delay": 0.2,
            }
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
                BUSY.add(LOOP.create_task(begin(session)))

            @self.component.on_connectfailure
            def on_connectfailure(component: Any, error: Any) -> None:
                if not joined.done() and "wamp." in str(error):
                    joined.set_exception(RuntimeError(str(error)))

            self._ends = self.component.start(reactor) if FRAMEWORK == "twisted" else self.component.start(LOOP)
            await joined

        async def _wish(self, uri: str, options: dict[str, Any]) -> None:
            def hear(*args: Any, **kwargs: Any) -> None:
                self.heard.put_nowait((args, kwargs))

            self.last = await done(self.session.subscribe(hear, uri, SubscribeOptions(**options)))

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
                    await (Deferred() if FRAMEWORK == "twisted" else LOOP.create_future())
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

    return Autobahn


def make_wampproto() -> type:
    from wampproto import auth, serializers
    from xconn import Client
    from xconn.exception import ApplicationError
    from xconn.types import Result

    kinds = {
        "json": serializers.JSONSerializer,
        "msgpack": serializers.MsgPackSerializer,
        "cbor": serializers.CBORSerializer,
    }
    logins = {
        "ticket": auth.TicketAuthenticator,
        "wampcra": auth.WAMPCRAAuthenticator,
        "cryptosign": auth.CryptoSignAuthenticator,
    }

    class Wampproto(Base):
        async def open(self, said: dict[str, Any]) -> None:
            user, url = said.get("user"), said["url"]
            login = logins[said["method"]](user, said["password"], {}) if user else auth.AnonymousAuthenticator("")
            client = Client(login, kinds[said["serializer"]]())
            self.session = await asyncio.to_thread(client.connect, url, said["realm"])

        async def subscribe(self, uri: str, options: dict[str, Any]) -> None:
            def hear(event: Any) -> None:
                LOOP.call_soon_threadsafe(self.heard.put_nowait, (event.args or [], event.kwargs or {}))

            self.last = await asyncio.to_thread(self.session.subscribe, uri, hear, options)

        async def unsubscribe(self) -> None:
            await asyncio.to_thread(self.last.unsubscribe)

        async def publish(self, uri: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> None:
            await asyncio.to_thread(self.session.publish, uri, args, kwargs, {"acknowledge": True, **options})

        async def register(self, uri: str, kind: str, options: dict[str, Any]) -> None:
            def procedure(invocation: Any) -> Any:
                if kind == "fail":
                    raise ApplicationError("com.app.error", invocation.args, invocation.kwargs)
                return Result(invocation.args, invocation.kwargs)

            await asyncio.to_thread(self.session.register, uri, procedure, options)

        async def call(self, uri: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> Any:
            try:
                found = await asyncio.to_thread(self.session.call, uri, args, kwargs, options)
            except ApplicationError as error:
                return {"error": error.message, "args": list(error.args)}
            return {"parts": [], "args": found.args or [], "kwargs": found.kwargs or {}}

        async def end(self) -> None:
            await asyncio.to_thread(self.session.leave)

        async def die(self) -> None:
            self.session._base_session.close()

    return Wampproto


KINDS = {"autobahn": make_autobahn, "wampproto": make_wampproto}
CLIENTS: dict[int, Any] = {}
BUSY: set[Any] = set()


async def act(line: str) -> None:
    told = json.loads(line)
    action, number, *more = told["said"]
    answer = {"id": told["id"]}
    try:
        if action == "open":
            CLIENTS[number] = KINDS[more.pop(0)]()()
        answer["result"] = await asyncio.wait_for(getattr(CLIENTS[number], action)(*more), SECONDS)
    except Exception as error:  # noqa: BLE001  the test shows it
        answer["error"] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def read() -> None:
    for line in sys.stdin:
        LOOP.call_soon_threadsafe(lambda line=line: BUSY.add(LOOP.create_task(act(line))))
    LOOP.call_soon_threadsafe(LOOP.stop)


threading.Thread(target=read, daemon=True).start()
if FRAMEWORK == "twisted":
    from twisted.internet import reactor

    reactor.run(installSignalHandlers=False)  # type: ignore[attr-defined]
else:
    LOOP.run_forever()
