"""Logins in several steps (AUTH of MQTT 5.0, section 4.12) whose end comes amid them, over real sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from unittest.mock import patch

import pytest

from hubbub.service.commands.client import ask
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V5, Auth
from hubbub_plugins.mqtt.reader import Reader
from running import Daemon, LineClient
from service.test_passwords import cheap

PLUGIN = """
from twisted.cred.error import UnauthorizedLogin

from hubbub.service.auth.kinds import IAuthExchange, Kind


class Steps:
    credentialInterfaces = (IAuthExchange,)
    methods = ("steps",)

    async def requestAvatarId(self, credentials):
        if await credentials.challenge(b"who?") != b"me":
            raise UnauthorizedLogin("no")
        return b"ann"


def make(argument):
    return Steps()


steps = Kind("steps", __name__, "", IAuthExchange, "A test.")
"""
CONTINUE, AGAIN = 0x18, 0x19
CONFIG = """
control = "{folder}/control"
auth = ["hubbub:passwords", "steps"]
tcp = ["tcp:0:id=login", "tcp:0:id=open:anonymous=yes"]
"""


class Client:
    """A client by MQTT that logs in by steps, and wants its will to be published."""

    def __init__(self, address, name):
        self.socket = socket.create_connection(address, timeout=30)
        self._reader = Reader(100_000)
        will = packets.Will(topic="ann/will", payload=name.encode(), properties={})
        properties = {"authentication_method": "steps", "session_expiry_interval": 600}
        self.send(packets.Connect(client=name, will=will, properties=properties))

    def send(self, *those):
        self.socket.sendall(b"".join(one.encode(V5) for one in those))

    def auth(self, code, data):
        self.send(Auth(code=code, properties={"authentication_method": "steps", "authentication_data": data}))

    def next(self):
        """The next packet; None: the end."""
        while True:
            data = self.socket.recv(65536)
            found, _ = self._reader.feed(data)
            for first, body in found:
                return packets.decode(first, body, V5)
            if not data:
                return None

    def challenged(self):
        packet = self.next()
        assert isinstance(packet, Auth), packet
        assert packet.code == CONTINUE

    def enter(self):
        self.challenged()
        self.auth(CONTINUE, b"me")
        packet = self.next()
        assert isinstance(packet, packets.Connack), packet
        assert packet.code == 0
        return self


class Hub:
    def __init__(self, folder, stack):
        self.folder = folder
        plugins = folder / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "steps_checker.py").write_text(PLUGIN)
        (folder / "passwords").write_text(f"ben:{cheap('b')}\n")
        (folder / "hubbub.toml").write_text(CONFIG.format(folder=folder))
        with patch.dict(os.environ, PYTHONPATH=str(folder)):
            command = (sys.executable, "-m", "hubbub", "run")
            options = ("--config", str(folder / "hubbub.toml"))
            self.daemon = stack.enter_context(Daemon(*options, folder=folder, command=command))
        self.watcher = stack.enter_context(LineClient(self.daemon.tcp[1]))
        assert self.watcher.ask("SUB ann/#") == "OK SUB ann/#"

    def come(self, name):
        return Client(self.daemon.tcp[0], name)

    def remove_the_kind(self):
        config = self.folder / "hubbub.toml"
        config.write_text(config.read_text().replace(', "steps"', ""))
        return next(ask(self.folder / "control", {"command": "reload"}))["changed"]

    def seen(self):
        """What has been published below ann/ by now."""
        self.watcher.send("PING")
        found = []
        while (line := self.watcher.line()) != "PONG":
            found.append(line)
        return found

    def away(self):
        return next(ask(self.folder / "control", {"command": "status"}))["status"]["sessions"]["away"]


@pytest.fixture
def hub(tmp_path):
    with contextlib.ExitStack() as stack:
        one = Hub(tmp_path, stack)
        yield one
        assert "Traceback" not in one.daemon.log


def test_the_kind_of_login_is_removed_amid_logins(hub):
    """Who has been asked isn't let in any more, who is there ends, and so does who logs in again."""
    asked, there, again = hub.come("asked"), hub.come("there").enter(), hub.come("again").enter()
    asked.challenged()
    again.auth(AGAIN, b"")
    again.challenged()
    assert "2 links ended" in hub.remove_the_kind()
    for one, code in ((there, 0x87), (again, 0x87)):
        packet = one.next()
        assert (type(packet), packet.code) == (packets.Disconnect, code)
    with contextlib.suppress(OSError):
        again.auth(CONTINUE, b"me")
        again.send(packets.Publish(topic="ann/x", payload=b"again"))
    asked.auth(CONTINUE, b"me")
    asked.send(packets.Publish(topic="ann/x", payload=b"asked"))
    packet = asked.next()
    assert isinstance(packet, packets.Connack), packet
    assert packet.code == 0x87
    for one in (asked, there, again):
        one.socket.close()
    assert hub.seen() == []
    assert hub.away() == 0


def test_a_client_that_fails_to_log_in_again_publishes_nothing_from_then_on(hub):
    client = hub.come("one").enter()
    steps = {"authentication_method": "steps", "authentication_data": b"not me"}
    client.send(
        Auth(code=AGAIN, properties={"authentication_method": "steps"}),
        Auth(code=CONTINUE, properties=steps), packets.Publish(topic="ann/x", payload=b"behind"),
    )  # fmt: skip
    client.challenged()
    packet = client.next()
    if packet is not None:  # what was on its way when the link closed resets it, and that may overtake the packet
        assert (type(packet), packet.code) == (packets.Disconnect, 0x87)
    client.socket.close()
    assert [line for line in hub.seen() if "ann/x" in line] == []


def test_a_wrong_step_ends_the_connection(hub):
    """There is no way to begin again on the same one."""
    for _ in range(3):
        client = hub.come("guess")
        client.challenged()
        client.auth(CONTINUE, b"not me")
        packet = client.next()
        assert (type(packet), packet.code) == (packets.Connack, 0x87)
        with contextlib.suppress(OSError):
            client.send(packets.Connect(client="guess", properties={"authentication_method": "steps"}))
            assert client.next() is None
        client.socket.close()
    assert hub.seen() == []
