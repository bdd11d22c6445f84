"""Files that are written while the hub reads them: nothing fails, and what they say in the end holds."""

from __future__ import annotations

import contextlib
import ssl
import threading

import pytest

from certificates import Authority
from hubbub.errors import ConfigError
from hubbub.service.commands.client import ask
from running import Daemon, LineClient
from service.test_passwords import cheap
from system.clients import connect

CONFIG = """
control = "{folder}/control"
auth = ["hubbub:passwords"]
permissions = "rules.toml"
[[tcp]]
endpoint = "tcp:0"
id = "plain"
# {comment}
[[tcp]]
endpoint = "ssl:0:privateKey=hub.pem"
id = "tls"
"""
RULE = '[[rule]]\nwho = "everyone"\nallow.publish = "#"\nallow.subscribe = "#"\ndeny.publish = ["never", "{name}"]\n'
ROUNDS = 8


def replace(path, data):
    fresh = path.with_name("fresh " + path.name)
    fresh.write_bytes(data)
    fresh.replace(path)


def overwrite(path, data):
    """As many an editor does it: for a moment the file is empty, then it has a part of what it will have."""
    with path.open("wb", buffering=0) as stream:
        for at in range(0, len(data), 512):
            stream.write(data[at : at + 512])


class Files:
    """Two versions of each file, which a thread writes by turns."""

    def __init__(self, folder):
        self.folder = folder
        authority = Authority(folder)
        self.authority = authority
        keys = []
        for _ in range(2):
            authority.issue("hub.pem", "hub", ("localhost",))
            keys.append((folder / "hub.pem").read_bytes())
        ann = cheap("a")
        users = [f"ann:{ann}\nben:{cheap(word)}\n# {'x' * 3000}\n".encode() for word in ("b", "c")]
        configs = [CONFIG.format(folder=folder, comment="x" * length).encode() for length in (3000, 3001)]
        rules = [RULE.format(name=name).encode() for name in ("one", "two")]
        self.versions = {"hub.pem": keys, "passwords": users, "hubbub.toml": configs, "rules.toml": rules}
        self.write(replace, 1)

    def write(self, how, version):
        for name, versions in self.versions.items():
            write = replace if name == "hubbub.toml" else how  # half of it would be fewer listeners
            write(self.folder / name, versions[version])


def reload(folder):
    with contextlib.suppress(ConfigError):  # a file that isn't whole is a mistake
        next(ask(folder / "control", {"command": "reload"}))


@pytest.mark.parametrize("how", [replace, overwrite])
def test_files_that_are_written_as_they_are_read(tmp_path, how):
    files = Files(tmp_path)
    context = ssl.create_default_context(cafile=files.authority.file)
    with Daemon("--config", str(tmp_path / "hubbub.toml"), folder=tmp_path) as hub:
        over = threading.Event()

        def write():
            version = 0
            while not over.is_set():
                files.write(how, version)
                version = 1 - version

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(ROUNDS):
                reload(tmp_path)
                with LineClient(hub.tcp[0]) as client:
                    assert client.ask("AUTH eve a").startswith("ERR not-authorized")
                    said = client.ask("AUTH ann a")
                    assert said == "OK AUTH ann" or how is overwrite, said
                    assert said == "OK AUTH ann" or said.startswith("ERR not-authorized"), said
                with LineClient(context.wrap_socket(connect(hub.tcp[1]), server_hostname="localhost")) as client:
                    assert client.ask("PING") == "PONG"
        finally:
            over.set()
            writer.join()
        files.write(replace, 0)
        next(ask(tmp_path / "control", {"command": "reload"}))
        with LineClient(hub.tcp[0]) as client:
            assert client.ask("AUTH ben b") == "OK AUTH ben"
            client.send("PUB one x", "PUB two x", "PING")
            assert [client.line().partition(" the")[0] for _ in range(2)] == ["ERR not-authorized", "PONG"]
        assert "Traceback" not in hub.log
        assert '"critical"' not in hub.log
