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

    def told(self, *names: str) -> list:
        """Take what was told under these names, in order."""
        records, self.records = self.records, []
        return [record[name] for record in records for name in names if name in record]


class Town:
    """A world with doors that can be traced."""

    def __init__(self) -> None:
        self.world = World()
        self.listeners: list = []
        self.connectors: list = []
        self.hub = self.world.hub
        self.reactor = self.world.clock
        self.tracing = Tracing(self)

    def door(self, transport, dialect, id="door", **keys):
        door = self.world.listen(transport, dialect, id=id, **keys)
        self.listeners.append(SimpleNamespace(config=SimpleNamespace(id=id), context=door.context))
        return door

    def trace(self, **asked) -> Caller:
        caller = Caller()
        self.tracing.begin(asked, caller)
        return caller


@pytest.fixture
def town():
    return Town()


def say(town, client, *data):
    for one in data:
        client.send(one)
        town.world.turn()


def test_a_unit_from_bytes_to_subscribers(town):
    client = town.door("tcp", Lines).connect()
    caller = town.trace()
    assert caller.told("tracing") == [1]
    say(town, client, b"PUB a/b hey\nPI")
    assert caller.told("in", "hex", "bytes", "events", "held", "result", "out") == [
        "PUB a/b hey\\nPI", b"PUB a/b hey\nPI".hex(" "), 14, ["Publish a/b 'hey'"], "2 bytes held, no end mark",
        "a/b: no subscriber",
    ]  # fmt: skip
    say(town, client, b"NG\nSUB a/+\nPUB a/b 2\n")
    assert caller.told("events", "held", "result", "out", "topic") == [
        ["Ping", "Subscribe a/+", "Publish a/b '2'"],
        "PONG\\n", "OK SUB a/+\\n", "a/b: 1 receiver", "MSG a/b 2\\n", "a/b",
    ]  # fmt: skip
    assert client.received() == b"PONG\nOK SUB a/+\nMSG a/b 2\n"


def test_whose_link_it_is(town):
    town.door("tcp", Lines, id="plc7").connect()
    town.trace()
    caller = town.trace(listener="plc7")
    (link,) = town.listeners[0].context.links
    say(town, next(iter(town.world.ends)), b"PING\n")
    record = caller.records[1]
    assert (record["link"], record["listener"], record["dialect"]) == (link.session.id, "plc7", "lines")
    assert record["peer"] == f"192.0.2.7:{link.session.port}"
    assert record["time"] == town.world.wall()


def test_why_not(town):
    raw = town.door("tcp", configure(Raw, {"length": "u8"}), topic="meter", anonymous=False).connect()
    lines = town.door("tcp", Lines, id="two").connect()
    caller = town.trace()
    caller.told()
    say(town, raw, b"\x02ab\x05c")
    assert caller.told("held", "result") == ["1 of 5 bytes held", "meter: not-authorized: this listener wants a login"]
    say(town, lines, b"FLY\nSUB a/#/b\nPUB $SYS/a b\n")
    assert [said.partition(": ")[0] for said in caller.told("result")] == ["bad-command", "bad-filter", "$SYS/a"]
    say(town, lines, b"REQ nobody x\n")
    assert caller.told("result")[0].startswith("nobody: nobody: ")


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
def test_what_a_reader_holds(town, options, data, held):
    client = town.door("tcp", configure(Raw, options)).connect()
    caller = town.trace()
    say(town, client, data)
    assert caller.told("held") == [held]


def test_silence_and_the_end_of_input_are_told(town):
    client = town.door("tcp", configure(Raw, {"gap": "1s"})).connect()
    caller = town.trace()
    say(town, client, b"abc")
    caller.told()
    town.world.advance(2)
    assert caller.told("note", "events", "result") == ["silence", ["Publish raw/door 'abc'"], "raw/door: no subscriber"]
    client.finish()
    town.world.turn()
    assert caller.told("note") == ["end of input"]


def test_links_that_come_and_what_they_become(town):
    """What the dialect is told by comes a second time, to who reads it in the end."""
    caller = town.trace()
    client = town.door("tcp", Auto.among([Json, Lines], Lines)).connect()
    say(town, client, b" ")
    assert caller.told("dialect", "held") == ["auto", "1 bytes held, which don't tell the dialect yet"]
    say(town, client, b'{"op":"ping","id":1}\n')
    assert caller.told("dialect", "in", "events") == ["json", ' {"op":"ping","id":1}\\n', ["Ping tag=1"], "json"]
    assert client.received() == b'{"op":"pong","id":1}\n'


