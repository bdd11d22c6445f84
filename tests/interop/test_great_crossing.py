"""One message for everybody: a log line, a terminal, a sensor, and clients of STOMP, WAMP, NATS, HTTP and a browser."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import httpx
import httpx_sse

from interop.clients import Program, Tcp
from interop.mqtt.base import V5, At, Wish
from interop.mqtt.paho_client import Paho
from interop.nats.clients import NatsPy
from interop.stomp.clients import StompPy
from interop.wamp.clients import Client as WampClient
from interop.wamp.clients import process
from ports import free_port
from running import STILL, Daemon
from system.plugin_files import hang_up

SECONDS = 20
FLOOD = 24  # messages of half a MiB: more than the system keeps for a client that doesn't read, and its queue
TEXT = "欢迎 from {} in round {}"
CONFIG = """
[[tcp]]
endpoint = "tcp:0"
id = "all"
auto = "nats"

[[udp]]
endpoint = "udp:0"
dialect = "syslog"
topic = "cross/logger"

[[websocket]]
endpoint = "tcp:0"
"""
RAW = """
[[tcp]]
endpoint = "tcp:{port}"
id = "plc"
dialect = "raw"
end = "crlf"
topic = "cross/plc"
"""


class Place(NamedTuple):
    """One who publishes, and hears all: `hear` returns the topic, where the client is told it, and the payload."""

    publish: Callable[[str, bytes], object]
    receive: Callable[[], tuple[str, bytes]]


@contextmanager
def terminal(daemon: Daemon, need: Any) -> Iterator[Place]:
    program = Program(need("nc"), *daemon.tcp[0])
    program.send("SUB cross/#")
    program.expect("OK SUB cross/#")

    def receive() -> tuple[str, bytes]:
        line = bytearray()
        while not line.endswith(b"\n"):
            line += program.read(1)
        _, topic, payload = bytes(line).rstrip(b"\n").split(b" ", 2)
        return topic.decode(), payload

    yield Place(lambda topic, payload: program.send(f"PUB {topic} {payload.decode()}"), receive)
    program.process.kill()
    program.process.wait()


@contextmanager
def sensor(daemon: Daemon) -> Iterator[Place]:
    with Paho(At("tcp", *daemon.tcp[0]), Wish(V5, "sensor")) as one:
        one.subscribe("cross/#", 0)

        def receive() -> tuple[str, bytes]:
            found = one.next()
            return found.topic, found.payload

        yield Place(one.publish, receive)


@contextmanager
def of_stomp(daemon: Daemon) -> Iterator[Place]:
    with StompPy(At("tcp", *daemon.tcp[0])) as one:
        one.subscribe("/topic/cross/#")

        def receive() -> tuple[str, bytes]:
            found = one.next()
            return found.destination.removeprefix("/topic/"), found.body

        yield Place(lambda topic, payload: one.publish(f"/topic/{topic}", payload), receive)


@contextmanager
def of_wamp(daemon: Daemon, need: Any) -> Iterator[Place]:
    driver = process("autobahn asyncio", need)
    host, port = daemon.tcp[0]
    try:
        with WampClient(driver, "autobahn asyncio", f"rs://{host}:{port}", "cbor") as one:
            one.subscribe("cross", match="prefix")

            def publish(topic: str, payload: bytes) -> None:
                one.publish(topic.replace("/", "."), payload.decode(), options={"exclude_me": False})

            yield Place(publish, lambda: ("", one.next()[0][0].encode()))
    finally:
        driver.close()


@contextmanager
def of_nats(daemon: Daemon) -> Iterator[Place]:
    with NatsPy(At("tcp", *daemon.tcp[0])) as one:
        one.subscribe("cross.>")

        def receive() -> tuple[str, bytes]:
            found = one.next()
            return found.subject.replace(".", "/"), found.payload

        yield Place(lambda topic, payload: one.publish(topic.replace("/", "."), payload), receive)


@contextmanager
def of_http(daemon: Daemon) -> Iterator[Place]:
    """An EventSource in a thread, and requests beside it."""
    output: queue.Queue[tuple[str, bytes]] = queue.Queue()
    url = daemon.url(scheme="http")
    with httpx.Client(base_url=url, timeout=SECONDS, trust_env=False) as client, ExitStack() as stack:
        answer = stack.enter_context(client.stream("GET", "events?filter=cross/%23"))

        def read() -> None:
            with suppress(httpx.HTTPError):  # the test is over
                for event in httpx_sse.EventSource(answer).iter_sse():
                    if event.event.startswith("cross/"):
                        output.put((event.event, event.data.encode()))

        threading.Thread(target=read, daemon=True).start()
        text = {"Content-Type": "text/plain"}

        def publish(topic: str, payload: bytes) -> None:
            httpx.post(f"{url}topics/{topic}", content=payload, headers=text, trust_env=False).raise_for_status()

        yield Place(publish, lambda: output.get(timeout=SECONDS))


@contextmanager
def of_browser(daemon: Daemon, page: Any) -> Iterator[Place]:
    page.goto(daemon.url(scheme="http") + STILL)
    assert page.evaluate("url => hub.open(url, ['hubbub.json'])", daemon.url()) == "open hubbub.json"

    def say(**said: Any) -> None:
        page.evaluate("text => hub.socket.send(text)", json.dumps(said))

    def receive() -> tuple[str, bytes]:
        found = json.loads(page.evaluate("hub.next()"))
        return found["topic"], found["data"].encode()

    say(op="subscribe", topic="cross/#", id=1)
    assert json.loads(page.evaluate("hub.next()"))["op"] == "subscribed"
    yield Place(lambda topic, payload: say(op="publish", topic=topic, data=payload.decode()), receive)


def log(daemon: Daemon, need: Any, text: str) -> None:
    host, port = daemon.udp[0]
    subprocess.run([need("logger"), "-d", "-n", host, "-P", str(port), "-t", "till", "--", text], check=True)


def test_all_see_the_same_bytes(tmp_path, need, page):
    """One client has stopped reading meanwhile, and a reload adds a listener: nobody else notices either."""
    config = tmp_path / "hub.toml"
    config.write_text(CONFIG)
    with Daemon("--config", str(config)) as daemon, ExitStack() as stack:
        enter = stack.enter_context
        stuck, flood = enter(Tcp(daemon.tcp[0])), enter(Tcp(daemon.tcp[0]))
        assert flood.ask("PING") == "PONG"
        assert stuck.ask("SUB flood/#") == "OK SUB flood/#"
        assert stuck.ask("SUB cross/#") == "OK SUB cross/#"
        places = {
            "nc": enter(terminal(daemon, need)),
            "mqtt": enter(sensor(daemon)),
            "stomp": enter(of_stomp(daemon)),
            "wamp": enter(of_wamp(daemon, need)),
            "nats": enter(of_nats(daemon)),
            "http": enter(of_http(daemon)),
            "browser": enter(of_browser(daemon, page)),
        }

        def crosses(name: str, publish: Callable[[str, bytes], object], round: int) -> None:
            payload = TEXT.format(name, round).encode()
            publish(f"cross/{name}", payload)
            for hearer, place in places.items():
                topic, found = place.receive()
                assert (topic or f"cross/{name}", found) == (f"cross/{name}", payload), hearer

        def all_cross(round: int) -> None:
            crosses("logger", lambda topic, payload: log(daemon, need, payload.decode()), round)
            for name, place in places.items():
                crosses(name, place.publish, round)

        all_cross(1)
        for number in range(FLOOD):
            flood.send(f"PUB flood/{number} {'x' * (512 * 1024)}")
        assert flood.ask("PING") == "PONG"
        all_cross(2)
        port = free_port()
        config.write_text(CONFIG + RAW.format(port=port))
        hang_up(daemon, "reloaded: .*plc")
        with socket.create_connection(("127.0.0.1", port)) as plc:
            crosses("plc", lambda topic, payload: plc.sendall(payload + b"\r\n"), 3)
        all_cross(3)
        stuck.send("PING")
        lines = []
        while (line := stuck.line()) != "PONG":
            lines.append(line)
        assert sum(line.startswith("MSG flood/") for line in lines) < FLOOD
        assert any(line.startswith("GAP ") for line in lines)
