"""`hello=`: what is sent first, to who was dialled and to who has dialled, on each transport and each new link."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from devices import Device
from running import Daemon, LineClient


@pytest.fixture
def device():
    with Device() as one:
        yield one


def watching(daemon):
    client = LineClient(daemon.tcp[0])
    assert client.ask("SUB #") == "OK SUB #"
    return client


def test_a_device_is_greeted_each_time_that_it_is_dialled(device):
    """Before anything else, retained messages too, and as it was written: no end mark is put behind it."""
    keys = r"id=plc:end=crlf:topic=up:subscribe=down:retain=yes:hello=START\: 100%25%0D%0A%00"
    with Daemon("--tcp", "tcp:0", "--connect", f"tcp:127.0.0.1:{device.address[1]}:{keys}") as daemon:
        with watching(daemon) as client:
            client.send("PUB! down SET 1")
            assert client.line() == "MSG down SET 1"
            for _ in range(2):
                with device.accept() as plc:
                    assert plc.line() == b"START: 100%"
                    assert plc.line() == b"\0SET 1"
                    plc.send(b"READY\r\n")
                    assert client.line() == "MSG up READY"


def test_a_half_duplex_device_may_answer_it(device):
    """The answer is a message; the command behind it waits for its own."""
    keys = "id=plc:end=crlf:topic=up:subscribe=down:answer=5s:hello=START%0D%0A"
    with Daemon("--tcp", "tcp:0", "--connect", f"tcp:127.0.0.1:{device.address[1]}:{keys}") as daemon:
        with device.accept() as plc, watching(daemon) as client, LineClient(daemon.tcp[0]) as asker:
            assert plc.line() == b"START"
            plc.send(b"READY\r\n")
            assert client.line() == "MSG up READY"
            asker.send("REQ down READ")
            assert plc.line() == b"READ"
            plc.send(b"21.5\r\n")
            assert asker.line() == "REP 21.5"


def test_a_udp_device_is_woken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(20)
        device.bind(("127.0.0.1", 0))
        keys = "topic=up:hello=STREAM"
        with Daemon("--tcp", "tcp:0", "--connect", f"udp:127.0.0.1:{device.getsockname()[1]}:{keys}") as daemon:
            with watching(daemon) as client:
                data, hub = device.recvfrom(100)
                assert data == b"STREAM"
                device.sendto(b"1", hub)
                assert client.line() == "MSG up 1"


@pytest.mark.parametrize(("written", "sent"), [("hi %C3%A9", "hi é"), ("%ff%00", b"\xff\0")])
def test_on_a_websocket_it_is_text_where_it_is_utf_8(written, sent):
    output = []

    def device(link):
        output.append(link.recv(20))
        link.send("done")

    with serve(device, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        with Daemon("--tcp", "tcp:0", "--connect", f"{url}:dialect=raw:topic=up:retain=yes:hello={written}") as daemon:
            with LineClient(daemon.tcp[0]) as client:
                client.send("SUB up")
                assert [client.line(), client.line()] == ["OK SUB up", "MSG up done"]
        server.shutdown()
        thread.join()
    assert output[0] == sent


def test_a_connector_is_greeted_too():
    keys = "0:id=tracker:dialect=raw:end=crlf:topic=up:hello=LOAD%0D%0A"
    with Daemon("--tcp", f"tcp:{keys}", "--websocket", f"tcp:{keys.replace('tracker', 'page')}") as daemon:
        for _ in range(2):
            with (
                socket.create_connection(daemon.tcp[0], timeout=20) as tracker,
                closing(tracker.makefile("rb")) as read,
            ):
                assert read.readline() == b"LOAD\r\n"
        with connect(daemon.url()) as page:
            assert page.recv(20) == "LOAD\r\n"
