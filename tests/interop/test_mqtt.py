"""MQTT clients that people have: mosquitto_pub and mosquitto_sub, and paho, over TCP and WebSocket."""

from __future__ import annotations

import queue
import subprocess

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from interop.clients import SECONDS, Tcp
from running import Daemon

VERSIONS = {"mqttv31": paho.MQTTv31, "mqttv311": paho.MQTTv311, "mqttv5": paho.MQTTv5}


@pytest.fixture(scope="module")
def daemon():
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as running:
        yield running


# mosquitto-clients


class Programs:
    def __init__(self, daemon, need, version):
        host, port = daemon.tcp[0]
        self._at = ["-h", host, "-p", str(port), "-V", version]
        self._need = need

    def sub(self, *words):
        return subprocess.Popen(
            [self._need("mosquitto_sub"), *self._at, "-W", "10", *words], stdout=subprocess.PIPE, text=True
        )

    def pub(self, *words, **more):
        return subprocess.run([self._need("mosquitto_pub"), *self._at, *words], check=True, timeout=SECONDS, **more)


@pytest.fixture(params=VERSIONS)
def programs(daemon, need, request):
    return Programs(daemon, need, request.param)


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_pub_and_sub(programs, qos):
    topic = f"mosquitto/{qos}"
    programs.pub("-t", topic, "-q", qos, "-r", "-m", "kept")
    with programs.sub("-t", topic, "-q", qos, "-C", "51", "-F", "%q %r %p") as ear:
        assert ear.stdout.readline() == f"{qos} 1 kept\n"
        programs.pub("-t", topic, "-q", qos, "-l", input="".join(f"{n}\n" for n in range(50)), text=True)
        assert ear.stdout.read().splitlines() == [f"{qos} 0 {n}" for n in range(50)]
    programs.pub("-t", topic, "-r", "-n")


def test_mosquitto_sub_comes_back_to_its_session(programs):
    stay = ["-i", f"stays-{programs._at[-1]}", "-t", "stay", "-q", "1", "-c"]
    if programs._at[-1] == "mqttv5":
        stay += ["-x", "60"]
    with programs.sub(*stay, "-E"):
        pass
    for n in range(3):
        programs.pub("-t", "stay", "-q", "1", "-m", str(n))
    with programs.sub(*stay, "-C", "3") as ear:
        assert ear.stdout.read().splitlines() == ["0", "1", "2"]


def test_a_will_of_mosquitto_sub(daemon, programs):
    speaker = Tcp(daemon.tcp[0])
    speaker.send("SUB will/#")
    speaker.expect("OK SUB will/#")
    with programs.sub("-t", "x", "--will-topic", "will/m", "--will-payload", "gone", "-F", "%p") as ear:
        programs.pub("-t", "x", "-r", "-m", "1")
        assert ear.stdout.readline() == "1\n"
        ear.kill()
    speaker.expect("MSG will/m gone")
    programs.pub("-t", "x", "-r", "-n")


# paho


class Paho:
    """One paho client, connected."""

    def __init__(self, daemon, version, transport, client="", **more):
        self.news = queue.Queue()
        keep = {} if version == paho.MQTTv5 else {"clean_session": more.pop("clean", True)}
        made = paho.Client(CallbackAPIVersion.VERSION2, client, protocol=version, transport=transport, **keep)
        self.client = made
        for name in ("connect", "message", "subscribe", "publish", "disconnect"):
            setattr(made, f"on_{name}", lambda *said, name=name: self.news.put((name, said)))
        host, port = (daemon.tcp if transport == "tcp" else daemon.websocket)[0]
        made.connect(host, port, **more)
        made.loop_start()
        self.flags = self.wait("connect")[2]

    def wait(self, kind):
        """Return what paho says of the next event, which has to be of that kind."""
        while True:
            name, said = self.news.get(timeout=SECONDS)
            if name == kind:
                return said
            assert name in ("publish",), (name, said)

    def subscribe(self, *arguments, **more):
        self.client.subscribe(*arguments, **more)
        return [code.value for code in self.wait("subscribe")[3]]

    def publish(self, *arguments, **more):
        self.client.publish(*arguments, **more).wait_for_publish(SECONDS)

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(params=["tcp", "websockets"])
def transport(request):
    return request.param


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho(daemon, transport, name, qos):
    version = VERSIONS[name]
    one, other = Paho(daemon, version, transport, "one"), Paho(daemon, version, transport, "other")
    assert one.subscribe("paho/#", qos) == [qos]
    large = bytes(range(256)) * 1_000
    for payload in (b"", b"text", large):
        other.publish("paho/x", payload, qos=qos)
        message = one.wait("message")[2]
        assert (message.topic, message.payload, message.qos, message.retain) == ("paho/x", payload, qos, False)
    for n in range(300):
        other.client.publish("paho/n", str(n), qos=qos)
    assert [one.wait("message")[2].payload for _ in range(300)] == [b"%d" % n for n in range(300)]
    one.end()
    other.end()


def test_paho_speaks_version_5(daemon, transport):
    one, other = Paho(daemon, paho.MQTTv5, transport), Paho(daemon, paho.MQTTv5, transport)
    numbered = Properties(PacketTypes.SUBSCRIBE)
    numbered.SubscriptionIdentifier = 7
    assert one.subscribe("five/#", options=SubscribeOptions(qos=1, noLocal=True), properties=numbered) == [1]
    said = Properties(PacketTypes.PUBLISH)
    said.ContentType, said.ResponseTopic, said.CorrelationData = "text/plain", "re", b"\1\2"
    said.UserProperty = [("k", "1"), ("k", "2")]
    said.MessageExpiryInterval = 60
    one.publish("five/own", b"own", qos=1)
    other.publish("five/a", b"x", qos=1, properties=said)
    got = one.wait("message")[2].properties
    assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("text/plain", "re", b"\1\2")
    assert got.UserProperty == [("k", "1"), ("k", "2")]
    assert got.SubscriptionIdentifier == [7]
    one.end()
    other.end()


def test_lines_and_mqtt_hear_each_other(daemon):
    one, speaker = Paho(daemon, paho.MQTTv311, "tcp"), Tcp(daemon.tcp[0])
    assert one.subscribe("mixed/#", 1) == [1]
    speaker.send("PUB mixed/a from lines")
    assert one.wait("message")[2].payload == b"from lines"
    speaker.send("SUB mixed/#")
    speaker.expect("OK SUB mixed/#")
    one.publish("mixed/b", "from mqtt", qos=1)
    speaker.expect("MSG mixed/b from mqtt")
    one.end()
