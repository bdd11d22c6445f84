"""A subscriber that stops reading costs neither memory nor the others anything, and is told what it lost."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
from collections.abc import Iterator

import pytest

from hostile.oracle import MEMORY, wait_for_descriptors
from running import Daemon, LineClient
from system.clients import Datagrams, WebSocketClient, connect

TOPICS = 10  # what is published goes round them
WINDOW = 1_000_000  # bytes on their way to those who read
BUFFER = 65_536  # bytes that the kernel keeps of what a slow one doesn't read
POLICIES = ("drop-oldest", "drop-newest", "latest", "disconnect")
NUMBER = re.compile(r"\d{8}(?=x)")


class Slow:
    """A subscriber that doesn't read; later it reads all there is."""

    def __init__(self, daemon: Daemon, kind: str, at: int, full: str = "") -> None:
        dialect, _, transport = kind.partition(" ")
        self.dialect = dialect
        if transport == "websocket":
            self.client = WebSocketClient(daemon.websocket[at], protocol=f"hubbub.{dialect}", buffer=BUFFER)
        else:
            self.client = LineClient(connect(daemon.tcp[at], buffer=BUFFER))
        if dialect == "lines":
            assert self.client.ask("SUB load/#") == "OK SUB load/#"
        elif dialect == "json":
            wish = {"op": "subscribe", "topic": "load/#"} | ({"full": full} if full else {})
            assert json.loads(self.client.ask(json.dumps(wish)))["op"] == "subscribed"

    def read(self) -> tuple[list[int], list[int], bool]:
        """Read up to the answer to a question. Returns the numbers received, the gaps, and whether the link lives."""
        numbers, gaps = [], []
        try:
            self.client.send("PING" if self.dialect == "lines" else '{"op":"ping"}')
            while (said := self.client.line()) not in ("PONG", '{"op":"pong"}'):
                if (gap := re.fullmatch(r'GAP (\d+)|\{"op":"gap","count":(\d+)\}', said)) is not None:
                    gaps.append(int(gap[1] or gap[2]))
                else:
                    numbers.append(int(NUMBER.search(said)[0]))
        except (EOFError, AssertionError, ConnectionError):
            return numbers, gaps, False
        return numbers, gaps, True

    def close(self) -> None:
        self.client.close()


class Load:
    """Messages published at the pace of those who read: a window of them is on its way."""

    def __init__(self, daemon: Daemon, size: int) -> None:
        self.daemon = daemon
        self.size = size
        self.memory = daemon.memory()
        self.publisher = connect(daemon.tcp[0])
        self.readers = [connect(daemon.tcp[0]) for _ in range(2)]
        for reader in self.readers:
            reader.sendall(b"SUB load/#\n")
            assert reader.recv(100) == b"OK SUB load/#\n"
        self.bytes = [0 for _ in self.readers]
        self.last = [b"" for _ in self.readers]

    def publish(self, count: int) -> None:
        """Publish `count` messages. The daemon's memory is bounded all the while, and the readers get everything."""
        window = max(1, WINDOW // self.size)
        published = 0
        for at in range(0, count, window):
            numbers = range(at, min(at + window, count))
            data = b"".join(b"PUB %b\n" % self.message(n) for n in numbers)
            published += sum(len(self.message(n)) + 5 for n in numbers)  # "MSG " and LF
            self.publisher.sendall(data)
            for n, reader in enumerate(self.readers):
                while self.bytes[n] < published:
                    data = reader.recv(1 << 20)
                    assert data
                    self.bytes[n] += len(data)
                    self.last[n] = (self.last[n] + data)[-self.size - 100 :]
                assert self.last[n].endswith(b"MSG %b\n" % self.message(numbers[-1]))
            assert self.daemon.memory() - self.memory < MEMORY
        assert self.bytes == [published for _ in self.readers]

    def message(self, n: int) -> bytes:
        return b"load/%d %08d%b" % (n % TOPICS, n, b"x" * (self.size - 8))

    def close(self) -> None:
        for one in (self.publisher, *self.readers):
            one.close()


# Every policy, transport and dialect, together: 20 MB past a queue of 1 MiB.

COUNT, SIZE = 10_000, 2_000
KINDS = [f"{dialect} {transport}" for transport in ("tcp", "websocket") for dialect in ("lines", "json")]
CASES = [(kind, full) for kind in KINDS for full in POLICIES]


@pytest.fixture(scope="module")
def slow() -> Iterator[dict[tuple[str, str], Slow]]:
    options = ["--tcp", "tcp:0:id=others"]
    for n, full in enumerate(POLICIES):
        options += ["--tcp", f"tcp:0:id=tcp{n}:queue=1MiB:full={full}"]
    options += ["--tcp", "tcp:0:id=raw:dialect=raw:end=lf:queue=1MiB:topic=up:subscribe=load/#"]
    options += ["--tcp", "tcp:0:id=holes:dialect=raw:end=lf:queue=1MiB:full=drop-oldest:topic=up:subscribe=load/#"]
    options += ["--tcp", "tcp:0:id=wish:queue=1MiB", "--udp", "udp:0"]
    for n, full in enumerate(POLICIES):
        options += ["--websocket", f"tcp:0:id=web{n}:queue=1MiB:full={full}"]
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(*options))
        load = stack.enter_context(contextlib.closing(Load(daemon, SIZE)))
        found = {(kind, full): Slow(daemon, kind, POLICIES.index(full) + kind.endswith("tcp")) for kind, full in CASES}
        found["raw tcp", ""] = Slow(daemon, "raw tcp", 5)
        found["raw tcp", "drop-oldest"] = Slow(daemon, "raw tcp", 6)
        found["json tcp", "wish"] = Slow(daemon, "json tcp", 7, full="latest")
        for one in found.values():
            stack.callback(one.close)
        datagrams = stack.enter_context(Datagrams(daemon.udp[0]))
        assert datagrams.ask("SUB load/#") == "OK SUB load/#"
        load.publish(COUNT)
        yield found
        assert datagrams.line().startswith("MSG load/0 00000000")
        assert "Traceback" not in daemon.log


