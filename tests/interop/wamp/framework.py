"""Which event loop the clients of one process run in: asyncio's own, or Twisted's reactor over it."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import txaio

TWISTED = sys.argv[1:] == ["twisted"]
LOOP = asyncio.new_event_loop()
if TWISTED:
    from twisted.internet import asyncioreactor

    asyncioreactor.install(LOOP)
    txaio.use_twisted()
else:
    asyncio.set_event_loop(LOOP)
    txaio.use_asyncio()
    txaio.config.loop = LOOP
BUSY: set[Any] = set()  # tasks, which are kept until they are done


def start(coroutine: Any) -> None:
    """Run a coroutine."""
    BUSY.add(LOOP.create_task(coroutine))


def run() -> None:
    """Run the loop until it is stopped."""
    if TWISTED:
        from twisted.internet import reactor

        reactor.run(installSignalHandlers=False)  # type: ignore[attr-defined]
    else:
        LOOP.run_forever()


class Output:
    """What a client has heard."""

    def __init__(self) -> None:
        self.output: asyncio.Queue[Any] = asyncio.Queue()

    async def next(self) -> Any:
        args, kwargs = await self.output.get()
        return {"args": list(args), "kwargs": kwargs}
