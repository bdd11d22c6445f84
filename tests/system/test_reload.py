"""SIGHUP in a real daemon: plugin files take effect, no socket closes, nothing is lost or doubled."""

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

MURMUR = '''
from hubbub import Connect, Dialect, Publish, Subscribe

class Murmur(Dialect):
    """`?` subscribes to talk, anything else is said there; each version shows in what is written."""

    subprotocols = ("murmur",)
    text = True

    def receive(self, data, now, text=None):
        said = data.decode().strip()
        return [Subscribe("talk")] if said == "?" else [Publish("talk", said.encode())]

    def outcome(self, event, result):
        return b"{version} ok\\n"

    @classmethod
    def encode(cls, message, form):
        return b"{version} " + message.payload + b"\\n"

    @classmethod
    def claims(cls, head):
        return head[:1] in b"?~" if head else None
'''


def write(folder: Path, name: str, source: str, version: object = 1) -> None:
    (folder / name).write_text(source.replace("{version}", str(version)))


def hang_up(daemon: Daemon, says: str) -> str:
    """Send SIGHUP and wait for a line of the log that says so; a line is waited for once."""
    daemon.process.send_signal(signal.SIGHUP)
    return daemon.wait_for(says)


# A crowd, and a handler that changes all the time

LINES, PAGES, DATAGRAMS = 80, 80, 40
ROUNDS = 100  # changes of the handler
IN_FLIGHT = 8  # messages on their way to the crowd: what a datagram socket's buffer holds isn't lost
MESSAGES = 2_000  # at most, in all


class GroupMember:
    """One of the crowd: subscribed to `load`, and now and then its publisher."""

    def __init__(self, client) -> None:
        self.client = client
        self.heard: list[int] = []
        self.rest = b""

    def read(self) -> int:
        """Take what has come; return how many messages that was."""
        data = self.client.socket.recv(1 << 16)
        assert data, f"{self.client} was lost"
        found = [int(n) for n in self.numbers(data)]
        self.heard += found
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
            assert sorted(member.heard) == list(range(published))
        assert sorted(number for number, _ in watch.tallies) == list(range(published))
        assert len({version for _, version in watch.tallies}) > ROUNDS // 4
        assert list(ask(tmp_path / "control.sock", {"command": "reload"})) == [
            {"done": True, "changed": "nothing has changed"}
        ]
        until = time.monotonic() + 10
        while daemon.descriptors() > descriptors + 1:  # the port of `more`
            assert time.monotonic() < until
    assert "Traceback" not in daemon.log
    assert daemon.process.returncode == 0


def converse(crowd: list[GroupMember], watch: Watch) -> int:
    """Publish, by each of the crowd in turn, while the handler changes ROUNDS times. Returns how many messages."""
    look = selectors.DefaultSelector()
    for one in (*crowd, watch):
        look.register(one.client.socket, selectors.EVENT_READ, one)
    published = heard = 0
    until = time.monotonic() + 20
    watch.change()
    while watch.version <= ROUNDS or heard < published * len(crowd) or len(watch.tallies) < published:
        assert time.monotonic() < until, (watch.version, published, heard, len(watch.tallies))
        while watch.version <= ROUNDS and published < MESSAGES and heard > (published - IN_FLIGHT) * len(crowd):
            crowd[published % len(crowd)].publish(published)
            published += 1
        heard += sum(key.data.read() for key, _ in look.select(1))
    return published


# A dialect that changes


