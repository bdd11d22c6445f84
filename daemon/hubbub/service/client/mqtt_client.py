"""MQTT 5.0 from the client's side, against any broker: one clean session, answered packet by packet."""

from __future__ import annotations

import secrets
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress

from hubbub import limits
from hubbub.client.address import Address
from hubbub.service.client.base import Begin, Lost, Outgoing, Received, Refused
from hubbub.service.client.units import connect

_KEEP_ALIVE = 60  # seconds
_INCOMPLETE = b"\0\x10history-complete\0\2no"
_OPEN = 20  # publishes without an answer yet: as many as Mosquitto takes by default
_LONGEST = 64 * limits.MiB  # bytes of one packet
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 12, 13, 14
_CONTENT_TYPE, _RESPONSE_TOPIC = 0x03, 0x08
_FAILED = 0x80  # reason codes from here on are failures (MQTT 5.0 section 2.4)
_REASONS = {
    0x84: "it doesn't speak MQTT 5.0", 0x86: "wrong user or password", 0x87: "not authorized",
    0x8F: "the filter is invalid", 0x90: "the topic is invalid", 0x95: "the message is too long",
    0x97: "a quota is exceeded", 0x9A: "it retains nothing", 0x8B: "it is shutting down",
}  # fmt: skip
_CODES = {0x86: "not-authorized", 0x87: "not-authorized", 0x8F: "bad-filter", 0x90: "bad-topic", 0x97: "quota"}


# Properties of acknowledgements (MQTT 5.0 section 2.2.2.2): bytes of numbers; all others are texts, or two of them.
_NUMBERS = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_REASON, _USER_PROPERTY = 0x1F, 0x26


