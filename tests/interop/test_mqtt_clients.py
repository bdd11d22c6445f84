"""More MQTT clients, each at the qualities and in the versions that it speaks; test_mqtt.py has the usual ones."""

from __future__ import annotations

import queue

import pytest

from interop.mqtt import listeners, publishers
from interop.mqtt.base import SECONDS, V5, V311, At, Output, Wish
from interop.mqtt.paho_client import Paho
from running import Daemon

EACH = (0, 1, 2)
CLIENTS = {  # what each speaks: versions, and the qualities at which it subscribes and publishes
    "zmqtt": ((V311, V5), EACH, EACH),
    "amqtt": ((V311,), EACH, EACH),
    "minimqtt": ((V311,), (0, 1), (0, 1)),
    "paho_c": ((V311, V5), EACH, EACH),
    "u8": ((V311, V5), (0, 1), (1,)),  # at 0 it raises a TypeError
}
TABLE = {f"{name}-{version}": (name, version) for name, (versions, *_) in CLIENTS.items() for version in versions}
NUMBERS = [b"%d" % number for number in range(20)]
FEW = NUMBERS[:2]  # a program for each may take 0.4 s


@pytest.fixture(scope="module")
def port(need):
    if not (listeners.NODE_MODULES / "u8-mqtt").exists() or not (listeners.PAHO_C / "paho_c_sub_static").exists():
        pytest.skip("`make node` puts u8-mqtt and Paho's programs where they belong")
    for program in ("node", "stdbuf"):
        need(program)
    with Daemon("--tcp", "tcp:0") as daemon:
        yield daemon.tcp[0][1]
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize(("name", "version"), TABLE.values(), ids=TABLE)
def test_both_ways_at_each_quality(port, name, version):
    listen, publish = getattr(listeners, f"listen_{name}"), getattr(publishers, f"publish_{name}")
    _, subscribes, publishes = CLIENTS[name]
    with Paho(At("tcp", "127.0.0.1", port), Wish(V5)) as other:
        for qos in subscribes:
            topic, output = f"{name}/{version}/{qos}/down", queue.Queue()
            other.publish(topic, b"kept", 1, True)
            stop = listen(port, version, topic, qos, output.put)
            assert output.get(timeout=SECONDS) == b"kept"
            other.publish_all(topic, NUMBERS, qos)
            assert [output.get(timeout=SECONDS) for _ in NUMBERS] == NUMBERS
            stop()
        for qos in publishes:
            topic = f"{name}/{version}/{qos}/up"
            other.subscribe(topic, 2)
            publish(port, version, topic, qos, FEW)
            assert [other.next() for _ in FEW] == [Output(topic, number, qos) for number in FEW]
