"""Rights that end while the hub is down, or after it was, where sessions are kept on disk (`--state`)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import jwt
import pytest

from certificates import Authority
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

    def leave_sessions(self, daemon, delay):
        token = jwt.encode({"sub": "joe", "exp": time.time() + 600}, SECRET, "HS256")
        logins = {
            "ann": (0, {"user": "ann", "password": b"a"}), "joe": (0, {"password": token.encode()}), "eve": (2, {}),
        }  # fmt: skip
        for name, (at, login) in logins.items():
            with socket.create_connection(daemon.tcp[at]) as link:
                properties = {"will_delay_interval": delay}
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
    began = time.monotonic()
    with hub.start() as daemon:
        hub.leave_sessions(daemon, 2 + int(4 * (time.monotonic() - began)))  # longer than a restart
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


@pytest.mark.parametrize("logins", [("--auth", "certificate"), ()], ids=["names its user", "is asked for alone"])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_session_whose_certificate_is_of_an_authority_that_has_gone(tmp_path, replaced, logins):
    authority = Authority(tmp_path)
    hub, ann = authority.issue("hub.pem", "hub", ("127.0.0.1",)), authority.issue("ann.pem", "ann")
    known = tmp_path / "clients.crt"
    known.write_bytes(authority.file.read_bytes())
    options = (
        "--tcp", f"ssl:0:interface=127.0.0.1:privateKey={hub}:client-ca={known}:id=tls", *logins,
        "--state", f"{tmp_path}/state", "--control", f"{tmp_path}/control",
    )  # fmt: skip

    def away():
        return next(ask(tmp_path / "control", {"command": "status"}))["status"]["sessions"]["away"]

    with Daemon(*options) as daemon:
        context = ssl.create_default_context(cafile=authority.file)
        context.load_cert_chain(ann)
        with context.wrap_socket(socket.create_connection(daemon.tcp[0]), server_hostname="127.0.0.1") as link:
            MqttClient(link, "ann").drop()
        wait_until(lambda: away() == 1)
    if replaced:
        known.write_bytes(Authority(tmp_path, "Another").file.read_bytes())
    with Daemon(*options):
        assert away() == (0 if replaced else 1)