class MqttClient:
    """A client of a broker."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._ids: set[int] = set()  # of publishes that have no answer yet
        self._last = 0
        self._messages: deque[Received] = deque()  # that came before an answer
        self._incomplete = False  # what the history has of a subscription
        self._received: set[int] = set()  # of QoS 2, until their PUBREL
        self._socket: socket.socket = connect(address)
        self._socket.settimeout(address.seconds)
        self._reader = self._socket.makefile("rb")
        password = address.token if address.token is not None else address.password
        flags = 0x02 | (0x80 if address.user is not None else 0) | (0x40 if password is not None else 0)
        body = _text("MQTT") + bytes((5, flags)) + _KEEP_ALIVE.to_bytes(2, "big") + b"\0" + _text("")
        body += b"".join(_text(one) for one in (address.user, password) if one is not None)
        self._send(CONNECT << 4, body)
        self._expect(CONNACK)

    def publish(self, message: Outgoing) -> None:
        """Publish; the answer may be read later."""
        self._publish(message, b"")

    def _publish(self, message: Outgoing, properties: bytes) -> None:
        if message.json:
            properties += bytes((_CONTENT_TYPE,)) + _text("application/json")
        number = b""
        if message.qos:
            self._ids.add(self._next())
            number = self._last.to_bytes(2, "big")
        body = _text(message.topic) + number + _varint(len(properties)) + properties + message.payload
        self._send(PUBLISH << 4 | message.qos << 1 | message.retain, body)
        while len(self._ids) >= _OPEN:
            self._read()

    def settle(self) -> None:
        """Wait until all that was published has its answer; QoS 0 has none, and an answer to a ping comes after it."""
        while self._ids:
            self._read()
        self._send(PINGREQ << 4, b"")
        self._expect(PINGRESP)

    def subscribe(self, filters: Sequence[str], qos: int, begin: Begin | None = None) -> Iterator[Received | int]:
        """Yield messages, see Client."""
        asked = b"" if begin is None else b"\x26" + _text(f"history-{begin.name}") + _text(begin.text)
        body = self._next().to_bytes(2, "big") + bytes((len(asked),)) + asked
        self._send(SUBSCRIBE << 4 | 2, body + b"".join(_text(one) + bytes((qos,)) for one in filters))
        self._expect(SUBACK)
        if self._incomplete:
            yield 0
        self._socket.settimeout(_KEEP_ALIVE / 2)
        while True:
            while self._messages:
                yield self._messages.popleft()
            try:
                self._read()
            except TimeoutError:
                self._send(PINGREQ << 4, b"")

    def request(self, message: Outgoing, seconds: float) -> bytes:
        """Publish with a response topic, and return what comes there."""
        topic = f"reply/{secrets.token_hex(16)}"
        self._send(SUBSCRIBE << 4 | 2, self._next().to_bytes(2, "big") + b"\0" + _text(topic) + b"\1")
        self._expect(SUBACK)
        self._publish(message, bytes((_RESPONSE_TOPIC,)) + _text(topic))
        self._socket.settimeout(seconds)
        try:
            while not self._messages:
                self._read()
        except TimeoutError:
            raise Refused("timeout", "no reply came in time") from None
        return self._messages.popleft().payload

    def close(self) -> None:
        """Close the connection."""
        with suppress(Lost, TimeoutError):
            self._send(DISCONNECT << 4, b"")
        self._reader.close()
        self._socket.close()

    # Packets

    def _next(self) -> int:
        self._last = self._last % 65_535 + 1
        return self._last

    def _send(self, first: int, body: bytes) -> None:
        try:
            self._socket.sendall(bytes((first,)) + _varint(len(body)) + body)
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost.of(self._address, error, self._socket) from None

    def _expect(self, kind: int) -> None:
        while self._read() != kind:
            pass

    def _read(self) -> int:
        """Read one packet, and act on it. Returns its type. Raises Refused, Lost, TimeoutError."""
        try:
            first = self._exactly(1)[0]
            body = self._exactly(self._length())
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost.of(self._address, error) from None
        kind = first >> 4
        if kind == PUBLISH:
            self._take(first, body)
        elif kind == CONNACK:
            self._check(body[1], body, 2)
        elif kind == SUBACK:
            size, at = _read_varint(body, 2)
            self._incomplete = _INCOMPLETE in body[at : at + size]
            for code in body[at + size :]:
                self._check(code, body, 2)
        elif kind == DISCONNECT:
            self._check(body[0] if body else 0, body, 1)
            raise Lost(f"{self._address}: it has closed the connection")
        elif kind in (PUBACK, PUBREC, PUBCOMP, PUBREL):
            self._acknowledged(kind, body)
        return kind

    def _take(self, first: int, body: bytes) -> None:
        size = int.from_bytes(body[:2], "big")
        topic, at, qos = body[2 : 2 + size].decode(errors="replace"), 2 + size, first >> 1 & 3
        number = body[at : at + 2] if qos else b""
        size, at = _read_varint(body, at + len(number))
        id = int.from_bytes(number, "big")
        if qos < 2 or id not in self._received:
            self._messages.append(Received(topic, body[at + size :], bool(first & 1)))
        if qos == 1:
            self._send(PUBACK << 4, number)
        elif qos == 2:
            self._received.add(id)
            self._send(PUBREC << 4, number)

    def _acknowledged(self, kind: int, body: bytes) -> None:
        id, code = int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0
        if kind == PUBREL:
            self._received.discard(id)
            self._send(PUBCOMP << 4, body[:2])
        elif kind == PUBREC and code < _FAILED:
            self._send(PUBREL << 4 | 2, body[:2])
        else:
            self._ids.discard(id)
            self._check(code, body, 3)

    def _check(self, code: int, body: bytes, at: int) -> None:
        """Raise Refused for a reason code that is a failure; the properties of its packet begin at `at`."""
        if code >= _FAILED:
            text = _REASONS.get(code, f"reason code 0x{code:02X}")
            reason = _reason_string(body, at)
            raise Refused(_CODES.get(code, ""), f"{self._address}: {text}{reason and f': {reason}'}")

    def _length(self) -> int:
        size = 0
        for shift in range(0, 28, 7):
            byte = self._exactly(1)[0]
            size |= (byte & 127) << shift
            if byte < 128:
                break
        if size > _LONGEST:
            raise Lost(f"{self._address}: a packet has {size} bytes")
        return size

    def _exactly(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            raise Lost(f"{self._address}: it has closed the connection")
        return data


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _varint(number: int) -> bytes:
    """MQTT 5.0 section 1.5.5."""
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | (128 if number else 0))
        if not number:
            return bytes(found)


def _reason_string(body: bytes, at: int) -> str:
    """Return what a server says in words, or "" (MQTT 5.0 section 3.4.2.2.2)."""
    size, at = _read_varint(body, at) if at < len(body) else (0, at)
    end = min(at + size, len(body))
    while at < end:
        kind, at = body[at], at + 1
        if kind in _NUMBERS:
            at += _NUMBERS[kind]
            continue
        for _ in range(2 if kind == _USER_PROPERTY else 1):
            text, at = body[at + 2 : at + 2 + int.from_bytes(body[at : at + 2], "big")], at + 2
            at += len(text)
        if kind == _REASON:
            return text.decode(errors="replace")
    return ""


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number, and where it ends."""
    number = 0
    for shift in range(0, 28, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
    return number, at