def test_live_links_keep_their_dialect(tmp_path):
    write(tmp_path, "murmur.py", MURMUR, "v1")
    options = ("--tcp", "tcp:0:dialect=murmur:id=named", "--tcp", "tcp:0:auto=murmur:id=auto")
    options += ("--udp", "udp:0:dialect=murmur:id=udp-named", "--udp", "udp:0:auto=murmur:id=udp-auto")
    options += ("--websocket", "tcp:0:auto=murmur:id=web")

    def everybody():
        return [
            *(LineClient(address) for address in daemon.tcp),
            *(Datagrams(address) for address in daemon.udp),
            WebSocketClient(daemon.websocket[0], protocol="murmur"),
            WebSocketClient(daemon.websocket[0]),
        ]

    with Daemon(*options, "--plugin-dir", str(tmp_path)) as daemon, contextlib.ExitStack() as stack:
        old = [stack.enter_context(client) for client in everybody()]
        assert [client.ask("?").strip() for client in old] == ["v1 ok"] * 6
        strangers = [stack.enter_context(Datagrams(address)) for address in daemon.udp]
        for stranger in strangers:  # known, but nothing is held for them
            stranger.send("~before")
        for client in old:
            assert {client.line().strip(), client.line().strip()} == {"v1 ~before"}
        write(tmp_path, "murmur.py", MURMUR, "v2")
        listeners = ("named", "auto", "udp-named", "udp-auto", "web")
        hang_up(daemon, "reloaded: murmur.py changed; " + ", ".join(f"new links of {one}" for one in listeners) + '"')
        new = [stack.enter_context(client) for client in everybody()]
        assert [client.ask("?").strip() for client in (*new, *strangers)] == ["v2 ok"] * 8
        new[0].send("~hey")
        assert [client.line().strip() for client in old] == ["v1 ~hey"] * 6
        assert [client.line().strip() for client in (*new, *strangers)] == ["v2 ~hey"] * 8
        assert [client.ask("?").strip() for client in old] == ["v1 ok"] * 6  # and no second subscription
        new[0].send("~again")
        assert [client.line().strip() for client in old] == ["v1 ~again"] * 6
        assert [client.line().strip() for client in (*new, *strangers)] == ["v2 ~again"] * 8


# What is broken, and mended


