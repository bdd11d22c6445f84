"""Traces, in memory: what is told of each unit, on which links, and that nothing is left of a trace that has ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hubbub import Dialect, Publish, limits
from hubbub.dialects.detect import Auto
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.dialects.raw import Raw
from hubbub.errors import ConfigError
from hubbub.kernel.connection.datagram_outbox import DatagramOutbox
from hubbub.kernel.connection.outbox import Outbox
from hubbub.option import configure
from hubbub.service.commands.running import traced
from hubbub.service.tracing.traces import Tracing
from hubbub.testing import World
from hubbub_plugins.mqtt import Mqtt, packets


class Caller:
    """One who looks on."""

    def __init__(self) -> None:
        self.records: list[dict] = []
        self.pause = self.gone = None

    def answer(self, **record):
        traced(record)  # it can be written
        self.records.append(record)

    def follow(self, pause):
        self.pause = pause

    def reported(self, *names: str) -> list:
        """Take what was told under these names, in order."""
        records, self.records = self.records, []
        return [record[name] for record in records for name in names if name in record]


class TracedHub:
    """A world with listeners that can be traced."""

    def __init__(self) -> None:
        self.world = World()
        self.listeners: list = []
        self.connectors: list = []
        self.hub = self.world.hub
        self.reactor = self.world.clock
        self.tracing = Tracing(self)

    def listener(self, transport, dialect, id="listener", **keys):
        listener = self.world.listen(transport, dialect, id=id, **keys)
        self.listeners.append(SimpleNamespace(config=SimpleNamespace(id=id), context=listener.context))
        return listener

    def trace(self, **asked) -> Caller:
        caller = Caller()
        self.tracing.begin(asked, caller)
        return caller


@pytest.fixture
def hub():
    return TracedHub()


def say(hub, client, *data):
    for one in data:
        client.send(one)
        hub.world.turn()


def test_a_unit_from_bytes_to_subscribers(hub):
    client = hub.listener("tcp", Lines).connect()
    caller = hub.trace()
    assert caller.reported("tracing") == [1]
    say(hub, client, b"PUB a/b hey\nPI")
    assert caller.reported("in", "hex", "bytes", "events", "held", "result", "out") == [
        "PUB a/b hey\\nPI", b"PUB a/b hey\nPI".hex(" "), 14, ["Publish a/b 'hey'"], "2 bytes held, no end mark",
        "a/b: no subscriber",
    ]  # fmt: skip
    say(hub, client, b"NG\nSUB a/+\nPUB a/b 2\n")
    assert caller.reported("events", "held", "result", "out", "topic") == [
        ["Ping", "Subscribe a/+", "Publish a/b '2'"],
        "PONG\\n", "OK SUB a/+\\n", "a/b: 1 receiver", "MSG a/b 2\\n", "a/b",
    ]  # fmt: skip
    assert client.received() == b"PONG\nOK SUB a/+\nMSG a/b 2\n"


def test_whose_link_it_is(hub):
    hub.listener("tcp", Lines, id="plc7").connect()
    hub.trace()
    caller = hub.trace(listener="plc7")
    (link,) = hub.listeners[0].context.links
    say(hub, next(iter(hub.world.ends)), b"PING\n")
    record = caller.records[1]
    assert (record["link"], record["listener"], record["dialect"]) == (link.session.id, "plc7", "lines")
    assert record["peer"] == f"192.0.2.7:{link.session.port}"
    assert record["time"] == hub.world.wall()


def test_why_not(hub):
    raw = hub.listener("tcp", configure(Raw, {"length": "u8"}), topic="meter", anonymous=False).connect()
    lines = hub.listener("tcp", Lines, id="two").connect()
    caller = hub.trace()
    caller.reported()
    say(hub, raw, b"\x02ab\x05c")
    assert caller.reported("held", "result") == [
        "1 of 5 bytes held",
        "meter: not-authorized: this listener wants a login",
    ]
    say(hub, lines, b"FLY\nSUB a/#/b\nPUB $SYS/a b\n")
    assert [said.partition(": ")[0] for said in caller.reported("result")] == ["bad-command", "bad-filter", "$SYS/a"]
    say(hub, lines, b"REQ nobody x\n")
    assert caller.reported("result")[0].startswith("nobody: no-responders: ")


@pytest.mark.parametrize(
    ("options", "data", "held"),
    [
        ({"end": "crlf"}, b"T=21.5\r\nP=1.02 and more\r", "16 bytes held, no end mark"),
        ({"size": "8"}, b"12345678123", "3 of 8 bytes held"),
        ({"length": "u16be"}, b"\0", "1 of the 2 bytes of a length held"),
        ({"length": "u16le"}, b"\x05\x00ab", "2 of 5 bytes held"),
        ({"gap": "1s"}, b"abc", "3 bytes held until a pause ends them"),
    ],
)
def test_what_a_reader_holds(hub, options, data, held):
    client = hub.listener("tcp", configure(Raw, options)).connect()
    caller = hub.trace()
    say(hub, client, data)
    assert caller.reported("held") == [held]


def test_silence_and_the_end_of_input_are_reported(hub):
    client = hub.listener("tcp", configure(Raw, {"gap": "1s"})).connect()
    caller = hub.trace()
    say(hub, client, b"abc")
    caller.reported()
    hub.world.advance(2)
    assert caller.reported("note", "events", "result") == [
        "silence",
        ["Publish raw/listener 'abc'"],
        "raw/listener: no subscriber",
    ]
    client.finish()
    hub.world.turn()
    assert caller.reported("note") == ["end of input"]


def test_links_that_come_and_what_they_become(hub):
    """What the dialect is told by comes a second time, to who reads it in the end."""
    caller = hub.trace()
    client = hub.listener("tcp", Auto.among([Json, Lines], Lines)).connect()
    say(hub, client, b" ")
    assert caller.reported("dialect", "held") == ["auto", "1 bytes held, too few to detect the dialect"]
    say(hub, client, b'{"op":"ping","id":1}\n')
    assert caller.reported("dialect", "in", "events") == ["json", ' {"op":"ping","id":1}\\n', ["Ping tag=1"], "json"]
    assert client.received() == b'{"op":"pong","id":1}\n'


@pytest.mark.parametrize("transport", ["tcp", "udp", "websocket"])
def test_each_transport(hub, transport):
    listener = hub.listener(transport, Lines)
    client, caller = listener.connect(), None
    caller = hub.trace()
    say(hub, client, b"SUB a\n" if transport != "websocket" else "SUB a")
    say(hub, client, b"PUB a 1\n" if transport != "websocket" else "PUB a 1")
    end = "\\n" if transport == "tcp" else ""
    assert caller.reported("result", "out") == [f"OK SUB a{end}", "a: 1 receiver", f"MSG a 1{end}"]


def test_a_mount_point_is_part_of_the_topic(hub):
    client = hub.listener("tcp", Lines, prefix="boat").connect()
    caller = hub.trace(topic="boat/a")
    caller.reported()
    say(hub, client, b"PUB a 1\nPUB b 2\n")
    assert caller.reported("result") == ["boat/a: no subscriber"]


def test_one_topic_of_many(hub):
    client = hub.listener("tcp", Lines).connect()
    caller = hub.trace(topic="a/#")
    caller.reported()
    say(hub, client, b"SUB #\n", b"PING\n", b"PUB b 1\n", b"PUB a/b 2\n", b"SUB a/+\n")
    assert caller.reported("in", "result", "out") == ["PUB a/b 2\\n", "a/b: 1 receiver", "MSG a/b 2\\n", "SUB a/+\\n"]


def test_clients_that_are_traced(hub):
    one, two = hub.listener("tcp", Lines, id="one"), hub.listener("tcp", Lines, id="two")
    ends = [one.connect("192.0.2.1"), one.connect("198.51.100.1"), two.connect("192.0.2.2")]
    for asked, seen in (
        ({}, [0, 1, 2]),
        ({"listener": "one"}, [0, 1]),
        ({"host": "192.0.2.0/24"}, [0, 2]),
        ({"host": "192.0.2.2"}, [2]),
        ({"host": "unix"}, []),
        ({"host": "192.0.2.0/24", "listener": "two"}, [2]),
    ):
        caller = hub.trace(**asked)
        assert caller.reported("tracing") == [len(seen)]
        for at, end in enumerate(ends):
            say(hub, end, b"PUB a %d\n" % at)
        assert caller.reported("in") == [f"PUB a {at}\\n" for at in seen]
        caller.gone()


@pytest.mark.parametrize("asked", [{"listener": "nobody"}, {"host": "example.org"}, {"topic": "a/#/b"}])
def test_what_cannot_be_traced(hub, asked):
    hub.listener("tcp", Lines)
    with pytest.raises(ConfigError):
        hub.trace(**asked)
    assert hub.hub.traced is None


def test_secrets_are_masked(hub):
    client = hub.listener("tcp", Lines).connect()
    other = hub.listener("tcp", Json, id="json").connect()
    caller = hub.trace()
    say(hub, client, *(b"AUTH bob hunter2\n"[at : at + 1] for at in range(17)))
    say(hub, client, b"AUTH TOKEN hunter2\n")
    say(hub, other, b'{"op":"auth","user":"bob","pass\\u0077ord":"hunter2"}\n')
    assert len(caller.records) > 20
    assert "hunter2" not in str(caller.records)
    assert b"hunter2".hex(" ") not in str(caller.records)


def test_secrets_of_a_login_in_steps_are_masked(hub):
    client = hub.listener(
        "tcp", Mqtt, login=lambda event, session, done: event.challenge(b"who?", lambda said: None)
    ).connect()
    caller = hub.trace()
    said = {"authentication_method": "m", "authentication_data": b"hunter2"}
    say(hub, client, packets.Connect(client="c", properties=said).encode(5))
    say(hub, client, packets.Auth(code=0x18, properties=said).encode(5))
    assert len(caller.records) >= 4
    assert "AuthResponse" in str(caller.records)
    assert "hunter2" not in str(caller.records)
    assert b"hunter2".hex(" ") not in str(caller.records)


def test_nothing_is_left_of_it(hub):
    """A link that isn't traced is what it was."""
    clients = [hub.listener("tcp", Lines).connect(), hub.listener("udp", Lines, id="udp").connect()]
    say(hub, clients[1], b"PING")
    links = [link for listener in hub.listeners for link in listener.context.links]
    before = [dict(vars(link.dialect)) for link in links]
    callers = [hub.trace(), hub.trace(topic="a")]
    assert all("receive" in vars(link.dialect) for link in links)
    callers[0].gone()
    assert all("receive" in vars(link.dialect) for link in links)
    callers[1].gone()
    assert [dict(vars(link.dialect)) for link in links] == before
    assert [type(link.outbox) for link in links] == [Outbox, DatagramOutbox]
    assert hub.hub.traced is None
    for caller in callers:
        caller.reported()
    say(hub, clients[0], b"SUB a\nPUB a 1\n")
    assert clients[0].received() == b"OK SUB a\nMSG a 1\n"
    assert not any(caller.records for caller in callers)


