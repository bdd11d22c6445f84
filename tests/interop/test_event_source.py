"""A browser's EventSource: it comes back by itself after a restart, and with a history it loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from ports import hold_port
from running import Daemon
from scale import FULL
from service.test_passwords import cheap

MORE = 40  # messages in each life of a daemon
RESTARTS = 10 if FULL else 2
SECONDS = 60 + 20 * RESTARTS  # it waits 3 s before it comes back, and a start takes seconds on a busy machine
# follow(url) opens one; `seen` has the data of its events, `last` the position of the newest.
FOLLOW = """
window.seen = [];
window.follow = url => {
  window.source = new EventSource(url);
  const take = (data, event) => { seen.push(data); window.last = event.lastEventId; };
  source.addEventListener("e/n", event => take(event.data, event));
  source.onmessage = event => take(JSON.parse(event.data).data, event);  // of format=json
  return new Promise(done => { source.onopen = () => done("open"); source.onerror = () => done("error"); });
};
"""
ANN = ("ann", "secret")
LOGIN = "Basic YW5uOnNlY3JldA=="


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    state = ("--state", str(tmp_path / "state"), "--history", "e/#")
    return ("--websocket", f"tcp:{hold_port()}", *state, "--drain", "0.5")


@pytest.fixture
def logins(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "passwords").write_text(f"ann:{cheap('secret')}\n")
    return ("--auth", f"hubbub:{tmp_path / 'passwords'}")


def visit(page: Page, daemon: Daemon) -> None:
    """Open a page of the daemon's origin."""
    page.goto(daemon.url(scheme="http") + "client/hubbub.js")
    page.evaluate(f"() => {{ {FOLLOW} }}")


def publish(daemon: Daemon, numbers: range, **more: Any) -> None:
    with httpx.Client(base_url=daemon.url(scheme="http"), timeout=30, trust_env=False, **more) as web:
        for number in numbers:
            assert web.post("topics/e/n", content=b"%d" % number).status_code < 300


def expect(page: Page, count: int) -> None:
    """Wait until so many messages have come: each once, and in order."""
    page.wait_for_function("count => seen.length >= count", arg=count, timeout=30_000)
    assert page.evaluate("seen") == [str(number) for number in range(count)]


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(("form", "end"), [("text", "terminate"), ("json", "kill")])
def test_it_goes_on_after_restarts(page: Page, options: tuple[str, ...], form: str, end: str) -> None:
    """It comes back with Last-Event-ID. What is published before it is there again comes first."""
    count = MORE
    with Daemon(*options) as daemon:
        visit(page, daemon)
        assert page.evaluate(f"follow('/events?filter=e/%23&format={form}')") == "open"
        publish(daemon, range(count))
        expect(page, count)
        getattr(daemon.process, end)()
        daemon.process.wait()
    for _ in range(RESTARTS):
        with Daemon(*options) as daemon:
            publish(daemon, range(count, count + MORE))
            count += MORE
            expect(page, count)
            getattr(daemon.process, end)()
            daemon.process.wait()
    page.evaluate("source.close()")


def test_the_first_message_of_all_may_come_while_it_is_away(page: Page, options: tuple[str, ...]) -> None:
    """It knows where it stood from the beginning of the stream."""
    with Daemon(*options) as daemon:
        visit(page, daemon)
        assert page.evaluate("follow('/events?filter=e/%23')") == "open"
    with Daemon(*options) as daemon:
        publish(daemon, range(MORE))
        expect(page, MORE)
        page.evaluate("source.close()")


def test_with_the_cookie_of_a_session(page: Page, options: tuple[str, ...], logins: tuple[str, ...]) -> None:
    """A session ends with its daemon: the page logs in again, and goes on after the last event."""
    log_in = """login => fetch("/session", {method: "POST", headers: {Authorization: login}}).then(got => got.status)"""
    with Daemon(*options, *logins) as daemon:
        visit(page, daemon)
        assert page.evaluate("follow('/events?filter=e/%23')") == "error"
        assert page.evaluate("source.readyState") == 2
        assert page.evaluate(log_in, LOGIN) == 204
        assert page.evaluate("follow('/events?filter=e/%23')") == "open"
        publish(daemon, range(MORE), auth=ANN)
        expect(page, MORE)
    with Daemon(*options, *logins) as daemon:
        publish(daemon, range(MORE, 2 * MORE), auth=ANN)
        page.wait_for_function("() => source.readyState === 2")
        assert page.evaluate(log_in, LOGIN) == 204
        assert page.evaluate("follow(`/events?filter=e/%23&after=${last}`)") == "open"
        expect(page, 2 * MORE)
        page.evaluate("source.close()")


def test_a_page_of_another_origin_with_tickets(page: Page, options: tuple[str, ...], logins: tuple[str, ...]) -> None:
    """A ticket is for one request, so the page takes a new one each time."""
    follow = """async ([url, login, after]) => {
      const asked = await fetch(`${url}tickets`, {method: "POST", headers: {Authorization: login}});
      const {ticket} = await asked.json();
      return follow(`${url}events?filter=e/%23&ticket=${ticket}${after && `&after=${last}`}`);
    }"""
    with Daemon("--websocket", "tcp:0") as other:
        url = other.url(scheme="http")
        page.goto(f"{url}api/openapi.json")  # no policy of its own
        page.evaluate(f"() => {{ {FOLLOW} }}")
    options += (*logins, "--origin", url.rstrip("/"))
    with Daemon(*options) as daemon:
        assert page.evaluate(follow, [daemon.url(scheme="http"), LOGIN, ""]) == "open"
        publish(daemon, range(MORE), auth=ANN)
        expect(page, MORE)
    with Daemon(*options) as daemon:
        publish(daemon, range(MORE, 2 * MORE), auth=ANN)
        page.wait_for_function("() => source.readyState === 2")
        assert page.evaluate(follow, [daemon.url(scheme="http"), LOGIN, "after"]) == "open"
        expect(page, 2 * MORE)
        page.evaluate("source.close()")