def test_a_broken_file_and_its_mending(tmp_path):
    shout = "from hubbub import Handler, on\n\nclass Shout(Handler):\n    @on('shout')\n"
    shout += "    def shout(self, message):\n        message.reply(message.text + '{version}')\n"
    write(tmp_path, "shout.py", shout, "!")
    with Daemon("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "shout") as daemon:
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("PUB shout a") == "MSG shout a!"
            write(tmp_path, "shout.py", shout + "\nclass Oops(\n", "?")
            said = hang_up(daemon, "not reloaded: ")
            assert f"not reloaded: {tmp_path}/shout.py, line 8: SyntaxError: " in said
            assert client.ask("PUB shout b") == "MSG shout b!"
            write(tmp_path, "shout.py", shout, "?")
            hang_up(daemon, 'reloaded: shout.py changed; handler shout"')
            assert client.ask("PUB shout c") == "MSG shout c?"
            (tmp_path / "shout.py").unlink()
            hang_up(daemon, 'reloaded: shout.py gone; handler shout has stopped"')
            assert client.ask("REQ shout d").startswith("ERR nobody ")
            write(tmp_path, "shout.py", shout, "#")
            hang_up(daemon, 'reloaded: shout.py new; handler shout"')
            assert client.ask("PUB shout e") == "MSG shout e#"
    assert "Traceback" not in daemon.log


# What blocks, and what never ends

SLOW = '''
import time
from twisted.internet.defer import Deferred
from hubbub import Handler, on

class Slow(Handler):
    """Version {version}."""

    @on("block")
    def block(self, message):
        time.sleep(0.5)
        message.reply("done {version}")

    @on("wait")
    async def wait(self, message):
        message.reply("waits {version}")
        try:
            await Deferred()
        finally:
            print("cancelled {version}", message.text)
'''


def test_one_that_blocks_and_one_that_never_ends(tmp_path):
    """The first delays everybody and breaks nobody; the second is cancelled at a reload, and at the end."""
    write(tmp_path, "slow.py", SLOW, 1)
    with Daemon("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "slow") as daemon:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(LineClient(daemon.tcp[0])) for _ in range(20)]
            for client in clients:
                assert client.ask("SUB news") == "OK SUB news"
            clients[0].send("PUB block x")
            for number, client in enumerate(clients):
                client.send(f"PUB news {number}")
            news = {f"MSG news {number}" for number in range(len(clients))}
            assert {clients[0].line() for _ in range(21)} == {"MSG block done 1", *news}
            for client in clients[1:]:
                assert {client.line() for _ in clients} == news
            assert clients[0].ask("PUB wait a") == "MSG wait waits 1"
            write(tmp_path, "slow.py", SLOW, 2)
            hang_up(daemon, "cancelled 1 a")
            daemon.wait_for("reloaded: slow.py changed; handler slow")
            assert clients[0].ask("PUB wait b") == "MSG wait waits 2"
    assert "cancelled 2 b" in daemon.log
    assert "Traceback" not in daemon.log
    assert daemon.process.returncode == 0


# What is left of what was before

COUNTING = '''
import gc
from hubbub import Handler, on

class Counting(Handler):
    """Version {version}."""

    @on("count")
    def count(self, message):
        old = [one for one in gc.get_objects() if isinstance(one, type) and one.__name__ in ("Auto", "Counting")]
        message.reply(str(len(old)))
'''


def test_reloads_leave_nothing_behind(tmp_path):
    """Each makes classes anew, and a class holds itself: somebody has to look for those that nobody needs."""
    write(tmp_path, "counting.py", COUNTING)
    options = ("--tcp", "tcp:0", "--websocket", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "counting")
    control = tmp_path / "control.sock"
    with Daemon(*options, "--control", str(control)) as daemon, LineClient(daemon.tcp[0]) as client:
        counts = []
        for version in range(2, 12):
            write(tmp_path, "counting.py", COUNTING, version)
            assert list(ask(control, {"command": "reload"}))[-1]["changed"].startswith("counting.py changed")
            counts.append(int(client.ask("PUB count").removeprefix("MSG count ")))
        assert counts[-1] <= counts[1]


# A dialect that raises

FRAIL = '''
from hubbub import Dialect, Publish

class Frail(Dialect):
    """Raises."""

    subprotocols = ("frail",)

    def receive(self, data, now, text=None):
        return [Publish("frail", 1 // 0)]

    @classmethod
    def claims(cls, head):
        raise RuntimeError("no claim")

class Unborn(Frail):
    name = "unborn"
    subprotocols = ("unborn",)

    def __init__(self, context, peer):
        raise RuntimeError("never made")
'''


def test_a_dialect_that_raises_costs_its_own_links(tmp_path):
    write(tmp_path, "frail.py", FRAIL)
    options = ("--tcp", "tcp:0:id=auto:auto=frail", "--tcp", "tcp:0:dialect=frail:id=frail")
    options += (
        "--tcp",
        "tcp:0:dialect=unborn:id=unborn",
        "--websocket",
        "tcp:0:auto=frail,unborn",
        "--udp",
        "udp:0:auto=frail",
    )
    with Daemon(*options, "--plugin-dir", str(tmp_path)) as daemon, LineClient(daemon.tcp[0]) as good:
        assert good.ask("SUB a") == "OK SUB a"
        descriptors = daemon.descriptors()
        for _ in range(20):
            for address in daemon.tcp[1:]:
                with LineClient(address) as client:
                    with contextlib.suppress(ConnectionError):
                        client.send("x")
                        assert client.ended()
            for protocol in ("frail", "unborn"):
                with contextlib.suppress(ConnectionError, EOFError):
                    with WebSocketClient(daemon.websocket[0], protocol=protocol) as page:
                        page.send("x")
                        page.receive()
                        raise AssertionError("it was heard")
            with LineClient(daemon.tcp[0]) as client, Datagrams(daemon.udp[0]) as datagrams:
                client.send("PUB a 1")
                assert good.line() == "MSG a 1"
                assert datagrams.ask("PING") == "PONG 0"
        assert good.ask("PING") == "PONG"
        until = time.monotonic() + 10
        while daemon.descriptors() > descriptors:
            assert time.monotonic() < until
    assert daemon.log.count("Traceback") == 3  # one for each place
    assert daemon.log.count("later failures there are only counted") == 3
    assert daemon.process.returncode == 0
