"""Every command of the README, run as it stands there; only ports are replaced, so that tests can run side by side."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

from running import Daemon, LineClient

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CHROMIUM = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def expected(block: str) -> list[str]:
    return [line for line in block.splitlines() if not line.startswith("$ ")]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0", "--udp", "udp:0", "--websocket", "tcp:0") as running:
        yield running


def here(daemon: Daemon, text: str) -> str:
    """The same with the ports of `daemon`."""
    text = text.replace("nc -u -w1 127.0.0.1 6999", f"nc -u -w1 127.0.0.1 {daemon.udp[0][1]}" if daemon.udp else "")
    text = text.replace("6999", str(daemon.tcp[0][1]))
    return text.replace("8999", str(daemon.websocket[0][1])) if daemon.websocket else text


def shell(command: str) -> str:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True).stdout


def test_first_minute(daemon: Daemon, need: Callable[[str], str]) -> None:
    need("nc")
    need("mosquitto_pub")
    listening, publishing, *_ = blocks("console")
    tail = subprocess.Popen(
        ["sh", "-c", here(daemon, commands(listening)[0])], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert tail.stdout is not None
    wanted = expected(listening)
    assert tail.stdout.readline().rstrip("\n") == wanted[0]
    for command in commands(publishing):
        assert shell(here(daemon, command)) == ""
    subprocess.run([sys.executable, "-c", here(daemon, blocks("python")[0])], check=True, timeout=30)
    output = [tail.stdout.readline().rstrip("\n") for _ in wanted[1:-1]]
    seen = page_hears(daemon, here(daemon, blocks("js")[0]), need("chromium"))
    assert [*output, tail.stdout.readline().rstrip("\n")] == wanted[1:]
    assert any('"hello/python"' in one for one in seen), "the kept message greets whoever subscribes later"
    assert any('"data":"from a page"' in one for one in seen)
    with LineClient(daemon.tcp[0]) as client:
        client.send("HELP", "QUIT")
        assert "BYE" in client.reader.read().decode()
    os.killpg(tail.pid, signal.SIGTERM)  # the shell, and the nc that it started
    tail.wait(30)
    tail.stdout.close()


def page_hears(daemon: Daemon, script: str, chromium: str) -> list[str]:
    """Run the page's script on hubbub's own page; return what it writes to the console."""
    output: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(bypass_csp=True)
        page.on("console", lambda message: output.append(message.text))
        page.goto("http://127.0.0.1:%d/" % daemon.websocket[0][1])
        with page.expect_console_message(lambda message: "from a page" in message.text):
            page.add_script_tag(content=script)
        browser.close()
    return output


def test_plc(tmp_path: Path) -> None:
    options = shlex.split(blocks("sh")[0])[2:]
    (tmp_path / "hubbub.toml").write_text(blocks("toml")[0].replace("7000", "0").replace("8999", "0"))
    ways = [
        [re.sub(r"^tcp:\d+", "tcp:0", option) for option in options],
        ["--config", str(tmp_path / "hubbub.toml")],
    ]
    for way in ways:
        with Daemon(*way) as daemon, socket.create_connection(daemon.tcp[0], timeout=30) as plc:
            plc.sendall(b"T=21.5\r\n")
            url = "ws://127.0.0.1:%d/" % daemon.websocket[0][1]
            with connect(url, subprotocols=["hubbub.lines"], proxy=None) as page:
                page.send("SUB plant/#")
                assert page.recv(10) == "OK SUB plant/#"
                assert page.recv(10) == "MSG plant/plc7 T=21.5"
                page.send("PUB plant/plc7/down stop")
                assert plc.makefile("rb").readline() == b"stop\r\n"


def test_own_handler(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("nc")
    folder = tmp_path / "my-plugins"
    folder.mkdir()
    assert "`my-plugins/greeter.py`" in README
    (folder / "greeter.py").write_text(blocks("python")[1])
    start, ask = blocks("console")[2:4]
    options = shlex.split(commands(start)[0])[2:]
    with Daemon(*options, "--tcp", "tcp:0", folder=tmp_path) as daemon:
        assert shell(here(daemon, commands(ask)[0])).splitlines() == expected(ask)


def test_commands_and_links_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_page_is_named() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md") if path.stem != "index"}
    assert {page for page in pages if f"({page})" not in README} == set()
