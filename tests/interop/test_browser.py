"""A page in headless Chromium beside a TCP and a UDP client: page scripts, and pages of other origins."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from interop.clients import Tcp, Udp
from interop.conftest import NAME
from running import STILL, Daemon

ADVICE = f"start hubbub with --origin {NAME} to let them."
CLIENT = """
async () => {
  const { Client } = await import("/client/hubbub.js");
  const client = new Client(location.origin.replace("http", "ws"));
  const messages = client.subscribe("page/#");
  await messages.ready;
  await client.publish("page/a", {x: 1});
  const { value } = await messages.next();
  client.close();
  return [value.topic, value.json().x];
}
"""
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def daemon():
    with Daemon(
        "--tcp", "tcp:0", "--udp", "udp:0", "--websocket", "tcp:0",
        "--tcp", "tcp:0:id=plc7:dialect=raw:end=crlf:topic=plant/7:retain=yes",
        "--tcp", "tcp:0:id=logs:dialect=syslog", "--udp", "udp:0:id=log:dialect=syslog",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def tcp(daemon):
    with Tcp(daemon.tcp[0]) as client:
        yield client


@pytest.fixture
def udp(daemon):
    with Udp(daemon.udp[0]) as client:
        yield client


@pytest.fixture
def script(daemon, page):
    """script(subprotocol) -> (say, hear) of a WebSocket that a script of the daemon's own origin has opened."""
    page.goto(daemon.url(scheme="http") + STILL)

    def open_socket(*protocols):
        opened = page.evaluate("([url, names]) => hub.open(url, names)", [daemon.url(), list(protocols)])
        assert opened == " ".join(["open", *protocols]).ljust(5)
        return lambda text: page.evaluate("text => hub.socket.send(text)", text), lambda: page.evaluate("hub.next()")

    return open_socket