def test_a_result_that_is_still_to_come_when_it_ends(hub):
    """The message was held back behind a login; its dialect never hears of what it hasn't asked for."""
    waiting = []
    listener = hub.listener("tcp", Json, login=lambda event, session, done: waiting.append(done))
    client = listener.connect()
    caller = hub.trace()
    say(hub, client, b'{"op":"auth","user":"a","password":"b"}\n{"op":"publish","topic":"a","data":1}\n')
    caller.gone()
    waiting.pop()("a")
    hub.world.turn()
    assert client.received().count(b"\n") == 1
    (link,) = listener.context.links
    assert "outcome" not in vars(link.dialect)


def test_a_flood_is_counted(hub):
    """No more is told in a second than a person can read, and no more than the client takes."""
    client = hub.listener("tcp", Lines).connect()
    caller = hub.trace()
    for _ in range(limits.TRACE_RECORDS + 100):
        say(hub, client, b"PING\n")
    assert len(caller.records) == limits.TRACE_RECORDS + 1
    hub.world.advance(1)
    assert caller.reported("dropped") == [100 + limits.TRACE_RECORDS + 100]
    caller.pause(True)
    say(hub, client, b"PING\n")
    hub.world.advance(5)
    assert caller.records == []
    caller.pause(False)
    hub.world.advance(1)
    assert caller.reported("dropped") == [2]
    assert len(client.received()) == 5 * (limits.TRACE_RECORDS + 101)


