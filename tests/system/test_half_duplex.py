"""Devices that answer only when asked, written with plain sockets: `answer=`, and the handler `poll`."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from devices import Connection, Device
from running import Daemon, LineClient
from system.clients import WebSocketClient

KEYS = "dialect=raw:end=crlf:id=7:topic=plant/{id}:subscribe=plant/{id}/down"


@contextmanager
def scale(way: str, answer: str = "2s", *options: str) -> Iterator[tuple[Daemon, Callable[[], Connection]]]:
    """A daemon and what makes a device be connected with it: the device dials, or is dialled."""
    with ExitStack() as stack:
        if way == "dials":
            listener = ("--tcp", f"tcp:0:{KEYS}:answer={answer}", "--tcp", "tcp:0", "--websocket", "tcp:0")
            daemon = stack.enter_context(Daemon(*listener, *options))
            host, port = daemon.tcp.pop(0)
            connect = lambda: Connection(socket.create_connection((host, port), 20))  # noqa: E731
        else:
            device = stack.enter_context(Device())
            connector = ("--connect", f"tcp:127.0.0.1:{device.address[1]}:{KEYS}:answer={answer}")
            daemon = stack.enter_context(Daemon(*connector, "--tcp", "tcp:0", "--websocket", "tcp:0", *options))
            connect = device.accept
        yield daemon, connect


def wait_until_heard(client: LineClient, device: Connection) -> None:
    """The daemon has the device's link once something that it says has come through."""
    assert client.ask("SUB plant/7") == "OK SUB plant/7"
    device.send(b"hello\r\n")
    assert client.line() == "MSG plant/7 hello"


def answer(device: Connection, count: int, word: Callable[[bytes], bytes]) -> threading.Thread:
    """Have the device answer so many commands, one after the other."""

    def run() -> None:
        with suppress(AssertionError, OSError):  # the test is over
            for _ in range(count):
                device.send(word(device.line()))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("way", ["dials", "is dialled"])
def test_fifty_ask_at_once_and_each_gets_its_own_answer(way):
    with scale(way) as (daemon, connect), connect() as device, LineClient(daemon.tcp[0]) as first, ExitStack() as stack:
        wait_until_heard(first, device)
        pages = [stack.enter_context(WebSocketClient(daemon.websocket[0], protocol="hubbub.json")) for _ in range(10)]
        clients = [stack.enter_context(LineClient(daemon.tcp[0])) for _ in range(40)]
        for number, client in enumerate(clients):
            client.send(f"REQ plant/7/down n{number}")
        for number, page in enumerate(pages):
            page.send(json.dumps({"op": "request", "topic": "plant/7/down", "data": f"p{number}", "id": number}))
        thread = answer(device, 50, lambda command: b"answer to " + command + b"\r\n")
        for number, client in enumerate(clients):
            assert client.line() == f"REP answer to n{number}"
        for number, page in enumerate(pages):
            assert json.loads(page.line()) == {"op": "reply", "id": number, "data": f"answer to p{number}"}
        thread.join(20)
        assert sorted(first.line() for _ in range(50))[0] == "MSG plant/7 answer to n0"


def test_the_device_gets_one_command_at_a_time():
    with scale("dials") as (daemon, connect), connect() as device, LineClient(daemon.tcp[0]) as one:
        wait_until_heard(one, device)
        one.send("PUB plant/7/down A", "PUB plant/7/down B", "PING")
        assert one.line() == "PONG"
        assert device.line() == b"A"
        device.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            device.socket.recv(1)
        device.socket.settimeout(20)
        device.send(b"a\r\n")
        assert device.line() == b"B"


def test_an_answer_in_pieces():
    with scale("dials") as (daemon, connect), connect() as device, LineClient(daemon.tcp[0]) as one:
        wait_until_heard(one, device)
        with LineClient(daemon.tcp[0]) as asker:
            asker.send("REQ plant/7/down READ")
            assert device.line() == b"READ"
            for byte in b"21.5\r\n":
                device.send(bytes([byte]))
            assert asker.line() == "REP 21.5"
            assert one.line() == "MSG plant/7 21.5"


def test_a_late_answer_goes_to_no_request():
    with scale("dials", "2s") as (daemon, connect), connect() as device, LineClient(daemon.tcp[0]) as one:
        wait_until_heard(one, device)
        with LineClient(daemon.tcp[0]) as asker, LineClient(daemon.tcp[0]) as other:
            asker.send("REQ plant/7/down A")
            assert device.line() == b"A"
            other.send("REQ plant/7/down B")
            assert asker.line().startswith("ERR timeout")
            device.send(b"late A\r\n")
            assert device.line() == b"B"  # only now
            device.send(b"B\r\n")
            assert other.line() == "REP B"
            assert [one.line(), one.line()] == ["MSG plant/7 late A", "MSG plant/7 B"]


