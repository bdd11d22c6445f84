"""MQTT.js: in Node, a process that does what lines of JSON say, and in a page of Chromium."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from interop.mqtt.base import EXPIRY, SECONDS, V5, V31, At, Closing, Output, Said, Wish

DRIVER = Path(__file__).with_name("driver.js")
NODE_MODULES = Path(sys.prefix) / "node" / "node_modules"  # where tools/node-packages puts them
PACKAGE = NODE_MODULES / "mqtt"
PATHS = {"tcp": "mqtt://", "tls": "mqtts://", "websocket": "ws://", "wss": "wss://"}


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    return base64.b64decode(text)


class Node:
    """A process of Node that runs a driver, which loads a package."""

    def __init__(
        self, node: str, driver: Path = DRIVER, package: Path = PACKAGE, more: Mapping[str, str] | None = None
    ) -> None:
        command, environment = [node, str(driver), str(package)], os.environ | (more or {})
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self._ids = itertools.count()

    def act(self, *said: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        id = next(self._ids)
        self.process.stdin.write(json.dumps({"id": id, "said": said}) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 2 * SECONDS)  # which has its own, see driver.js
        assert ready, f"Node says nothing of {said[:2]}"
        reported = json.loads(self.process.stdout.readline())
        assert reported["id"] == id
        assert "error" not in reported, reported
        return reported.get("result")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def need_packages(folder: Path) -> None:
    """Skip the test without them."""
    if not folder.exists():
        pytest.skip(f"the packages of npm aren't in {folder}: tools/node-packages puts them there")


def driven(need: Any, driver: Path, folder: Path) -> Iterator[Node]:
    """A process that runs a driver with the packages of a folder, for a fixture."""
    need_packages(folder)
    made = Node(need("node"), driver, folder)
    yield made
    made.close()


class Page:
    """A page of Chromium that the hub itself has served."""

    def __init__(self, page: Any, url: str) -> None:
        page.goto(url)
        for file in (PACKAGE / "dist" / "mqtt.min.js", DRIVER):
            page.add_script_tag(content=file.read_text())
        self._page = page

    def act(self, *said: Any) -> Any:
        return self._page.evaluate("said => act(mqtt, ...said)", list(said))


class MqttJs(Closing):
    """`engine` runs it."""

    _numbers = itertools.count()

    def __init__(self, engine: Node | Page, at: At, wish: Wish) -> None:
        self.engine = engine
        self._number = next(self._numbers)
        options: dict[str, Any] = {"clean": not wish.keep, "protocolVersion": wish.version}
        if wish.version == V31:
            options["protocolId"] = "MQIsdp"
        if wish.name:
            options["clientId"] = wish.name
        if wish.version == V5 and wish.keep:
            options["properties"] = {"sessionExpiryInterval": EXPIRY}
        if wish.will is not None:
            topic, payload = wish.will
            options["will"] = {"topic": topic, "payload": coded(payload), "qos": 1}
        self.present = self._act("open", self._url(at, options), options)

    def _url(self, at: At, options: dict[str, Any]) -> str:
        if at.carrier == "unix":
            return f"mqtt+unix://{at.path}"
        if at.secure and isinstance(self.engine, Node):
            assert at.trust is not None
            options["ca"] = at.trust.read_text()
            if at.own is not None:
                options["cert"] = options["key"] = at.own.read_text()
        return f"{PATHS[at.carrier]}{at.host}:{at.port}{'/mqtt' * at.web}"

    def _act(self, action: str, *more: Any) -> Any:
        return self.engine.act(action, self._number, *more)

    def subscribe(self, filter: str, qos: int) -> int:
        return self._act("subscribe", filter, qos)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, said: Said | None = None) -> None:
        options: dict[str, Any] = {"qos": qos, "retain": retain}
        if said is not None:
            pairs = {
                "contentType": said.content_type,
                "responseTopic": said.response_topic,
                "correlationData": coded(said.correlation or b""),
                "userProperties": dict(said.user),
            }
            options["properties"] = {name: value for name, value in pairs.items() if value}
        self._act("publish", topic, [coded(payload)], options)

    def publish_all(self, topic: str, payloads: list[bytes], qos: int) -> None:
        self._act("publish", topic, [coded(one) for one in payloads], {"qos": qos})

    def next_all(self, count: int) -> list[Output]:
        return [self._received(reported) for reported in self._act("next", count)]

    def _received(self, reported: dict[str, Any]) -> Output:
        assert reported.get("error") is None, reported
        found = reported["properties"]
        correlation = found.get("correlationData")
        said = Said(
            found.get("contentType"),
            found.get("responseTopic"),
            None if correlation is None else decoded(correlation),
            tuple(found.get("userProperties", {}).items()),
        )
        return Output(reported["topic"], decoded(reported["payload"]), reported["qos"], reported["retain"], said)

    def _end(self, politely: bool) -> None:
        self._act("end" if politely else "die")
