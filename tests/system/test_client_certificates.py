"""Commands and client libraries with a certificate of their own, at a hub that asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from hub_process import hubbub_bytes as hubbub
from hubbub.client import Client
from hubbub.client.twisted import Client as TwistedClient
from hubbub.errors import ConfigError
from running import Daemon


class Files:
    """The hub's authority, and the certificate of ann, which an authority below it has signed."""

    def __init__(self, folder: Path) -> None:
        root = Authority(folder)
        below = Authority(folder, "Below", issuer=root)
        self.ca, self.hub = root.file, root.issue("hub.pem", "localhost", ("localhost",))
        self.ann = below.issue("ann.pem", "ann")
        with self.ann.open("ab") as chain:
            chain.write(below.file.read_bytes())
        self.foreign = Authority(folder, "Foreign").issue("foreign.pem", "ann")
        self.key, self.certificates = folder / "ann.key", folder / "ann.crt"
        key, begin, rest = self.ann.read_text().partition("-----BEGIN CERTIFICATE-----")
        self.key.write_text(key)
        self.certificates.write_text(begin + rest)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def daemon(files) -> Iterator[Daemon]:
    tls = f"ssl:0:privateKey={files.hub}:client-ca={files.ca}"
    with Daemon("--tcp", tls, "--websocket", tls, "--auth", "certificate") as one:
        yield one


def url(daemon: Daemon, scheme: str) -> str:
    _, port = (daemon.tcp if scheme == "mqtts" else daemon.websocket)[0]
    return f"{scheme}://localhost:{port}"


@pytest.mark.parametrize("scheme", ["mqtts", "wss", "https"])
def test_commands(daemon, files, scheme):
    pub = ("pub", "--ca", str(files.ca), url(daemon, scheme), f"kept/{scheme}", "x", "--retain")
    assert hubbub(*pub, "--cert", str(files.ann)).returncode == 0
    sub = ("sub", "--ca", str(files.ca), "--count", "1", url(daemon, scheme), "kept/+")
    done = hubbub(*sub, "--cert", str(files.certificates), "--key", str(files.key))
    assert done.stdout.startswith(b"kept/")
    without = hubbub(*pub)
    assert without.returncode == 2
    assert b"it wants a certificate of yours: --cert FILE" in without.stderr
    foreign = hubbub(*pub, "--cert", str(files.foreign))
    assert (foreign.returncode, b"it doesn't know the authority of the certificate" in foreign.stderr) == (2, True)


@pytest.mark.parametrize("scheme", ["mqtts", "wss", "https"])
def test_a_hub_that_is_not_trusted(daemon, files, scheme):
    done = hubbub("pub", url(daemon, scheme), "a", "x")
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"hubbub: {url(daemon, scheme)}: its certificate isn't accepted: self-signed certificate in certificate chain; "
        "--ca FILE names the certificate of its authority\n"
    )
    elsewhere = url(daemon, scheme).replace("localhost", "127.0.0.1")
    done = hubbub("pub", "--ca", str(files.ca), elsewhere, "a", "x")
    assert done.stderr.decode() == (
        f"hubbub: {elsewhere}: its certificate isn't accepted: IP address mismatch, certificate is not valid for "
        "'127.0.0.1'\n"
    )


def test_a_port_without_tls(daemon):
    with Daemon("--tcp", "tcp:0") as plain:
        done = hubbub("pub", f"mqtts://127.0.0.1:{plain.tcp[0][1]}", "a", "x")
    assert done.stderr.endswith(b": it doesn't speak TLS on this port\n")


@pytest.mark.parametrize(
    ("given", "says"), [
        (("--key", "ann.key"), "ann.key: a private key needs its certificate"),
        (("--cert", "nowhere"), "nowhere: No such file or directory"),
        (("--cert", "ann.crt"), "ann.crt: this isn't a certificate in PEM and its private key"),
        (("--cert", "ann.crt", "--key", "hub.pem"), "ann.crt, hub.pem: this isn't a certificate"),
    ],
)  # fmt: skip
def test_mistakes(daemon, files, given, says, monkeypatch):
    monkeypatch.chdir(files.ca.parent)
    done = hubbub("pub", "--ca", str(files.ca), url(daemon, "wss"), "a", "x", *given)
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"hubbub: {says}")


async def play(client: Any) -> None:
    async with client:
        assert await client.publish("nowhere", "x") == 0


@pytest.mark.parametrize("apart", [False, True])
def test_asyncio(daemon, files, apart):
    mine = {"cert": str(files.certificates), "key": str(files.key)} if apart else {"cert": str(files.ann)}

    async def main() -> None:
        await play(Client(url(daemon, "wss"), ca=str(files.ca), **mine))

    asyncio.run(main())


@pytest.mark.parametrize("apart", [False, True])
async def test_twisted(daemon, files, apart):
    mine = {"cert": str(files.certificates), "key": str(files.key)} if apart else {"cert": str(files.ann)}
    await play(TwistedClient(url(daemon, "wss"), ca=str(files.ca), **mine))


def test_a_file_that_is_not_there(files):
    async def main() -> None:
        with pytest.raises(ConfigError, match="nowhere"):
            Client("wss://localhost:1", ca="nowhere")

    asyncio.run(main())
    with pytest.raises(ConfigError, match="nowhere"):
        TwistedClient("wss://localhost:1", ca=str(files.ca), cert="nowhere")
