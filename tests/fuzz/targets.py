"""What is fuzzed: each target takes any bytes, and fails where the parser behind it breaks a promise."""

from __future__ import annotations

import contextlib
import json as stdlib_json
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network

from fuzz import files, mqtt, nats, stomp, tls, wamp, web
from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.dialects.raw import Raw
from hubbub.errors import Refusal
from hubbub.events import Close, Subscribe, SwitchDialect
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub.publish import Publish, Request
from hubbub.template import Template
from hubbub.testing.wellformed import faults, plain
from hubbub.transports.client_hello import ClientHello
from hubbub.transports.forwarded import Trust
from hubbub.transports.frames import BINARY, TEXT, FrameReader
from hubbub.transports.http.origin import origin_refusal
from hubbub.transports.proof import Tokens
from hubbub.transports.proxy import BadHeader, read_header
from hubbub_plugins.gelf import Gelf
from hubbub_plugins.graphite import Graphite
from hubbub_plugins.influx import Influx
from hubbub_plugins.mqtt import Mqtt
from hubbub_plugins.nats import Nats
from hubbub_plugins.nmea import Nmea
from hubbub_plugins.statsd import Statsd
from hubbub_plugins.stomp import Stomp
from hubbub_plugins.syslog import Syslog
from hubbub_plugins.wamp import Wamp

Target = Callable[[bytes], None]
Check = Callable[[Dialect, object], None]

LONGEST = 300  # bytes, `max-message=`: small, so that what is too long is soon found
NOW = 1_000.0


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """Take from the first bytes how the others are cut. Returns them whole, and in pieces."""
    count = data[0] % 8 if data else 0
    sizes, whole = data[1 : 1 + count], data[1 + count :]
    pieces, at = [], 0
    for size in sizes:
        pieces.append(whole[at : at + size])
        at += size
    return whole, [piece for piece in (*pieces, whole[at:]) if piece]


# Dialects


def drive(
    kind: type[Dialect], transport: str, pieces: Iterable[bytes], text: bool | None = None, check: Check | None = None
) -> list:
    """The events of one link, each handed to `check`; those after a SwitchDialect are the new dialect's."""
    dialect_context, peer = (
        DialectContext(transport, LONGEST, Template("fuzz/{id}")),
        Session("192.0.2.7", 5, transport, "fuzz", None),
    )
    dialect, events = kind(dialect_context, peer), []

    def act(found: list) -> bool:
        nonlocal dialect
        assert not list(faults(found, LONGEST)), list(faults(found, LONGEST))
        for event in found:
            if type(event) is SwitchDialect:
                dialect = event.dialect(dialect_context, peer)
                if not act(dialect.opened(NOW)) or not act(dialect.receive(event.head, NOW, event.text)):
                    return False
                continue
            events.append(event)
            (check or answer)(dialect, event)
            if type(event) is Close:
                return False
        return True

    if act(dialect.opened(NOW)) and all(act(dialect.receive(piece, NOW, text)) for piece in pieces):
        before = dialect
        if act(dialect.eof(NOW)) and dialect is not before:
            act(dialect.eof(NOW))
    return events


def answer(dialect: Dialect, event: object) -> None:
    """Whatever came in can be refused in words, and what is published can be carried by lines and json."""
    refused = dialect.outcome(event, Refusal("internal", "it is refused"))
    assert isinstance(refused, bytes)
    assert refused.count(b"\n") <= 1
    if isinstance(event, Publish | Request):
        event.time = NOW
        for writer in (Lines, Json):
            stream = writer(DialectContext("tcp"), dialect.peer)
            unit = stream.encode(event, stream.form(Subscribe("#")))
            assert unit is None or (unit.endswith(b"\n") and unit.count(b"\n") == 1 and b"\r" not in unit), unit
            if unit is not None and writer is Json:
                stdlib_json.loads(unit)


def of_any(spoken: Dialect, event: object) -> None:
    """As `answer`, or what MQTT, NATS or STOMP says in its place."""
    own = {Mqtt: mqtt.answer, Nats: nats.answer, Stomp: stomp.answer, Wamp: wamp.answer}
    check = next((check for kind, check in own.items() if isinstance(spoken, kind)), answer)
    check(spoken, event)


def dialect(kind: type[Dialect], chunks: bool = False, check: Check | None = None, **options: object) -> Target:
    """Any bytes on every transport; a stream comes to the same however it is cut, unless `chunks` are what it is."""
    made = configure(kind, options)

    def target(data: bytes) -> None:
        whole, pieces = cut(data)
        if "tcp" in made.transports:
            once = drive(made, "tcp", [whole] if whole else [], check=check)
            cuts = drive(made, "tcp", pieces, check=check)
            assert chunks or plain(once) == plain(cuts), (plain(once), plain(cuts))
        if "udp" in made.transports:
            drive(made, "udp", [whole], check=check)
        if "websocket" in made.transports:
            drive(made, "websocket", pieces or [b""], text=False, check=check)
            with contextlib.suppress(UnicodeDecodeError):
                whole.decode()
                drive(made, "websocket", [whole], text=True, check=check)

    return target


def units(kind: type[Dialect], **options: object) -> Target:
    """Any datagrams, of which some may belong together."""
    made = configure(kind, options)

    def target(data: bytes) -> None:
        drive(made, "udp", cut(data)[1])

    return target


# Transports