def test_a_long_unit_and_many_events(hub):
    client = hub.listener("tcp", Lines).connect()
    caller = hub.trace()
    say(hub, client, b"PUB a x\n" * 500)
    record = caller.records[1]
    assert (record["bytes"], len(record["hex"].split()), len(record["events"]), record["more"]) == (4000, 256, 100, 400)
    assert "... 4000 bytes" in traced(record)


def test_a_dialect_that_raises(hub):
    class Frail(Dialect):
        def receive(self, data, now, text=None):
            raise RuntimeError("oops")

    client = hub.listener("tcp", Frail).connect()
    caller = hub.trace()
    say(hub, client, b"x")
    assert caller.reported("note") == ["the dialect failed: RuntimeError: oops"]
    assert client.closed


def test_own_tags_are_left_alone(hub):
    class Tagged(Dialect):
        def receive(self, data, now, text=None):
            return [Publish("a", data, tag=7), Publish("a", data)]

        def outcome(self, event, result):
            return b"%d %d\n" % (event.tag, result)

    client = hub.listener("tcp", Tagged).connect()
    caller = hub.trace()
    say(hub, client, b"x")
    assert caller.reported("result") == ["a: no subscriber"] * 2
    assert client.received() == b"7 0\n"


def test_what_a_full_outbox_loses_is_reported(hub):
    reader, writer = hub.listener("tcp", Lines, queue=50_000).connect(), hub.listener("tcp", Lines, id="two").connect()
    say(hub, reader, b"SUB a\n")
    reader.taking = False
    message = b"PUB a " + b"x" * 30_000 + b"\n"
    say(hub, writer, *[message] * 4)
    caller = hub.trace(listener="listener")
    say(hub, writer, message)
    assert caller.reported("topic", "note") == ["a", "1 dropped: the outbox is full"]


