"""hubbub.js in Node: over WebSocket, over HTTP, and over HTTP because WebSocket is blocked."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ports import free_port
from running import Daemon
from service.test_passwords import cheap

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "daemon/hubbub/client/js"
SCENES = Path(__file__).with_name("client.mjs")
SIZE = 10_000  # bytes of all files, gzipped
WAYS = ("ws://", "http://", "ws://blocked@")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon("--websocket", "tcp:0") as one:
        yield one


@pytest.fixture
def node(need: Callable[[str], str]) -> list[str]:
    return [need("node"), "--experimental-websocket", "--no-warnings", str(SCENES), str(FOLDER / "hubbub.js")]


def play(node: list[str], daemon: Daemon, way: str, scene: str, **options: object) -> object:
    host, port = daemon.websocket[0]
    command = [*node, f"{way}{host}:{port}", scene, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", WAYS)
def test_everything(daemon: Daemon, node: list[str], way: str) -> None:
    assert play(node, daemon, way, "play") == {
        "receivers": [1, 1, 1],
        "refused": ["no-responders", "bad-topic", "bad-filter"],
        "rest": [],
        "json": {"x": 1},
        "bytes": [255, 0],
        "text": "text",
        "topic": "a/ä c",
        "retained": [False, True],
        "reply": "hello to you",
        "closed": "closed",
    }


@pytest.mark.parametrize("way", WAYS)
def test_the_history(node: list[str], way: str) -> None:
    with Daemon("--websocket", "tcp:0", "--history", "h/#") as daemon:
        assert play(node, daemon, way, "history") == [[1, 2], [0, 1, 2], "TypeError"]


def test_a_full_subscription(daemon: Daemon, node: list[str]) -> None:
    assert play(node, daemon, "ws://", "full", queue=2) == [["3", 2], ["4", 0]]


def test_logins(tmp_path: Path, node: list[str]) -> None:
    (tmp_path / "passwords").write_text(f"änn:{cheap('secret')}\n")
    with Daemon("--websocket", "tcp:0", "--auth", "hubbub:passwords", folder=tmp_path) as daemon:
        for way in WAYS:
            assert play(node, daemon, way, "login", user="änn", password="secret") == "fine"
            assert play(node, daemon, way, "login", user="änn", password="wrong") == "not-authorized"


@pytest.mark.parametrize("way", WAYS)
def test_restarts(node: list[str], way: str) -> None:
    port = free_port()
    options = ("--websocket", f"tcp:{port}")
    with Daemon(*options) as daemon:
        client = subprocess.Popen(
            [*node, f"{way}127.0.0.1:{port}", "numbers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        daemon.process.kill()
    client.stdin.write("1\n2\n")
    client.stdin.flush()
    with Daemon(*options):
        assert [client.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
        assert client.communicate(timeout=30)[0] == '"ended"\n'


def test_a_hub_that_begins_late_gets_a_websocket(node: list[str]) -> None:
    """WebSocket isn't blocked where HTTP fails too, nor because its earlier ones failed."""
    port = free_port()
    client = subprocess.Popen([*node, f"ws://127.0.0.1:{port}", "late"], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "HEAD\n"
    with Daemon("--websocket", f"tcp:{port}"):
        assert client.communicate(timeout=20)[0] == '["HEAD"]\n'


def test_it_is_small() -> None:
    assert len(gzip.compress(b"".join(file.read_bytes() for file in FOLDER.glob("*.js")))) < SIZE


def test_the_first_program_of_its_page(daemon: Daemon, node: list[str], tmp_path: Path) -> None:
    page = (ROOT / "docs/javascript.md").read_text()
    (program,) = re.findall(r"^```js\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (talk,) = re.findall(r"^```console\n\$ .*?\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    first = tmp_path / "first.mjs"
    first.write_text(
        program.replace("./hubbub.js", str(FOLDER / "hubbub.js")).replace("ws://127.0.0.1:8999", daemon.url())
    )
    done = subprocess.run([*node[:3], str(first)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == (talk, "")
