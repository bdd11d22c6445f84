"""Handlers in a real daemon: what they may do, what they do wrong, and that nobody else is harmed."""

from __future__ import annotations

import re

import pytest

from running import Daemon, LineClient
from system.clients import Datagrams, WebSocketClient

PLUGINS = '''
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import deferLater

from hubbub import Handler, Refusal, on


class Bad(Handler):
    """Fails in each way there is."""

    async def start(self):
        raise RuntimeError("in start")

    @on("bad/raise")
    def raises(self, message):
        raise RuntimeError("in a method")

    @on("bad/deferred")
    def fails(self, message):
        return fail(RuntimeError("in a Deferred"))

    @on("bad/later")
    def fails_later(self, message):
        return deferLater(reactor, 0.01, lambda: 1 / 0)

    @on("bad/async")
    async def raises_async(self, message):
        await deferLater(reactor, 0.01)
        raise RuntimeError("in a coroutine")

    @on("bad/reply")
    def replies_nonsense(self, message):
        message.reply(object())

    @on("bad/topic")
    def publishes_nowhere(self, message):
        self.publish("a/#", "x")

    @on("bad/exit")
    def exits(self, message):
        raise SystemExit("no")

    @on("bad/never")
    def never(self, message):
        return Deferred()

    def peer_joined(self, peer):
        raise RuntimeError("in peer_joined")


class Good(Handler):
    """Answers plainly, later, and by asking others."""

    @on("good/plain")
    def plain(self, message):
        message.reply(message.text.upper())

    @on("good/deferred")
    def deferred(self, message):
        return deferLater(reactor, 0.01, message.reply, "later")

    @on("good/async")
    async def coroutine(self, message):
        await deferLater(reactor, 0.01)
        message.reply({"n": [1, 2.5, None]})

    @on("good/asks")
    async def asks(self, message):
        topic, _, timeout = message.text.partition(" ")
        try:
            answer = await self.request(topic, "question", timeout=float(timeout or 2))
        except Refusal as no:
            message.reply(no.code)
        else:
            message.reply(f"{answer.topic.partition('/')[0]} {answer.text}")

    @on("good/slow")
    async def slow(self, message):
        await deferLater(reactor, 0.3)
        message.reply("after all")

    @on("good/many")
    def many(self, message):
        for n in range(1000):
            message.reply(str(n))

    @on("good/both", "good/+")
    def both(self, message):
        if message.topic == "good/both":
            message.reply("once for each filter")


class Other(Handler):
    """Is asked."""

    @on("other/answers")
    def answers(self, message):
        message.reply(message.text + "!")

    @on("other/answers/late")
    async def late(self, message):
        await deferLater(reactor, 0.2)
        message.reply("late")

    @on("other/silent")
    def silent(self, message):
        pass

    @on("other/twice")
    def twice(self, message):
        message.reply("first")
        message.reply("second")


class Ping(Handler):
    """Ping and Pong play for ever, if they are let."""

    @on("game/ping")
    def ping(self, message):
        self.publish("game/pong", str(int(message.text) + 1))


class Pong(Handler):
    @on("game/pong")
    def pong(self, message):
        self.publish("game/ping", str(int(message.text) + 1))


class Later(Handler):
    """A loop that waits between."""

    @on("later/a")
    async def a(self, message):
        await deferLater(reactor, 0.001)
        self.publish("later/b", str(int(message.text) + 1))


class Back(Handler):
    @on("later/b")
    async def b(self, message):
        await deferLater(reactor, 0.001)
        self.publish("later/a", str(int(message.text) + 1))


class Own(Handler):
    """Hears what it says itself, or not."""

    @on("own/#")
    def own(self, message):
        self.publish("own/heard", f"heard {message.topic}")


class Clockwork(Handler):
    """Every now and then; one call that fails doesn't end it."""

    count = 0

    def start(self):
        self.every(0.02, self.tick)

    def tick(self):
        self.count += 1
        self.publish("tick", str(self.count), retain=True)
        if self.count == 3:
            raise RuntimeError("the third")


class Door(Handler):
    """Tells who comes and goes."""

    def peer_joined(self, peer):
        self.publish("door/in", f"{peer.transport} {peer.host} {peer.listener}")

    def peer_left(self, peer):
        self.publish("door/out", f"{peer.transport} {peer.host} {peer.listener}")


class Last(Handler):
    """Has a last word."""

    def stop(self):
        print("the last word")
'''
NAMES = "bad good other ping pong later back own clockwork door last".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "ours.py").write_text(PLUGINS)
    return folder