def test_a_device_that_never_answers_delays_others_for_a_bounded_time():
    with scale("dials", "200ms") as (daemon, connect), connect() as device, LineClient(daemon.tcp[0]) as one:
        wait_until_heard(one, device)
        for command in ("A", "B"):
            assert one.ask(f"REQ plant/7/down {command}").startswith("ERR timeout")
            assert device.line() == command.encode()
        one.send("REQ plant/7/down C")
        assert device.line() == b"C"
        device.send(b"c\r\n")
        assert sorted([one.line(), one.line()]) == ["MSG plant/7 c", "REP c"]


def test_garbage_without_a_command_is_no_answer():
    with scale("dials") as (daemon, connect), connect() as device, LineClient(daemon.tcp[0]) as one:
        wait_until_heard(one, device)
        device.send(b"\xff\x00rubbish\r\n")
        assert one.line().startswith("MSGB plant/7 ")
        with LineClient(daemon.tcp[0]) as asker:
            asker.send("REQ plant/7/down READ")
            assert device.line() == b"READ"
            device.send(b"21.5\r\n")
            assert asker.line() == "REP 21.5"


@pytest.mark.parametrize("way", ["dials", "is dialled"])
def test_a_device_that_restarts(way):
    with scale(way) as (daemon, connect), LineClient(daemon.tcp[0]) as one:
        with connect() as device:
            wait_until_heard(one, device)
            assert one.ask("UNSUB plant/7") == "OK UNSUB plant/7"
            one.send("REQ plant/7/down A")
            assert device.line() == b"A"
        assert one.line().startswith("ERR unavailable")
        with connect() as device:
            wait_until_heard(one, device)
            assert one.ask("UNSUB plant/7") == "OK UNSUB plant/7"
            one.send("REQ plant/7/down A")
            assert device.line() == b"A"
            device.send(b"a\r\n")
            assert one.line() == "REP a"


def test_one_more_than_may_wait():
    with scale("dials") as (daemon, connect), connect() as device, ExitStack() as stack:
        first = stack.enter_context(LineClient(daemon.tcp[0]))
        wait_until_heard(first, device)
        assert first.ask("UNSUB plant/7") == "OK UNSUB plant/7"
        first.send(*["PUB plant/7/down x"] * 101, "REQ plant/7/down y")
        assert first.line().startswith("ERR quota 100 commands wait")


def test_over_udp():
    keys = KEYS.replace("end=crlf:", "")
    with (
        Daemon("--udp", f"udp:0:{keys}:answer=2s", "--tcp", "tcp:0") as daemon,
        LineClient(daemon.tcp[0]) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device,
    ):
        device.settimeout(20)
        device.connect(daemon.udp[0])
        assert one.ask("SUB plant/7") == "OK SUB plant/7"
        device.send(b"hello")
        assert one.line() == "MSG plant/7 hello"
        one.send("PUB plant/7/down A", "REQ plant/7/down B")
        assert device.recv(100) == b"A"
        device.send(b"a")
        assert device.recv(100) == b"B"
        device.send(b"b")
        assert sorted(one.line() for _ in range(3)) == ["MSG plant/7 a", "MSG plant/7 b", "REP b"]


def test_polling():
    poll = ("--handler", "poll:topic=plant/7/down:payload=READ:every=50ms")
    more = ("--handler", "poll:id=status:topic=plant/7/down:hex=5354:every=200ms")
    with scale("is dialled", "2s", *poll, *more) as (daemon, connect), connect() as device:
        commands = [b"READ", b"ST"]
        thread = answer(device, 20, lambda command: b"%d\r\n" % commands.index(command))
        with LineClient(daemon.tcp[0]) as one:
            assert one.ask("SUB plant/7") == "OK SUB plant/7"
            output = {one.line() for _ in range(10)}
            assert output == {"MSG plant/7 0", "MSG plant/7 1"}
        thread.join(20)
    assert "Traceback" not in daemon.log


def test_polling_a_device_that_is_off_is_reported_once_and_that_it_answers_again_too():
    poll = ("--handler", "poll:topic=plant/7/down:payload=READ:every=100ms")
    with scale("dials", "10s", *poll) as (daemon, connect):
        daemon.wait_for("plant/7/down: no client is subscribed to that topic; polling goes on")
        with connect() as device:
            assert device.line() == b"READ"
            assert daemon.log.count("polling goes on") == 1
            device.send(b"1\r\n")
            answer(device, 1000, lambda command: b"2\r\n")
            daemon.wait_for("plant/7/down: the device answers again")
            device.socket.shutdown(socket.SHUT_RDWR)
