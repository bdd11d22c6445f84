"""A browser, and a page of it: headless Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

MILLISECONDS = 30_000
NAME = "hub.example"  # that its owner has pointed here
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]

# hub.open(...) resolves to how the socket opened or failed; hub.next() to the next message, or to how it closed.
HUB = """
window.hub = {
  received: [], waiting: [],
  tell(what) { this.waiting.length ? this.waiting.shift()(what) : this.received.push(what); },
  open(url, protocols) {
    this.socket = new WebSocket(url, protocols);
    this.socket.onmessage = event => this.tell(event.data);
    return new Promise(done => {
      this.socket.onopen = () => done("open " + this.socket.protocol);
      this.socket.onclose = event => { done("closed " + event.code); this.tell("closed " + event.code); };
    });
  },
  next() { return new Promise(done => this.received.length ? done(this.received.shift()) : this.waiting.push(done)); },
};
"""


@pytest.fixture(scope="module")
def browser(need):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=need("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def window(browser):
    """One page for all tests, as making one takes longer than most of them: (page, errors of its scripts)."""
    context = browser.new_context()
    context.set_default_timeout(MILLISECONDS)
    context.add_init_script(HUB)
    made, errors = context.new_page(), []
    made.on("pageerror", lambda error: errors.append(str(error)))
    yield made, errors
    context.close()


@pytest.fixture
def page(window):
    """An empty page that fails the test when one of its scripts throws."""
    made, errors = window
    yield made
    made.goto("about:blank")
    made.context.clear_cookies()
    found, errors[:] = list(errors), []
    assert found == []
