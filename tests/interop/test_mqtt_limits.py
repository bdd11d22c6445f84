"""What clients make of the limits that hubbub announces in CONNACK: they read them, and send what they like."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager

import gmqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes

from interop.mqtt.asyncio_clients import run
from interop.mqtt.base import EXPIRY, SECONDS, V5, At, Wish
from interop.mqtt.paho_client import Paho, properties
from running import Daemon

BURST = 150  # hubbub announces a receive maximum of 100


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with Daemon("--tcp", "tcp:0:max-message=1000") as daemon:
        yield daemon.tcp[0][1]
    assert "Traceback" not in daemon.log


@contextmanager
def coming_back(port: int, messages: list[tuple[str, bytes]]) -> Iterator[queue.Queue[str]]:
    """A client that publishes these at once when it has connected, and the reasons for which it is cut."""
    cut: queue.Queue[str] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, "burst", protocol=paho.MQTTv5)
    client.max_inflight_messages_set(0)
    client.reconnect_delay_set(0.1, 0.1)  # type: ignore[arg-type]
    client.on_connect = lambda *_: [client.publish(*messages.pop(0), 2) for _ in messages[:]]
    client.on_disconnect = lambda *said: cut.put(str(said[3]))
    asked = properties(PacketTypes.CONNECT, SessionExpiryInterval=EXPIRY)
    client.connect("127.0.0.1", port, clean_start=False, properties=asked)
    client.loop_start()
    yield cut
    client.disconnect()
    client.loop_stop()


def test_more_at_once_than_the_receive_maximum_arrives_once(port):
    """It is cut for it, and sends again what wasn't released."""
    burst = [("burst", b"%d" % number) for number in range(BURST)]
    with Paho(At("tcp", "127.0.0.1", port), Wish(V5)) as other:
        other.subscribe("burst", 2)
        with coming_back(port, burst[:]) as cut:
            received = [other.next().payload for _ in burst]
            assert cut.get(timeout=SECONDS) == "Receive maximum exceeded"
        other.publish("burst", b"end", 2)
        assert other.next().payload == b"end"
    assert sorted(received, key=int) == [payload for _, payload in burst]


def test_a_message_too_long_is_sent_on_each_connection(port):
    with Paho(At("tcp", "127.0.0.1", port), Wish(V5)) as other:
        other.subscribe("long/#", 1)
        with coming_back(port, [("long/1", b"x" * 500_000), ("long/2", b"short")]) as cut:
            assert [cut.get(timeout=SECONDS) for _ in range(3)] == ["Packet too large"] * 3
        other.publish("long/3", b"of others", 1)
        assert other.next().payload == b"of others"


def test_gmqtt_raises_before_the_receive_maximum(port):
    published = []

    def publish(client: gmqtt.Client) -> None:
        for number in range(BURST):
            client.publish("burst", b"%d" % number, 2)
            published.append(number)

    async def connect_and_publish() -> None:
        client = gmqtt.Client("gmqtt")
        await client.connect("127.0.0.1", port)
        with pytest.raises(OverflowError):
            publish(client)
        await client.disconnect()

    run(connect_and_publish())
    assert len(published) == 99
