"""HTTP over real sockets: publish, read, request, streams, logins, other origins."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator

import httpx
import httpx_sse
import pytest

from running import Daemon, LineClient
from system.clients import WebSocketClient, connect, received, status, upgrade
from waiting import wait_until

APP = "https://app.example.com"
OPTIONS = ("--tcp", "tcp:0", "--websocket", "tcp:0:id=web:stall=2s", "--origin", APP)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(*OPTIONS) as one:
        yield one
    assert "Traceback" not in one.log
    assert "Unhandled" not in one.log


@pytest.fixture
def lines(daemon: Daemon) -> Iterator[LineClient]:
    with LineClient(daemon.tcp[0]) as one:
        yield one


@pytest.fixture
def web(daemon: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=daemon.url(scheme="http"), timeout=30, trust_env=False) as one:
        yield one


def detail(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == response.status_code
    return said["detail"]


def events(stream: httpx.Response) -> Iterator[httpx_sse.ServerSentEvent]:
    return httpx_sse.EventSource(stream).iter_sse()


# Publish and read


def test_publish_reaches_others(web, lines):
    assert web.post("topics/out/a", content=b"1").json() == {"receivers": 0}
    assert lines.ask("SUB out/#") == "OK SUB out/#"
    published = web.post("topics/out/a b", content="grüße")
    assert (published.status_code, published.json()) == (200, {"receivers": 1})
    assert lines.line() == "MSG out/a%20b grüße"


def test_retained(web, lines):
    assert web.get("topics/kept").status_code == 404
    web.put("topics/kept", content=b'{"t":1}', headers={"content-type": "application/json"})
    found = web.get("topics/kept")
    assert (found.content, found.headers["content-type"]) == (b'{"t":1}', "application/json")
    assert web.get("topics/kept", headers={"if-none-match": found.headers["etag"]}).status_code == 304
    head = web.head("topics/kept")
    assert (head.content, head.headers["content-length"], head.headers["etag"]) == (b"", "7", found.headers["etag"])
    assert lines.ask("SUB kept") == "OK SUB kept"
    assert lines.line() == 'MSG kept {"t":1}'
    assert web.delete("topics/kept").status_code == 204
    assert lines.line() == "MSG kept "
    assert web.get("topics/kept").status_code == 404


def test_a_request(daemon, web):
    with WebSocketClient(daemon.websocket[0], protocol="hubbub.json") as answers:
        answers.send('{"op":"subscribe","topic":"ask","meta":true}')
        answers.line()
        with httpx.Client(base_url=web.base_url, trust_env=False) as asks:
            said = []
            one = threading.Thread(target=lambda: said.append(asks.post("requests/ask?timeout=10", content=b"?")))
            one.start()
            reply_to = json.loads(answers.line())["reply_to"]
            answers.send(json.dumps({"op": "publish", "topic": reply_to, "data": {"a": 1}}))
            one.join(10)
        assert (said[0].status_code, said[0].json()) == (200, {"a": 1})
        assert said[0].headers["content-type"] == "application/json"
        assert web.post("requests/ask?timeout=0.1", content=b"?").status_code == 504
        answers.line()
    assert web.post("requests/nobody", content=b"?").status_code == 404


def test_one_connection_for_many_requests(daemon, web):
    for number in range(50):
        assert web.post("topics/many", content=str(number)).status_code == 202
    pool = web._transport._pool  # type: ignore[attr-defined]
    assert len(pool.connections) == 1


def test_pipelined_requests(daemon):
    with connect(daemon.websocket[0]) as client:
        one = b"POST /topics/pipe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"
        client.sendall(one * 100 + one.replace(b"Host", b"Connection: close\r\nHost"))
        answer = b"".join(iter(lambda: received(client), b""))
    assert answer.count(b"HTTP/1.1 202 Accepted\r\n") == 101


def test_chunked_bodies_and_http_1_0(daemon, lines):
    assert lines.ask("SUB chunks") == "OK SUB chunks"
    with connect(daemon.websocket[0]) as client:
        client.sendall(
            b"POST /topics/chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        )
        assert lines.line() == "MSG chunks abcdefg"
        assert status(received(client)) == 200
    with connect(daemon.websocket[0]) as client:
        client.sendall(b"POST /topics/chunks HTTP/1.0\r\nContent-Length: 1\r\n\r\n1")
        answer = b"".join(iter(lambda: received(client), b""))
        assert status(answer) == 200
        assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_an_absolute_target(daemon, lines, scheme):
    """As a client sends it to a proxy (RFC 9112 section 3.2.2): its host counts, and Host doesn't."""
    topic = f"absolute/{scheme}"
    assert lines.ask("SUB absolute/#") == "OK SUB absolute/#"
    head = "{} {}://{} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi".format

    def ask(method: str, target: str, host: str) -> bytes:
        with connect(daemon.websocket[0]) as client:
            client.sendall(head(method, scheme, target, host).encode())
            return b"".join(iter(lambda: received(client), b""))

    for host in ("evil.example", "localhost\r\nHost: localhost"):
        assert status(ask("POST", f"evil.example/topics/{topic}", host)) in (400, 403)
    assert status(ask("POST", f"localhost/topics/{topic}", "evil.example")) == 200
    assert lines.line() == f"MSG {topic} hi"
    assert status(ask("GET", "localhost?x", "localhost")) == 200