@pytest.fixture(scope="module")
def daemon(folder):
    handlers = [option for name in NAMES for option in ("--handler", name)]
    options = ("--tcp", "tcp:0:id=lines", "--tcp", "tcp:0:dialect=raw:end=lf:topic=good/plain:id=raw")
    options += ("--udp", "udp:0:id=udp", "--websocket", "tcp:0:id=web", "--plugin-dir", str(folder))
    with Daemon(*options, *handlers) as one:
        yield one
    assert one.process.returncode == 0
    assert "the last word" in one.log
    failures = re.findall("handler .* failed; .*", one.log)
    refused = re.findall("handler .* was refused something: .*", one.log)
    assert {line.split()[1] for line in failures} == {"bad", "clockwork"}
    assert {line.split()[1] for line in refused} == {"bad", "ping", "later"}
    assert len(set(failures)) == len(failures) == one.log.count("Traceback")  # once each; the rest is counted
    assert "Unhandled" not in one.log


@pytest.fixture
def client(daemon):
    with LineClient(daemon.tcp[0]) as one:
        yield one


@pytest.fixture
def other(daemon):
    with LineClient(daemon.tcp[0]) as one:
        yield one


@pytest.mark.parametrize("how", ["raise", "deferred", "later", "async", "reply", "topic", "exit", "never"])
def test_one_that_fails_affects_no_other(client, how):
    for _ in range(3):
        client.send(f"PUB bad/{how} x")
    assert client.ask("REQ good/plain still there") == "REP STILL THERE"


def test_replies(client):
    assert client.ask("REQ good/plain straße") == "REP STRASSE"
    assert client.ask("REQ good/deferred x") == "REP later"
    assert client.ask("REQ good/async x") == 'REP {"n":[1,2.5,null]}'
    assert client.ask("REQ other/twice x") == "REP first"
    assert client.ask("REQ other/silent x").startswith("ERR timeout ")
    assert client.ask("REQ no/such/topic x").startswith("ERR no-responders ")


def test_a_reply_without_a_request_goes_to_the_sender_alone(client, other):
    """As if it were subscribed to that topic; in order, and to nobody else, subscribed or not."""
    assert other.ask("SUB good/#") == "OK SUB good/#"
    assert client.ask("PUB good/plain abc") == "MSG good/plain ABC"
    assert other.line() == "MSG good/plain abc"
    client.send("PUB good/many x")
    assert [client.line() for _ in range(1000)] == [f"MSG good/many {n}" for n in range(1000)]
    assert other.line() == "MSG good/many x"
    assert client.ask("PUB good/both x") == "MSG good/both once for each filter"
    assert other.line() == "MSG good/both x"
    assert other.ask("PING") == client.ask("PING") == "PONG"


def test_a_reply_in_each_dialect(daemon):
    with WebSocketClient(daemon.websocket[0]) as web:
        said = web.ask('{"op":"publish","topic":"good/plain","data":"é"}')
        assert said == '{"op":"message","topic":"good/plain","data":"É"}'
        said = web.ask('{"op":"request","topic":"good/async","data":1,"id":"q"}')
        assert said == '{"op":"reply","id":"q","data":{"n":[1,2.5,null]}}'
    with LineClient(daemon.tcp[1]) as raw:
        assert raw.ask("abc") == "ABC"
    with Datagrams(daemon.udp[0]) as udp:
        assert udp.ask("PUB good/plain abc") == "MSG good/plain ABC"
        assert udp.ask("REQ good/deferred abc") == "REP later"


def test_requests_between_handlers(client):
    assert client.ask("REQ good/asks other/answers") == "REP $reply question!"
    assert client.ask("REQ good/asks other/answers/late") == "REP $reply late"
    assert client.ask("REQ good/asks other/twice") == "REP $reply first"
    assert client.ask("REQ good/asks other/silent 0.1") == "REP timeout"
    assert client.ask("REQ good/asks other/answers/late 0.01") == "REP timeout"
    assert client.ask("REQ good/asks nobody/there") == "REP no-responders"
    assert client.ask("REQ good/asks a/#").startswith(("REP bad-topic", "ERR timeout"))


