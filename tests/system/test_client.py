"""hubbub.client over real sockets: asyncio and Twisted, through restarts of the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from hubbub.client import Client, Closed, Lost, Refused
from hubbub.client.twisted import Client as TwistedClient
from hubbub.errors import ConfigError
from ports import free_port
from running import Daemon
from service.test_passwords import cheap

SCHEMES = ("tcp", "ws")


def url(daemon: Daemon, scheme: str, user: str = "") -> str:
    host, port = getattr(daemon, {"tcp": "tcp", "ws": "websocket"}[scheme])[0]
    return f"{scheme}://{user}{host}:{port}"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as one:
        yield one


async def play(client: Client | TwistedClient) -> None:
    """Publish, subscribe, request and reply, refusals, with a client of either kind."""
    async with client:
        messages = await client.subscribe("a/#", "b").ready()
        assert await client.publish("a/b", {"x": 1}, properties={"k": "v"}) == 1
        assert await client.publish("b", b"\xff\0", qos=0) == 1
        first, second = await anext(messages), await anext(messages)
        assert (first.topic, first.json(), first.qos, dict(first.properties)) == ("a/b", {"x": 1}, 1, {"k": "v"})
        assert (second.topic, second.payload, second.qos, second.missed) == ("b", b"\xff\0", 0, 0)
        with pytest.raises(Refused, match="bad-topic"):
            await client.publish("a/+", "x")
        with pytest.raises(Refused, match="bad-filter"):
            await anext(client.subscribe("a/#/b"))
        with pytest.raises(Refused, match="no-responders"):
            await client.request("empty", "x")
        messages.close()
        assert [message async for message in messages] == []
        assert await client.publish("a/b", "x") == 0
    with pytest.raises(Closed):
        await client.publish("a/b", "x")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_asyncio(daemon: Daemon, scheme: str) -> None:
    async def main() -> None:
        await play(Client(url(daemon, scheme)))

    asyncio.run(main())


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_twisted(daemon: Daemon, scheme: str) -> None:
    await play(TwistedClient(url(daemon, scheme)))


def test_requests_are_answered(daemon: Daemon) -> None:
    async def main() -> None:
        async with Client(url(daemon, "ws")) as one, Client(url(daemon, "tcp")) as other:
            questions = await one.subscribe("ask/+").ready()
            asked = asyncio.create_task(other.request("ask/me", "hello"))
            await one.reply(await anext(questions), "hello to you")
            assert (await asked).text == "hello to you"

    asyncio.run(main())


def test_a_retained_message(daemon: Daemon) -> None:
    async def main() -> None:
        async with Client(url(daemon, "ws")) as client:
            await client.publish("kept", "x", retain=True)
            async for message in client.subscribe("kept"):
                assert (message.text, message.retained) == ("x", True)
                break

    asyncio.run(main())


async def read_history(client: Client | TwistedClient) -> None:
    """What was published before comes first, then what is published now."""
    async with client:
        for n in range(3):
            await client.publish("h/n", n)
        newest = await client.subscribe("h/#", last=2).ready()
        await client.publish("h/n", 3)
        assert [(await anext(newest)).json() for _ in range(3)] == [1, 2, 3]
        newest.close()
        recent = await client.subscribe("h/#", since=600).ready()
        await client.publish("h/n", 4)
        assert [(await anext(recent)).json() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_the_history_under_asyncio() -> None:
    async def main(daemon: Daemon) -> None:
        await read_history(Client(url(daemon, "tcp")))

    with Daemon("--tcp", "tcp:0", "--history", "h/#") as daemon:
        asyncio.run(main(daemon))


async def test_the_history_under_twisted() -> None:
    with Daemon("--tcp", "tcp:0", "--history", "h/#") as daemon:
        await read_history(TwistedClient(url(daemon, "tcp")))


def test_a_hub_without_a_history(daemon: Daemon) -> None:
    async def main() -> None:
        async with Client(url(daemon, "tcp")) as client:
            with pytest.raises(Refused, match="history"):
                await anext(client.subscribe("h/#", last=1))

    asyncio.run(main())


def test_no_hub_there() -> None:
    async def main() -> None:
        with pytest.raises(Lost, match=r"127\.0\.0\.1:1"):
            async with Client("tcp://127.0.0.1:1"):
                pass

    asyncio.run(main())


def test_a_scheme_that_no_client_stays_with() -> None:
    async def main() -> None:
        Client("mqtt://127.0.0.1")

    with pytest.raises(ConfigError, match="tcp, ws, wss"):
        asyncio.run(main())


def test_logins(tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text(f"ann:{cheap('secret')}\n")
    options = ("--tcp", "tcp:0:dialect=json", "--auth", "hubbub:passwords")

    async def main(daemon: Daemon) -> None:
        async with Client(url(daemon, "tcp", "ann:secret@")) as client:
            assert await client.publish("a", "x") == 0
        with pytest.raises(Refused, match="not-authorized"):
            async with Client(url(daemon, "tcp", "ann:wrong@")):
                pass

    with Daemon(*options, folder=tmp_path) as daemon:
        asyncio.run(main(daemon))


def test_an_error_that_is_raised_again_is_no_longer_than_before(daemon: Daemon) -> None:
    """Its traceback would keep the frames of all calls."""

    async def main() -> list[int]:
        client = Client(url(daemon, "tcp"))
        await client.connected()
        client.close()
        depths = []
        for _ in range(3):
            with pytest.raises(Closed) as raised:
                await client.publish("a", "x")
            depths.append(len(raised.traceback))
        return depths

    assert len(set(asyncio.run(main()))) == 1


async def play_restarts(
    kind: Callable[[str], Client | TwistedClient], begun: Callable[[Coroutine[Any, Any, int]], Awaitable[int]]
) -> None:
    """What is published while there is no hub is published, in order, and subscriptions are made again."""
    options = ("--tcp", f"tcp:{free_port()}")
    with Daemon(*options) as daemon:
        client = kind(url(daemon, "tcp"))
        numbers = await client.subscribe("n/#").ready()
        await client.publish("n/0", 0)
        assert (await anext(numbers)).json() == 0
        daemon.process.kill()
    for start in (1, 4):
        kept = [begun(client.publish(f"n/{n}", n)) for n in range(start, start + 3)]
        with pytest.raises(Lost):
            await client.publish("n/lost", -1, qos=0)
        with Daemon(*options) as daemon:
            assert [await one for one in kept] == [1, 1, 1]
            assert [(await anext(numbers)).json() for _ in kept] == [*range(start, start + 3)]
            daemon.process.kill()
    client.close()


def test_restarts_under_asyncio() -> None:
    asyncio.run(play_restarts(Client, asyncio.ensure_future))


async def test_restarts_under_twisted() -> None:
    await play_restarts(TwistedClient, Deferred.fromCoroutine)
