"""Bad requests, bodies without end, clients that don't read or don't stay: nobody else notices."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from running import LineClient
from system.clients import MiB, connect, pour, received, reset_on_close, status

OPTIONS = (
    "--websocket",
    "tcp:0:id=small:max-message=10KiB:stall=1s",
)
STREAMS = 200
WAITING = 64  # more than one listener's clients have requests that wait

POST = b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "request_", [
        POST + b"X: x\r\n" * 10_000 + b"\r\n",
        POST + b"X: " + b"x" * 65_536 + b"\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: identity\r\n\r\nx",
        POST.replace(b"localhost", b"evil.example\r\nHost: localhost") + b"Content-Length: 0\r\n\r\n",
        POST + b"Content-Length: 1e3\r\n\r\n",
        POST + b"Content-Length: 99999999999999999999999999\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"1;" + b"x" * 65_536,
        POST.replace(b"localhost", b"evil.example") + b"Content-Length: 0\r\n\r\n",
        POST.replace(b"localhost", b"[") + b"Content-Length: 0\r\n\r\n",
        POST.replace(b"/a", b"/%00") + b"Content-Length: 0\r\n\r\n",
        POST.replace(b"/a", b"/" + b"a/" * 2_000) + b"Content-Length: 0\r\n\r\n",
        POST.replace(b"/a", b"/%ff%fe") + b"Content-Length: 0\r\n\r\n",
        POST + b"Content-Type: \xff\r\nContent-Length: 0\r\n\r\n",
        POST + b"Authorization: Basic !\r\nX: \xff\r\n\r\n",
        b"GET /events?" + b"filter=a&" * 1_500 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /events?filter=" + b"a/" * 7_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /events?filter=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /events?filter=a/#/b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /topics/" + b"%2f" * 2_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ], ids=lambda one: one[len(POST) - 20 :][:40],
)  # fmt: skip
def test_bad_requests(daemon, request_):
    with connect(daemon.websocket[2]) as client:
        pour(client, request_, len(request_))
        answer = received(client)
        if answer and b"text/event-stream" not in answer:
            assert 400 <= status(answer) < 500, answer


SIZED, CODED = b"Content-Length: 1\r\n\r\nx", b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "more",
    [
        b"Host: evil.example\r\n" + SIZED,
        b"Transfer-Encoding: identity\r\n" + SIZED,
        b"Transfer-Encoding: identity\r\n\r\n",
        CODED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        CODED + CODED + b"\r\n0\r\n\r\n",
    ],
)
def test_what_a_proxy_may_have_read_in_another_way_ends_the_connection(daemon, more):
    """What follows it is no request, or one that the proxy hasn't seen."""
    with connect(daemon.websocket[0]) as client:
        client.sendall(POST + more + POST + b"Content-Length: 0\r\n\r\n")
        answer = received(client)
        while data := client.recv(65_536):
            answer += data
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(("version", "answers"), [(b"1.1", 400), (b"1.0", 202)])
def test_only_an_old_client_leaves_out_the_host(daemon, version, answers):
    """RFC 9112 section 3.2: which hub was meant isn't known, and a proxy may have chosen another one."""
    with connect(daemon.websocket[0]) as client:
        client.sendall(b"POST /topics/a HTTP/%b\r\n%b" % (version, SIZED))
        assert status(received(client)) == answers


@pytest.mark.parametrize("head", [POST + b"Content-Length: 67108864\r\n\r\n", CHUNKED], ids=["length", "chunked"])
def test_a_body_that_is_too_long_is_refused_before_it_is_there(daemon, head):
    """The client hears why, and what it sends all the same is kept nowhere."""
    before = daemon.memory()
    with connect(daemon.websocket[2]) as client:
        client.sendall(head)
        pour(client, b"2000\r\n" + bytes(8192) + b"\r\n", 4 * MiB)
        answer = received(client)
        assert status(answer) == 413
        assert b"10240 bytes" in answer
        assert daemon.memory() - before < 4 * MiB
        client.sendall(POST + b"Content-Length: 1\r\n\r\nx")  # nothing that comes later is a request
        while more := received(client):
            assert b"HTTP/1.1" not in more


def test_a_body_of_the_longest_size(daemon):
    with connect(daemon.websocket[2]) as client:
        client.sendall(POST + b"Content-Length: 10240\r\n\r\n" + bytes(10240))
        assert status(received(client)) == 202
        client.sendall(POST + b"Content-Length: 10241\r\n\r\n" + bytes(10241))
        assert status(received(client)) == 413


def test_a_form_is_bytes(daemon):
    """A parser of forms would make a dictionary of a million fields of it."""
    with connect(daemon.websocket[0]) as client:
        body = b"a&" * 500_000
        client.sendall(
            POST + b"Content-Type: multipart/form-data; boundary=a\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        client.sendall(body)
        assert status(received(client)) == 202


def test_a_pipeline_whose_answers_are_never_read(daemon):
    """The next request waits until its client reads the last answer, and so does whatever else it sends."""
    one = POST + b"Content-Length: 1\r\n\r\nx"
    before = daemon.memory()
    until = time.monotonic() + 5
    with connect(daemon.websocket[2], 4096, seconds=1) as client:
        with contextlib.suppress(TimeoutError, ConnectionError):  # it stands, or is cut
            while time.monotonic() < until:
                client.send(one * 1_000)
        assert daemon.memory() - before < 4 * MiB


def test_readers_that_go_in_the_middle_of_a_stream(daemon):
    with LineClient(daemon.tcp[0]) as publisher:
        for _ in range(STREAMS // 20):
            with contextlib.ExitStack() as stack:
                for n in range(20):
                    client = stack.enter_context(connect(daemon.websocket[2]))
                    client.sendall(b"GET /events?filter=go/%23 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert status(received(client)) == 200
                    if n % 2:
                        reset_on_close(client)
                publisher.send(*["PUB go/a " + "x" * 1_000] * 10)
            assert publisher.ask("PING") == "PONG"


def test_clients_that_go_while_they_wait_for_a_reply(daemon):
    with LineClient(daemon.tcp[0]) as subscriber:
        reset_on_close(subscriber.socket)
        assert subscriber.ask("SUB ask") == "OK SUB ask"
        for _ in range(WAITING):
            with connect(daemon.websocket[2]) as client:
                client.sendall(
                    b"POST /requests/ask?timeout=60 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n?"
                )
                assert subscriber.line() == "MSG ask ?"


def test_a_client_that_ends_its_input_gets_its_answer_or_none(daemon):
    for _ in range(20):
        with connect(daemon.websocket[2]) as client:
            client.sendall(POST + b"Content-Length: 1\r\n\r\nx")
            client.shutdown(1)
            answer = received(client)
            assert not answer or status(answer) == 202


def test_many_at_once(daemon):
    """Each is answered, on connections that are opened and closed as fast as they can be."""

    def publish() -> None:
        for _ in range(200):
            with connect(daemon.websocket[0]) as client:
                client.sendall(POST + b"Content-Length: 1\r\n\r\nx")
                assert status(received(client)) == 202

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(publish) for _ in range(8)]:
            one.result()
