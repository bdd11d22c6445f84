"""hubbub pub, sub and req: real processes, over each scheme, against hubbub and against Mosquitto."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from certificates import Authority
from hub_process import hubbub_bytes as hubbub
from hub_process import start
from interop.mqtt.broker import Mosquitto
from running import Daemon, LineClient
from service.test_passwords import cheap
from waiting import wait_until

PLAIN = ("tcp", "udp", "ws", "http", "mqtt")
SECURE = ("wss", "https", "mqtts")
ANSWERING = ("tcp", "udp", "ws", "http")  # the schemes whose hub tells whether somebody is subscribed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    return authority.issue("hub.pem", "localhost", ("localhost",)), authority.file


@pytest.fixture(scope="module")
def daemon(certificate) -> Iterator[Daemon]:
    tls = f"ssl:0:privateKey={certificate[0]}:certKey={certificate[0]}"
    listeners = (
        "--tcp",
        "tcp:0",
        "--tcp",
        f"{tls}:id=tls",
        "--udp",
        "udp:0",
        "--websocket",
        "tcp:0",
        "--websocket",
        f"{tls}:id=wss",
    )
    with Daemon(*listeners, "--history", "past/#") as one:
        yield one
    assert "Traceback" not in one.log


def url(daemon: Daemon, scheme: str) -> str:
    secure = scheme in SECURE
    kind = {"tcp": "tcp", "mqtt": "tcp", "mqtts": "tcp", "udp": "udp"}.get(scheme, "websocket")
    address = getattr(daemon, kind)[secure]
    return f"{scheme}://{'localhost' if secure else address[0]}:{address[1]}"


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line on stderr."""
    assert done.stderr.startswith(b"hubbub: ")
    assert done.stderr.count(b"\n") == 1
    return done.stderr.decode()


@contextlib.contextmanager
def listening(daemon: Daemon, *arguments: str, topic: str) -> Iterator[Any]:
    """A `hubbub sub` that is subscribed to `topic`."""
    reads = start("sub", *arguments, errors=True)
    with contextlib.ExitStack() as ends:
        ends.enter_context(reads.stderr)
        ends.enter_context(reads.stdout)
        ends.callback(reads.kill)
        with LineClient(daemon.tcp[0]) as asks:

            def subscribed() -> bool:
                assert reads.poll() is None, reads.stderr.read()
                return asks.ask(f"REQ {topic} ?") != "ERR no-responders no client is subscribed to that topic"

            wait_until(subscribed)
        assert reads.stdout.readline()  # the request
        yield reads


@pytest.mark.parametrize("scheme", PLAIN)
def test_every_scheme(daemon, scheme):
    where, topic = url(daemon, scheme), f"every/{scheme}"
    with listening(daemon, where, f"{topic}/#", "--count", "7", topic=topic) as reads:
        assert hubbub("pub", where, f"{topic}/a b", "grüße").returncode == 0
        assert hubbub("pub", where, topic, given=b"one\ntwo\r\nthree").returncode == 0
        assert hubbub("pub", where, topic, "--count", "2", "again").returncode == 0
        lines = [reads.stdout.readline().decode() for _ in range(6)]
        assert lines == [
            f"{topic}/a%20b grüße\n",
            *(f"{topic} {one}\n" for one in ("one", "two", "three", "again", "again")),
        ]
        assert reads.wait(20) == 0


@pytest.mark.parametrize("scheme", SECURE)
def test_tls(daemon, scheme, certificate):
    where = url(daemon, scheme)
    assert hubbub("pub", where, "tls", "x", "--ca", str(certificate[1])).returncode == 0
    refused = hubbub("pub", where, "tls", "x")
    assert refused.returncode == 2
    assert "certificate" in said(refused).lower()


@pytest.mark.parametrize("scheme", PLAIN)
def test_what_was_before(daemon, scheme):
    assert hubbub("pub", url(daemon, "tcp"), f"past/{scheme}", "1").returncode == 0
    done = hubbub("sub", "--since", "1h", "--count", "1", url(daemon, scheme), f"past/{scheme}")
    assert done.stdout == f"past/{scheme} 1\n".encode()
    assert said(done).startswith("hubbub: the hub doesn't have all messages of that time: its history is younger, or ")


@pytest.mark.parametrize("scheme", PLAIN)
def test_the_last_of_each_topic(daemon, scheme):
    for n in range(3):
        assert hubbub("pub", url(daemon, "tcp"), f"past/last/{scheme}", str(n)).returncode == 0
    done = hubbub("sub", "--last", "2", "--count", "2", url(daemon, scheme), f"past/last/{scheme}")
    assert (done.stdout, done.stderr) == (f"past/last/{scheme} 1\npast/last/{scheme} 2\n".encode(), b"")


@pytest.mark.parametrize("scheme", ["tcp", "mqtt", "http"])
def test_the_last_of_topics_without_a_history(scheme):
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", "--history", "past/#") as daemon:
        assert hubbub("pub", url(daemon, "tcp"), "past/1", "x").returncode == 0
        done = hubbub("sub", "--last", "1", "--count", "1", url(daemon, scheme), "+/1")
    assert done.stdout == b"past/1 x\n"
    assert said(done) == "hubbub: the hub doesn't have the messages of all topics: no --history there covers FILTER\n"


