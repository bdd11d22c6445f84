"""SIGHUP in a real daemon: plugin files take effect, no socket closes, nothing is lost or doubled."""

from __future__ import annotations

import contextlib

from hubbub.service.commands.client import ask
from running import Daemon, LineClient
from system.clients import Datagrams, WebSocketClient
from system.plugin_files import hang_up, write
from waiting import wait_until

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
            assert client.ask("REQ shout d").startswith("ERR no-responders ")
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
        wait_until(lambda: daemon.descriptors() <= descriptors)
    assert daemon.log.count("Traceback") == 3  # one for each place
    assert daemon.log.count("later failures there are only counted") == 3
    assert daemon.process.returncode == 0
