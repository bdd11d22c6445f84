"""Other brokers: those that hubbub bridges to, and Mosquitto, which bridges to hubbub."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from amqtt.broker import Broker

from interop.mqtt.asyncio_clients import run
from interop.mqtt.base import V5, V311, At, Output, Wish
from interop.mqtt.broker import Mosquitto, free_port
from interop.mqtt.javascript import NODE_MODULES
from interop.mqtt.listeners import FOLDER
from interop.mqtt.paho_client import Paho
from running import Daemon
from waiting import wait_for_port

NUMBERS = [b"%d" % number for number in range(100)]


def client(port, name="", version=V5, keep=False):
    return Paho(At("tcp", "127.0.0.1", port), Wish(version, name, keep))


# hubbub dials


@contextmanager
def aedes(need, port):
    package = NODE_MODULES / "aedes"
    if not package.exists():
        pytest.skip("`make node` puts aedes where it belongs")
    process = subprocess.Popen([need("node"), FOLDER / "aedes.mjs", package, str(port)])
    try:
        wait_for_port(port, process)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def amqtt(need, port):
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }

    async def start():
        made = Broker(config)
        await made.start()
        return made

    broker = run(start())
    yield
    run(broker.shutdown())


@pytest.mark.parametrize(("broker", "version"), [(aedes, "auto"), (amqtt, "3.1.1")], ids=["aedes", "amqtt"])
def test_a_bridge_to(need, broker, version):
    """Both speak 3.1.1 alone; amqtt says nothing at all to another version, so `auto` takes 10 s to find out."""
    port = free_port()
    with broker(need, port), ExitStack() as stack:
        dialled = f"tcp:127.0.0.1:{port}:dialect=mqtt:id=b:pull=up/#:push=down/#:version={version}"
        daemon = stack.enter_context(Daemon("--tcp", "tcp:0", "--connect", dialled))
        daemon.wait_for("b: MQTT 3.1.1")
        here = stack.enter_context(client(daemon.tcp[0][1], version=V311))
        there = stack.enter_context(client(port, version=V311))
        here.subscribe("up/#", 2)
        there.subscribe("down/#", 2)
        there.publish("up/ready", b"x", 1, True)
        assert here.next().topic == "up/ready"
        for qos in (0, 1, 2):
            there.publish_all("up/n", NUMBERS, qos)
            assert [here.next().payload for _ in NUMBERS] == NUMBERS
            here.publish_all("down/n", NUMBERS, qos)
            assert [there.next().payload for _ in NUMBERS] == NUMBERS


# Mosquitto dials

BRIDGE = """max_queued_messages 100000
max_inflight_messages 1000
connection hub
address 127.0.0.1:{port}
bridge_protocol_version {version}
cleansession false
clientid mosquitto
notifications false
restart_timeout 1 1
topic up/# out 2
topic down/# in 2
"""
SAID = {"3.1.1": "mqttv311", "5": "mqttv50"}


@pytest.mark.parametrize("version", SAID)
def test_mosquittos_bridge_and_restarts_of_either_side(need, tmp_path, version):
    """Nothing that either side has taken is lost, and it comes in order; at quality 2 nothing comes twice.

    In version 5 Mosquitto sets no session expiry interval, so that its session here ends with its connection.
    """
    port = free_port()
    hub = partial(Daemon, "--tcp", f"tcp:{port}", "--state", str(tmp_path / "state"))
    broker = Mosquitto(need("mosquitto"), tmp_path, general=BRIDGE.format(port=port, version=SAID[version]))
    kept = partial(client, keep=True)
    with hub() as first, broker:
        here, there = kept(port, "here"), kept(broker.port, "there")
        here.subscribe("up/#", 2)
        there.subscribe("down/#", 2)
        there.publish("up/ready", b"x", 1, True)
        assert here.next().topic == "up/ready"
        for qos in (0, 1, 2):
            there.publish_all(f"up/{qos}", NUMBERS, qos)
            assert [here.next() for _ in NUMBERS] == [Output(f"up/{qos}", number, qos) for number in NUMBERS]
            here.publish_all(f"down/{qos}", NUMBERS, qos)
            assert [there.next() for _ in NUMBERS] == [Output(f"down/{qos}", number, qos) for number in NUMBERS]
        there.end()
        broker.stop()
        if version == "3.1.1":
            for qos in (1, 2):
                here.publish_all(f"down/{qos}", NUMBERS, qos)
        broker.start()
        there = kept(broker.port, "there")
        if version == "3.1.1":
            hears_all(there, "down")
        else:
            here.publish("down/kept", b"x", 1, True)
            assert there.next().topic == "down/kept"
        here.end()
        first.process.terminate()
        first.process.wait(20)
        for qos in (1, 2):
            there.publish_all(f"up/{qos}", NUMBERS, qos)
        with hub(), kept(port, "here") as here:
            hears_all(here, "up")
        there.end()


@pytest.mark.parametrize("version", SAID)
def test_what_mosquittos_bridge_brings_does_not_come_back(need, tmp_path, version):
    """And retained messages stay retained: in 3.1.1 it says by a bit of its version that it is a bridge."""
    port = free_port()
    conf = BRIDGE.format(port=port, version=SAID[version]) + "topic both/# both 1\n"
    with Daemon("--tcp", f"tcp:{port}"), Mosquitto(need("mosquitto"), tmp_path, general=conf) as broker:
        with client(port) as here, client(broker.port) as there:
            here.publish("both/kept", b"here", 1, True)
            there.subscribe("both/#", 1)
            assert there.next().payload == b"here"
            here.subscribe("both/#", 1)
            assert here.next() == Output("both/kept", b"here", 1, True)
            for mouth in (here, there):
                mouth.publish_all("both/n", NUMBERS, 1)
                for ear in (here, there):
                    assert [ear.next().payload for _ in NUMBERS] == NUMBERS
            with client(broker.port) as late:
                late.subscribe("both/kept", 1)
                assert late.next().retain


def hears_all(ear, way):
    """Wait for NUMBERS of both qualities, in order."""
    output = {f"{way}/1": [], f"{way}/2": []}
    while any(len(set(found)) < len(NUMBERS) for found in output.values()):
        if (one := ear.next()).topic in output:  # and not the retained one again
            output[one.topic].append(one.payload)
    assert list(dict.fromkeys(output[f"{way}/1"])) == NUMBERS
    assert output[f"{way}/2"] == NUMBERS
