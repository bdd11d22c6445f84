"""service/process/reactor.py: what it reads itself behaves as under Twisted's own reactor."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial
from time import sleep, thread_time

import pytest
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from hubbub.limits import EVENTS_AT_ONCE, JOB_SECONDS, PROMPT_BYTES, TURN_SECONDS
from hubbub.service.process.reactor import HubbubReactor


class Echo(Protocol):
    """Echoes, fails on b"fail", and remembers why it ended."""

    ended: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        if data == b"fail":
            raise ValueError("on purpose")
        self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended = reason


class Server:
    """One HubbubReactor, turned by hand, with an echo port."""

    def __init__(self) -> None:
        self.reactor = HubbubReactor()
        self.made: list[Echo] = []
        factory = Factory.forProtocol(Echo)
        factory.noisy = False
        build = factory.buildProtocol

        def remember(address: object) -> Echo:
            self.made.append(build(address))
            return self.made[-1]

        factory.buildProtocol = remember  # type: ignore[method-assign]
        self.port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")

    def connect(self, client: socket.socket | None = None) -> socket.socket:
        client = socket.socket() if client is None else client
        client.settimeout(30)
        client.connect(("127.0.0.1", self.port.getHost().port))
        count = len(self.made)
        self.turn(lambda: len(self.made) > count)
        return client

    def turn(self, until: Callable[[], object]) -> None:
        for _ in range(1000):
            if until():
                return
            self.reactor.iterate(0.01)
        raise AssertionError("nothing happened")

    def echo(self, client: socket.socket, data: bytes) -> bytes:
        client.sendall(data)
        client.setblocking(False)
        got = b""

        def arrived() -> bool:
            nonlocal got
            try:
                got += client.recv(65536)
            except BlockingIOError:
                return False
            return len(got) >= len(data)

        self.turn(arrived)
        return got


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    for protocol in server.made:
        protocol.transport.abortConnection()
    server.port.stopListening()
    server.reactor.iterate(0)
    server.reactor.disconnectAll()


def test_it_reads(server: Server) -> None:
    client = server.connect()
    assert server.echo(client, b"hello") == b"hello"
    assert server.echo(client, b"x" * 300_000) == b"x" * 300_000
    client.close()
    server.turn(lambda: server.made[0].ended)


def test_a_failing_protocol_ends_alone(server: Server) -> None:
    seen: list[object] = []
    globalLogPublisher.addObserver(seen.append)
    good, bad = server.connect(), server.connect()
    bad.sendall(b"fail")
    server.turn(lambda: server.made[1].ended)
    globalLogPublisher.removeObserver(seen.append)
    assert isinstance(server.made[1].ended.value, ValueError)  # type: ignore[union-attr]
    assert server.echo(good, b"still here") == b"still here"
    assert seen, "what failed is in the log"
    good.close()
    bad.close()


def test_a_reset_is_found(server: Server) -> None:
    client = server.connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    server.turn(lambda: server.made[0].ended)


def test_a_turn_ends_after_its_events(server: Server) -> None:
    reported: list[str] = []
    client = server.connect()

    def received(data: bytes) -> None:
        server.reactor.call_at_turn_end(lambda: reported.append("end"))
        reported.append("event")

    server.made[0].dataReceived = received  # type: ignore[method-assign]
    client.sendall(b"x")
    server.turn(lambda: reported)
    assert reported == ["event", "end"], "in the same turn"
    client.close()


def test_outside_of_events_a_turn_ends_soon_too(server: Server) -> None:
    reported: list[str] = []
    server.reactor.call_at_turn_end(lambda: reported.append("end"))
    assert not reported
    server.turn(lambda: reported)


def test_an_ending_that_fails_leaves_the_others(server: Server) -> None:
    reported: list[str] = []
    client = server.connect()

    def fail() -> None:
        raise ValueError("on purpose")

    def received(data: bytes) -> None:
        server.reactor.call_at_turn_end(fail)
        server.reactor.call_at_turn_end(lambda: reported.append("end"))

    seen: list[object] = []
    globalLogPublisher.addObserver(seen.append)
    server.made[0].dataReceived = received  # type: ignore[method-assign]
    client.sendall(b"x")
    server.turn(lambda: reported)
    globalLogPublisher.removeObserver(seen.append)
    assert seen, "what failed is in the log"
    client.close()


def listen(server: Server, count: int, act: Callable[[int], object] = lambda n: None) -> list[tuple[int, int]]:
    """Note which connection reads how many bytes, in order."""
    read: list[tuple[int, int]] = []

    def remember(n: int, data: bytes) -> None:
        read.append((n, len(data)))
        act(n)

    for n in range(count):
        server.made[n].dataReceived = partial(remember, n)  # type: ignore[method-assign]
    return read


def test_a_client_that_has_much_to_read_is_read_after_the_others(server: Server) -> None:
    busy, other = server.connect(), server.connect()
    read = listen(server, 2)
    busy.sendall(b"x" * 100_000)
    server.turn(lambda: len(read) > 1)
    other.sendall(b"x")
    before = len(read)
    server.turn(lambda: len(read) > before + 1)
    assert read[before] == (1, 1)
    assert read[before + 1][0] == 0
    server.turn(lambda: sum(size for _, size in read) == 100_001)
    busy.sendall(b"x")
    server.turn(lambda: read[-1] == (0, 1))
    read.clear()
    busy.sendall(b"x")
    other.sendall(b"x")
    server.turn(lambda: len(read) > 1)
    assert read == [(0, 1), (1, 1)], "it is prompt again"
    busy.close()
    other.close()


def test_a_client_that_is_not_read_in_one_turn_is_read_first_in_the_next(server: Server) -> None:
    clients = [server.connect() for _ in range(4)]
    read = listen(server, 4, lambda n: sleep(2 * TURN_SECONDS) if n == 0 else None)
    for n, client in enumerate(clients):
        client.sendall(b"x" * (PROMPT_BYTES + 1) if n == 1 else b"x")
    server.reactor.iterate(0.01)
    assert read == [(0, 1)], "its time was over"
    clients[0].sendall(b"x")
    server.turn(lambda: len(read) > 4)
    assert [n for n, _ in read] == [0, 2, 3, 0, 1], "who has more than a little waits for the others"
    for client in clients:
        client.close()


def test_what_has_hung_up_is_found_before_others_are_read(server: Server) -> None:
    clients = [server.connect() for _ in range(3)]
    gone = server.made[2]
    ended: list[bool] = []
    read = listen(server, 2, lambda n: ended.append(gone.ended is not None))
    for client in clients[:2]:
        client.sendall(b"x")
    clients[2].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    clients[2].close()
    server.turn(lambda: len(read) > 1)
    assert ended == [True, True]
    for client in clients[:2]:
        client.close()


def test_a_client_that_has_taken_little_time_comes_first_in_a_crowd(server: Server) -> None:
    clients = [server.connect() for _ in range(EVENTS_AT_ONCE + 2)]
    read = listen(server, len(clients))
    clients[-1].sendall(b"x")
    server.turn(lambda: read)
    for client in clients:
        client.sendall(b"x")
    server.turn(lambda: len(read) > 1)
    assert read[1] == (len(clients) - 1, 1)
    server.turn(lambda: len(read) > len(clients))
    for client in clients:
        client.close()


def test_a_client_that_takes_long_twice_comes_with_the_others(server: Server) -> None:
    clients = [server.connect() for _ in range(EVENTS_AT_ONCE + 2)]
    assert not comes_first_in_a_crowd(server, clients, work)
    for client in clients:
        client.close()


def work(seconds: float) -> None:
    """Use so much time of the processor."""
    until = thread_time() + seconds
    while thread_time() < until:
        pass


def comes_first_in_a_crowd(server: Server, clients: list[socket.socket], spend: Callable[[float], object]) -> bool:
    """Let two clients take little time, and the last one `spend` some three times; return if they come first then."""
    slow = len(clients) - 1
    read = listen(server, len(clients), lambda n: spend(2 * JOB_SECONDS) if n == slow else None)
    for client in (clients[1], *[clients[slow]] * 3, clients[0]):  # who was read last comes first
        count = len(read)
        client.sendall(b"x")
        server.turn(lambda count=count: len(read) > count)  # type: ignore[misc]
    del read[:]
    for client in clients[:-1]:
        client.sendall(b"x")
    clients[slow].sendall(b"x")
    server.turn(lambda: len(read) >= len(clients))
    return {n for n, _ in read[:3]} == {0, 1, slow}


def test_a_new_connection_has_not_what_the_last_one_of_its_descriptor_had(server: Server) -> None:
    """Many that connect anew at once get the descriptors of those that they were."""
    clients = [server.connect() for _ in range(EVENTS_AT_ONCE + 2)]
    read = listen(server, len(clients))
    for client in clients:
        client.sendall(b"x")
    server.turn(lambda: len(read) >= len(clients))
    for _ in range(3):  # it is known as quick, also if another process had the processor meanwhile
        before = len(read)
        clients[0].sendall(b"x")
        server.turn(lambda before=before: len(read) > before)
    numbers = {one.transport.fileno() for one in server.made[1:]}
    fresh = [socket.socket() for _ in clients[1:]]  # before descriptors are free: the server's ends get all of those
    for client in clients[1:]:
        client.close()
    server.turn(lambda: not any(one.transport.connected for one in server.made[1:]))
    again = [server.connect(client) for client in fresh]
    assert numbers & {one.transport.fileno() for one in server.made[len(clients) :]}
    read = listen(server, len(server.made))
    for client in (*again, clients[0]):
        client.sendall(b"x")
    server.turn(lambda: len(read) >= len(clients))
    assert read[0] == (0, 1)
    for client in (*again, clients[0]):
        client.close()


def test_what_has_more_is_read_on_behind_the_others(server: Server) -> None:
    """One turn has the whole of a message that is longer than what is prompt, if no other process runs meanwhile."""
    clients = [server.connect(), server.connect()]
    read = listen(server, 2)
    turns = []
    for _ in range(10):
        read.clear()
        clients[0].sendall(b"x" * (PROMPT_BYTES + 100))
        clients[1].sendall(b"x")
        server.reactor.iterate(0.01)
        turns.append(list(read))
        server.turn(lambda: sum(size for _, size in read) == PROMPT_BYTES + 101)
    assert any(len(one) == 3 and one[2] == (0, 100) for one in turns)
    for client in clients:
        client.close()


def test_what_is_paused_meanwhile_is_not_read_on(server: Server) -> None:
    client = server.connect()
    read = listen(server, 1, lambda n: server.made[n].transport.pauseProducing())
    client.sendall(b"x" * (PROMPT_BYTES + 100))
    server.reactor.iterate(0.01)
    assert read == [(0, PROMPT_BYTES)]
    client.close()


def test_not_where_other_processes_ran_meanwhile(server: Server) -> None:
    clients = [server.connect() for _ in range(EVENTS_AT_ONCE + 2)]
    assert any(comes_first_in_a_crowd(server, clients, sleep) for _ in range(10)), "other processes run here, too"
    for client in clients:
        client.close()


def assert_the_second_comes_first(server: Server, first: socket.socket, second: socket.socket, read: list) -> None:
    """Let both have events alone, twice as another process may run meanwhile, and then one in the same turn."""
    for client in (second, second, first, first):
        count = len(read)
        client.sendall(b"x")
        server.turn(lambda count=count: len(read) > count)  # type: ignore[misc]
    first.sendall(b"x")
    second.sendall(b"x")
    server.turn(lambda: len(read) > 5)
    assert [n for n, _ in read[4:]] == [1, 0]
    for client in (first, second):
        client.close()


def test_a_slow_one_comes_behind_a_quick_one_even_if_they_are_two(server: Server) -> None:
    slow, quick = server.connect(), server.connect()
    read = listen(server, 2, lambda n: work(2 * JOB_SECONDS) if n == 0 else None)
    assert_the_second_comes_first(server, slow, quick, read)


def test_a_handshake_that_goes_on_is_not_quick(server: Server) -> None:
    """What has come of it took little time; what is still to come may take long."""
    shaking, quick = server.connect(), server.connect()
    read = listen(server, 2)
    server.made[0].shaking = True
    assert_the_second_comes_first(server, shaking, quick, read)
