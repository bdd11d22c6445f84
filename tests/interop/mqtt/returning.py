"""MQTT clients that stay: each subscribes to one topic whenever it is connected, and reconnects by its own means.

Each function begins one client, has it call `hear` with each payload, and returns what ends it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomqtt
import gmqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from interop.mqtt.asyncio_clients import loop
from interop.mqtt.javascript import PACKAGE
from interop.mqtt.mosquitto import VERSIONS, program

Hear = Callable[[bytes], object]
Stop = Callable[[], object]
SCRIPT = str(Path(__file__).with_name("returning.js"))


def paho_loop(port: int, version: int, topic: str, hear: Hear) -> Stop:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.reconnect_delay_set(1, 1)  # whole seconds
    client.on_connect = lambda *said: client.subscribe(topic)
    client.on_message = lambda *said: hear(said[2].payload)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def stop() -> None:
        client.disconnect()
        client.loop_stop()

    return stop


def aiomqtt_loop(port: int, version: int, topic: str, hear: Hear) -> Stop:
    """As its documentation says, "Reconnection"."""

    async def run() -> None:
        client = aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion(version))
        while True:
            try:
                async with client:
                    await client.subscribe(topic)
                    async for message in client.messages:
                        hear(message.payload)
            except aiomqtt.MqttError:
                await asyncio.sleep(0.1)

    return asyncio.run_coroutine_threadsafe(run(), loop()).cancel


def gmqtt_client(port: int, version: int, topic: str, hear: Hear) -> Stop:
    client = gmqtt.Client(None)
    client.set_config({"reconnect_delay": 0.1, "reconnect_retries": gmqtt.constants.UNLIMITED_RECONNECTS})
    client.on_connect = lambda *said: client.subscribe(topic)

    def on_message(client: Any, topic: str, payload: bytes, *more: object) -> int:
        hear(payload)
        return 0

    client.on_message = on_message
    asyncio.run_coroutine_threadsafe(client.connect("127.0.0.1", port, version=version), loop()).result(10)
    return lambda: asyncio.run_coroutine_threadsafe(client.disconnect(), loop()).result(10)


def mosquitto_sub(port: int, version: int, topic: str, hear: Hear) -> Stop:
    command = [program("stdbuf"), "-oL", program("mosquitto_sub"), "-p", str(port), "-V", VERSIONS[version]]
    return _process([*command, "-t", topic], hear)


def mqtt_js(port: int, version: int, topic: str, hear: Hear, scheme: str = "mqtt") -> Stop:
    options = json.dumps({"protocolVersion": version, "reconnectPeriod": 100})
    return _process([program("node"), SCRIPT, str(PACKAGE), f"{scheme}://127.0.0.1:{port}", topic, options], hear)


def _process(command: list[str], hear: Hear) -> Stop:
    """A program that prints a line for each message."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    output = process.stdout
    assert output is not None

    def read() -> None:
        with output:
            for line in output:
                hear(line.rstrip(b"\n"))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def stop() -> None:
        process.kill()
        process.wait()
        thread.join()

    return stop
