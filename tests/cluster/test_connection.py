"""The connection to NATS: what is published, subscribed to, and asked for, and what a lost server costs."""

from __future__ import annotations

import signal
import subprocess

import pytest
from twisted.internet.defer import gatherResults

from certificates import Authority
from cluster.nodes import passed
from hubbub import limits
from hubbub.service.cluster.requests import NoAnswer
from interop.nats import jwt
from interop.nats.server import PROGRAM, nats_server
from ports import free_port
from waiting import wait_for_port


async def settled(*connections):
    """Have the server act on all that was written so far, and this process on all that it sent for that."""
    for _ in range(2):
        for one in connections:
            assert (await one.request("no.subscriber", b"")).status == "503"


def where(port, name):
    return f"nats://127.0.0.1:{port}:name={name}"


async def test_a_message_reaches_the_subscriptions_of_others_once(nats_port, nodes):
    a, b = await nodes.joined(where(nats_port, "a")), await nodes.joined(where(nats_port, "b"))
    came = []
    for one in (a, b):
        one.subscribe("x.>", lambda message, one=one: came.append((one, message)))
    await settled(a, b)
    a.publish("x.y", b"\0payload\r\n", "re.ply", {"A": "b"})
    await settled(a, b)
    ((who, message),) = came
    assert who is b  # never back to who published it
    assert (message.subject, message.payload, message.reply) == ("x.y", b"\0payload\r\n", "re.ply")
    assert message.headers == {"A": "b"}


async def test_an_ended_subscription_gets_nothing(nats_port, nodes):
    a, b = await nodes.joined(where(nats_port, "a")), await nodes.joined(where(nats_port, "b"))
    came = []
    end = b.subscribe("x", came.append)
    await settled(b)
    a.publish("x", b"1")
    end()
    end()
    await settled(b, a)
    a.publish("x", b"2")
    await settled(a, b)
    assert [message.payload for message in came] in ([], [b"1"])


async def test_a_queue_group_gets_each_message_once(nats_port, nodes):
    a, b, c = [await nodes.joined(where(nats_port, name)) for name in "abc"]
    came = []
    for one in (b, c):
        one.subscribe("jobs", lambda message: came.append(int(message.payload)), queue="workers")
    await settled(b, c)
    for number in range(100):
        a.publish("jobs", b"%d" % number)
    await passed(lambda: len(came) == 100)
    await settled(a, b, c)
    assert sorted(came) == list(range(100))


async def test_requests(nats_port, nodes):
    a, b = await nodes.joined(where(nats_port, "a")), await nodes.joined(where(nats_port, "b"))
    b.subscribe("double", lambda asked: b.publish(asked.reply, asked.payload * 2))
    b.subscribe("silent", lambda asked: None)
    await settled(b)
    replies = await gatherResults([a.request("double", b"%d" % number) for number in range(200)])
    assert [reply.payload for reply in replies] == [b"%d" % number * 2 for number in range(200)]
    assert (await a.request("no.subscriber", b"")).status == "503"
    with pytest.raises(NoAnswer, match="in time"):
        await a.request("silent", b"", timeout=0.1)
    a.publish("double", bytes(2 << 20))
    a.publish("s" * 4_096, b"")
    assert (a.joined, a.dropped) == (True, 2)


async def test_subscriptions_outlive_their_server(nodes):
    """Requests that wait fail at once, subscriptions are there again, and what is told is told once."""
    port = free_port()
    with nats_server(port=port):
        a, b = await nodes.joined(where(port, "a")), await nodes.joined(where(port, "b"))
        came, reported = [], []
        a.watchers.append(Told(reported))
        a.subscribe("x.*", came.append)
        b.subscribe("silent", lambda asked: None)
        await settled(a, b)
        waiting = a.request("silent", b"")
    with pytest.raises(NoAnswer, match="lost"):
        await waiting
    a.publish("x.y", b"")
    assert (a.joined, a.dropped) == (False, 1)
    with pytest.raises(NoAnswer, match="isn't joined"):
        await a.request("silent", b"")
    with nats_server(port=port):
        await passed(lambda: a.joined and b.joined)
        await settled(a, b)
        b.publish("x.y", b"again")
        await passed(lambda: came)
    assert [message.payload for message in came] == [b"again"]
    assert reported[:2] == ["left", "joined"]


class Told:
    def __init__(self, reported):
        self._reported = reported

    def joined(self):
        self._reported.append("joined")

    def left(self):
        self._reported.append("left")


