"""MQTT clients that stay: each subscribes to one topic whenever it is connected, and reconnects by its own means.

Each function begins one client of a version on a port of this machine, has it call `hear` with each payload, and
returns what ends it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import adafruit_minimqtt.adafruit_minimqtt as minimqtt
import aiomqtt
import amqtt.client
import gmqtt
import paho.mqtt.client as paho
import zmqtt
from amqtt.errors import ClientError, ConnectError
from paho.mqtt.enums import CallbackAPIVersion

from interop.mqtt.asyncio_clients import loop
from interop.mqtt.base import SECONDS, V5, V311
from interop.mqtt.javascript import NODE_MODULES
from interop.mqtt.mosquitto import VERSIONS, program

Hear = Callable[[bytes], object]
Stop = Callable[[], object]
Listen = Callable[[int, int, str, int, Hear], Stop]

HOST = "127.0.0.1"
FOLDER = Path(__file__).parent
U8 = FOLDER / "u8.mjs"
PAHO_C = Path(__file__).parents[3] / ".venv" / "debian" / "usr" / "bin"
QUICK = {"auto_reconnect": False}


def u8_file(version: int) -> str:
    return str(NODE_MODULES / "u8-mqtt" / "esm" / "node" / ("v5.mjs" if version == V5 else "v4.mjs"))


def paho_c(name: str, port: int, version: int, topic: str, qos: int) -> list[str]:
    """The command line of one of the programs that come with Paho's C client."""
    asked = {V311: "311", V5: "5"}[version]
    return [str(PAHO_C / name), "-c", f"{HOST}:{port}", "-V", asked, "-t", topic, "-q", str(qos), "--quiet"]


def minimqtt_client(port: int) -> minimqtt.MQTT:
    """A client of adafruit_minimqtt; a microcontroller has a pool of sockets where Python has a module."""
    return minimqtt.MQTT(
        broker=HOST, port=port, socket_pool=socket, socket_timeout=0.05, recv_timeout=1, use_binary_mode=True
    )


def listen_paho(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.reconnect_delay_set(1, 1)  # whole seconds
    client.on_connect = lambda *said: client.subscribe(topic, qos)
    client.on_message = lambda *said: receive(said[2].payload)
    client.connect(HOST, port)
    client.loop_start()

    def stop() -> None:
        client.disconnect()
        client.loop_stop()

    return stop


def listen_aiomqtt(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    """As its documentation says, "Reconnection"."""

    async def run() -> None:
        client = aiomqtt.Client(HOST, port, protocol=aiomqtt.ProtocolVersion(version))
        while True:
            with suppress(aiomqtt.MqttError):
                async with client:
                    await client.subscribe(topic, qos)
                    async for message in client.messages:
                        receive(message.payload)
            await asyncio.sleep(0.1)

    return _task(run())


def listen_gmqtt(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    client = gmqtt.Client(None)
    client.set_config({"reconnect_delay": 0.1, "reconnect_retries": gmqtt.constants.UNLIMITED_RECONNECTS})
    client.on_connect = lambda *said: client.subscribe(topic, qos)

    def on_message(client: Any, topic: str, payload: bytes, *more: object) -> int:
        receive(payload)
        return 0

    client.on_message = on_message
    asyncio.run_coroutine_threadsafe(client.connect(HOST, port, version=version), loop()).result(10)
    return lambda: asyncio.run_coroutine_threadsafe(client.disconnect(), loop()).result(10)


def listen_zmqtt(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    async def run() -> None:
        again = zmqtt.ReconnectConfig(initial_delay=0.1)
        said: Any = {V311: "3.1.1", V5: "5.0"}[version]
        async with (
            zmqtt.create_client(HOST, port, version=said, reconnect=again) as client,
            client.subscribe(topic, qos=zmqtt.QoS(qos)) as messages,
        ):
            async for message in messages:
                receive(message.payload)

    return _task(run())


def listen_amqtt(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    """By itself it connects again, but subscribes to nothing, so an application does both."""

    async def run() -> None:
        while True:
            client = amqtt.client.MQTTClient(config=dict(QUICK))
            with suppress(ClientError, ConnectError, asyncio.CancelledError):  # which is how it tells of an end
                await client.connect(f"mqtt://{HOST}:{port}/")
                await client.subscribe([(topic, qos)])
                while (message := await client.deliver_message()) is not None:
                    receive(bytes(message.data))
            if asyncio.current_task().cancelling():
                return
            await asyncio.sleep(0.1)

    return _task(run())


def listen_minimqtt(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    """It doesn't subscribe again after an error, so an application makes another."""
    over, there = threading.Event(), threading.Event()

    def run() -> None:
        while not over.is_set():
            with suppress(minimqtt.MMQTTException, OSError), minimqtt_client(port) as client:
                client.on_message = lambda _, topic, payload: receive(bytes(payload))
                client.connect()
                client.subscribe(topic, qos)
                there.set()
                while not over.is_set():
                    client.loop(0.05)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    there.wait(SECONDS)

    def stop() -> None:
        over.set()
        thread.join()

    return stop


def listen_mosquitto(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    command = [program("stdbuf"), "-oL", program("mosquitto_sub"), "-p", str(port), "-V", VERSIONS[version]]
    return _process([*command, "-t", topic, "-q", str(qos)], receive)


def listen_paho_c(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    return _process([program("stdbuf"), "-oL", *paho_c("paho_c_sub_static", port, version, topic, qos)], receive)


def listen_mqtt_js(port: int, version: int, topic: str, qos: int, receive: Hear, scheme: str = "mqtt") -> Stop:
    options = json.dumps({"protocolVersion": version, "reconnectPeriod": 100})
    script, package = str(FOLDER / "listen.js"), str(NODE_MODULES / "mqtt")
    return _process([program("node"), script, package, f"{scheme}://{HOST}:{port}", topic, str(qos), options], receive)


def listen_u8(port: int, version: int, topic: str, qos: int, receive: Hear) -> Stop:
    return _process([program("node"), str(U8), u8_file(version), str(port), "listen", topic, str(qos)], receive)


def _task(work: Coroutine[Any, Any, None]) -> Stop:
    made = asyncio.run_coroutine_threadsafe(work, loop())

    def stop() -> None:
        if not made.cancel():
            made.result()  # it has ended by itself, which it shouldn't

    return stop


def _process(command: list[str], receive: Hear) -> Stop:
    """A program that prints a line for each message."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    output = process.stdout
    assert output is not None

    def read() -> None:
        with output:
            for line in output:
                receive(line.rstrip(b"\n"))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def stop() -> None:
        process.kill()
        process.wait()
        thread.join()

    return stop
