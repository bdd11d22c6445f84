"""Every feature of the console in headless Chromium: one browser, one page, one daemon.

With HUBBUB_FULL=1 screenshots of each view (desktop and phone, light and dark) stand in `.screenshots/` afterwards.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from interop.clients import Tcp
from running import Daemon
from scale import FULL
from service.test_passwords import cheap

SECONDS = 15
ROOT = Path(__file__).parents[2]
SHOTS = ROOT / ".screenshots"
AXE = Path(sys.prefix) / "node-console" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
VIEWS = ("overview", "topics", "live", "history", "send", "links", "health")
RULES = """
[[rule]]
who = "everyone"
allow.publish = "#"
allow.subscribe = "#"
allow.manage = "$hubbub/#"
"""
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


def view(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=2, name=name).first).to_be_visible()


def test_the_first_message_by_a_click(console, daemon, need):
    """Each line is copied, run as it is, and its message seen."""
    view(console, "Overview")
    need("mosquitto_pub")
    need("nc")
    lines = console.locator("#first button")
    expect(lines).to_have_count(5)
    for number in range(5):
        lines.nth(number).click()
        expect(console.locator("#copied")).to_contain_text("Copied")
        line = console.evaluate("navigator.clipboard.readText()")
        if line.startswith("s = "):
            topic = "hello/js"
            console.evaluate(f"line => {{ {line.replace('s = ', 'const s = ', 1)} }}", line)
        else:
            topic = re.search(r"hello/\w+", line)[0]  # type: ignore[index]
            subprocess.run(line, shell=True, check=True, timeout=SECONDS, capture_output=True)
        expect(console.locator("#heard .row", has_text=topic)).to_be_visible()


def test_listeners_and_topics_with_what_flows_between_them(console, tcp):
    view(console, "Overview")
    for name in ("floor", "datagrams", "web", "plc7"):
        expect(console.get_by_label("Listeners and connectors").get_by_text(name, exact=True)).to_be_visible()
    for n in range(20):
        tcp.send(f"PUB flow/{n} {n}")
    expect(console.get_by_label("Topics with the most messages").get_by_text("flow", exact=True)).to_be_visible()
    expect(console.locator("#flow path:not(.still)").first).to_be_attached()
    expect(console.locator("#metrics")).to_contain_text("subscriptions")


def test_the_tree_by_the_keyboard(console, tcp):
    view(console, "Topics")
    for value in ('{"inside": 21.5, "outside": -3}', '{"inside": 22.5, "outside": -4}'):
        tcp.send(f"PUB! plant/hall/temperature {value}")
    tree = console.get_by_role("tree")
    tree.get_by_role("treeitem", name="plant").press("ArrowRight")
    expect(tree.get_by_role("treeitem", name="hall")).to_be_visible()
    console.keyboard.press("ArrowDown")
    expect(tree.locator(":focus")).to_contain_text("hall")
    console.keyboard.press("ArrowRight")
    expect(tree.get_by_role("treeitem", name="temperature")).to_be_visible()
    console.keyboard.press("ArrowDown")
    expect(tree.locator(":focus")).to_contain_text("temperature")
    expect(tree.locator(":focus")).to_contain_text("outside")
    expect(tree.locator(":focus .count")).to_have_text("2")
    console.keyboard.press("Enter")
    detail = console.get_by_role("region", name="The chosen topic")
    expect(detail).to_contain_text('"inside": 22.5,')
    expect(detail).to_contain_text("retainedyes")
    expect(detail.locator("canvas")).to_be_visible()
    expect(detail.locator(".u-legend")).to_contain_text("outside")
    tcp.send("PUB plant/hall/temperature 7")
    expect(detail.locator("pre")).to_have_text("7")
    detail.get_by_label("Form").select_option("hex")
    expect(detail.locator("pre")).to_contain_text("000000  37")
    tree.locator("[data-key='plant/hall/temperature']").press("ArrowLeft")
    expect(tree.locator(":focus")).to_contain_text("hall")
    console.keyboard.press("ArrowLeft")
    expect(tree.locator("[data-key='plant/hall/temperature']")).to_have_count(0)


def test_the_plot_of_one_moment_covers_a_minute(console):
    chart = """async () => new ((await import("/console/chart.js")).Chart)(document.createElement("div"))"""
    draw = """chart => (chart.add(1e9, new Map([["", 5]])), chart.draw())"""
    shown = console.evaluate_handle(chart)
    shown.evaluate(draw)
    assert shown.evaluate("chart => chart._plot.scales.x.max") - 1e9 == 30


def test_search(console, tcp):
    view(console, "Topics")
    tcp.send("PUB store/bay-7/door open")
    console.get_by_label("Search").fill("bay-7")
    expect(console.get_by_role("treeitem")).to_have_count(1)
    expect(console.get_by_role("treeitem")).to_contain_text("store/bay-7/door")
    expect(console.locator("#tree-note")).to_contain_text("1 found")
    console.get_by_label("Search").fill("")
    expect(console.get_by_role("treeitem", name="store")).to_be_visible()


def follow(page: Page, filter: str) -> None:
    view(page, "Live")
    page.locator("#follow").get_by_label("Filter").fill(filter)
    page.get_by_role("button", name="Follow").click()
    expect(page.locator("#tail-note")).to_contain_text(f"Following {filter}")
    page.get_by_role("button", name="Clear").click()


def test_the_live_tail(console, daemon, tcp, need):
    follow(console, "live/+")
    rows = console.locator("#tail > details")
    tcp.send("PUB live/text <b>é</b>")
    expect(rows.first).to_contain_text("live/text<b>é</b>")
    tcp.send("PUBB live/bytes AAH/")
    expect(rows.first).to_contain_text("00 01 ff")
    host, port = daemon.tcp[0]
    more = "-D publish content-type text/x -D publish user-property room 7 -D publish response-topic back"
    said = f"{need('mosquitto_pub')} -V 5 -h {host} -p {port} -q 1 -t live/mqtt -m hot {more}"
    subprocess.run(said.split(), check=True, timeout=SECONDS)
    expect(rows.first).to_contain_text("QoS 1")
    rows.first.locator("summary").click()
    for text in ("text/x", "property room", "back", "hot"):
        expect(rows.first.locator(".message")).to_contain_text(text)
    console.get_by_role("button", name="Pause").click()
    tcp.send("PUB live/text unseen")
    console.get_by_role("button", name="Go on").click()
    tcp.send("PUB live/text seen")
    expect(rows.first).to_contain_text("seen")
    expect(rows).to_have_count(4)
    console.get_by_label("Show only").fill("wanted")
    tcp.send("PUB live/text other")
    tcp.send("PUB live/text wanted")
    expect(rows.first).to_contain_text("wanted")
    expect(rows).to_have_count(5)
    console.get_by_label("Show only").fill("")


def test_messages_of_the_past_a_page_at_a_time(console, tcp):
    for n in range(150):
        tcp.send(f"PUB past/{n % 2} {n}")
    tcp.ask("PING")
    view(console, "History")
    form, rows, note = console.locator("#past"), console.locator("#past-rows > details"), console.locator("#past-note")
    form.get_by_label("Filter").fill("past/+")
    form.get_by_role("button", name="Show").click()
    expect(note).to_contain_text("100 messages of past/+, and there are more.")
    expect(rows.first).to_contain_text("past/00")
    console.get_by_role("button", name="Later").click()
    expect(note).to_contain_text("150 messages of past/+.")
    expect(rows.last).to_contain_text("past/1149")
    rows.last.locator("summary").click()
    expect(rows.last.locator(".message pre")).to_have_text("149")
    form.get_by_label("To").fill("2001-01-01T00:00:00")
    form.get_by_role("button", name="Show").click()
    expect(note).to_contain_text("0 messages of past/+.")
    form.get_by_label("To").fill("")
    console.evaluate("location.hash = 'history?filter=past/1'")
    expect(note).to_contain_text("75 messages of past/1.")


def test_it_says_when_it_shows_a_sample(console, tcp):
    follow(console, "much/#")
    for n in range(3_000):
        tcp.send(f"PUB much/{n} {n}")
    expect(console.locator("#tail-note")).to_contain_text("a sample")
    assert console.locator("#tail > details").count() <= 200


def test_publish_and_request(console, tcp):
    assert tcp.ask("SUB sent/#") == "OK SUB sent/#"
    view(console, "Send")
    form, results = console.locator("#message"), console.locator("#sent")
    form.get_by_label("Topic").fill("sent/here")
    form.locator("textarea").fill('{"a":1}')
    form.get_by_label("Payload is").select_option("json")
    form.get_by_label("Retain").check()
    form.get_by_role("button", name="Publish").click()
    expect(results.locator(".row").first).to_contain_text("1 client receives it")
    tcp.expect('MSG sent/here {"a":1}')
    form.get_by_label("Retain").uncheck()
    form.get_by_label("Payload is").select_option("text")
    form.get_by_label("Topic").fill("ask")
    form.locator("textarea").fill("Ada")
    form.get_by_role("button", name="Request").click()
    expect(results.locator(".row").first).to_contain_text("hello Ada")
    form.get_by_label("Topic").fill("a/#")
    form.get_by_role("button", name="Publish").click()
    expect(results.locator(".row.bad").first).to_contain_text("a/#")


def test_links_and_a_kick(console, daemon):
    with Tcp(daemon.tcp[0]) as victim:
        assert victim.ask("SUB kicked/#") == "OK SUB kicked/#"
        view(console, "Links")
        host, port = victim.socket.getsockname()
        row = console.get_by_role("row", name=f"{host}:{port}")
        expect(row).to_contain_text("lines over tcp")
        expect(row).to_contain_text(" ms")  # the round-trip time
        row.get_by_role("button", name="Kick").click()
        expect(row).to_have_count(0)
        expect(console.locator("#links-note")).to_contain_text("is closed")
        assert victim.line().startswith("BYE")


def test_handlers_plugins_and_bridges_with_their_errors(console, tcp):
    tcp.send("PUB fail x")
    view(console, "Health")
    expect(console.locator("#handlers")).to_contain_text("ValueError: no such thing")
    expect(console.locator("#connectors")).to_contain_text("refused")
    expect(console.locator("#plugins")).to_contain_text("mqtt")


def test_it_comes_back_by_itself_and_follows_what_it_followed(console, daemon, tcp):
    follow(console, "again/#")
    (link,) = [
        one["link"]
        for one in json.loads(tcp.ask('REQ $hubbub/links {"listener":"web"}').removeprefix("REP "))["links"]
        if one["dialect"] == "json" and one["subscriptions"]
    ]
    states = console.evaluate_handle(
        "() => { const seen = []; new MutationObserver(() => seen.push(document.getElementById('state').dataset.state))"
        ".observe(document.getElementById('state'), {attributes: true}); return seen; }"
    )
    assert tcp.ask(f'REQ $hubbub/kick {{"link":{link}}}') == 'REP {"kicked": 1}'
    console.wait_for_function("seen => seen.includes('lost')", arg=states)
    expect(console.locator("#state")).to_have_text("connected")
    console.wait_for_function("seen => seen.at(-1) === 'connected'", arg=states)
    tcp.send("PUB again/x back")
    expect(console.locator("#tail > details").first).to_contain_text("back")


def test_dark_and_light(console):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = console.evaluate(colour)
    console.get_by_role("button", name="Change between dark and light").click()
    dark = console.evaluate(colour)
    assert dark != light
    console.reload()
    assert console.evaluate(colour) == dark
    console.get_by_role("button", name="Change between dark and light").click()
    assert console.evaluate(colour) == light


DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DARK = {"color_scheme": "dark"}
MODES: dict[str, dict[str, Any]] = {"desktop": DESKTOP, "phone-dark": PHONE | DARK}  # both widths, and both colours
if FULL:
    MODES |= {"desktop-dark": DESKTOP | DARK, "phone": PHONE}


@pytest.mark.parametrize("mode", MODES)
def test_what_axe_says_of_each_view_and_how_it_looks(daemon, browser, tcp, mode):
    if not AXE.exists():
        pytest.skip("axe-core isn't there: tools/node-packages .venv/node-console tests/interop/console")
    SHOTS.mkdir(exist_ok=True)
    page, faults = opened(browser, daemon.url(scheme="http"), bypass_csp=True, **MODES[mode])
    page.add_script_tag(content=AXE.read_text())
    found: list[str] = []
    for name in VIEWS:
        tcp.send('PUB plant/hall/temperature {"inside": 21.5}')
        asked = {"topics": "?topic=plant/hall/temperature", "live": "?filter=%23", "history": "?filter=plant/%23"}
        where = name + asked.get(name, "")
        page.evaluate("where => { location.hash = where; }", where)
        expect(page.locator(f"#{name}")).to_be_visible()
        tcp.send('PUB plant/hall/temperature {"inside": 22.5}')
        seen = {
            "overview": "#flow li", "topics": "#detail canvas", "live": "#tail > details",
            "history": "#past-rows > details", "links": "#links-rows tr", "health": "#plugins li", "send": "#message",
        }[name]  # fmt: skip
        expect(page.locator(seen).first).to_be_visible()
        if FULL:
            page.screenshot(path=SHOTS / f"{mode}-{name}.png")
        results = page.evaluate("axe.run({resultTypes: ['violations']})")
        found += [f"{name}: {one['id']} {[node['target'] for node in one['nodes']]}" for one in results["violations"]]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} is {wider} pixels too wide"
    page.context.close()
    assert found == []
    assert faults == []


def test_a_login_and_its_permissions(browser, tmp_path):
    """The page asks for a login, keeps it as a cookie, and sees what that user may see."""
    (tmp_path / "passwords").write_text(f"ann:{cheap('a')}\n")
    options = ("--auth", "hubbub:passwords", "--handler", "clock")
    with Daemon("--websocket", "tcp:0", *options, folder=tmp_path) as one:
        page, _ = opened(browser, one.url(scheme="http"))
        login = page.get_by_role("dialog", name="Log in")
        login.get_by_label("User").fill("ann")
        login.get_by_label("Password").fill("wrong")
        login.get_by_role("button", name="Log in").click()
        expect(login.get_by_role("alert")).not_to_be_empty()
        login.get_by_label("Password").fill("a")
        login.get_by_role("button", name="Log in").click()
        expect(login).not_to_be_visible()
        expect(page.get_by_label("Topics with the most messages").get_by_text("clock")).to_be_visible()
        expect(page.locator("#overview-refusal")).to_contain_text("allow.manage")
        page.reload()
        expect(page.get_by_label("Topics with the most messages").get_by_text("clock")).to_be_visible()
        page.context.close()


def test_the_page_shows_when_the_daemon_stops(browser):
    with Daemon("--websocket", "tcp:0") as stopping:
        page, _ = opened(browser, stopping.url(scheme="http"))
    expect(page.locator("#state")).to_contain_text("not connected")
    page.context.close()
