"""The WAMP clients that people have, each behind the same few methods."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

from interop.mqtt.base import Closing
from interop.mqtt.javascript import Node

FOLDER = Path(sys.prefix) / "node-wamp" / "node_modules"  # where tools/node-packages puts them
HERE = Path(__file__).parent


def process(kind: str, need: Any, trusted: Path | None = None) -> Node:
    """Start what drives a kind of client: Node, or Python with a framework. `trusted` has certificates to trust."""
    trust = {} if trusted is None else {"SSL_CERT_FILE": str(trusted), "NODE_EXTRA_CA_CERTS": str(trusted)}
    if kind in ("autobahn-js", "wampy"):
        return Node(need("node"), HERE / "driver.js", FOLDER, trust)
    return Node(sys.executable, HERE / "driver.py", Path("twisted" if "twisted" in kind else "asyncio"), trust)


class Client(Closing):
    """One session."""

    _numbers = itertools.count()

    def __init__(self, driver: Node, kind: str, url: str, serializer: str, **login: Any) -> None:
        self.driver = driver
        self.number = next(self._numbers)
        self.act("open", kind.split()[0], {"url": url, "realm": "realm1", "serializer": serializer, **login})

    def act(self, action: str, *more: Any) -> Any:
        return self.driver.act(action, self.number, *more)

    def subscribe(self, uri: str, **options: Any) -> None:
        self.act("subscribe", uri, options)

    def publish(self, uri: str, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.act("publish", uri, args, kwargs, options or {})

    def next(self) -> tuple[list[Any], dict[str, Any]]:
        found = self.act("next")
        return found["args"], found["kwargs"]

    def register(self, uri: str, kind: str = "echo", **options: Any) -> None:
        self.act("register", uri, kind, options)

    def call(self, uri: str, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
        return self.act("call", uri, args, kwargs, options or {})

    def _end(self, politely: bool) -> None:
        self.act("end")
