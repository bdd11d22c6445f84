"""Who reaches a limit is told so where it is cheap, costs nobody else anything, and may come again afterwards.

F27 topic bombs, F28 wildcard bombs, F29 subscription explosions, F30 their end, F31 retained floods, F39 floods of
connections, F40 churn.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from contextlib import suppress

import pytest

from hostile.oracle import wait_for_descriptors
from ports import free_port
from running import Daemon, LineClient
from system.clients import Datagrams, WebSocketClient, connect, received, reset_on_close, status, upgrade
from system.test_metrics import metrics, value
from waiting import wait_until

FIGURES = free_port()
SUBSCRIPTIONS, RETAINED, LEVELS = 5_000, 300, 20
OPTIONS = (
    "--metrics", f"tcp:{FIGURES}",
    "--limit", f"subscriptions={SUBSCRIPTIONS}",
    "--limit", f"retained-messages={RETAINED}", "--limit", "retained-bytes=64KiB",
    "--limit", f"topic-levels={LEVELS}",
)  # fmt: skip
CONNECTIONS = 60


def refused(reason, **labels):
    return value(metrics(FIGURES), "hubbub_refused_total", reason=reason, **labels)


def answers(client, commands):
    """Send `commands`, and return what came before the answer to PING."""
    client.socket.sendall("".join(one + "\n" for one in [*commands, "PING"]).encode())
    return list(iter(client.line, "PONG"))


@pytest.mark.parametrize("levels", [LEVELS + 1, 129, 10_000])
def test_f27_a_topic_bomb(daemon, levels):
    reasons = "bad-topic", "bad-filter", "topic-levels"  # the last beyond what any bound may be
    before = sum(map(refused, reasons))
    with LineClient(daemon.tcp[0], 20) as client:
        deep = "/".join(["x"] * levels)
        assert answers(client, ["PUB " + "/".join(["x"] * LEVELS) + " fits"]) == []
        said = answers(client, [f"PUB {deep} 1", f"PUB! {deep} 1", f"SUB {deep}", f"SUB {deep[:-1]}#"])
        assert [one.split()[1] for one in said] == ["bad-topic", "bad-topic", "bad-filter", "bad-filter"]
    assert sum(map(refused, reasons)) - before == 4


def test_f28_wildcards_do_not_make_a_publish_slow(daemon):
    filters = ["/".join("+" if at >> bit & 1 else "x" for bit in range(12)) for at in range(4_096)]
    with LineClient(daemon.tcp[0], 20) as client, LineClient(daemon.tcp[0], 20) as publisher:
        reset_on_close(client.socket)
        assert len(answers(client, [f"SUB {one}" for one in filters])) == 4_096
        before = time.monotonic()
        publisher.send("PUB " + "/".join("x" * 12) + " 1")
        assert client.line().startswith("MSG x/x/")
        assert time.monotonic() - before < 2  # 50 ms are meant; 4,096 filters match


def test_f29_f30_a_subscription_explosion_and_its_end(daemon):
    before = refused("quota")
    with LineClient(daemon.tcp[0], 30) as client:
        reset_on_close(client.socket)
        said = answers(client, [f"SUB f/{number}" for number in range(SUBSCRIPTIONS + 100)])
        assert [one.split()[0] for one in said] == ["OK"] * SUBSCRIPTIONS + ["ERR"] * 100
        assert said[-1] == f"ERR quota one client may have {SUBSCRIPTIONS} subscriptions"
        assert refused("quota") == before + 100
        assert value(metrics(FIGURES), "hubbub_subscriptions") >= SUBSCRIPTIONS
    wait_until(lambda: value(metrics(FIGURES), "hubbub_subscriptions") < 100)


def test_f31_a_flood_of_retained_messages(daemon):
    with LineClient(daemon.tcp[0], 20) as client:
        said = answers(client, [f"PUB! r/{number} {'x' * 20}" for number in range(RETAINED + 50)])
        assert len(said) == 50
        assert {one.split()[1] for one in said} == {"quota"}
        assert answers(client, ["PUB! r/0 new", "PUB! r/1 "]) == [], "what is there may change, and go"
        assert len(answers(client, ["PUB! r/one-more x", "PUB! r/two-more x"])) == 1
        assert len(answers(client, [f"PUB! r/2 {'x' * 70_000}"])) == 1
        assert value(metrics(FIGURES), "hubbub_retained_messages") == RETAINED
        answers(client, [f"PUB! r/{number} " for number in [*range(RETAINED), "one-more"]])
        assert value(metrics(FIGURES), "hubbub_retained_bytes") == 0


@pytest.mark.parametrize("resets", [True, False])
def test_f40_churn(daemon, resets):
    before = daemon.descriptors()
    for _ in range(1_000):
        with connect(daemon.tcp[0]) as client:
            client.sendall(b"SUB churn/#\n")
            if resets:
                reset_on_close(client)
    wait_for_descriptors(daemon, before)
    wait_until(lambda: value(metrics(FIGURES), "hubbub_links", listener="auto") < 20)


@pytest.fixture(scope="module")
def small():
    port = free_port()
    with Daemon(
        "--tcp", "tcp:0:id=lines", "--tcp", "tcp:0:id=raw:dialect=raw", "--tcp", "tcp:0:id=json:dialect=json",
        "--udp", "udp:0:id=udp", "--websocket", "tcp:0:id=web", "--metrics", f"tcp:{port}",
        "--limit", f"connections={CONNECTIONS}", "--limit", "source-connections=20", "--limit", "local=yes",
        "--limit", "message-rate=100/s", "--limit", "handshake=2s",
    ) as one:  # fmt: skip
        one.metrics = port
        yield one


def none_there(daemon):
    wait_until(lambda: value(metrics(daemon.metrics), "hubbub_connections") == 0)


def test_f39_a_source_has_so_many_connections(small):
    """All of this machine is one source here, whatever transport they come by."""
    none_there(small)
    with contextlib.ExitStack() as stack:
        there = [stack.enter_context(LineClient(small.tcp[0])) for _ in range(10)]
        assert [client.ask("PING") for client in there] == ["PONG"] * 10
        pages = [stack.enter_context(WebSocketClient(small.websocket[0], protocol="hubbub.lines")) for _ in range(9)]
        datagrams = stack.enter_context(Datagrams(small.udp[0]))
        assert datagrams.ask("SUB a") == "OK SUB a"
        for at, last in ((0, b"ERR unavailable 20 connections of yours are open already\n"), (1, b"")):
            with connect(small.tcp[at]) as one:
                assert one.makefile("rb").read() == last
        with connect(small.tcp[2]) as one:
            assert b'"code":"unavailable"' in one.makefile("rb").read()
        with connect(small.websocket[0]) as one:
            answer = one.makefile("rb").read()
            assert status(answer) == 503
            assert b"20 connections of yours are open already" in answer
        with Datagrams(small.udp[0]) as one:
            assert one.ask("SUB b").startswith("ERR unavailable 20 connections of yours")
        found = metrics(small.metrics)
        for listener in ("lines", "raw", "json", "web", "udp"):
            assert value(found, "hubbub_refused_total", reason="source-connections", listener=listener) == 1, listener
        there.pop().close()
        wait_until(lambda: value(metrics(small.metrics), "hubbub_connections") == 19)
        assert stack.enter_context(LineClient(small.tcp[0])).ask("PING") == "PONG"
        assert [client.ask("PING") for client in pages] == ["PONG"] * 9
        assert datagrams.ask("UNSUB a") == "OK UNSUB a"
        datagrams.send("QUIT")
    none_there(small)


def test_f39_half_a_handshake_counts(small):
    """A connection to the WebSocket listener counts before it is one, and once."""
    none_there(small)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(small.websocket[0])) for _ in range(20)]
        wait_until(lambda: value(metrics(small.metrics), "hubbub_connections") == 20)
        with connect(small.tcp[0]) as one:
            assert received(one).startswith(b"ERR unavailable")
        slow[0].sendall(upgrade("127.0.0.1", "Sec-WebSocket-Protocol: hubbub.lines"))
        assert status(slow[0].recv(1000)) == 101
        assert value(metrics(small.metrics), "hubbub_connections") == 20
        assert all(received(one) == b"" for one in slow[1:])  # the handshake's time is over
        assert value(metrics(small.metrics), "hubbub_links_cut_total", listener="web", reason="handshake") >= 19
        wait_until(lambda: value(metrics(small.metrics), "hubbub_connections") == 1)
    none_there(small)


def test_f39_a_client_that_is_answered_over_tls_does_not_stay(certificate):
    """TLS is closed by both sides: a client that never does it has a place for a few seconds, and counts meanwhile."""
    port, trust = free_port(), ssl._create_unverified_context()
    tls = f"ssl:0:privateKey={certificate}:certKey={certificate}"
    handshake = upgrade("127.0.0.1")
    asks = [
        handshake.replace(b"Version: 13", b"Version: 3"), upgrade("127.0.0.1", "Origin: http://evil.example"),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"nonsense\r\n\r\n",
    ]  # fmt: skip
    with Daemon("--websocket", tls, "--metrics", f"tcp:{port}") as daemon, contextlib.ExitStack() as stack:
        before = daemon.descriptors()
        for ask in asks:
            client = stack.enter_context(trust.wrap_socket(connect(daemon.websocket[0])))
            client.sendall(ask)
            assert status(client.recv(1000)) in (200, 400, 403, 405)
        assert value(metrics(port), "hubbub_connections") == len(asks)
        wait_until(lambda: value(metrics(port), "hubbub_connections") == 0)
        wait_for_descriptors(daemon, before)


def test_f39_a_flood_of_connections():
    port = free_port()
    with Daemon(
        "--tcp", "tcp:0", "--websocket", "tcp:0", "--metrics", f"tcp:{port}", "--limit", f"connections={CONNECTIONS}"
    ) as daemon, contextlib.ExitStack() as stack:  # fmt: skip
        before = daemon.descriptors()
        first = stack.enter_context(LineClient(daemon.tcp[0]))
        assert first.ask("SUB a") == "OK SUB a"
        flood = [stack.enter_context(connect(daemon.tcp[0])) for _ in range(CONNECTIONS + 500)]
        ended = [one.makefile("rb").read() for one in flood[CONNECTIONS:]]
        assert set(ended) == {b"ERR unavailable %d connections are open already\n" % CONNECTIONS}
        assert get_page(daemon) == 503
        assert daemon.descriptors() <= before + CONNECTIONS + 10
        first.send("PUB a hello")
        assert first.line() == "MSG a hello"
        found = metrics(port)  # whoever looks after it still can
        assert value(found, "hubbub_refused_total", reason="connections", transport="tcp") == 501
        for one in flood:
            one.close()
        wait_until(lambda: value(metrics(port), "hubbub_connections") == 1)
        with LineClient(daemon.tcp[0]) as again:
            assert again.ask("PUB a x\nPING") == "PONG"
        assert "Traceback" not in daemon.log


def test_f39_no_tls_handshake_beyond_the_limit(certificate):
    tls = f"ssl:0:privateKey={certificate}:certKey={certificate}"
    port = free_port()
    known = f"{tls}:client-ca={certificate}:id=known"
    with Daemon(
        "--tcp", "tcp:0", "--tcp", tls, "--tcp", known, "--websocket", tls, "--limit", "connections=1",
        "--auth", "memory:ada:sesame", "--metrics", f"tcp:{port}",
    ) as daemon:  # fmt: skip
        before = daemon.descriptors()
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("PING") == "PONG"
            for address in (*daemon.tcp[1:], daemon.websocket[0]):
                # The reset may come before connect() has returned.
                with contextlib.suppress(ConnectionResetError), connect(address) as one:
                    assert received(one) == b""
            assert client.ask("PING") == "PONG"
        wait_for_descriptors(daemon, before)
        with connect(daemon.tcp[2]):
            wait_until(lambda: value(metrics(port), "hubbub_connections") == 1)  # half a handshake is one too
            with LineClient(daemon.tcp[0]) as client:
                assert client.line().startswith("ERR unavailable")
        wait_for_descriptors(daemon, before)
        assert "Traceback" not in daemon.log


def test_guessing_a_password():
    """By any transport: who has guessed too often isn't heard for the rest of the minute, right or wrong."""
    port = free_port()
    with Daemon(
        "--tcp", "tcp:0", "--websocket", "tcp:0", "--auth", "memory:ada:sesame", "--metrics", f"tcp:{port}",
        "--limit", "local=yes", "--limit", "failed-logins=5",
    ) as daemon:  # fmt: skip
        wait_until(lambda: time.monotonic() % 60 < 45)  # the minute is that of the daemon's clock, which is ours
        with LineClient(daemon.tcp[0]) as known, LineClient(daemon.tcp[0]) as client:
            assert known.ask("AUTH ada sesame") == "OK AUTH ada"
            assert {client.ask(f"AUTH ada {guess}").split()[1] for guess in range(3)} == {"not-authorized"}
            with WebSocketClient(daemon.websocket[0], protocol="hubbub.lines") as page:
                assert {page.ask(f"AUTH ada {guess}").split()[1] for guess in range(2)} == {"not-authorized"}
                assert page.ask("AUTH ada sesame").startswith("ERR rate-limited ")
            assert client.ask("AUTH ada sesame").startswith("ERR rate-limited ")
            assert known.ask("SUB a") == "OK SUB a"
        found = metrics(port)
        assert value(found, "hubbub_refused_total", reason="not-authorized") == 5
        assert value(found, "hubbub_refused_total", reason="failed-logins", transport="tcp") == 1
        assert value(found, "hubbub_refused_total", reason="failed-logins", transport="websocket") == 1


