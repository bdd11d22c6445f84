"""Legal work of one client or of a crowd stops nobody: another client's PING is answered all the while.

Each test is a row of docs/security.md's table. `make test` has a small crowd; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from hostile.canary import Canary
from hubbub_plugins.mqtt.packets import V311, Connect, Subscribe, Subscription, Unsubscribe, Will
from running import Daemon, LineClient
from scale import FULL
from system.clients import MiB, connect, reset_on_close
from waiting import wait_until

SOURCE = ("--limit", "source-connections=0")


def crowd(small: int, full: int) -> int:
    """How many take part."""
    return full if FULL else small


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0") as one:
        yield one
        assert "Traceback" not in one.log


@contextlib.contextmanager
def links(daemon: Daemon, count: int, buffer: int | None = None, at: int = 0) -> Iterator[list[socket.socket]]:
    """So many plain connections to that listener."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(connect(daemon.tcp[at], buffer=buffer, seconds=60)) for _ in range(count)]
        for one in found:
            reset_on_close(one)
        yield found


def pour(sockets: Sequence[socket.socket], data: bytes, ends: bytes = b"", seconds: float = 60.0) -> None:
    """Send `data` on each socket as fast as they take it, and read until each has said `ends`."""
    left = dict.fromkeys(sockets, memoryview(data))
    output = dict.fromkeys(sockets, b"")
    with selectors.DefaultSelector() as selector:
        for one in sockets:
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ * bool(ends) | selectors.EVENT_WRITE)
        until = time.monotonic() + seconds
        while selector.get_map():
            for key, events in selector.select(1):
                one = key.fileobj
                if events & selectors.EVENT_WRITE:
                    left[one] = left[one][one.send(left[one]) :]
                    if not left[one]:
                        if ends:
                            selector.modify(one, selectors.EVENT_READ)
                        else:
                            selector.unregister(one)
                if events & selectors.EVENT_READ:
                    output[one] = output[one][-len(ends) :] + one.recv(1 << 20)
                    if output[one].endswith(ends):
                        selector.unregister(one)
            assert time.monotonic() < until, f"{len(selector.get_map())} of {len(sockets)} aren't done"


def pings(sockets: Sequence[socket.socket], data: bytes) -> None:
    """Send on each socket what it takes, and read nothing."""
    for one in sockets:
        one.setblocking(False)
    for _ in range(10):
        for one in sockets:
            with contextlib.suppress(BlockingIOError):
                one.send(data)


