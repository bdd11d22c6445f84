"""Both client libraries through restarts of a daemon with a history: each message comes once, and none is lost.

A daemon that is killed may have delivered a message that it hadn't committed: its publisher sends it again, and it is a
new message then (docs/durability.md). So kills may double what wasn't acknowledged, and lose nothing.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hubbub.client import Client
from hubbub.client.client import Subscription
from interop.test_client_js import FOLDER, SCENES
from ports import hold_port
from running import Daemon
from scale import FULL

RESTARTS = 100 if FULL else 3
EACH = 30  # messages between two restarts
SECONDS = 60 + 20 * RESTARTS  # a start takes seconds on a busy machine
ENDS = ("terminate", "kill")
SOME = [("ws", "kill"), ("http", "terminate")]  # of the ways of hubbub.js


def options(folder: Path, transport: str, port: int) -> tuple[str, ...]:
    store = ("--state", str(folder / "state"), "--history", "n", "--durability", "process")
    return (f"--{transport}", f"tcp:{port}", *store, "--drain", "1")


def check(got: list[int], end: str) -> None:
    """All have come, in their order; a kill may have doubled some."""
    last = EACH * RESTARTS
    assert sorted(set(got)) == list(range(last))
    if end == "terminate":
        assert got == list(range(last))


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("end", ENDS)
def test_python(tmp_path: Path, end: str) -> None:
    async def main() -> list[int]:
        port = hold_port()
        given = options(tmp_path, "tcp", port)
        with Daemon(*given):
            url = f"tcp://127.0.0.1:{port}"
            writer, reader = Client(url), Client(url)
            await writer.connected()
            got: list[int] = []
            reading = asyncio.create_task(read(await reader.subscribe("n").ready(), got))
        sent: list[asyncio.Task[int]] = []
        for start in range(0, EACH * RESTARTS, EACH):
            sent += [asyncio.create_task(writer.publish("n", n)) for n in range(start, start + EACH)]
            with Daemon(*given) as daemon:
                await sent[start + EACH // 3]
                await asyncio.to_thread(getattr(daemon.process, end))
                await asyncio.to_thread(daemon.process.wait)
        with Daemon(*given):
            await asyncio.gather(*sent)
            await reading
        writer.close()
        reader.close()
        return got

    check(asyncio.run(main()), end)


async def read(messages: Subscription, got: list[int]) -> None:
    """Take messages until the last one."""
    async for message in messages:
        assert message.missed == 0
        got.append(int(message.payload))
        if got[-1] == EACH * RESTARTS - 1:
            return


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(("way", "end"), [*SOME, ("ws", "terminate"), ("http", "kill")] if FULL else SOME)
def test_javascript(tmp_path: Path, need: Callable[[str], str], way: str, end: str) -> None:
    port = hold_port()
    given = options(tmp_path, "websocket", port)
    command = [need("node"), "--experimental-websocket", "--no-warnings", str(SCENES), str(FOLDER / "hubbub.js")]
    with Daemon(*given):
        client = subprocess.Popen(
            [*command, f"{way}://127.0.0.1:{port}", "stream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
    got: list[int] = []
    taken: set[int] = set()
    wanted = set(range(EACH * RESTARTS))

    def read_until(number: int) -> None:
        while number not in taken:
            what, value, *missed = client.stdout.readline().split()
            if what == "taken":
                taken.add(int(value))
            else:
                assert missed == ["0"]
                got.append(int(value))

    for start in range(0, EACH * RESTARTS, EACH):
        client.stdin.write("".join(f"{n}\n" for n in range(start, start + EACH)))
        client.stdin.flush()
        with Daemon(*given) as daemon:
            read_until(start + EACH // 3)
            getattr(daemon.process, end)()
            daemon.process.wait()
    with Daemon(*given):
        for number in wanted:
            read_until(number)
        while not wanted <= set(got):
            what, value, *_ = client.stdout.readline().split()
            assert what == "got"
            got.append(int(value))
        client.communicate(timeout=30)
    check(got if way == "ws" else sorted(got), end)  # over HTTP each publish is a request: they overtake each other
