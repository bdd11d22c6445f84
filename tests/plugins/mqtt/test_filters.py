"""A long SUBSCRIBE or UNSUBSCRIBE is decoded as its filters are acted on, and is answered as a short one."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub import limits
from hubbub.testing.world import World
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.codes import QUOTA_EXCEEDED
from hubbub_plugins.mqtt.filters import MANY_BYTES, Filters
from hubbub_plugins.mqtt.packets import V5, V311, Connect, Subscribe, Subscription, Unsubscribe
from hubbub_plugins.mqtt.wire import MALFORMED, Malformed

MANY = MANY_BYTES // 5


def wishes(count: int) -> list[Subscription]:
    return [Subscription(filter=f"a/{n}", qos=n % 3) for n in range(count)]


class Client:
    """A client of MQTT over TCP in memory."""

    def __init__(self, version: int) -> None:
        self.world = World()
        self.version = version
        self.end = self.world.listen("tcp", Mqtt).connect()
        self.say(Connect(version=version, client="c"))

    def say(self, *those: Any) -> list[Any]:
        """Send packets, and return what is answered."""
        self.end.send(b"".join(one if isinstance(one, bytes) else one.encode(self.version) for one in those))
        self.world.turn()
        found, at, data = [], 0, self.end.received()
        while at < len(data):
            size, width = 0, 1
            while True:
                byte = data[at + width]
                size |= (byte & 0x7F) << 7 * (width - 1)
                width += 1
                if byte < 0x80:
                    break
            found.append(packets.decode(data[at], data[at + width : at + width + size], self.version))
            at += width + size
        return found


@pytest.mark.parametrize("version", [V311, V5])
def test_the_answer_has_all_codes_and_comes_before_that_of_what_follows(version):
    client = Client(version)
    suback, pong = client.say(Subscribe(id=1, subscriptions=wishes(MANY)), b"\xc0\0")
    assert suback.codes == [one.qos for one in wishes(MANY)]
    assert isinstance(pong, packets.Pingresp)
    unsuback, pong = client.say(Unsubscribe(id=2, filters=[one.filter for one in wishes(MANY)] + ["none"]), b"\xc0\0")
    assert unsuback.codes == ([0] * MANY + [0x11] if version == V5 else [])


def test_the_last_filter_is_malformed():
    client = Client(V5)
    bad = Subscribe(id=1, subscriptions=[*wishes(MANY), Subscription(filter="a#")]).encode(V5)
    (bye,) = client.say(bad, b"\xc0\0")
    assert isinstance(bye, packets.Disconnect)
    assert bye.code == MALFORMED
    assert client.end.closed


def test_there_are_more_filters_than_one_client_may_have():
    client = Client(V5)
    (bye,) = client.say(Unsubscribe(id=1, filters=["a"] * (limits.SUBSCRIPTIONS + 1)))
    assert bye.code == QUOTA_EXCEEDED


def test_each_is_decoded_once_and_not_before_it_is_looked_at():
    body = Unsubscribe(id=1, filters=["a", "b", "c"]).encode(V311)[2:]
    packet = packets.begin(0xA2, body, V311)
    assert isinstance(packet, Unsubscribe)
    decoded: list[Any] = []
    filters = Filters(decoded.append(one) or one for one in packet.filters)  # type: ignore[func-returns-value, misc]
    assert decoded == []
    assert next(iter(filters)) == "a"
    assert decoded == ["a"]
    assert list(filters) == ["a", "b", "c"]
    assert (len(filters), filters[1]) == (3, "b")
    assert decoded == ["a", "b", "c"]


def test_a_packet_without_a_filter_is_malformed_at_once():
    with pytest.raises(Malformed, match="without a filter"):
        packets.begin(0x82, b"\0\1", V311)
    assert packets.begin(0xC0, b"", V311) is None
