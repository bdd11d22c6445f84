"""Does with Autobahn over Twisted or asyncio, or with wampproto, what lines of JSON on standard input say.

Autobahn speaks over one of both in a process, so each has a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
from typing import Any

from framework import LOOP, run, start

SECONDS = 20
KINDS = {"autobahn": "Autobahn", "wampproto": "Wampproto"}
CLIENTS: dict[int, Any] = {}


async def act(line: str) -> None:
    reported = json.loads(line)
    action, number, *more = reported["said"]
    answer = {"id": reported["id"]}
    try:
        if action == "open":
            kind = more.pop(0)
            CLIENTS[number] = getattr(importlib.import_module(f"{kind}_client"), KINDS[kind])()
        answer["result"] = await asyncio.wait_for(getattr(CLIENTS[number], action)(*more), SECONDS)
    except Exception as error:  # noqa: BLE001  the test shows it
        answer["error"] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def read() -> None:
    for line in sys.stdin:
        LOOP.call_soon_threadsafe(start, act(line))
    LOOP.call_soon_threadsafe(LOOP.stop)


if __name__ == "__main__":
    threading.Thread(target=read, daemon=True).start()
    run()
