"""Every view of the console but topics in headless Chromium."""

from __future__ import annotations

import json
import re
import subprocess

from playwright.sync_api import expect

from certificates import Authority
from interop.clients import Tcp
from interop.console.page import RULES, SECONDS, follow, opened, view
from running import Daemon
from service.test_passwords import cheap


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


def test_the_first_message_over_tls(browser, tmp_path, need):
    need("openssl")
    pem = Authority(tmp_path).issue("hub.pem", "localhost", ("localhost",))
    with Daemon("--tcp", f"ssl:0:privateKey={pem}:id=safe", "--websocket", "tcp:0") as one:
        page, _ = opened(browser, one.url(scheme="http"))
        expect(page.get_by_label("Listeners and connectors")).to_contain_text("tcp over TLS")
        line = page.locator("#first button", has_text="openssl")
        subprocess.run(line.text_content(), shell=True, check=True, timeout=SECONDS, capture_output=True)
        expect(page.locator("#heard .row", has_text="hello/tls")).to_be_visible()
        expect(page.locator("#first button", has_text="mosquitto_pub")).to_contain_text("--tls-use-os-certs")
        page.context.close()


def test_listeners_and_topics_with_what_flows_between_them(console, tcp):
    view(console, "Overview")
    for name in ("floor", "datagrams", "web", "plc7"):
        expect(console.get_by_label("Listeners and connectors").get_by_text(name, exact=True)).to_be_visible()
    for n in range(20):
        tcp.send(f"PUB flow/{n} {n}")
    expect(console.get_by_label("Topics with the most messages").get_by_text("flow", exact=True)).to_be_visible()
    expect(console.locator("#flow path:not(.still)").first).to_be_attached()
    expect(console.locator("#metrics")).to_contain_text("subscriptions")


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
    console.locator("#form").select_option("hex")
    expect(rows.first.locator(".message pre")).to_contain_text("000000  68 6f 74")
    console.locator("#form").select_option("json")
    expect(rows.first.locator(".message pre")).to_contain_text("(this isn't JSON)")
    console.locator("#form").select_option("auto")
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


def test_the_first_message_of_a_user(browser, tmp_path, need):
    """Each line has the user's name, and a place for the password."""
    (tmp_path / "passwords").write_text(f"ann:{cheap('a')}\n")
    (tmp_path / "permissions.toml").write_text(RULES)
    options = ("--auth", "hubbub:passwords", "--permissions", "permissions.toml")
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", *options, folder=tmp_path) as one:
        page, _ = opened(browser, one.url(scheme="http"))
        login = page.get_by_role("dialog", name="Log in")
        login.get_by_label("User").fill("ann")
        login.get_by_label("Password").fill("a")
        login.get_by_role("button", name="Log in").click()
        for program, topic in (("nc", "tcp"), ("mosquitto_pub", "mqtt"), ("curl", "curl")):
            line = page.locator("#first button", has_text=f"{need(program).rpartition('/')[2]} -")
            expect(line).to_contain_text("ann")
            command = line.text_content().replace("PASSWORD", "a").replace("-u ann -d", "-u ann:a -d")
            subprocess.run(command, shell=True, check=True, timeout=SECONDS, capture_output=True)
            expect(page.locator("#heard .row", has_text=f"hello/{topic}")).to_be_visible()
        page.context.close()


def test_the_page_shows_when_the_daemon_stops(browser):
    with Daemon("--websocket", "tcp:0") as stopping:
        page, _ = opened(browser, stopping.url(scheme="http"))
    expect(page.locator("#state")).to_contain_text("not connected")
    page.context.close()