@pytest.mark.parametrize("scheme", PLAIN)
def test_what_is_refused(daemon, scheme):
    refused = hubbub("pub", url(daemon, scheme), "a/+", "x")
    assert refused.returncode == 1
    assert said(refused)


@pytest.mark.parametrize("scheme", PLAIN)
def test_retain_and_bytes(daemon, scheme):
    where, topic = url(daemon, scheme), f"kept/{scheme}"
    assert hubbub("pub", where, topic, "--retain", "--file", "-", given=b"\xff\n\x1b").returncode == 0
    shown = hubbub("sub", where, topic, "--count", "1")
    assert shown.stdout == f"{topic} \\xff\\n\\x1b\n".encode()
    exact = json.loads(hubbub("sub", where, topic, "--count", "1", "--json").stdout)
    assert (exact["topic"], exact["base64"], exact["retained"]) == (topic, "/wob", True)


@pytest.mark.parametrize("scheme", ANSWERING)
def test_json_keeps_its_digits(daemon, scheme):
    where, topic = url(daemon, scheme), f"digits/{scheme}"
    assert hubbub("pub", where, topic, "--retain", "--json", '{"t":1.10}').returncode == 0
    read = hubbub("sub", where, topic, "--count", "1", "--json").stdout
    assert b'"data":{"t":1.10}' in read
    assert b'"content_type":"application/json"' in read
    assert hubbub("sub", where, topic, "--count", "1").stdout == f'{topic} {{"t":1.10}}\n'.encode()
    refused = hubbub("pub", where, topic, "--json", "{")
    assert (refused.returncode, "JSON" in said(refused)) == (1, True)


@pytest.mark.parametrize("scheme", PLAIN)
def test_a_request(daemon, scheme, tmp_path):
    (tmp_path / "answer.py").write_text(
        "from hubbub import Handler, on\n\n\nclass Answer(Handler):\n"
        '    @on("ask/+")\n    def answer(self, message):\n        message.reply(f"hello {message.text}")\n'
    )
    listeners = ("--tcp", "tcp:0", "--udp", "udp:0", "--websocket", "tcp:0")
    with Daemon(*listeners, "--plugin-dir", str(tmp_path), "--handler", "answer") as one:
        where = url(one, scheme)
        done = hubbub("req", where, "ask/me", "Ada")
        assert (done.returncode, done.stdout) == (0, b"hello Ada\n")
        assert hubbub("req", where, "ask/me", given=b"Bob").stdout == b"hello Bob\n"
        nobody = hubbub("req", where, "nobody", "x", "--timeout", "0.2")
        assert nobody.returncode == 3
        assert said(nobody)


def test_a_rate(daemon):
    before = time.monotonic()
    assert hubbub("pub", url(daemon, "tcp"), "rate", "x", "--count", "5", "--rate", "5/s").returncode == 0
    assert time.monotonic() - before >= 0.8


def test_many_lines(daemon):
    where = url(daemon, "tcp")
    with listening(daemon, where, "many", "--count", "20001", topic="many") as reads:
        assert hubbub("pub", where, "many", given=b"x\n" * 20_000).returncode == 0
        assert reads.stdout.read() == b"many x\n" * 20_000


def test_a_reader_that_has_enough(daemon):
    """As `hubbub sub ... | head -1`."""
    where = url(daemon, "tcp")
    with listening(daemon, where, "head", topic="head") as reads:
        reads.stdout.close()
        for _ in range(3):
            hubbub("pub", where, "head", "x")
        assert reads.wait(20) == 0
        assert reads.stderr.read() == b""


def test_a_hub_that_ends(certificate):
    with Daemon("--tcp", "tcp:0") as one, listening(one, url(one, "tcp"), "end", topic="end") as reads:
        one.process.terminate()
        assert reads.wait(20) == 2
        assert b"bye" in reads.stderr.read()
    lost = hubbub("pub", url(one, "tcp"), "x", "y")
    assert lost.returncode == 2
    assert "refused" in said(lost)


@pytest.mark.parametrize("scheme", PLAIN)
def test_logins(scheme, tmp_path):
    (tmp_path / "passwords").write_text(f"ann:{cheap('secret')}\n")
    (tmp_path / "right").write_text("secret\n")
    (tmp_path / "wrong").write_text("other\n")
    listeners = ("--tcp", "tcp:0", "--udp", "udp:0", "--websocket", "tcp:0")
    with Daemon(*listeners, "--auth", f"hubbub:{tmp_path / 'passwords'}") as one:
        where = url(one, scheme).replace("://", "://ann@")
        right = hubbub("pub", where, "a", "x", "--password-file", str(tmp_path / "right"))
        if scheme == "udp":  # where datagrams are signed instead
            assert right.returncode == 1
            return
        assert right.returncode == 0, right
        wrong = hubbub("pub", where, "a", "x", "--password-file", str(tmp_path / "wrong"))
        assert wrong.returncode == 1
        assert re.search("password|authorized", said(wrong))
        assert hubbub("pub", url(one, scheme), "a", "x").returncode == 1


