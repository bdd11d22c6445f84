"""A script that is played to two brokers, what it says, and the table of all scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubbub_plugins.mqtt.packets import (
    V5,
    V311,
    Ack,
    Publish,
)
from hubbub_plugins.mqtt.properties import PUBREL
from interop.mqtt_play import Scene, Script

SCRIPTS: dict[tuple[str, int], Script] = {}
BOTH = (V311, V5)


def script(*versions: int) -> Callable[[Script], Script]:
    """Play it in these versions; its name is that of the function."""

    def add(one: Script) -> Script:
        for version in versions:
            SCRIPTS[one.__name__.replace("_", " "), version] = one
        return one

    return add


def said(scene: Scene, topic: str, payload: bytes = b"x", qos: int = 0, **more: Any) -> Publish:
    return Publish(topic=scene.t(topic), payload=payload, qos=qos, id=more.pop("id", 1) * bool(qos), **more)


def released(qos: int) -> list[Ack]:
    """What ends a message of QoS 2: some servers deliver it only then."""
    return [Ack(kind=PUBREL, id=1)] * (qos == 2)


def kept(version: int) -> dict[str, Any]:
    """How a client asks for a session that outlives its link."""
    return {"clean": False, "properties": {"session_expiry_interval": 100} if version == V5 else {}}