@pytest.mark.parametrize("command", [b"PING\n", b"x\n", b"SUB\n", b"{}\n"])
def test_links_that_send_commands_and_read_nothing(daemon, command):
    before = daemon.memory()
    with links(daemon, crowd(20, 300), buffer=4096) as many, Canary(daemon) as canary:
        pings(many, command * (65_535 // len(command)))
        with LineClient(daemon.tcp[0]) as one:
            for _ in range(100):
                assert one.ask("PING") == "PONG"
    canary.check()
    assert daemon.memory() - before < len(many) * MiB // 4 + 32 * MiB


BURSTS = {
    "580 publishes": b"PUB burst %b\n" % (b"x" * 100) * 580 + b"PING\n",
    "64 requests": b"REQ nobody/here x\n" * 64 + b"PING\n",
    "100 subscriptions": b"".join(b"SUB burst/%d/+\n" % n for n in range(100)) + b"PING\n",
    "100 subscriptions that end": b"".join(b"SUB burst/%d/+\nUNSUB burst/%d/+\n" % (n, n) for n in range(50))
    + b"PING\n",
}


@pytest.mark.parametrize("burst", BURSTS)
def test_a_burst_of_each_of_many_links(daemon, burst):
    with links(daemon, crowd(100, 500)) as many, Canary(daemon) as canary:
        pour(many, BURSTS[burst], b"PONG\n")
    canary.check()


POLICIES = ("drop-oldest", "drop-newest", "latest", "disconnect")


class Publisher:
    """Publishes 100 bytes again and again, as lines or as MQTT 3.1.1 at QoS 0, and sees how long that takes."""

    def __init__(self, daemon: Daemon, dialect: str) -> None:
        self.daemon = daemon
        self.client = connect(daemon.tcp[0], seconds=120)
        if dialect == "mqtt":
            self.client.sendall(mqtt_connect("publisher"))
            assert self.client.recv(4) == b"\x20\x02\x00\x00"
            self.one, self.ends = b"\x30\x6b\x00\x05turns" + b"x" * 100, (b"\xc0\x00", b"\xd0\x00")
        else:
            self.one, self.ends = b"PUB turns %b\n" % (b"x" * 100), (b"PING\n", b"PONG\n")

    def publish(self, count: int) -> float:
        """Publish so many. Returns the seconds of processor time that the daemon took for them."""
        before = self.daemon.processor()
        pour([self.client], self.one * count + self.ends[0], self.ends[1], 120)
        return self.daemon.processor() - before


def mqtt_connect(client: str, clean: bool = True) -> bytes:
    """CONNECT of MQTT 3.1.1."""
    name = client.encode()
    return b"\x10%c\x00\x04MQTT\x04%c\x00\x00\x00%c%b" % (len(name) + 12, 2 * clean, len(name), name)


def stall(subscribers: Sequence[socket.socket], dialect: str) -> None:
    """Subscribe each, and read nothing but the answer."""
    for one in subscribers:
        if dialect == "mqtt":
            one.sendall(mqtt_connect(f"stalled-{one.getsockname()[1]}") + b"\x82\x0a\x00\x01\x00\x05turns\x00")
            assert one.recv(4) == b"\x20\x02\x00\x00"
        else:
            one.sendall(b"SUB turns\n")
            assert one.recv(100) == b"OK SUB turns\n"


@pytest.mark.parametrize("dialect", ["lines", "mqtt"])
@pytest.mark.parametrize("full", POLICIES)
def test_subscribers_that_have_stopped_reading(full, dialect):
    """They cost no more than one that reads: what waits is kept once, and costs the same however many they are."""
    count = crowd(20_000, 40_000)
    with Daemon("--tcp", f"tcp:0:full={full}", *SOURCE) as daemon:
        publisher = Publisher(daemon, dialect)
        with links(daemon, 1) as (reader,):
            stall([reader], dialect)
            thread = threading.Thread(target=swallow, args=(reader,))
            thread.start()
            publisher.publish(count)
            alone = publisher.publish(count)
            with links(daemon, crowd(100, 1_000), buffer=4096) as many, Canary(daemon) as canary:
                stall(many, dialect)
                publisher.publish(60_000)  # more than the kernel holds for them, and 10,000 messages
                before = daemon.memory()
                assert publisher.publish(count) < 1.5 * alone + 0.05
                assert daemon.memory() - before < 32 * MiB
            canary.check()
            with contextlib.suppress(OSError):  # where it is disconnected once it is slow, as on a busy machine
                reader.shutdown(socket.SHUT_RDWR)
            thread.join()
        publisher.client.close()
        assert "Traceback" not in daemon.log


def swallow(reader: socket.socket) -> None:
    """Read up to the end."""
    with contextlib.suppress(ConnectionResetError):
        while reader.recv(1 << 20):
            pass


@pytest.mark.parametrize("dialect", ["lines", "mqtt"])
def test_a_subscriber_that_pings_and_reads_nothing(daemon, dialect):
    """Its answers stand before all messages, and no message looks at them."""
    ping, number = (b"\xc0\x00", 32_000) if dialect == "mqtt" else (b"PING\n", 13_000)
    publisher = Publisher(daemon, dialect)
    alone = publisher.publish(20_000)
    with links(daemon, 1, buffer=4096) as (one,), Canary(daemon) as canary:
        stall([one], dialect)
        publisher.publish(60_000)  # until it is full
        for _ in range(20):  # answers and messages in turns
            pings([one], ping * (number // 20))
            publisher.publish(100)
        assert publisher.publish(20_000) < 3 * alone + 0.05
    canary.check()
    publisher.client.close()


def test_overlapping_wildcards_and_a_topic_for_each_publish(daemon):
    """A topic's first message costs a search; a publisher whose messages all do has its share of each turn."""
    levels, topics = crowd(9, 12), crowd(1_000, 5_900)
    filters = ["/".join(one) + "/#" for one in itertools.product("a+", repeat=levels)]
    names = ["/".join("a" * levels) + f"/{n}" for n in range(topics)]
    with links(daemon, 2) as (one, other):
        pour([one], "".join(f"SUB {filter}\n" for filter in filters + names).encode() + b"PING\n", b"PONG\n")
        before = daemon.memory()
        with Canary(daemon) as canary:
            pour([other], "".join(f"PUB {name} x\n" for name in names).encode() + b"PING\n", b"PONG\n", 300)
        canary.check()
        assert daemon.memory() - before < 32 * MiB


def test_a_copy_for_each_of_many_subscriptions(daemon):
    """NATS has a copy for each; they are made as the clients read."""
    each = crowd(3_000, 10_000)
    with links(daemon, 5) as many, Canary(daemon) as canary:
        for at, one in enumerate(many):
            subjects = b"".join(b"SUB copies.%c %d\r\n" % (b"*>"[n % 2], at * each + n) for n in range(each))
            pour([one], b'CONNECT {"verbose":false}\r\n' + subjects + b"PING\r\n", b"PONG\r\n")
        with LineClient(daemon.tcp[0]) as one:
            for _ in range(3):
                one.send("PUB copies/a x")
                one.ask("PING")
                assert listen(many, each, 30) == [each] * 5
    canary.check()


def publish_to_a_crowd(daemon: Daemon, said: bytes) -> None:
    """Let 20 clients say what brings each of a crowd five messages."""
    with links(daemon, crowd(1_000, 5_000)) as many, links(daemon, 20) as publishers, Canary(daemon) as canary:
        pour(many, b"SUB crowd\nPING\n", b"PONG\n")
        for one in publishers:
            one.sendall(said)
        assert set(listen(many, 100, 60)) == {100}
    canary.check()


@pytest.mark.parametrize("command", ["PUB", "REQ"])
def test_messages_to_a_crowd(daemon, command):
    """A message to many has its share of each turn; those for whom there is no time are flushed in the next ones."""
    publish_to_a_crowd(daemon, f"{command} crowd x\n".encode() * 5)


def test_the_receivers_of_a_crowd_change_before_each_message(daemon):
    """Each publish collects them again; other clients are read first, and their answers leave first."""
    with links(daemon, crowd(1_000, 5_000)) as many, links(daemon, 60) as publishers, Canary(daemon) as canary:
        pour(many, b"SUB crowd\nPING\n", b"PONG\n")
        for one in publishers:
            one.sendall(b"SUB crowd\nUNSUB crowd\nPUB crowd x\n" * 8)
        assert min(listen(many, 480, 60)) == 480
    canary.check()


@contextlib.contextmanager
def members(daemon: Daemon, count: int, filter: str) -> Iterator[list[socket.socket]]:
    """MQTT clients with sessions that last, subscribed at QoS 1; they acknowledge nothing."""
    with links(daemon, count) as found:
        for at, one in enumerate(found):
            topic = b"\x00%c%b\x01" % (len(filter), filter.encode())
            one.sendall(mqtt_connect(f"member-{at}", clean=False) + b"\x82%c\x00\x01%b" % (len(topic) + 2, topic))
            assert one.recv(9, socket.MSG_WAITALL) == b"\x20\x02\x00\x00\x90\x03\x00\x01\x01"
        yield found


def test_the_members_of_a_group_lose_their_links_together():
    """What waits for them is handed over in steps, and a message for the group costs little however many they are."""
    with Daemon("--tcp", "tcp:0:full=drop-oldest", *SOURCE) as daemon, Canary(daemon) as canary:
        publisher = Publisher(daemon, "mqtt")
        publisher.one = b"\x32\x6d\x00\x05turns\x00\x01" + b"x" * 100
        alone = publisher.publish(crowd(20_000, 200_000))
        with members(daemon, crowd(10, 50), "$share/g/turns") as some:
            assert publisher.publish(crowd(20_000, 200_000)) < 7 * alone
            for one in some:
                one.close()
        with LineClient(daemon.tcp[0]) as one:  # who comes later gets what they were to have
            assert one.ask("PING") == "PONG"
        publisher.client.close()
    canary.check()


def listen(sockets: Sequence[socket.socket], messages: int, seconds: float) -> list[int]:
    """Read until each has had so many messages, or the time is over. Returns how many each has had."""
    output = dict.fromkeys(sockets, 0)
    with selectors.DefaultSelector() as selector:
        for one in sockets:
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ)
        until = time.monotonic() + seconds
        while time.monotonic() < until and min(output.values()) < messages:
            for key, _ in selector.select(0.1):
                output[key.fileobj] += key.fileobj.recv(1 << 20).count(b"MSG ")
    return list(output.values())


def test_many_clients_that_ask_for_all_retained_messages(daemon):
    """Each search has its share of a turn, whoever asks."""
    topics = crowd(5_000, 100_000)
    with links(daemon, crowd(30, 300)) as many:
        pour(many[:1], b"".join(b"PUB! kept/%d x\n" % n for n in range(topics)) + b"PING\n", b"PONG\n")
        with Canary(daemon) as canary:
            for one in many:
                one.sendall(b"SUB #\n")
            output = listen(many, topics, 20)
        canary.check()
        assert FULL or set(output) == {topics}
        assert min(output) > 0


def lines_subscribe(filters: Sequence[str]) -> tuple[bytes, bytes]:
    """Return what subscribes a client of lines to all, and the end of the answers."""
    return "".join(f"SUB {one}\n" for one in filters).encode() + b"PING\n", b"PONG\n"


def mqtt_subscribe(filters: Sequence[str]) -> tuple[bytes, bytes]:
    """The same for MQTT, with a session that ends with the link; each client has another id, as it has none."""
    pages = [filters[at : at + 500] for at in range(0, len(filters), 500)]
    each = [[Subscription(filter=one, qos=1) for one in page] for page in pages]
    packets = [Subscribe(id=1, subscriptions=page).encode(V311) for page in each]
    return b"".join([mqtt_connect(""), *packets, b"\xc0\0"]), b"\xd0\0"


def test_a_crowd_vanishes_while_publishers_go_on(daemon):
    """Nothing is queued for links that have hung up, and the publishers are as fast as without them at once."""
    said = b"PUB load %b\n" % (b"x" * 100) * 500
    with links(daemon, 20) as publishers, links(daemon, crowd(200, 1_000)) as many, Canary(daemon) as canary:
        pour(many, b"SUB load\nPING\n", b"PONG\n")
        pour(publishers, said)
        for one in many:
            one.close()
        pour(publishers, b"PING\n", b"PONG\n")
        before = daemon.processor()
        pour(publishers, said + b"PING\n", b"PONG\n")
        assert daemon.processor() - before < 20 * 500 * 40e-6 + 0.5
    canary.check()


@pytest.mark.timeout(120)
def test_a_crowd_with_wills_vanishes(daemon):
    """Each will goes to many; the ends of links have a share of each turn, and others are answered meanwhile."""
    count = crowd(500, 1_000)
    with links(daemon, count) as subscribers, links(daemon, count) as many:
        pour(subscribers, b"SUB will/#\nPING\n", b"PONG\n")
        for at, one in enumerate(many):
            will = Will(topic=f"will/{at}", payload=b"gone")
            one.setblocking(True)
            one.sendall(Connect(version=V311, client=f"will-{at}", will=will).encode(V311))
        for one in many:
            assert one.recv(4) == b"\x20\x02\x00\x00"
        with Canary(daemon) as canary:
            for one in many:
                one.close()
            assert set(listen(subscribers, count, 60)) == {count}
        canary.check()


def test_many_filters_in_one_packet(daemon):
    """The client waits for its answer, and others have their turns meanwhile."""
    wishes = [Subscription(filter=f"packet/{n}/+", qos=1) for n in range(crowd(4_000, 10_000))]
    both = Subscribe(id=1, subscriptions=wishes).encode(V311)
    both += Unsubscribe(id=2, filters=[one.filter for one in wishes]).encode(V311)
    with links(daemon, crowd(2, 20)) as many, Canary(daemon) as canary:
        pour(many, mqtt_connect("") + both + b"\xc0\0", b"\xd0\0", 120)
    canary.check()


@pytest.mark.parametrize("subscribe", [lines_subscribe, mqtt_subscribe])
@pytest.mark.parametrize("filter", ["reset/%d", "reset/%d/+"])
def test_links_with_many_subscriptions_that_are_reset(daemon, filter, subscribe):
    """Their subscriptions end step by step."""
    count = crowd(2_000, 10_000)
    with links(daemon, 10) as many:
        pour(many, *subscribe([filter % n for n in range(count)]))
        with Canary(daemon) as canary:
            for one in many:
                one.close()
            with LineClient(daemon.tcp[0]) as one:
                for _ in range(100):
                    assert one.ask("PING") == "PONG"
        canary.check()


def test_a_crowd_with_many_subscriptions_comes_and_goes(daemon):
    """The garbage collector stops nobody, and the memory is given back."""
    count, each = crowd(10, 60), crowd(2_000, 10_000)
    before = daemon.memory()
    with Canary(daemon) as canary:
        with links(daemon, count) as many:
            for at, one in enumerate(many):
                pour([one], b"".join(b"SUB crowd/%d/%d/+\n" % (at, n) for n in range(each)) + b"PING\n", b"PONG\n")
        wait_until(lambda: daemon.memory() - before < 32 * MiB, crowd(10, 30))
    canary.check()