@pytest.mark.parametrize("transport", ["tcp", "udp", "websocket"])
def test_each_transport(town, transport):
    door = town.door(transport, Lines)
    client, caller = door.connect(), None
    caller = town.trace()
    say(town, client, b"SUB a\n" if transport != "websocket" else "SUB a")
    say(town, client, b"PUB a 1\n" if transport != "websocket" else "PUB a 1")
    end = "\\n" if transport == "tcp" else ""
    assert caller.told("result", "out") == [f"OK SUB a{end}", "a: 1 receiver", f"MSG a 1{end}"]


def test_a_mount_point_is_part_of_the_topic(town):
    client = town.door("tcp", Lines, prefix="boat").connect()
    caller = town.trace(topic="boat/a")
    caller.told()
    say(town, client, b"PUB a 1\nPUB b 2\n")
    assert caller.told("result") == ["boat/a: no subscriber"]


def test_one_topic_of_many(town):
    client = town.door("tcp", Lines).connect()
    caller = town.trace(topic="a/#")
    caller.told()
    say(town, client, b"SUB #\n", b"PING\n", b"PUB b 1\n", b"PUB a/b 2\n", b"SUB a/+\n")
    assert caller.told("in", "result", "out") == ["PUB a/b 2\\n", "a/b: 1 receiver", "MSG a/b 2\\n", "SUB a/+\\n"]


def test_who_is_looked_at(town):
    one, two = town.door("tcp", Lines, id="one"), town.door("tcp", Lines, id="two")
    ends = [one.connect("192.0.2.1"), one.connect("198.51.100.1"), two.connect("192.0.2.2")]
    for asked, seen in (
        ({}, [0, 1, 2]),
        ({"listener": "one"}, [0, 1]),
        ({"host": "192.0.2.0/24"}, [0, 2]),
        ({"host": "192.0.2.2"}, [2]),
        ({"host": "unix"}, []),
        ({"host": "192.0.2.0/24", "listener": "two"}, [2]),
    ):
        caller = town.trace(**asked)
        assert caller.told("tracing") == [len(seen)]
        for at, end in enumerate(ends):
            say(town, end, b"PUB a %d\n" % at)
        assert caller.told("in") == [f"PUB a {at}\\n" for at in seen]
        caller.gone()


@pytest.mark.parametrize("asked", [{"listener": "nobody"}, {"host": "example.org"}, {"topic": "a/#/b"}])
def test_what_cannot_be_traced(town, asked):
    town.door("tcp", Lines)
    with pytest.raises(ConfigError):
        town.trace(**asked)
    assert town.hub.traced is None


def test_secrets_are_masked(town):
    client = town.door("tcp", Lines).connect()
    other = town.door("tcp", Json, id="json").connect()
    caller = town.trace()
    say(town, client, *(b"AUTH bob hunter2\n"[at : at + 1] for at in range(17)))
    say(town, client, b"AUTH TOKEN hunter2\n")
    say(town, other, b'{"op":"auth","user":"bob","pass\\u0077ord":"hunter2"}\n')
    assert len(caller.records) > 20
    assert "hunter2" not in str(caller.records)
    assert b"hunter2".hex(" ") not in str(caller.records)


def test_secrets_of_a_login_in_steps_are_masked(town):
    client = town.door(
        "tcp", Mqtt, login=lambda event, session, done: event.challenge(b"who?", lambda said: None)
    ).connect()
    caller = town.trace()
    said = {"authentication_method": "m", "authentication_data": b"hunter2"}
    say(town, client, packets.Connect(client="c", properties=said).encode(5))
    say(town, client, packets.Auth(code=0x18, properties=said).encode(5))
    assert len(caller.records) >= 4
    assert "AuthResponse" in str(caller.records)
    assert "hunter2" not in str(caller.records)
    assert b"hunter2".hex(" ") not in str(caller.records)


def test_nothing_is_left_of_it(town):
    """A link that isn't traced is what it was."""
    clients = [town.door("tcp", Lines).connect(), town.door("udp", Lines, id="udp").connect()]
    say(town, clients[1], b"PING")
    links = [link for listener in town.listeners for link in listener.context.links]
    before = [dict(vars(link.dialect)) for link in links]
    callers = [town.trace(), town.trace(topic="a")]
    assert all("receive" in vars(link.dialect) for link in links)
    callers[0].gone()
    assert all("receive" in vars(link.dialect) for link in links)
    callers[1].gone()
    assert [dict(vars(link.dialect)) for link in links] == before
    assert [type(link.outbox) for link in links] == [Outbox, DatagramOutbox]
    assert town.hub.traced is None
    for caller in callers:
        caller.told()
    say(town, clients[0], b"SUB a\nPUB a 1\n")
    assert clients[0].received() == b"OK SUB a\nMSG a 1\n"
    assert not any(caller.records for caller in callers)


