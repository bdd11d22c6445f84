"""What is published over any transport reaches subscribers on all of them, byte for byte: nc, socat, websockets."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import ExitStack

import pytest

from interop.clients import DATAGRAM, Program, Tcp, Udp, WebSocket
from running import Daemon

TEXTS = {
    "latin": "Grüße aus Køge, déjà vu",
    "ελληνικά": "Καλημέρα κόσμε",
    "中文": "欢迎访问!",
    "عربي": "مرحبا بالعالم",
    "हिन्दी": "नमस्ते दुनिया",
    "emoji": "👩‍🚀🇺🇳 e\u0301",
    "space": "  two  spaces,\ta tab, \u2028 \x85 and a trailing one ",
}
EVERY_BYTE = bytes(range(256))
LONGEST = (1 << 20) - 1  # bytes: one less than the longest payload
TRANSPORTS = ("tcp", "udp", "websocket")
STREAMS = ("tcp", "websocket")


@pytest.fixture(scope="module")
def daemon():
    with Daemon("--tcp", "tcp:0", "--udp", "udp:0", "--websocket", "tcp:0") as running:
        yield running


@pytest.fixture
def dial(daemon, need):
    """dial("udp", "nc") -> a client, closed after the test."""

    def client(transport, program="nc"):
        if transport == "websocket":
            return WebSocket(daemon.url())
        host, port = getattr(daemon, transport)[0]
        end = b"" if transport == "udp" else b"\n"
        if program == "socat":
            return Program(need("socat"), "-b65507", "-", f"{transport}:{host}:{port}", end=end)
        return Program(need("nc"), *["-u"][: transport == "udp"], host, port, end=end)

    with ExitStack() as stack:
        yield lambda *how: stack.enter_context(client(*how))


def base64(payload):
    return b64encode(payload).decode()


@pytest.mark.parametrize("subscriber", TRANSPORTS)
@pytest.mark.parametrize("publisher", TRANSPORTS)
@pytest.mark.parametrize("programs", [("nc", "socat"), ("socat", "nc")], ids="-".join)
def test_every_pair(dial, publisher, subscriber, programs):
    if programs[0] == "socat" and publisher == subscriber == "websocket":
        return  # neither program takes part: that pair is done
    at = f"pair/{publisher}/{subscriber}/{programs[0]}"
    here, there = dial(publisher, programs[0]), dial(subscriber, programs[1])
    there.send(f"SUB {at}/#")
    there.expect(f"OK SUB {at}/#")
    for name, text in TEXTS.items():
        here.send(f"PUB {at}/{name} {text}")
        there.expect(f"MSG {at}/{name} {text}")
    here.send(f"PUBB {at}/bytes {base64(EVERY_BYTE)}")
    there.expect(f"MSGB {at}/bytes {base64(EVERY_BYTE)}")
    here.send(f"PUBB {at}/text {base64('é'.encode())}")
    there.expect(f"MSG {at}/text é")
    for nothing in (f"PUB {at}/none ", f"PUB {at}/none", f"PUBB {at}/none "):
        here.send(nothing)
        there.expect(f"MSG {at}/none ")


@pytest.mark.parametrize("subscriber", STREAMS)
@pytest.mark.parametrize("publisher", STREAMS)
def test_the_longest_on_streams(dial, publisher, subscriber):
    text = ("".join(TEXTS.values()).replace("\t", "") * 10_000).encode()[: LONGEST - 4].decode(errors="ignore")
    text += "." * (LONGEST - len(text.encode()))
    binary = (EVERY_BYTE * 4096)[:LONGEST]
    here, there = dial(publisher, "nc"), dial(subscriber, "socat")
    there.send("SUB longest")
    there.expect("OK SUB longest")
    here.send(f"PUB longest {text}")
    there.expect(f"MSG longest {text}")
    here.send(f"PUBB longest {base64(binary)}")
    there.expect(f"MSGB longest {base64(binary)}")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_longest_datagram(daemon, dial, transport):
    """PUB and MSG are of one length, so what fits into a datagram here fits there."""
    text = "." * (DATAGRAM - len("PUB longest/udp "))
    room = DATAGRAM - len("PUBB longest/udp ")
    binary = (EVERY_BYTE * 256)[: room // 4 * 3]
    there = Udp(daemon.udp[0]) if transport == "udp" else dial(transport)
    with there, Udp(daemon.udp[0]) as here:
        there.send("SUB longest/udp")
        there.expect("OK SUB longest/udp")
        here.send(f"PUB longest/udp {text}")
        there.expect(f"MSG longest/udp {text}")
        here.send(f"PUBB longest/udp {base64(binary)}")
        there.expect(f"MSGB longest/udp {base64(binary)}")


def test_what_fits_no_datagram_is_reported_as_a_gap(daemon):
    with Tcp(daemon.tcp[0]) as here, Udp(daemon.udp[0]) as there:
        there.send("SUB gap")
        there.expect("OK SUB gap")
        here.send("PUB gap " + "." * 70_000, "PUB gap small")
        there.expect("GAP 1")
        there.expect("MSG gap small")


def test_json_and_lines_understand_each_other(daemon):
    with WebSocket(daemon.url(), "hubbub.json") as web, Tcp(daemon.tcp[0]) as tcp, Udp(daemon.udp[0]) as udp:
        for client in (tcp, udp):
            client.send("SUB both/#")
            client.expect("OK SUB both/#")
        web.send('{"op":"subscribe","topic":"both/#","echo":false}')
        web.expect('{"op":"subscribed","topic":"both/#"}')
        web.send(json.dumps({"op": "publish", "topic": "both/a", "base64": base64(EVERY_BYTE)}))
        web.send('{"op":"publish","topic":"both/a","data":{"°C":[21.50,null]}}')
        web.send('{"op":"publish","topic":"both/a","data":""}')
        for client in (tcp, udp):
            client.expect(f"MSGB both/a {base64(EVERY_BYTE)}")
            client.expect('MSG both/a {"°C":[21.50,null]}')
            client.expect("MSG both/a ")
        udp.send('{"op":"publish","topic":"both/b","data":"欢迎"}')  # each datagram is told apart
        tcp.send(f"PUBB both/b {base64(EVERY_BYTE)}")
        found = sorted((json.loads(web.receive()) for _ in "ab"), key=len)
        assert {"op": "message", "topic": "both/b", "data": "欢迎"} in found
        assert {"op": "message", "topic": "both/b", "base64": base64(EVERY_BYTE)} in found
