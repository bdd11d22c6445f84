"""A dialect of a plugin that raises ends its own link, is logged once, and harms nobody else."""

from __future__ import annotations

import contextlib

import pytest

from hostile.oracle import LISTENERS, Probe, unharmed
from running import Daemon, LineClient
from system.clients import Datagrams, WebSocketClient

PLUGIN = '''
from hubbub import Answer, Dialect, Ping, Publish, Subscribe


class Fragile(Dialect):
    """Raises where it is told to."""

    def __init__(self, context, peer):
        super().__init__(context, peer)
        self.tail = b"\\n" if context.stream else b""

    def receive(self, data, now, text=None):
        word = data.decode().strip()
        if word == "receive":
            raise RuntimeError("in receive")
        if word == "garbage":
            return [None]
        if word == "outcome":
            return [Ping("raise")]
        if word == "timeout":
            self.deadline = now + 0.01
            return []
        if word == "encode":
            return [Subscribe("fragile"), Publish("fragile", b"raise")]
        if word == "form":
            return [Subscribe("form")]
        if word == "ping":
            return [Answer(b"pong" + self.tail)]
        return []

    def eof(self, now):
        raise RuntimeError("in eof")

    def timeout(self, now):
        raise RuntimeError("in timeout")

    def outcome(self, event, result):
        if event.tag == "raise":
            raise RuntimeError("in outcome")
        return b""

    def form(self, subscription):
        if subscription.filter == "form":
            raise RuntimeError("in form")

    @classmethod
    def encode(cls, message, form):
        raise RuntimeError("in encode")

    def encode_close(self, reason):
        raise RuntimeError("in closing")
'''
WORDS = ["receive", "garbage", "outcome", "timeout", "encode", "form"]


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "fragile.py").write_text(PLUGIN)
    options = (*LISTENERS, "--plugin-dir", str(folder))
    options += ("--tcp", "tcp:0:id=t:dialect=fragile", "--udp", "udp:0:id=u:dialect=fragile")
    with (
        Daemon(*options, "--websocket", "tcp:0:id=w:dialect=fragile") as one,
        contextlib.closing(Probe(one)) as probe,
    ):
        probe.check()
        yield one, probe


def test_its_last_words(tmp_path):
    """It can't keep the daemon from saying goodbye to all others."""
    (tmp_path / "fragile.py").write_text(PLUGIN)
    options = ("--plugin-dir", str(tmp_path), "--tcp", "tcp:0:id=t:dialect=fragile", "--tcp", "tcp:0:id=lines")
    with Daemon(*options) as daemon:
        with LineClient(daemon.tcp[0]) as fragile, LineClient(daemon.tcp[1]) as lines:
            assert fragile.ask("ping") == "pong"
            assert lines.ask("PING") == "PONG"
            daemon.process.terminate()
            assert lines.line() == "BYE"
            assert lines.ended()
            with contextlib.suppress(ConnectionError):
                assert fragile.ended()
        daemon.process.wait(20)
    assert daemon.process.returncode == 0


@pytest.fixture
def daemon(checked):
    with unharmed(*checked, tracebacks=True):
        yield checked[0]


@pytest.mark.parametrize("word", WORDS)
def test_over_tcp(daemon, word):
    with LineClient(daemon.tcp[2]) as fine, LineClient(daemon.tcp[2]) as client:
        assert fine.ask("ping") == "pong"
        client.send(word)
        if word != "encode":  # nobody hears of it: the message can't be carried
            with contextlib.suppress(ConnectionError):
                assert client.ended()
        assert fine.ask("ping") == "pong"


@pytest.mark.parametrize("word", WORDS)
def test_over_websocket(daemon, word):
    with WebSocketClient(daemon.websocket[2]) as fine, WebSocketClient(daemon.websocket[2]) as client:
        for one, text in ((fine, "ping"), (client, word)):
            one.send(text)
        assert fine.receive()[1] == b"pong"
        if word != "encode":
            with contextlib.suppress(EOFError, ConnectionError):
                assert client.closed() in (1001, 1006, 1008, 1011)
        fine.send("ping")
        assert fine.receive()[1] == b"pong"


@pytest.mark.parametrize("word", WORDS)
def test_over_udp(daemon, word):
    """The port stays open for everybody, for who sent it as well."""
    with Datagrams(daemon.udp[2]) as client:
        client.send(word)
        assert client.ask("ping") == "pong"