def test_heads_of_streams(daemon, web):
    """The same head as of a GET, and then the end (RFC 9110 section 9.3.2)."""
    for path in ("events?filter=heads/%23", "messages?filter=heads/%23"):
        web.put("topics/heads/kept", content=b"1")
        with web.stream("GET", path) as stream:
            expected = stream.headers
        with connect(daemon.websocket[0]) as client:
            client.sendall(f"HEAD /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head, _, body = b"".join(iter(lambda: received(client), b"")).partition(b"\r\n\r\n")
        assert (status(head), body) == (200, b"")
        for name in ("content-type", "transfer-encoding", "cache-control", "connection"):
            assert f"{name}: {expected[name]}".encode() in head.lower()
    assert web.head("events?filter=%23/a").status_code == 400


def test_an_upgrade_after_a_request(daemon):
    with connect(daemon.websocket[0]) as client:
        client.sendall(b"POST /topics/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1")
        assert status(received(client)) == 202
        client.sendall(upgrade("localhost"))
        assert status(received(client)) == 101


# Streams


def test_server_sent_events(web):
    web.put("topics/sse/kept", content=b"first")
    with web.stream("GET", "events", params={"filter": ["sse/#", "other"]}) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["x-accel-buffering"] == "no"
        found = events(stream)
        one = next(found)
        assert (one.event, one.data) == ("sse/kept", "first")
        for topic, payload in (("sse/a b", "x\ny"), ("other", "")):
            web.post(f"topics/{topic}", content=payload)
            one = next(found)
            assert (one.event, one.data) == (topic, payload)
    web.delete("topics/sse/kept")


def test_a_comment_before_clients_give_up(web):
    """httpx-sse and others end a stream after 5 s of silence."""
    before = time.monotonic()
    with web.stream("GET", "events?filter=silent", timeout=5) as stream:
        read = stream.iter_raw()
        assert [next(read), next(read)] == [b":\n\n", b":\n"]
    assert time.monotonic() - before < 5


def test_messages_as_json_lines(web):
    web.put("topics/lines/kept", content=b"\xff")
    with web.stream("GET", "messages?filter=lines/%23") as stream:
        read = stream.iter_lines()
        kept = json.loads(next(read))
        assert (kept["topic"], kept["base64"], kept["retained"]) == ("lines/kept", "/w==", True)
        web.post("topics/lines/+".replace("+", "new"), content="hi")
        assert json.loads(next(read))["data"] == "hi"
    polled = web.get("messages?filter=lines/+&poll=1")
    assert [json.loads(line)["topic"] for line in polled.text.splitlines()] == ["lines/kept"]
    web.delete("topics/lines/kept")


@pytest.mark.parametrize(
    "query", ["hall+1/+/a+", "hall+1%2F%2B%2Fa+", "hall%201%2f+%2fa%20", "+/door+1/+", "hall+1/%23", "hall+1%2f+/%2B"]
)
def test_a_space_in_a_filter_as_a_form_writes_it(web, query):
    """URLSearchParams, too: + is a wildcard where it is a whole level."""
    web.put("topics/hall 1/door 1/a ", content=b"shut")
    polled = web.get(f"messages?poll=1&filter={query}")
    assert [json.loads(line)["topic"] for line in polled.text.splitlines()] == ["hall 1/door 1/a "]
    assert web.get("api/v1/retained?below=hall+1").json()["retained"][0]["topic"] == "hall 1/door 1"
    web.delete("topics/hall 1/door 1/a ")


def test_a_space_in_a_duration_as_a_form_writes_it(web):
    assert "no history" in web.get("messages?poll=1&filter=a&since=5+min").json()["detail"]


def test_a_stream_over_http_1_0_ends_with_the_connection(daemon, web):
    web.put("topics/old", content=b"1")
    with connect(daemon.websocket[0]) as client:
        client.sendall(b"GET /messages?filter=old&poll=1 HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: received(client), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert json.loads(body)["data"] == "1"
    web.delete("topics/old")


def test_a_stream_over_http_1_1_shows_whether_it_was_cut(web):
    """sseclient-py gives out what there is of an event that was cut, where it can't see that."""
    with web.stream("GET", "events?filter=quiet") as stream:
        assert stream.headers["transfer-encoding"] == "chunked"


def test_a_reader_that_is_slow_is_a_slow_consumer(daemon, lines):
    """It gets a notice of what it has lost, and is cut when it takes nothing; nobody else waits."""
    before = daemon.memory()
    with connect(daemon.websocket[0], 4096) as slow:
        slow.sendall(b"GET /events?filter=flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status(received(slow)) == 200
        payload = "x" * 100_000
        for _ in range(400):
            lines.send(f"PUB flood {payload}")
        assert lines.ask("PING") == "PONG"
        assert daemon.memory() - before < 64 * 1024 * 1024
        wait_until(lambda: _stalled(daemon))
        with contextlib.suppress(ConnectionError):
            while slow.recv(65536):
                pass


def _stalled(daemon: Daemon) -> bool:
    with httpx.Client(base_url=daemon.url(scheme="http"), trust_env=False) as web:
        return 'reason="stall"' in web.get("metrics").text


def test_no_room_for_a_stream():
    """An EventSource that gets 503 ends for good; without an answer it tries again."""
    with Daemon("--websocket", "tcp:0", "--limit", "connections=1") as one, connect(one.websocket[0]) as first:
        first.sendall(b"GET /events?filter=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status(received(first)) == 200
        for accept, expected in ((b"text/event-stream", None), (b"text/html", 503)):
            with connect(one.websocket[0]) as more:
                more.sendall(b"GET /events?filter=a HTTP/1.1\r\nHost: localhost\r\nAccept: %b\r\n\r\n" % accept)
                answer = received(more)
                assert (status(answer) if answer else None) == expected
        with connect(one.websocket[0]) as silent:
            assert status(received(silent)) == 503


# Who may


def test_another_origin_does_nothing(daemon, web, lines):
    assert lines.ask("SUB guarded/#") == "OK SUB guarded/#"
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        refused = web.request(method, "topics/guarded/a", headers={"origin": "http://evil.example"})
        assert refused.status_code == 403
        assert "--origin" in detail(refused)
        assert "access-control-allow-origin" not in refused.headers
    rebound = web.post("topics/guarded/a", content=b"1", headers={"host": "evil.example"})
    assert rebound.status_code == 403
    assert "--origin" in detail(rebound)
    assert lines.ask("PING") == "PONG"


def test_a_connection_with_requests_for_different_hosts(web, lines):
    """As a proxy uses one: a name that a page has pointed here is refused behind a good request, too."""
    assert lines.ask("SUB mixed/#") == "OK SUB mixed/#"
    for count in range(3):
        assert web.post("topics/mixed/a", content=b"1").json() == {"receivers": 1}
        assert lines.line() == "MSG mixed/a 1"
        rebound = web.post("topics/mixed/a", content=b"%d" % count, headers={"host": "evil.example"})
        assert rebound.status_code == 403
    assert lines.ask("PING") == "PONG"


def test_an_origin_that_is_named(web):
    asked = web.options("topics/a", headers={"origin": APP, "access-control-request-method": "PUT"})
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == APP
    assert "PUT" in asked.headers["access-control-allow-methods"]
    published = web.post("topics/a", content=b"1", headers={"origin": APP})
    assert (published.status_code, published.headers["access-control-allow-origin"]) == (202, APP)
    assert published.headers["vary"] == "Origin"
    own = str(web.base_url).rstrip("/")
    assert web.post("topics/a", content=b"1", headers={"origin": own}).status_code == 202


# Programs that people have


def test_curl(daemon, need):
    url = daemon.url(scheme="http")
    run = lambda *more: subprocess.run([need("curl"), "-sS", *more], capture_output=True, timeout=20).stdout  # noqa: E731
    assert json.loads(run("-d", "hi", f"{url}topics/curl")) == {"receivers": 0}
    assert run("-T", "-", f"{url}topics/curl").startswith(b"{")
    large = bytes(1024 * 1024 + 1)
    asked = subprocess.run(
        [need("curl"), "-sS", "--data-binary", "@-", f"{url}topics/curl"], input=large, capture_output=True, timeout=20
    )
    assert json.loads(asked.stdout)["status"] == 413
    assert asked.returncode == 0


FETCH = """
const url = process.argv[1];
const got = await fetch(url + "events?filter=node/%23");
const reader = got.body.pipeThrough(new TextDecoderStream()).getReader();
await reader.read();
await fetch(url + "topics/node/a", {method: "POST", body: "hi"});
console.log(JSON.stringify((await reader.read()).value));
process.exit(0);
"""


def test_fetch_of_node(daemon, need):
    program = [need("node"), "--input-type=module", "-e", FETCH, daemon.url(scheme="http")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == json.dumps("event: node/a\ndata: hi\n\n"), done.stderr
