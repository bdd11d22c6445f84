"""docs/http.md: its commands in a shell, its pages in a browser."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from running import Daemon
from service.test_passwords import cheap
from test_docs import commands, looks_like

PAGE = (Path(__file__).parent.parent / "docs/http.md").read_text()
CHROMIUM = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon("--websocket", "tcp:0", folder=tmp_path) as running:
        yield running


def test_commands(daemon: Daemon, need: Callable[[str], str]) -> None:
    need("curl")
    for command, expected in commands("".join(blocks("console")[1:])):
        here = command.replace("curl ", "curl -sS ").replace("8999", str(daemon.websocket[0][1]))
        said = subprocess.run(["sh", "-c", here], capture_output=True, text=True, timeout=30, check=True).stdout
        said = said if said.endswith("\n") or not said else said + "\n"
        assert looks_like(said, expected), said


def test_a_page(daemon: Daemon, need: Callable[[str], str]) -> None:
    events, _ = blocks("js")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=need("chromium"), args=CHROMIUM)
        page = browser.new_page()
        page.goto(daemon.url(scheme="http"))
        with page.expect_console_message(lambda message: message.text == "22"):
            page.evaluate(events)
        browser.close()


def test_a_session(tmp_path: Path, need: Callable[[str], str]) -> None:
    _, session = blocks("js")
    session = session.replace('"Bearer " + token', '"Basic " + btoa("ann:secret")')
    (tmp_path / "passwords").write_text(f"ann:{cheap('secret')}\n")
    options = ("--websocket", "tcp:0", "--auth", "hubbub:passwords")
    with Daemon(*options, folder=tmp_path) as daemon, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=need("chromium"), args=CHROMIUM)
        page = browser.new_page()
        page.goto(daemon.url(scheme="http"))
        ask = "(await fetch('/topics/a', {method: 'POST', body: '1'})).status"
        status = page.evaluate(f"async () => {{ {session}; return {ask}; }}")
        assert status == 202
        assert page.evaluate(f"async () => {{ await fetch('/session', {{method: 'DELETE'}}); return {ask}; }}") == 401
        browser.close()


def test_each_link_is_there() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (Path(__file__).parent.parent / "docs" / link).exists(), link
    assert max(map(len, PAGE.splitlines())) <= 125
