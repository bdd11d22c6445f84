"""aiomqtt and gmqtt, which live in a loop of asyncio: one thread runs it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from contextlib import suppress
from functools import cache
from typing import Any

import aiomqtt
import gmqtt
from paho.mqtt.packettypes import PacketTypes

from interop.mqtt.base import EXPIRY, SECONDS, V5, At, Closing, Mailbox, Output, Said, Wish
from interop.mqtt.paho_client import TRANSPORTS, cut, output, properties, worded


@cache
def loop() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, daemon=True).start()
    return made


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, SECONDS), loop()).result()


class Aiomqtt(Mailbox, Closing):
    def __init__(self, at: At, wish: Wish) -> None:
        super().__init__()
        run(self._connect(at, wish))
        self.present = None

    async def _connect(self, at: At, wish: Wish) -> None:
        more: dict[str, Any] = {"clean_session": not wish.keep}
        if wish.version == V5:
            asked = properties(PacketTypes.CONNECT, SessionExpiryInterval=EXPIRY * wish.keep)
            more = {"clean_start": not wish.keep, "properties": asked}
        self.client = aiomqtt.Client(
            at.path or at.host,
            at.port or 1883,
            identifier=wish.name or None,
            protocol=aiomqtt.ProtocolVersion(wish.version),
            transport=TRANSPORTS[at.carrier],
            tls_context=at.context(),
            will=None if wish.will is None else aiomqtt.Will(*wish.will, qos=1),
            **more,
        )
        await self.client.__aenter__()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.client.messages:
            said = output(message)  # of the same attributes as paho's
            self.queue.put(Output(str(message.topic), said.payload, said.qos, said.retain, said.said))

    def subscribe(self, filter: str, qos: int) -> int:
        (granted,) = run(self.client.subscribe(filter, qos))
        return getattr(granted, "value", granted)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, said: Said | None = None) -> None:
        run(self.client.publish(topic, payload, qos, retain, None if said is None else worded(said)))

    def publish_all(self, topic: str, payloads: list[bytes], qos: int) -> None:
        async def all_of_them() -> None:
            await asyncio.gather(*[self.client.publish(topic, payload, qos) for payload in payloads])

        run(all_of_them())

    def _end(self, politely: bool) -> None:
        run(self._leave(politely))

    async def _leave(self, politely: bool) -> None:
        self._reading.cancel()
        if politely:
            await self.client.__aexit__(None, None, None)
        else:
            cut(self.client._client)


class Gmqtt(Mailbox, Closing):
    def __init__(self, at: At, wish: Wish) -> None:
        super().__init__()
        self._five = wish.version == V5
        self._granted: asyncio.Queue[int] = asyncio.Queue()
        run(self._connect(at, wish))

    async def _connect(self, at: At, wish: Wish) -> None:
        will = None if wish.will is None else gmqtt.Message(*wish.will, qos=1)
        more = {"session_expiry_interval": EXPIRY} if wish.keep and self._five else {}
        made = self.client = gmqtt.Client(wish.name or None, not wish.keep, will_message=will, **more)
        made.set_config({"reconnect_retries": 0})
        present: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        made.on_connect = lambda client, flags, *_: present.set_result(bool(flags & 1))
        made.on_message = self._hear
        made.on_subscribe = lambda client, mid, granted, *_: self._granted.put_nowait(granted[0])
        await made.connect(at.host, at.port, ssl=at.context() or False, version=wish.version)
        self.present = await present

    def _hear(self, client: Any, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        def first(name: str) -> Any:
            return next(iter(properties.get(name, ())), None)

        said = Said(
            first("content_type"),
            first("response_topic"),
            first("correlation_data"),
            tuple(properties.get("user_property", ())),
        )
        self.queue.put(Output(topic, bytes(payload), qos, bool(properties.get("retain")), said))
        return 0

    def subscribe(self, filter: str, qos: int) -> int:
        async def ask() -> int:
            self.client.subscribe(filter, qos)
            return await self._granted.get()

        return run(ask())

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, said: Said | None = None) -> None:
        more: dict[str, Any] = {}
        if said is not None:
            pairs = {
                "content_type": said.content_type,
                "response_topic": said.response_topic,
                "correlation_data": said.correlation,
                "user_property": list(said.user),
            }
            more = {name: value for name, value in pairs.items() if value}
        run(self._publish([gmqtt.Message(topic, payload, qos, retain, **more)]))

    def publish_all(self, topic: str, payloads: list[bytes], qos: int) -> None:
        run(self._publish([gmqtt.Message(topic, payload, qos) for payload in payloads]))

    async def _publish(self, messages: list[gmqtt.Message]) -> None:
        for one in messages:
            self.client.publish(one)
        await self.client._wait_qos_queue_drained()

    def _end(self, politely: bool) -> None:
        async def leave() -> None:
            if politely:
                with suppress(ssl.SSLError):  # of its own loop, where data still comes while TLS ends
                    await self.client.disconnect()
            else:
                self.client._connection._transport.abort()

        run(leave())