@pytest.mark.parametrize(("kind", "full"), [case for case in CASES if case[1] != "disconnect"])
def test_received_and_lost_are_what_was_published(slow, kind, full):
    numbers, gaps, lives = slow[kind, full].read()
    assert lives
    assert len(numbers) + sum(gaps) == COUNT
    assert gaps
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    newest = list(range(COUNT - TOPICS, COUNT))
    if full == "drop-oldest":
        assert numbers[-TOPICS:] == newest
        assert len(gaps) == 1
        assert len(numbers) * SIZE > 1_000_000
    elif full == "drop-newest":
        assert numbers == list(range(len(numbers)))
    else:
        assert numbers[-TOPICS:] == newest
        assert numbers[-TOPICS - 1] < COUNT // 2


def test_a_subscription_that_wishes_for_the_latest(slow):
    numbers, gaps, lives = slow["json tcp", "wish"].read()
    assert lives
    assert len(numbers) + sum(gaps) == COUNT
    assert numbers[-TOPICS:] == list(range(COUNT - TOPICS, COUNT))


@pytest.mark.parametrize("kind", KINDS)
def test_disconnect_cuts(slow, kind):
    numbers, gaps, lives = slow[kind, "disconnect"].read()
    assert not lives
    assert not gaps
    assert numbers == list(range(len(numbers)))
    assert len(numbers) < COUNT


def test_raw_has_no_holes(slow):
    """It is cut, for a hole would corrupt the stream: what came is whole up to there."""
    frames = everything(slow["raw tcp", ""].client.socket, cut=True)
    assert [int(frame[:8]) for frame in frames] == list(range(len(frames)))
    assert len(frames) < COUNT
    assert {len(frame) for frame in frames} == {SIZE}


def test_raw_with_holes_has_whole_frames(slow):
    frames = everything(slow["raw tcp", "drop-oldest"].client.socket, cut=False)
    numbers = [int(frame[:8]) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == COUNT - 1
    assert len(frames) < COUNT
    assert {len(frame) for frame in frames} == {SIZE}


def everything(client: socket.socket, cut: bool) -> list[bytes]:
    """Read frames up to the end of input, or up to the last one that was published."""
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while more := client.recv(1 << 20):
            data += more
            if not cut and b"%08d" % (COUNT - 1) in data[-SIZE - 1 :] and data.endswith(b"x\n"):
                break
    frames = bytes(data).split(b"\n")
    last = frames.pop()
    assert cut or not last
    return frames


# 100 MB


@pytest.mark.parametrize("full", ["drop-oldest", "drop-newest", "disconnect"])
def test_100_megabytes(full):
    """As the options are by themselves, and two of each that don't read."""
    listener = f"tcp:0:full={full}"
    options = ("--tcp", "tcp:0:id=others", "--tcp", f"{listener}:id=a", "--websocket", f"{listener}:id=b")
    with Daemon(*options) as daemon, contextlib.ExitStack() as stack:
        load = stack.enter_context(contextlib.closing(Load(daemon, 10_000)))
        slow = [Slow(daemon, "lines tcp", 1), Slow(daemon, "json websocket", 0)]
        for one in slow:
            stack.callback(one.close)
        load.publish(10_000)
        for one in slow:
            numbers, gaps, lives = one.read()
            assert lives == (full != "disconnect")
            assert not lives or len(numbers) + sum(gaps) == 10_000
        assert "Traceback" not in daemon.log


def test_a_client_that_takes_nothing_at_all_is_cut():
    """`stall=` after the last byte that the client took; who takes a little now and then stays."""
    options = ("--tcp", "tcp:0:id=others", "--tcp", "tcp:0:stall=2s", "--websocket", "tcp:0:stall=2s")
    with Daemon(*options) as daemon, contextlib.ExitStack() as stack:
        usual = daemon.descriptors()
        load = stack.enter_context(contextlib.closing(Load(daemon, 10_000)))
        stuck = [Slow(daemon, "lines tcp", 1), Slow(daemon, "json tcp", 1), Slow(daemon, "lines websocket", 0)]
        sipping = Slow(daemon, "lines tcp", 1)
        for one in (*stuck, sipping):
            stack.callback(one.close)
        load.publish(1_000)
        waiting = select.poll()
        for one in stuck:
            waiting.register(one.client.socket, 0)  # an end is told without being asked for
        gone: set[int] = set()
        for _ in range(60):
            gone |= {fd for fd, _ in waiting.poll(200)}
            for fd in gone:
                with contextlib.suppress(KeyError):
                    waiting.unregister(fd)
            assert sipping.client.line()
            if len(gone) == len(stuck):
                break
        assert len(gone) == len(stuck)
        assert sipping.read()[2]
        wait_for_descriptors(daemon, usual + 4)  # of those who read, and of the publisher