def test_loops_end(client):
    """After limits.HOPS publishes, however long each waits before it."""
    for topics in (("game/ping", "game/pong"), ("later/a", "later/b")):
        for topic in topics:
            assert client.ask(f"SUB {topic}") == f"OK SUB {topic}"
        client.send(f"PUB {topics[0]} 0")
        seen = [client.line() for _ in range(9)]
        assert seen == [f"MSG {topics[n % 2]} {n}" for n in range(9)]
        assert client.ask("REQ good/slow x") == "REP after all"  # and no tenth while that took its time


def test_a_handler_doesn_t_receive_its_own_messages(client):
    assert client.ask("SUB own/heard") == "OK SUB own/heard"
    assert client.ask("PUB own/x 1") == "MSG own/heard heard own/x"
    assert client.ask("PING") == "PONG"


def test_every_goes_on(client):
    assert client.ask("SUB tick") == "OK SUB tick"
    first = int(client.line().removeprefix("MSG tick "))
    later = [int(client.line().removeprefix("MSG tick ")) for _ in range(5)]
    assert later == list(range(later[0], later[0] + 5))
    assert later[0] in (first, first + 1)


def test_clients_come_and_go(folder):
    """A daemon of its own: those who left another test may be seen to have gone in the middle of this one."""
    options = ("--tcp", "tcp:0:id=lines", "--websocket", "tcp:0:id=web", "--handler", "door")
    with Daemon(*options, "--plugin-dir", str(folder)) as own, LineClient(own.tcp[0]) as client:
        assert client.ask("SUB door/#") == "OK SUB door/#"
        with LineClient(own.tcp[0]):
            assert client.line() == "MSG door/in tcp 127.0.0.1 lines"
        assert client.line() == "MSG door/out tcp 127.0.0.1 lines"
        with WebSocketClient(own.websocket[0]):
            assert client.line() == "MSG door/in websocket 127.0.0.1 web"
        assert client.line() == "MSG door/out websocket 127.0.0.1 web"


def test_a_reply_to_a_client_that_has_gone(daemon, client):
    for _ in range(20):
        with LineClient(daemon.tcp[0]) as gone:
            gone.send("PUB good/slow x", "PUB good/plain x")
    assert client.ask("REQ good/slow x") == "REP after all"


@pytest.mark.parametrize("commands", [["PUB good/plain abc"], ["REQ good/slow abc"], ["REQ good/asks other/answers"]])
def test_a_half_closed_client_gets_its_reply(daemon, commands):
    """It asks, ends its input, and then reads."""
    with LineClient(daemon.tcp[0]) as client:
        client.send(*commands)
        client.socket.shutdown(1)
        assert client.line() in ("MSG good/plain ABC", "REP after all", "REP $reply question!")
        assert client.ended()


def test_a_half_closed_raw_client_gets_its_reply(daemon):
    with LineClient(daemon.tcp[1]) as client:
        client.socket.sendall(b"one\ntwo\nthree")
        client.socket.shutdown(1)
        assert [client.line() for _ in range(3)] == ["ONE", "TWO", "THREE"]
        assert client.ended()


def test_two_of_one_kind(tmp_path):
    """Told apart by their id."""
    (tmp_path / "echo.py").write_text(
        "from hubbub import Handler, on, option\n\nclass Echo(Handler):\n"
        "    mark = option('!', str, 'what is put behind')\n\n"
        "    @on('echo')\n    def echo(self, message):\n        self.publish('echoed', message.text + self.mark)\n"
    )
    handlers = ("--handler", "echo", "--handler", "echo:id=second:mark=?")
    with Daemon("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), *handlers) as daemon:
        with LineClient(daemon.tcp[0]) as client:
            client.send("SUB echoed", "PUB echo a")
            assert client.line() == "OK SUB echoed"
            assert {client.line(), client.line()} == {"MSG echoed a!", "MSG echoed a?"}
