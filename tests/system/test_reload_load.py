"""A hundred SIGHUPs under load: no socket closes, nothing is lost or doubled."""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import signal
import time
from pathlib import Path

from hubbub.service.commands.client import ask
from running import Daemon, LineClient
from system.clients import Datagrams, WebSocketClient
from system.plugin_files import write
from waiting import wait_until

TALLY = '''
from hubbub import Handler, on

class Tally(Handler):
    """Count what comes, and say which version did."""

    def start(self):
        self.publish("version", "{version}", retain=True)

    @on("load")
    def count(self, message):
        self.publish("tally", message.text + " {version}")
'''


# A crowd, and a handler that changes all the time

LINES, PAGES, DATAGRAMS = 80, 80, 40
ROUNDS = 100  # changes of the handler
IN_FLIGHT = 8  # messages on their way to the crowd: what a datagram socket's buffer holds isn't lost
MESSAGES = 2_000  # at most, in all


class GroupMember:
    """One of the crowd: subscribed to `load`, and now and then its publisher."""

    def __init__(self, client) -> None:
        self.client = client
        self.output: list[int] = []
        self.rest = b""

    def read(self) -> int:
        """Take what has come; return how many messages that was."""
        data = self.client.socket.recv(1 << 16)
        assert data, f"{self.client} was lost"
        found = [int(n) for n in self.numbers(data)]
        self.output += found
        return len(found)

    def numbers(self, data: bytes) -> list[bytes]:
        data = self.rest + data
        whole, _, self.rest = data.rpartition(b"\n")
        return re.findall(rb"^MSG load (\d+)$", whole, re.MULTILINE)

    def publish(self, number: int) -> None:
        self.client.send(f"PUB load {number}")


class Datagram(GroupMember):
    def numbers(self, data: bytes) -> list[bytes]:
        return re.findall(rb"^MSG load (\d+)$", data)


class Page(GroupMember):
    def numbers(self, data: bytes) -> list[bytes]:
        """Each frame of the hub is shorter than 126 bytes (RFC 6455 section 5.2)."""
        data, found = self.rest + data, []
        while len(data) >= 2 and len(data) >= 2 + data[1]:
            message = json.loads(data[2 : 2 + data[1]])
            assert message["op"] == "message"
            found.append(message["data"].encode())
            data = data[2 + data[1] :]
        self.rest = data
        return found

    def publish(self, number: int) -> None:
        self.client.send(json.dumps({"op": "publish", "topic": "load", "data": str(number)}))


def gather(daemon: Daemon, stack: contextlib.ExitStack) -> list[GroupMember]:
    crowd = [GroupMember(stack.enter_context(LineClient(daemon.tcp[0]))) for _ in range(LINES)]
    crowd += [Datagram(stack.enter_context(Datagrams(daemon.udp[0]))) for _ in range(DATAGRAMS)]
    for member in crowd:
        assert member.client.ask("SUB load") == "OK SUB load"
    for _ in range(PAGES):
        client = stack.enter_context(WebSocketClient(daemon.websocket[0]))
        assert json.loads(client.ask('{"op":"subscribe","topic":"load"}'))["op"] == "subscribed"
        crowd.append(Page(client))
    return crowd


CONFIG = """
[[tcp]]
endpoint = "tcp:0"
id = "lines"
stall = "{version}s"
[[udp]]
endpoint = "udp:0"
[[websocket]]
endpoint = "tcp:0"
id = "pages"
[[handler]]
name = "tally"
"""
MORE = """
[[tcp]]
endpoint = "tcp:0"
id = "more"
"""


class Watch:
    """Hears of each version of the handler and of what it has counted, and brings about the next version."""

    def __init__(self, daemon: Daemon, client: LineClient, folder: Path) -> None:
        self.daemon = daemon
        self.client = client
        self.folder = folder
        self.version = 1
        self.tallies: list[tuple[int, int]] = []  # message, version
        self.rest = b""

    def change(self) -> None:
        """Another version of the handler, and in every other one a listener more, and other limits."""
        self.version += 1
        write(self.folder, "tally.py", TALLY, self.version)
        write(self.folder, "hubbub.toml", CONFIG + MORE * (self.version % 2), self.version)
        self.daemon.process.send_signal(signal.SIGHUP)

    def read(self) -> int:
        *lines, self.rest = (self.rest + self.client.socket.recv(1 << 16)).split(b"\n")
        for line in lines:
            _, topic, *words = line.decode().split()
            if topic == "tally":
                self.tallies.append((int(words[0]), int(words[1])))
            elif words == [str(self.version)] and self.version <= ROUNDS:
                self.change()
        return 0


def converse(crowd: list[GroupMember], watch: Watch) -> int:
    """Publish, by each of the crowd in turn, while the handler changes ROUNDS times. Returns how many messages."""
    look = selectors.DefaultSelector()
    for one in (*crowd, watch):
        look.register(one.client.socket, selectors.EVENT_READ, one)
    published = output = 0
    until = time.monotonic() + 20
    watch.change()
    while watch.version <= ROUNDS or output < published * len(crowd) or len(watch.tallies) < published:
        assert time.monotonic() < until, (watch.version, published, output, len(watch.tallies))
        while watch.version <= ROUNDS and published < MESSAGES and output > (published - IN_FLIGHT) * len(crowd):
            crowd[published % len(crowd)].publish(published)
            published += 1
        output += sum(key.data.read() for key, _ in look.select(1))
    return published


def test_a_hundred_sighups_under_load(tmp_path):
    """Each client hears each message once, and each message is counted once, by some version of the handler."""
    write(tmp_path, "tally.py", TALLY)
    write(tmp_path, "hubbub.toml", CONFIG)
    options = ("--config", str(tmp_path / "hubbub.toml"), "--plugin-dir", str(tmp_path))
    options += ("--control", str(tmp_path / "control.sock"))
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(*options))
        watch = Watch(daemon, stack.enter_context(LineClient(daemon.tcp[0])), tmp_path)
        assert watch.client.ask("SUB tally") == "OK SUB tally"
        assert watch.client.ask("SUB version") == "OK SUB version"
        assert watch.client.line() == "MSG version 1"
        crowd = gather(daemon, stack)
        descriptors = daemon.descriptors()
        published = converse(crowd, watch)
        assert published > ROUNDS
        for member in crowd:
            assert sorted(member.output) == list(range(published))
        assert sorted(number for number, _ in watch.tallies) == list(range(published))
        assert len({version for _, version in watch.tallies}) > ROUNDS // 4
        assert list(ask(tmp_path / "control.sock", {"command": "reload"})) == [
            {"done": True, "changed": "nothing has changed"}
        ]
        wait_until(lambda: daemon.descriptors() <= descriptors + 1)  # the port of `more`
    assert "Traceback" not in daemon.log
    assert daemon.process.returncode == 0