def get_page(daemon):
    one = http.client.HTTPConnection(*daemon.websocket[0], timeout=30)
    try:
        one.connect()
        return status(one.sock.recv(1000))
    finally:
        one.close()


def test_a_stream_that_is_ahead_of_its_rate_is_read_later(small):
    none_there(small)
    with LineClient(small.tcp[0], 20) as client, LineClient(small.tcp[0], 20) as other:
        assert client.ask("SUB rate") == "OK SUB rate"
        before = time.monotonic()
        client.socket.sendall(b"PUB rate x\n" * 250)
        assert other.ask("PING") == "PONG"
        assert [client.line() for _ in range(250)] == ["MSG rate x"] * 250
        assert client.ask("PING") == "PONG"
        assert time.monotonic() - before > 1  # 100 may be saved up
    assert value(metrics(small.metrics), "hubbub_links_held_back_total", listener="lines") >= 1


def test_datagrams_that_are_ahead_of_their_rate_are_dropped(small):
    with Datagrams(small.udp[0]) as sender:
        for _ in range(500):
            sender.send("PUB nobody x")
    wait_until(lambda: value(metrics(small.metrics), "hubbub_datagrams_dropped_total", reason="rate") >= 300)
    wait_until(lambda: answered(small))


def answered(daemon):
    with Datagrams(daemon.udp[0], 0.2) as client:
        try:
            return client.ask("PING").startswith("PONG")
        except TimeoutError:
            return False