def test_a_slow_consumer_that_is_cut(hub):
    listener, two = hub.listener("tcp", Lines, queue=50_000, full="disconnect"), hub.listener("tcp", Lines, id="two")
    reader, other, writer = listener.connect(), two.connect(), two.connect()
    say(hub, reader, b"SUB a\n")
    say(hub, other, b"SUB a\n")
    reader.taking = False
    caller = hub.trace(listener="listener")
    say(hub, writer, *[b"PUB a " + b"x" * 30_000 + b"\n"] * 5)
    assert reader.closed
    assert set(caller.reported("topic")) == {"a"}
    assert other.received().count(b"MSG a") == 5
    assert hub.hub.turn.counters.failed == 0


def test_a_link_whose_listener_has_gone(hub):
    """A reload may take a listener away while its links are still told so."""
    client = hub.listener("tcp", Lines).connect()
    caller = hub.trace()
    hub.listeners.clear()
    caller.gone()
    caller.reported()
    say(hub, client, b"PING\n")
    hub.world.advance(5)
    assert not caller.records
    assert client.received() == b"PONG\n"


def test_no_more_than_a_few_at_once(hub):
    for _ in range(limits.TRACES):
        hub.trace()
    with pytest.raises(ConfigError, match=f"{limits.TRACES} traces run already"):
        hub.trace()
