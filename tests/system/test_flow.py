"""`presence=`, `silent=`, `rate=` and `changed=` of a real daemon, with devices written with plain sockets."""

from __future__ import annotations

import socket

from devices import Device
from running import Daemon, LineClient
from system.clients import WebSocketClient


def test_presence_of_a_device_that_dials():
    with (
        Daemon("--tcp", "tcp:0:id=7:dialect=raw:end=lf:presence=plant/{id}/online", "--tcp", "tcp:0") as daemon,
        LineClient(daemon.tcp[1]) as watcher,
    ):
        assert watcher.ask("SUB plant/#") == "OK SUB plant/#"
        old = socket.create_connection(daemon.tcp[0])
        assert watcher.line() == "MSG plant/7/online 1"
        new = socket.create_connection(daemon.tcp[0])
        assert watcher.line() == "MSG plant/7/online 1"
        old.close()
        new.sendall(b"x\n")
        with LineClient(daemon.tcp[1]) as late:
            late.send("SUB plant/#")
            assert [late.line(), late.line()] == ["OK SUB plant/#", "MSG plant/7/online 1"]
        new.close()
        assert watcher.line() == "MSG plant/7/online 0"


def test_presence_of_a_device_that_is_dialled():
    with Device() as device:
        connector = f"tcp:127.0.0.1:{device.address[1]}:id=7:dialect=raw:end=lf:presence=plant/{{id}}/online"
        with Daemon("--connect", connector, "--tcp", "tcp:0") as daemon, LineClient(daemon.tcp[0]) as watcher:
            watcher.send("SUB plant/#")
            with device.accept() as link:
                assert [watcher.line(), watcher.line()] == ["OK SUB plant/#", "MSG plant/7/online 1"]
                link.close()
            assert watcher.line() == "MSG plant/7/online 0"
            with device.accept():
                assert watcher.line() == "MSG plant/7/online 1"


def test_a_device_that_was_never_there_is_recognized_by_silence():
    listener = "tcp:0:id=7:dialect=raw:end=lf:presence=plant/{id}/online:silent=300ms"
    with Daemon("--tcp", listener, "--tcp", "tcp:0") as daemon, LineClient(daemon.tcp[1]) as watcher:
        watcher.send("SUB plant/#")
        assert [watcher.line(), watcher.line()] == ["OK SUB plant/#", "MSG plant/7/online 0"]
        with socket.create_connection(daemon.tcp[0]) as device:
            assert watcher.line() == "MSG plant/7/online 1"
            assert watcher.line() == "MSG plant/7/online 0"
            device.sendall(b"half a fra")
            assert watcher.line() == "MSG plant/7/online 1"


def test_over_udp_silence_is_the_only_sign():
    listener = "udp:0:id=gps:dialect=raw:topic=gps/{host}:presence=gps/{host}/online:silent=500ms"
    with (
        Daemon("--udp", listener, "--tcp", "tcp:0") as daemon,
        LineClient(daemon.tcp[0]) as watcher,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tracker,
    ):
        assert watcher.ask("SUB gps/#") == "OK SUB gps/#"
        for _ in range(2):
            tracker.sendto(b"here", daemon.udp[0])
            assert [watcher.line() for _ in range(3)] == [
                "MSG gps/127.0.0.1/online 1", "MSG gps/127.0.0.1 here", "MSG gps/127.0.0.1/online 0",
            ]  # fmt: skip


def test_a_client_that_logs_in_is_there_under_that_name():
    with Daemon("--websocket", "tcp:0:as=ada:presence=users/{user}", "--tcp", "tcp:0") as daemon:
        with LineClient(daemon.tcp[0]) as watcher:
            assert watcher.ask("SUB users/+") == "OK SUB users/+"
            with WebSocketClient(daemon.websocket[0]):
                assert watcher.line() == "MSG users/ada 1"
            assert watcher.line() == "MSG users/ada 0"


def test_a_rate_that_pauses_loses_nothing():
    with (
        Daemon("--tcp", "tcp:0:id=slow:rate=40/s:over=pause", "--tcp", "tcp:0") as daemon,
        LineClient(daemon.tcp[1]) as watcher,
        LineClient(daemon.tcp[0]) as one,
    ):
        assert watcher.ask("SUB t") == "OK SUB t"
        one.send(*[f"PUB t {n}" for n in range(60)], "QUIT")
        assert [watcher.line() for _ in range(60)] == [f"MSG t {n}" for n in range(60)]
        assert one.line() == "BYE"


def test_a_rate_that_drops_says_so_and_one_that_closes_does():
    options = ("--tcp", "tcp:0:id=a:rate=2/min", "--tcp", "tcp:0:id=b:rate=2/min:over=close")
    with Daemon(*options) as daemon, LineClient(daemon.tcp[0]) as one, LineClient(daemon.tcp[1]) as other:
        for client in (one, other):
            client.send("PUB t 1", "PUB t 2", "PUB t 3")
            assert client.line().startswith("ERR rate-limited this listener takes 2/min of each client")
        assert one.ask("PING") == "PONG"
        while other.reader.readline():
            pass  # its last words, then the end


def test_the_latest_of_a_fast_sensor_arrives():
    with (
        Daemon("--udp", "udp:0:dialect=raw:topic=t:rate=5/s:over=latest:changed=yes", "--tcp", "tcp:0") as daemon,
        LineClient(daemon.tcp[0]) as watcher,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sensor,
    ):
        assert watcher.ask("SUB t") == "OK SUB t"
        for n in range(100):
            sensor.sendto(b"%d" % (n // 10), daemon.udp[0])
        output = []
        while output[-1:] != ["MSG t 9"]:
            output.append(watcher.line())
        assert output[0] == "MSG t 0"
        assert len(output) == len(set(output))
