"""docs/first-page.md: its page, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import expect, sync_playwright

from running import Daemon, LineClient
from test_docs_http import CHROMIUM

PAGE = (Path(__file__).parent.parent / "docs/first-page.md").read_text()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    """What `python3 -m http.server` serves in the reader's folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_page_shows_the_retained_value_and_later_ones(
    origin: str, tmp_path: Path, need: Callable[[str], str]
) -> None:
    [html] = re.findall(r"^```html\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    options = ("--tcp", "tcp:0", "--websocket", "tcp:0", "--origin", origin)
    with Daemon(*options, folder=tmp_path) as daemon, LineClient(daemon.tcp[0]) as device, sync_playwright() as play:
        (tmp_path / "page.html").write_text(html.replace("8999", str(daemon.websocket[0][1])))
        device.send("PUB! plant/plc7 T=21.5")
        browser = play.chromium.launch(executable_path=need("chromium"), args=CHROMIUM)
        page = browser.new_page()
        page.goto(f"{origin}/page.html")
        expect(page.locator("#value")).to_have_text("T=21.5", timeout=20_000)
        device.send("PUB plant/plc7 T=22.0")
        expect(page.locator("#value")).to_have_text("T=22.0", timeout=20_000)
        browser.close()