def test_what_all_stalled_clients_may_keep_waiting():
    port = free_port()
    with Daemon("--tcp", "tcp:0", "--metrics", f"tcp:{port}", "--limit", "outbox-bytes=8MiB") as daemon:
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                stalled = stack.enter_context(connect(daemon.tcp[0], buffer=65_536))
                stalled.sendall(b"SUB load\n")
                assert stalled.recv(100) == b"OK SUB load\n"
            reader = stack.enter_context(LineClient(daemon.tcp[0], 20))
            assert reader.ask("SUB load") == "OK SUB load"
            with LineClient(daemon.tcp[0], 20) as publisher:
                for _ in range(1_000):
                    publisher.send("PUB load " + "x" * 30_000)
                    assert len(reader.line()) == 30_009, "who reads gets everything"
            found = metrics(port)
            assert value(found, "hubbub_messages_dropped_total", reason="outbox-bytes") > 100
            assert 1_000_000 < value(found, "hubbub_backlog_bytes") <= 8 * 2**20
            reset_on_close(stalled)
        wait_until(lambda: value(metrics(port), "hubbub_backlog_bytes") == 0)


BROKEN = '''
from hubbub import Dialect


class Broken(Dialect):
    """Can't be made."""

    def __init__(self, context, peer):
        raise RuntimeError("no")
'''


def test_a_link_that_cannot_be_made_takes_no_place(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    port = free_port()
    with Daemon(
        "--tcp", "tcp:0:dialect=broken", "--tcp", "tcp:0:id=lines", "--plugin-dir", str(tmp_path),
        "--limit", "connections=1", "--metrics", f"tcp:{port}",
    ) as daemon:  # fmt: skip
        for _ in range(3):
            with suppress(ConnectionResetError), connect(daemon.tcp[0]) as one:  # it may be cut before it has returned
                assert received(one) == b""
        with LineClient(daemon.tcp[1]) as client:
            assert client.ask("PING") == "PONG"
        assert value(metrics(port), "hubbub_plugin_errors_total") == 3