async def test_a_server_that_is_stopped_costs_a_few_seconds(nodes, monkeypatch):
    """It answers nothing, and closes nothing: the next server of the list is dialled."""
    monkeypatch.setattr(limits, "CLUSTER_PING_SECONDS", 0.05)
    first, second = free_port(), free_port()
    process = subprocess.Popen([PROGRAM, "-a", "127.0.0.1", "-p", str(first)], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(first, process)
        with nats_server(port=second):
            a = await nodes.joined(f"nats://127.0.0.1:{first},nats://127.0.0.1:{second}:name=a")
            await passed(lambda: a.lag is not None)
            assert a.remote.port == first
            process.send_signal(signal.SIGSTOP)
            await passed(lambda: a.joined and a.remote.port == second)
    finally:
        process.kill()
        process.wait()


async def test_what_waits_for_the_server_is_bounded(nodes, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_BUFFER", 100_000)
    with nats_server() as port:
        a = await nodes.joined(where(port, "a"))
        count = 0
        while a.has_room:
            a.write(b"PUB x 10000\r\n%b\r\n" % bytes(10_000))
            count += 1
        assert count == 10
        await passed(lambda: a.has_room)


async def test_tens_of_thousands_of_subscriptions_come_back(nodes):
    port = free_port()
    with nats_server(port=port):
        a, b = await nodes.joined(where(port, "a")), await nodes.joined(where(port, "b"))
        came = []
        for number in range(20_000):
            a.subscribe(f"many.{number}", came.append)
    await passed(lambda: not a.joined and not b.joined)
    with nats_server(port=port):
        await passed(lambda: a.joined and b.joined)

        def all_came():  # they subscribe again some in each turn
            b.publish("many.0", b"first")
            b.publish("many.19999", b"last")
            return {message.payload for message in came} == {b"first", b"last"}

        await passed(all_came)


@pytest.mark.parametrize(
    ("options", "keys", "says"),
    [
        (("--user", "u", "--pass", "p"), ":user=u:password-file={p}", ""),
        (("--auth", "p"), ":password-file={p}", ""),
        (("--auth", "p"), "", "Authorization Violation"),
    ],
)
async def test_a_login(nodes, tmp_path, options, keys, says):
    (tmp_path / "p").write_text("p\n")
    with nats_server(*options) as port:
        a = nodes.connection(where(port, "a") + keys.format(p=tmp_path / "p"))
        await passed(lambda: a.joined or (says and says in a.state))
        assert a.joined is not bool(says)


async def test_credentials(nodes, tmp_path):
    """The seed of an NKey, and a .creds file with the JWT of an account's user."""
    key, account = jwt.made("U"), jwt.made("A")
    (tmp_path / "nkey.conf").write_text(f"authorization {{ users: [{{nkey: {key.public}}}] }}")
    (tmp_path / "jwt.conf").write_text(jwt.configured(account))
    (tmp_path / "nkey").write_text(key.seed)
    (tmp_path / "jwt").write_text(jwt.creds(account, jwt.made("U")))
    for name, other in (("nkey", "jwt"), ("jwt", "nkey")):
        with nats_server("-c", str(tmp_path / f"{name}.conf")) as port:
            spec = f"{where(port, 'a')}:credentials-file={tmp_path}/"
            await nodes.joined(spec + name)
            refused = nodes.connection(spec + other)
            await passed(lambda one=refused: "Authorization Violation" in one.state)


async def test_what_the_server_refuses_is_reported(nodes, tmp_path):
    """And the connection stays."""
    user = '{user: a, password: b, permissions: {subscribe: {deny: "x"}}}'
    (tmp_path / "nats.conf").write_text(f"authorization {{ users: [{user}] }}")
    (tmp_path / "p").write_text("b\n")
    with nats_server("-c", str(tmp_path / "nats.conf")) as port:
        a = await nodes.joined(f"{where(port, 'a')}:user=a:password-file={tmp_path / 'p'}")
        a.subscribe("x", print)
        await passed(lambda: a.refusal)
        assert "Permissions Violation" in a.refusal
        await settled(a)
        assert a.joined


async def test_tls(nodes, tmp_path):
    authority = Authority(tmp_path)
    pem = authority.issue("server.pem", "localhost", ("localhost",))
    with nats_server("--tls", "--tlscert", str(pem), "--tlskey", str(pem)) as port:
        trusts = await nodes.joined(f"tls:localhost:{port}:trustRoots={authority.file}:name=a")
        assert trusts.lag is not None
        for spec, reason in ((f"tls:localhost:{port}:name=b", "TLS"), (where(port, "c"), "it requires TLS")):
            refused = nodes.connection(spec)
            await passed(lambda one=refused, text=reason: text in one.state)
            assert not refused.joined