def reference_frames(data: bytes) -> Iterator[tuple[bytes, bool | None]]:
    """RFC 6455 section 5.2 as it is written, for whole masked text, binary and control frames."""
    while len(data) >= 6:
        first, size, at = data[0], data[1] & 127, 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        if not data[1] & 128 or len(data) < at + 4 + size:
            return
        key, end = data[at : at + 4], at + 4 + size
        payload = bytes(byte ^ key[n % 4] for n, byte in enumerate(data[at + 4 : end]))
        yield (payload, first == TEXT) if first in (TEXT, BINARY) else (data[:end], None)
        data = data[end:]


def frames(data: bytes) -> None:
    whole, pieces = cut(data)
    wanted = list(reference_frames(whole))
    for cuts in ([whole], pieces):
        reader, found = FrameReader(LONGEST), []
        for piece in cuts:
            read = reader.read(piece)
            found += read.found
            if read.other:
                assert whole.endswith(read.other) or len(cuts) > 1
                break
        assert found == wanted[: len(found)]
        assert all(len(payload) <= LONGEST for payload, text in found if text is not None)


def proxy(data: bytes) -> None:
    """However it is cut, the header is the same; and what is no header is found out without another byte."""
    found: object = None
    for end in range(len(data) + 1):
        try:
            now: object = read_header(data[:end])
        except BadHeader:
            now = BadHeader
        assert found is None or now == found
        found = now
        if found not in (None, BadHeader):
            assert found.size <= end
            assert found.client is None or found.client[0] == "unix" or ip_address(found.client[0])
    assert found is not None or len(data) < limits.PROXY_BYTES


def client_hello(data: bytes) -> None:
    """However it is cut, what a client offers is the same; and it isn't waited for longer than the bound says."""
    found, reader = None, ClientHello()
    for byte in data:
        found = reader.offered(bytes([byte]))
        if found is not None:
            break
    if len(data) < limits.CLIENT_HELLO_BYTES:
        assert ClientHello().offered(data) == found or not data
    else:
        assert found is not None


def forwarded(data: bytes) -> None:
    peer = ("192.0.2.1", 5)
    host, port = Trust([ip_network("192.0.2.0/24"), ip_network("::/1")]).client(peer, data.decode("latin-1"))
    assert (host, port) == peer or (str(ip_address(host)) == host and 0 <= port < 65_536)
    assert Trust([ip_network("10.0.0.0/8")]).client(peer, data.decode("latin-1")) == peer


def origin(data: bytes) -> None:
    page, _, host = data.decode("latin-1").partition("\n")
    refusal = origin_refusal(page, host, frozenset(["hub.example"]))
    assert refusal is None or (refusal.reason.isprintable() and refusal.limit == "origin")


def proof(data: bytes) -> None:
    tokens, text = Tokens(b"secret"), data.decode("latin-1")
    good = tokens.token("192.0.2.1", 5, NOW)
    assert tokens.check("192.0.2.1", 5, text, NOW) == (text == good)
    assert tokens.check("192.0.2.1", 5, good, NOW)


TARGETS: dict[str, Target] = {
    "lines": dialect(Lines),
    "json": dialect(Json),
    "auto": dialect(Auto.among([Lines, Json, Nmea, Syslog, Mqtt, Nats, Stomp, Wamp], Lines), check=of_any),
    "lines-client": dialect(Lines.for_role("client")),
    "json-client": dialect(Json.for_role("client")),
    "raw-chunk": dialect(Raw, chunks=True),
    "raw-end": dialect(Raw, end="crlf"),
    "raw-length": dialect(Raw, length="u16be"),
    "raw-size": dialect(Raw, size="7"),
    "nmea": dialect(Nmea, format="json", checksum="optional"),
    "nmea-ais": dialect(Nmea, ais="ais/{mmsi}/{type}", checksum="optional"),
    "syslog": dialect(Syslog),
    "syslog-gap": dialect(Syslog, gap="1s"),
    "statsd": dialect(Statsd),
    "gelf": dialect(Gelf),
    "gelf-units": units(Gelf),
    "graphite": dialect(Graphite, format="json"),
    "influx": dialect(Influx),
    "mqtt": mqtt.greeted(dialect(Mqtt, check=mqtt.answer)),
    "mqtt-client": mqtt.greeted(dialect(Mqtt.for_role("client"), check=mqtt.output, version="5"), mqtt.WELCOMES),
    "stomp": mqtt.greeted(dialect(Stomp, check=stomp.answer), stomp.GREETINGS),
    "stomp-frame": stomp.one_frame,
    "wamp": mqtt.greeted(dialect(Wamp, check=wamp.answer), wamp.HELLOS),
    "wamp-arguments": wamp.messages,
    "wamp-frames": wamp.frames,
    "mqtt-packet": mqtt.one_packet,
    "mqtt-properties": mqtt.properties,
    "nats": mqtt.greeted(dialect(Nats, check=nats.answer), nats.GREETINGS),
    "nats-client": mqtt.greeted(dialect(Nats.for_role("client"), check=nats.output), nats.WELCOMES),
    "nats-headers": nats.headers,
    "nats-subjects": nats.subjects,
    "frames": frames,
    "proxy": proxy,
    "client-hello": client_hello,
    "forwarded": forwarded,
    "origin": origin,
    "proof": proof,
    "signed": files.signed,
    "token": files.token,
    "topics": files.topics,
    "endpoint": files.endpoint,
    "toml": files.toml,
    "permissions": files.permissions,
    "passwords": files.passwords,
    "mosquitto-conf": files.mosquitto_conf,
    "mosquitto-acl": files.mosquitto_acl,
    "http": web.http,
    "credentials": web.credentials,
    "tls": tls.play,
}