def test_a_result_that_is_still_to_come_when_it_ends(town):
    """The message was held back behind a login; its dialect never hears of what it hasn't asked for."""
    waiting = []
    door = town.door("tcp", Json, login=lambda event, session, done: waiting.append(done))
    client = door.connect()
    caller = town.trace()
    say(town, client, b'{"op":"auth","user":"a","password":"b"}\n{"op":"publish","topic":"a","data":1}\n')
    caller.gone()
    waiting.pop()("a")
    town.world.turn()
    assert client.received().count(b"\n") == 1
    (link,) = door.context.links
    assert "outcome" not in vars(link.dialect)


def test_a_flood_is_counted(town):
    """No more is told in a second than a person can read, and no more than the client takes."""
    client = town.door("tcp", Lines).connect()
    caller = town.trace()
    for _ in range(limits.TRACE_RECORDS + 100):
        say(town, client, b"PING\n")
    assert len(caller.records) == limits.TRACE_RECORDS + 1
    town.world.advance(1)
    assert caller.told("dropped") == [100 + limits.TRACE_RECORDS + 100]
    caller.pause(True)
    say(town, client, b"PING\n")
    town.world.advance(5)
    assert caller.records == []
    caller.pause(False)
    town.world.advance(1)
    assert caller.told("dropped") == [2]
    assert len(client.received()) == 5 * (limits.TRACE_RECORDS + 101)


def test_a_long_unit_and_many_events(town):
    client = town.door("tcp", Lines).connect()
    caller = town.trace()
    say(town, client, b"PUB a x\n" * 1000)
    record = caller.records[1]
    assert (record["bytes"], len(record["hex"].split()), len(record["events"]), record["more"]) == (8000, 256, 100, 900)
    assert "... 8000 bytes" in traced(record)


def test_a_dialect_that_raises(town):
    class Frail(Dialect):
        def receive(self, data, now, text=None):
            raise RuntimeError("oops")

    client = town.door("tcp", Frail).connect()
    caller = town.trace()
    say(town, client, b"x")
    assert caller.told("note") == ["the dialect failed: RuntimeError: oops"]
    assert client.closed


def test_own_tags_are_left_alone(town):
    class Tagged(Dialect):
        def receive(self, data, now, text=None):
            return [Publish("a", data, tag=7), Publish("a", data)]

        def outcome(self, event, result):
            return b"%d %d\n" % (event.tag, result)

    client = town.door("tcp", Tagged).connect()
    caller = town.trace()
    say(town, client, b"x")
    assert caller.told("result") == ["a: no subscriber"] * 2
    assert client.received() == b"7 0\n"


def test_what_a_full_outbox_loses_is_told(town):
    reader, writer = town.door("tcp", Lines, queue=50_000).connect(), town.door("tcp", Lines, id="two").connect()
    say(town, reader, b"SUB a\n")
    reader.taking = False
    message = b"PUB a " + b"x" * 30_000 + b"\n"
    say(town, writer, *[message] * 4)
    caller = town.trace(listener="door")
    say(town, writer, message)
    assert caller.told("topic", "note") == ["a", "1 dropped: the outbox is full"]


def test_a_slow_consumer_that_is_cut(town):
    door, two = town.door("tcp", Lines, queue=50_000, full="disconnect"), town.door("tcp", Lines, id="two")
    reader, other, writer = door.connect(), two.connect(), two.connect()
    say(town, reader, b"SUB a\n")
    say(town, other, b"SUB a\n")
    reader.taking = False
    caller = town.trace(listener="door")
    say(town, writer, *[b"PUB a " + b"x" * 30_000 + b"\n"] * 5)
    assert reader.closed
    assert set(caller.told("topic")) == {"a"}
    assert other.received().count(b"MSG a") == 5
    assert town.hub.turn.counters.failed == 0


def test_a_link_whose_listener_has_gone(town):
    """A reload may take a listener away while its links are still told so."""
    client = town.door("tcp", Lines).connect()
    caller = town.trace()
    town.listeners.clear()
    caller.gone()
    caller.told()
    say(town, client, b"PING\n")
    town.world.advance(5)
    assert not caller.records
    assert client.received() == b"PONG\n"


def test_no_more_than_a_few_at_once(town):
    for _ in range(limits.TRACES):
        town.trace()
    with pytest.raises(ConfigError, match=f"{limits.TRACES} traces run already"):
        town.trace()
