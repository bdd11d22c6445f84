"""wampproto, by the client of its authors."""

from __future__ import annotations

import asyncio
from typing import Any

from framework import LOOP, Output
from wampproto import auth, serializers
from xconn import Client
from xconn.exception import ApplicationError
from xconn.types import Result

_KINDS = {
    "json": serializers.JSONSerializer,
    "msgpack": serializers.MsgPackSerializer,
    "cbor": serializers.CBORSerializer,
}
_LOGINS = {
    "ticket": auth.TicketAuthenticator,
    "wampcra": auth.WAMPCRAAuthenticator,
    "cryptosign": auth.CryptoSignAuthenticator,
}


class Wampproto(Output):
    async def open(self, said: dict[str, Any]) -> None:
        user, url = said.get("user"), said["url"]
        login = _LOGINS[said["method"]](user, said["password"], {}) if user else auth.AnonymousAuthenticator("")
        client = Client(login, _KINDS[said["serializer"]]())
        self.session = await asyncio.to_thread(client.connect, url, said["realm"])

    async def subscribe(self, uri: str, options: dict[str, Any]) -> None:
        def receive(event: Any) -> None:
            LOOP.call_soon_threadsafe(self.output.put_nowait, (event.args or [], event.kwargs or {}))

        self.last = await asyncio.to_thread(self.session.subscribe, uri, receive, options)

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
