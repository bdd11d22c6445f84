"""Clients that can reconnect do so after a restart of the daemon, whatever it said to them last."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import ExitStack
from functools import partial

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from interop.mqtt import listeners
from interop.mqtt.asyncio_clients import loop
from interop.mqtt.base import SECONDS, V5, V311
from ports import free_port
from running import Daemon, LineClient


def websockets(port, receive):
    """As its documentation says of `connect` in a loop."""

    async def run():
        async for socket in connect(f"ws://127.0.0.1:{port}/", subprotocols=["hubbub.lines"]):
            try:
                await socket.send("SUB again")
                async for unit in socket:
                    if unit.startswith("MSG "):
                        receive(unit.removeprefix("MSG again ").encode())
            except ConnectionClosed:
                continue

    return asyncio.run_coroutine_threadsafe(run(), loop()).cancel


def hubbub(port, receive, keys):
    """Another hub, which dials this one; its id is a part of its client identifier."""
    dialled = f"tcp:127.0.0.1:{port}:id=b{keys[-1]}:pull=again:retain=yes:dialect={keys}"
    daemon = Daemon("--tcp", "tcp:0", "--connect", dialled).__enter__()

    def read():
        with LineClient(daemon.tcp[0], 4 * SECONDS) as ear:
            ear.send("SUB again")
            while (unit := ear.line()) != "BYE":
                if unit.startswith("MSG "):
                    receive(unit.removeprefix("MSG again ").encode())

    threading.Thread(target=read, daemon=True).start()
    return lambda: daemon.__exit__(None, None, None)


def mqtt(kind, version, **more):
    return lambda port, receive: getattr(listeners, f"listen_{kind}")(port, version, "again", 1, receive, **more)


MQTT = (
    "paho",
    "aiomqtt",
    "gmqtt",
    "zmqtt",
    "mosquitto",
    "mqtt_js",
    "u8",
)  # paho_c_sub connects, and subscribes no more
VERSIONS = {"3.1.1": V311, "5.0": V5}
OVER_TCP = {
    **{f"{kind}-{name}": mqtt(kind, version) for kind in MQTT for name, version in VERSIONS.items()},
    **{f"{kind}-3.1.1": mqtt(kind, V311) for kind in ("amqtt", "minimqtt")},
    **{
        f"hubbub-{keys}": partial(hubbub, keys=keys)
        for keys in ("lines", "json", "mqtt:version=3.1.1", "mqtt:version=5")
    },
}
OVER_WEBSOCKET = {
    "websockets": websockets,
    **{f"mqtt_js-websocket-{name}": mqtt("mqtt_js", version, scheme="ws") for name, version in VERSIONS.items()},
}


@pytest.fixture(scope="module")
def output(need):
    """What each client hears, through one restart that all of them see."""
    for program in ("mosquitto_sub", "stdbuf", "node"):
        need(program)
    port, web, found = free_port(), free_port(), {}
    options = ("--tcp", f"tcp:{port}", "--websocket", f"tcp:{web}")
    with ExitStack() as second, ExitStack() as stack:  # the second daemon outlives the clients, some of which give up
        with Daemon(*options), LineClient(("127.0.0.1", port)) as speaker:
            assert speaker.ask("PUB! again before\nPING") == "PONG"
            for clients, where in ((OVER_TCP, port), (OVER_WEBSOCKET, web)):
                for name, start in clients.items():
                    found[name] = queue.Queue()
                    stack.callback(start(where, found[name].put))
            for name, said in found.items():
                assert said.get(timeout=SECONDS) == b"before", name
        second.enter_context(Daemon(*options))
        with LineClient(("127.0.0.1", port)) as speaker:
            assert speaker.ask("PUB! again after\nPING") == "PONG"
        yield found


@pytest.mark.parametrize("name", [*OVER_TCP, *OVER_WEBSOCKET])
def test_it_comes_back(output, name):
    assert output[name].get(timeout=SECONDS) == b"after"
