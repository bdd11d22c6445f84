"""Rights that end while the hub is down, or after it was, where sessions are kept on disk (`--state`)."""

from __future__ import annotations

import contextlib
import socket
import time

import jwt
import pytest

from hostile.mqtt import MqttClient
from hubbub.service.commands.client import ask
from hubbub_plugins.mqtt import packets
from running import Daemon, LineClient
from service.test_passwords import cheap
from waiting import wait_until

SECRET = b"0123456789abcdef0123456789abcdef"
JWT = "jwt:algorithms=HS256:key=secret"
CONFIG = """
control = "{folder}/control"
state = "state"
auth = ["hubbub:passwords", "{jwt}"]
tcp = ["tcp:0:id=login", "tcp:0:id=open:anonymous=yes", "tcp:0:id=named:as=eve"]
"""


class Hub:
    """A hub that is stopped and started again, with the sessions of ann, who has a password, of joe, who has a token,
    and of eve, who is named by a listener."""

    def __init__(self, folder):
        self.folder = folder
        hash = cheap("a")
        self.write("passwords", f"ann:{hash}\nben:{cheap('b')}\n")
        (folder / "secret").write_bytes(SECRET)
        self.write("hubbub.toml", CONFIG.format(folder=folder, jwt=JWT))

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def edit(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def start(self):
        return Daemon("--config", str(self.folder / "hubbub.toml"), folder=self.folder)

    def leave_sessions(self, daemon):
        token = jwt.encode({"sub": "joe", "exp": time.time() + 600}, SECRET, "HS256")
        logins = {
            "ann": (0, {"user": "ann", "password": b"a"}), "joe": (0, {"password": token.encode()}), "eve": (2, {}),
        }  # fmt: skip
        for name, (at, login) in logins.items():
            with socket.create_connection(daemon.tcp[at]) as link:
                properties = {"will_delay_interval": 2}  # longer than a restart
                will = packets.Will(topic=f"wills/{name}", payload=b"will", retain=True, properties=properties)
                client = MqttClient(link, name, will=will, **login)
                client.subscribe(f"$share/{name}/jobs/{name}")
                client.drop()

    def ask(self, command):
        return next(ask(self.folder / "control", {"command": command}))

    def away(self):
        return self.ask("status")["status"]["sessions"]["away"]


ENDS = {
    "the user is removed": ("ann", lambda hub: hub.edit("passwords", "ann:", "dan:")),
    "the password has changed": ("ann", lambda hub: hub.write("passwords", f"ann:{cheap('z')}\n")),
    "the kind of login is removed": ("ann", lambda hub: hub.edit("hubbub.toml", '"hubbub:passwords", ', "")),
    "the key is rotated": ("joe", lambda hub: (hub.folder / "secret").write_bytes(SECRET[::-1])),
    "the kind of tokens is removed": ("joe", lambda hub: hub.edit("hubbub.toml", f', "{JWT}"', "")),
    "the listener names another user": ("eve", lambda hub: hub.edit("hubbub.toml", "as=eve", "as=dan")),
    "nothing": (None, lambda hub: None),
}


@pytest.mark.parametrize("when", ["while it is down", "after it was"])
@pytest.mark.parametrize("way", ENDS)
def test_a_session_of_an_earlier_process(tmp_path, way, when):
    whose, end = ENDS[way]
    left = {"ann", "joe", "eve"} - {whose}
    hub = Hub(tmp_path)
    with hub.start() as daemon:
        hub.leave_sessions(daemon)
        wait_until(lambda: hub.away() >= 3)
    if when == "while it is down":
        end(hub)
    with hub.start() as daemon, contextlib.ExitStack() as stack:
        watcher = stack.enter_context(LineClient(daemon.tcp[1]))
        assert watcher.ask("SUB wills/#") == "OK SUB wills/#"
        if when == "after it was":
            end(hub)
            hub.ask("reload")
        assert hub.away() == len(left)
        wills = {watcher.line() for _ in left}
        assert wills == {f"MSG wills/{name} will" for name in left}
        assert watcher.ask("PING") == "PONG"
