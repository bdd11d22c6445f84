"""The console in a page of headless Chromium."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Page, expect

SECONDS = 30
FLAGS = [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

RULES = """
[[rule]]
who = "everyone"
allow.publish = "#"
allow.subscribe = "#"
allow.manage = "$hubbub/#"
"""


def opened(browser: Browser, url: str, **options: Any) -> tuple[Page, list[str]]:
    """Open the console; a fault of its scripts, and a request to any other host, is a line of the list."""
    context = browser.new_context(**options)
    context.set_default_timeout(SECONDS * 1000)
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(url) else faults.append(f"asked for {asked.url}"))
    page.goto(url)
    expect(page.locator("#state")).to_have_text("connected")
    return page, faults


def view(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=2, name=name).first).to_be_visible()


def follow(page: Page, filter: str) -> None:
    view(page, "Live")
    page.locator("#follow").get_by_label("Filter").fill(filter)
    page.get_by_role("button", name="Follow").click()
    expect(page.locator("#tail-note")).to_contain_text(f"Following {filter}")
    page.get_by_role("button", name="Clear").click()
