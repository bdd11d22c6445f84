"""How those of listeners.py publish: each function sends some payloads to a topic, and returns when it may go."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import amqtt.client
import zmqtt

from interop.mqtt.asyncio_clients import run
from interop.mqtt.base import SECONDS, V5, V311
from interop.mqtt.listeners import HOST, QUICK, U8, minimqtt_client, paho_c, u8_file
from interop.mqtt.mosquitto import program

Publish = Callable[[int, int, str, int, list[bytes]], None]


def publish_zmqtt(port: int, version: int, topic: str, qos: int, payloads: list[bytes]) -> None:
    said: Any = {V311: "3.1.1", V5: "5.0"}[version]

    async def send() -> None:
        async with zmqtt.create_client(HOST, port, version=said) as client:
            for payload in payloads:
                await client.publish(topic, payload, qos=zmqtt.QoS(qos))

    run(send())


def publish_amqtt(port: int, version: int, topic: str, qos: int, payloads: list[bytes]) -> None:
    async def send() -> None:
        client = amqtt.client.MQTTClient(config=dict(QUICK))
        await client.connect(f"mqtt://{HOST}:{port}/")
        for payload in payloads:
            await client.publish(topic, payload, qos)
        await client.disconnect()

    run(send())


def publish_minimqtt(port: int, version: int, topic: str, qos: int, payloads: list[bytes]) -> None:
    with minimqtt_client(port) as client:
        client.connect()
        for payload in payloads:
            client.publish(topic, payload, qos=qos)


def publish_paho_c(port: int, version: int, topic: str, qos: int, payloads: list[bytes]) -> None:
    for payload in payloads:  # reading lines, it keeps the LF
        _process([*paho_c("paho_c_pub_static", port, version, topic, qos), "-m", payload.decode()], [])


def publish_u8(port: int, version: int, topic: str, qos: int, payloads: list[bytes]) -> None:
    _process([program("node"), str(U8), u8_file(version), str(port), "publish", topic, str(qos)], payloads)


def _process(command: list[str], payloads: list[bytes]) -> None:
    """A program that sends each line of its input."""
    lines = b"".join(payload + b"\n" for payload in payloads)
    subprocess.run(command, input=lines, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
