"""One browser, one page, one daemon for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from interop.clients import Tcp
from interop.console.page import FLAGS, RULES, SECONDS, opened
from running import Daemon

HANDLER = """
from hubbub import Handler, on


class Fails(Handler):
    @on("ask")
    def answer(self, message):
        message.reply(f"hello {message.text}")

    @on("fail")
    def fail(self, message):
        raise ValueError("no such thing")
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: Any) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("console")
    (folder / "permissions.toml").write_text(RULES)
    (folder / "plugins").mkdir()
    (folder / "plugins" / "fails.py").write_text(HANDLER)
    with Daemon(
        "--tcp", "tcp:0:id=floor", "--udp", "udp:0:id=datagrams", "--websocket", "tcp:0:id=web",
        "--permissions", "permissions.toml", "--plugin-dir", "plugins", "--handler", "fails",
        "--connect", "tcp:127.0.0.1:1:id=plc7", "--history", "plant/#", "--history", "past/#", folder=folder,
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def browser(need: Any) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=need("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def console(daemon: Daemon, browser: Browser) -> Iterator[Page]:
    options = {"viewport": {"width": 1280, "height": 860}, "permissions": ["clipboard-read", "clipboard-write"]}
    expect.set_options(timeout=SECONDS * 1000)
    page, faults = opened(browser, daemon.url(scheme="http"), **options)
    yield page
    page.context.close()
    assert faults == []


@pytest.fixture
def tcp(daemon: Daemon) -> Iterator[Tcp]:
    with Tcp(daemon.tcp[0]) as client:
        yield client