def test_mosquitto(need, tmp_path):
    with Mosquitto(need("mosquitto"), tmp_path) as broker:
        where = f"mqtt://127.0.0.1:{broker.port}"
        for qos in ("0", "1", "2"):
            assert hubbub("pub", where, f"kept/{qos}", "x", "--retain", "--qos", qos).returncode == 0
        read = hubbub("sub", where, "kept/#", "--qos", "2", "--count", "3")
        assert sorted(read.stdout.decode().split("\n")) == ["", "kept/0 x", "kept/1 x", "kept/2 x"]
        assert hubbub("pub", where, "many", "--qos", "2", given=b"x\n" * 100).returncode == 0
        assert hubbub("req", where, "nobody", "x", "--timeout", "0.2").returncode == 3


@pytest.mark.parametrize("scheme", PLAIN)
def test_bench(daemon, scheme):
    done = hubbub("bench", url(daemon, scheme), "--json", "--seconds", "0.4", "--size", "50")
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert 0 < found["latency"]["p50"] <= found["latency"]["max"]
    assert 0 < found["throughput"]["received"] <= found["throughput"]["sent"]
    if scheme != "udp":
        assert found["throughput"]["received"] == found["throughput"]["sent"]


def test_timestamps(daemon):
    where = url(daemon, "tcp")
    assert hubbub("pub", where, "timed", "--retain", "x").returncode == 0
    read = hubbub("sub", where, "timed", "--count", "1", "--timestamps").stdout.decode()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d timed x\n", read)


@pytest.mark.parametrize(
    "arguments", [
        ("pub", "ftp://host", "a", "x"), ("pub", "tcp://", "a", "x"), ("pub", "tcp://host:x", "a", "x"),
        ("pub", "tcp://127.0.0.1", "a", "x", "--qos", "3"), ("pub", "tcp://127.0.0.1", "a", "x", "--count", "0"),
        ("pub", "tcp://127.0.0.1", "a", "x", "--file", "y"), ("pub", "tcp://127.0.0.1", "a", "--file", "/nowhere"),
        ("pub", "tcp://127.0.0.1"), ("sub", "tcp://127.0.0.1"), ("req", "tcp://127.0.0.1"),
        ("pub", "tcp://127.0.0.1", "a", "x", "--password-file", "/nowhere"),
        ("sub", "https://localhost:1", "b", "--ca", "/nowhere"), ("bench", "tcp://127.0.0.1", "--size", "3"),
    ],
)  # fmt: skip
def test_mistakes(arguments):
    done = hubbub(*arguments)
    assert done.returncode == 1
    assert said(done)


@pytest.mark.parametrize(
    ("wrong", "says"), [
        (("tcp:127.0.0.1:6999", "a", "x"), "tcp:127.0.0.1:6999: did you mean tcp://127.0.0.1:6999?"),
        (("tcp://host:x", "a", "x"), "tcp://host:x: a URL is SCHEME://HOST:PORT; "),
        (("tcp://host", "a", "--rate", "fast"), "pub: argument --rate: fast: expected a rate, such as "),
    ],
)  # fmt: skip
def test_a_mistake_is_followed_by_what_was_expected(wrong, says):
    assert said(hubbub("pub", *wrong)).startswith(f"hubbub: {says}")


@pytest.mark.parametrize("scheme", ["tcp", "http", "mqtt"])
def test_a_refusal_is_said_in_the_words_of_the_hub(daemon, scheme):
    done = hubbub("pub", url(daemon, scheme), "a/+", "x", "--qos", "1")
    assert done.returncode == 1
    assert "wildcard" in said(done)


@pytest.mark.parametrize("scheme", ["tcp", "ws", "mqtt", "http"])
def test_a_server_that_closes_at_once(scheme):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closing = threading.Thread(target=close_after_some, args=(server,))
        closing.start()
        where = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        done = hubbub("pub", where, "a", "x")
        closing.join()
    assert done.returncode == 2
    assert re.fullmatch(f"hubbub: {where}: (it has closed the connection|Remote end closed .*)\n", done.stderr.decode())


def close_after_some(server):
    client, _ = server.accept()
    with client:
        client.recv(65_536)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):  # closed with something unread it would reset the connection
            pass


@pytest.mark.parametrize("command", ["pub", "sub", "req", "bench"])
def test_help(command):
    for arguments in ((command,), (command, "--help")):
        done = hubbub(*arguments)
        assert (done.returncode, done.stderr) == (0, b"")
        assert f"hubbub {command} [OPTIONS] URL" in done.stdout.decode()
        assert max(map(len, done.stdout.decode().splitlines())) < 80


def test_hubbub_alone_says_what_to_try():
    assert b"hubbub sub tcp://localhost" in hubbub().stdout