@pytest.fixture
def elsewhere(tmp_path):
    """The port of another web server on this machine."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield server.server_port
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("flag", ["-d", "-T"])
def test_a_log_line_appears_in_the_browser_and_in_nc(daemon, page, tcp, need, flag):
    """What a Unix machine logs, over UDP and over TCP, side by side on a screen and in a terminal."""
    page.goto(daemon.url(scheme="http") + "#live?filter=syslog/%23")
    page.locator("#tail-note", has_text="Following syslog/#").wait_for()
    tcp.send("SUB syslog/#")
    tcp.expect("OK SUB syslog/#")
    host, port = daemon.udp[1] if flag == "-d" else daemon.tcp[2]
    said = f"door {flag} opened"
    subprocess.run(
        [need("logger"), flag, "-n", host, "-P", str(port), "-t", "till", "-p", "local3.crit", "--", said], check=True
    )
    line = tcp.line()
    assert line.startswith("MSG syslog/")
    assert line.endswith(f"/till/crit {said}")
    topic, _, text = line.removeprefix("MSG ").partition(" ")
    page.locator("#tail summary", has_text=topic).filter(has_text=text).wait_for()


def test_json_from_a_page_script(script, tcp, udp):
    say, receive = script("hubbub.json")
    say('{"op":"subscribe","topic":"j/#","echo":false,"id":1}')
    assert json.loads(receive()) == {"op": "subscribed", "topic": "j/#", "id": 1}
    for client in (tcp, udp):
        client.send("SUB j/page")
        client.expect("OK SUB j/page")
    say('{"op":"publish","topic":"j/page","data":{"T":21.50,"ok":true},"id":"two"}')
    assert json.loads(receive()) == {"op": "published", "id": "two", "receivers": 2}  # its own echo is off
    say('{"op":"publish","topic":"j/page","base64":"AAH/"}')
    say('{"op":"publish","topic":"j/page","data":""}')
    for client in (tcp, udp):
        client.expect('MSG j/page {"T":21.50,"ok":true}')
        client.expect("MSGB j/page AAH/")
        client.expect("MSG j/page ")
    tcp.send("PUB j/tcp 欢迎")
    assert json.loads(receive()) == {"op": "message", "topic": "j/tcp", "data": "欢迎"}
    udp.send("PUBB j/udp AAH/")
    assert json.loads(receive()) == {"op": "message", "topic": "j/udp", "base64": "AAH/"}
    tcp.send("PUB j/tcp " + "é" * 524_287)
    assert json.loads(receive()) == {"op": "message", "topic": "j/tcp", "data": "é" * 524_287}


def test_the_client_library_in_a_page(daemon, page):
    page.goto(daemon.url(scheme="http") + STILL)
    assert page.evaluate(CLIENT) == ["page/a", 1]


def test_lines_from_a_page_script(script, tcp, udp):
    say, receive = script("hubbub.lines")
    say("SUB l/#\nPING\n")
    assert receive() == "OK SUB l/#"
    assert receive() == "PONG"
    tcp.send("PUB l/tcp 欢迎")
    assert receive() == "MSG l/tcp 欢迎"
    udp.send("PUBB l/udp AAH/")
    assert receive() == "MSGB l/udp AAH/"
    say("PUB l/page é\nQUIT")
    assert receive() == "MSG l/page é"
    assert receive() == "BYE"
    assert receive() == "closed 1000"


@pytest.mark.parametrize(("first", "answer"), [("PING", "PONG"), ('{"op":"ping"}', '{"op":"pong"}')])
def test_without_a_subprotocol_the_first_message_decides(script, first, answer):
    say, receive = script()
    say(first)
    assert receive() == answer


def test_a_page_that_joins_later_gets_the_last_value(daemon, script, tcp):
    assert tcp.ask("SUB plant/7") == "OK SUB plant/7"
    with Tcp(daemon.tcp[1]) as plc:
        plc.socket.sendall(b"T=21.5\r\nP=1.02\r\n")
        tcp.expect("MSG plant/7 T=21.5")
        tcp.expect("MSG plant/7 P=1.02")
    say, receive = script("hubbub.json")
    say('{"op":"subscribe","topic":"plant/#","meta":true}')
    assert json.loads(receive()) == {"op": "subscribed", "topic": "plant/#"}
    message = json.loads(receive())
    assert (message["topic"], message["data"], message["retained"]) == ("plant/7", "P=1.02", True)


def test_a_page_of_another_origin_is_refused(daemon, page, elsewhere, tcp):
    for host in ("127.0.0.1", "localhost"):
        page.goto(f"http://{host}:{elsewhere}/")
        for protocols in ([], ["hubbub.json"]):
            assert page.evaluate("([url, names]) => hub.open(url, names)", [daemon.url(), protocols]) == "closed 1006"
    page.goto("data:text/html,<title>of no origin</title>")
    assert page.evaluate("url => hub.open(url, ['hubbub.json'])", daemon.url()) == "closed 1006"
    assert tcp.ask("PING") == "PONG"


def test_a_page_of_another_origin_is_let_in_where_the_operator_says_so(page, elsewhere):
    with Daemon("--websocket", "tcp:0", "--origin", f"http://localhost:{elsewhere}") as daemon:
        for host, outcome in (("127.0.0.1", "closed 1006"), ("localhost", "open hubbub.json")):
            page.goto(f"http://{host}:{elsewhere}/")
            assert page.evaluate("url => hub.open(url, ['hubbub.json'])", daemon.url()) == outcome


@pytest.mark.parametrize("place", ["file", "server"])
@pytest.mark.parametrize("reported", [False, True])
def test_the_page_in_readme_from_a_file_and_from_a_development_server(page, elsewhere, tmp_path, place, reported):
    """It works with the option that README names, and without it the log of the daemon names the same."""
    script = re.search(r"```js\n(.*?)```", README.read_text(), re.DOTALL)[1]
    file = tmp_path / "page.html"
    at = {"file": file.as_uri(), "server": f"http://localhost:{elsewhere}/{file.name}"}[place]
    origin = {"file": "null", "server": f"http://localhost:{elsewhere}"}[place]
    options = ("--origin", origin) if reported else ()
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", *options) as daemon, Tcp(daemon.tcp[0]) as tcp:
        tcp.send("SUB hello/page")
        tcp.expect("OK SUB hello/page")
        file.write_text(f"<!doctype html><script>{script.replace('ws://127.0.0.1:8999/', daemon.url())}</script>")
        page.goto(at)
        if reported:
            tcp.expect("MSG hello/page from a page")
        else:
            daemon.wait_for(f"page 1 refused.* --origin {origin} ")


def test_a_page_can_not_make_the_browser_publish_over_http(daemon, page, elsewhere, tcp):
    """What a page can send to the TCP port begins as an HTTP request: refused, its body unread."""
    assert tcp.ask("SUB http/#") == "OK SUB http/#"
    page.goto(f"http://127.0.0.1:{elsewhere}/")
    host, port = daemon.tcp[0]
    send = "([url, method, body]) => fetch(url, {mode: 'no-cors', method, body}).then(got => got.type)"
    for path in ("/", "/PUB"):
        for body in ("PUB http/x published\n" * 1000, "\nPUB http/x published\n"):
            assert page.evaluate(send, [f"http://{host}:{port}{path}", "POST", body]) == "opaque"
    assert tcp.ask("PING") == "PONG"  # and no message before it


def test_a_page_can_not_make_the_browser_publish_with_a_form(daemon, page, elsewhere, tcp):
    """A form needs no permission to send text anywhere; what it sends is an HTTP request too."""
    assert tcp.ask("SUB form/#") == "OK SUB form/#"
    host, port = daemon.tcp[0]
    form = """([url, text]) => {
      const form = document.createElement("form"), field = document.createElement("input");
      Object.assign(form, {action: url, method: "POST", enctype: "text/plain"});
      Object.assign(field, {name: text, value: text});
      form.append(field); document.body.append(form); form.submit();
    }"""
    page.goto(f"http://127.0.0.1:{elsewhere}/")
    with page.expect_navigation() as refused:
        page.evaluate(form, [f"http://{host}:{port}/", "\nPUB form/x published\nPUB form/x "])
    assert refused.value.status == 400
    assert tcp.ask("PING") == "PONG"  # and no message before it


def test_dns_rebinding_opens_no_connection(page):
    """DNS rebinding: to the browser the page and the hub have one origin. With --origin the name is the operator's."""
    for options, outcome in (((), "closed 1006"), (("--origin", NAME), "open hubbub.json")):
        with Daemon("--websocket", "tcp:0", *options) as daemon:
            at = f"{NAME}:{daemon.websocket[0][1]}"
            page.goto(f"http://{at}/")
            assert page.evaluate("url => hub.open(url, ['hubbub.json'])", f"ws://{at}/") == outcome
            says = page.locator("#refusal").text_content()
            assert says == ("" if options else f"Pages of http://{at} may not connect here; {ADVICE}")
