"""More targets: MQTT's packets and properties, and the check of what its dialect makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import Close, Connect, Subscribe, SubscriptionBatch
from hubbub.publish import Publish, QosPublish
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.packets import V5, V31, V311, Connack, decode
from hubbub_plugins.mqtt.properties import AUTH, read_properties, write_properties
from hubbub_plugins.mqtt.reader import Reader
from hubbub_plugins.mqtt.wire import Cursor, Malformed

LONGEST = 1_000_000  # bytes
WELCOMES = [b"", Connack().encode(V5), Connack(present=True, properties={"topic_alias_maximum": 9}).encode(V5)]
GREETINGS = [b"", *(packets.Connect(version=version, client="c").encode(version) for version in (V31, V311, V5))]


def greeted(target: Callable[[bytes], None], greetings: list[bytes] = GREETINGS) -> Callable[[bytes], None]:
    """Let the first byte tell with which greeting, if any, the stream begins; the rest is as for `target`."""

    def with_connect(data: bytes) -> None:
        count = data[1] % 8 if len(data) > 1 else 0
        target(data[1 : 2 + count] + greetings[data[0] % len(greetings) if data else 0] + data[2 + count :])

    return with_connect


def answer(dialect: Any, event: object) -> None:
    """Each outcome is worded in packets that can be read, and what is published can be sent on."""
    assert isinstance(dialect, Mqtt)
    if isinstance(event, Connect):
        event.client = event.client or "given"
    for result in outcomes(event):
        said = dialect.outcome(event, result)
        readable(said.data if isinstance(said, Close) else said, dialect._outbound.version)
    if isinstance(event, Publish):
        sent_on(dialect, event)


def output(dialect: Any, event: object) -> None:
    """Each outcome of what a server says is worded in packets that can be read."""
    for result in outcomes(event):
        said = dialect.outcome(event, result)
        readable(said.data if isinstance(said, Close) else said, V5)


def outcomes(event: object) -> list[Any]:
    """What can become of an event without an end of its link."""
    if isinstance(event, Connect):
        return ["", "ada"]
    if isinstance(event, SubscriptionBatch):
        refusal = Refusal("not-authorized", "it is refused")
        return [[None] * len(event.events), [refusal] * len(event.events), refusal]
    if isinstance(event, QosPublish):
        return [0, 1, Refusal("quota", "it is refused")]
    return [0, True]


def readable(data: bytes, version: int) -> list[Any]:
    frames, wrong = (reader := Reader(LONGEST)).feed(data)
    assert wrong is None
    assert not reader.held()
    return [decode(first, body, version) for first, body in frames]


def sent_on(dialect: Dialect, event: Publish) -> None:
    for qos in range(3):
        unit = dialect.encode(event, dialect.form(Subscribe("#", qos=qos)))
        assert isinstance(unit, bytes)
        level = min(qos, event.qos) if isinstance(event, QosPublish) else 0
        whole = dialect.frame_qos(unit, event, 7, True) if level else unit
        (found,) = readable(whole, dialect._outbound.version)  # type: ignore[attr-defined]
        assert (found.topic, found.payload, found.qos) == (event.topic, event.payload, level)
        assert (found.id, found.dup) == ((7, True) if level else (0, False))


def one_packet(data: bytes) -> None:
    """What is read from a packet is written, and read again."""
    if len(data) < 2:
        return
    version = (V31, V311, V5)[data[0] % 3]
    try:
        found = decode(data[1], data[2:], version)
    except Malformed:
        return
    version = getattr(found, "version", version)
    assert readable(found.encode(version), version) == [found]


def properties(data: bytes) -> None:
    """What is read from properties is written, and read again, by a place where they may stand."""
    place = data[0] % (AUTH + 1) if data else 0
    try:
        found = read_properties(Cursor(data[1:]), place)
    except Malformed:
        return
    cursor = Cursor(write_properties(found))
    assert read_properties(cursor, place) == found
    assert cursor.done()
