"""What the daemon says of itself on `$SYS/broker/...`."""

from __future__ import annotations

import pytest

from hubbub import Message, Refusal
from hubbub.dialects.lines import Lines
from hubbub.service.metrics.sys_metrics import SysMetrics
from hubbub.testing import World
from hubbub_plugins.mqtt import packets
from mqtt_client import Client, Mqtt, subscription
from running import Daemon, LineClient

TOP = "$SYS/broker/"
NAMES = """
bytes/received bytes/sent clients/active clients/connected clients/disconnected clients/expired clients/inactive
clients/maximum clients/total heap/current heap/maximum messages/received messages/sent messages/stored
publish/bytes/received publish/bytes/sent publish/messages/dropped publish/messages/received publish/messages/sent
shared_subscriptions/count store/messages/bytes store/messages/count subscriptions/count uptime version
""".split()
LOADS = """
bytes/received bytes/sent connections messages/received messages/sent publish/dropped publish/received publish/sent
sockets
""".split()
ALL = {*NAMES, "retained messages/count", *(f"load/{name}/{span}min" for name in LOADS for span in (1, 5, 15))}


class Broker:
    """A world with a broker's topics, and an MQTT listener."""

    def __init__(self, **keys):
        self.world = World()
        self.listener = self.world.listen("tcp", Mqtt, idle=10_000.0, **keys)
        self.lines = self.world.listen("tcp", Lines)
        self.broker = SysMetrics(self.world.hub, lambda: [self.listener.context, self.lines.context])
        self.looks = 0
        self.world.hub.system.metrics = self.metrics

    def metrics(self):
        self.looks += 1
        return self.broker.metrics()

    def client(self, name="c", **more):
        client = Client(self.listener)
        client.connect(name, **more)
        return client

    def ask(self, client, filter=f"{TOP}#", **more):
        """Subscribe, and return what is told at once."""
        granted, *found = client.subscribe(subscription(filter, **more))
        assert granted.codes[0] < 0x80, granted
        assert all(one.retain for one in found)
        return reported(found)


def reported(found):
    return {one.topic.removeprefix(TOP): one.payload.decode() for one in found}


@pytest.fixture
def broker():
    return Broker()


def test_all_names(broker):
    found = broker.ask(broker.client())
    assert set(found) == ALL
    assert found["version"].startswith("hubbub version ")
    assert found["uptime"] == "0 seconds"
    assert int(found["heap/current"]) > 1_000_000
    assert int(found["heap/maximum"]) >= int(found["heap/current"]) // 2


def test_what_is_counted(broker):
    ear = broker.client("ear")
    ear.subscribe(subscription("a/#", 1))
    gone = broker.client("gone", properties={"session_expiry_interval": 100}, clean=False)
    gone.subscribe(subscription("a/#", 1))
    gone.end.vanish()
    broker.lines.connect().say(b"PUB! a/kept 12345\n")
    writer = broker.client("w")
    writer.publish("a/b", b"1234567890", qos=1, id=1)
    found = broker.ask(writer)
    assert {name: found[name] for name in found if name.startswith(("publish", "clients", "retained", "sub"))} == {
        "clients/active": "3",
        "clients/connected": "3",
        "clients/disconnected": "1",
        "clients/expired": "0",
        "clients/inactive": "1",
        "clients/maximum": "0",  # of connections, which this world doesn't count
        "clients/total": "4",
        "publish/bytes/received": "15",
        "publish/bytes/sent": "30",
        "publish/messages/dropped": "0",
        "publish/messages/received": "2",
        "publish/messages/sent": "2",
        "retained messages/count": "1",
        "subscriptions/count": "3",
    }
    assert found["store/messages/count"] == "3"  # one is retained, two are owed
    assert int(found["bytes/received"]) > 100
    assert int(found["bytes/sent"]) > 50
    assert found["messages/received"] == "8"
    broker.world.advance(101)
    assert broker.ask(broker.client("x"), f"{TOP}clients/expired")["clients/expired"] == "1"


def test_what_changes_is_reported_every_ten_seconds(broker):
    client = broker.client()
    broker.ask(client, f"{TOP}uptime")
    broker.world.advance(9)
    assert client.output() == []
    broker.world.advance(2)
    (news,) = client.output()
    assert (news.topic, news.payload, news.retain) == (f"{TOP}uptime", b"10 seconds", False)
    broker.world.advance(60)
    assert [one.payload for one in client.output()] == [b"%d0 seconds" % n for n in range(2, 8)]


def test_what_doesnt_change_is_reported_once(broker):
    client = broker.client()
    broker.ask(client, f"{TOP}version")
    broker.world.advance(100)
    assert client.output() == []
    assert len(broker.ask(client, f"{TOP}version")) == 1


def test_it_costs_nothing_without_subscribers(broker):
    client = broker.client()
    client.subscribe("#")
    broker.world.advance(100)
    assert broker.looks == 0
    broker.ask(client)
    client.raw(packets.Unsubscribe(id=2, filters=[f"{TOP}#"]).encode(5))
    broker.world.advance(20)
    looks = broker.looks
    broker.world.advance(1_000)
    assert broker.looks == looks
    assert broker.world.hub.retained.count == 0
    assert broker.ask(client, f"{TOP}uptime") == {"uptime": "1120 seconds"}


def test_a_wildcard_at_the_start_leaves_it_out(broker):
    asks = broker.client("asks")
    broker.ask(asks)
    for filter in ("#", "+/broker/#", "+/+/version"):
        client = broker.client(filter.replace("#", "h").replace("+", "p"))
        assert broker.ask(client, filter) == {}
        broker.world.advance(11)
        assert client.output() == []
    assert len(asks.output()) > 10


@pytest.mark.parametrize("filter", ["$SYS/#", "$SYS/+/uptime", "$SYS/broker/+", "$SYS/broker/uptime"])
def test_filters(broker, filter):
    client = broker.client()
    assert "uptime" in broker.ask(client, filter)
    broker.world.advance(11)
    assert "uptime" in reported(client.output())


def test_a_shared_subscription_gets_what_changes(broker):
    client = broker.client()
    assert broker.ask(client, "$share/g/$SYS/broker/uptime") == {}
    broker.world.advance(21)
    assert [one.payload for one in client.output()] == [b"10 seconds", b"20 seconds"]


def test_retain_handling(broker):
    client = broker.client()
    assert broker.ask(client, f"{TOP}version", retain_handling=2) == {}
    assert broker.ask(client, f"{TOP}version", retain_handling=1) == {}
    assert len(broker.ask(client, f"{TOP}version")) == 1


def test_no_other_client_publishes_it(broker):
    client, writer = broker.client(), broker.client("w")
    broker.ask(client)
    broker.world.advance(11)
    client.output()
    for retain in (False, True):
        (refusal,) = writer.publish(f"{TOP}uptime", b"x", qos=1, id=1, retain=retain)
        assert refusal.code == 0x87
        assert writer.publish(f"{TOP}uptime", b"x", retain=retain) == []
    assert client.output() == []
    assert b"not-authorized" in broker.lines.connect().say(b"PUB $SYS/broker/uptime x\n")


def test_no_will_is_taken_for_it(broker):
    small = broker.world.listen("tcp", Mqtt, queue=1_000, full="disconnect")
    ear, writer, slow = broker.client(), broker.client("w"), Client(small)
    ear.subscribe("$SYS/#")
    slow.connect("slow", will=packets.Will(topic=f"{TOP}forged", payload=b"x"))
    slow.subscribe("b")
    writer.end.send(2 * packets.Publish(topic="b", payload=b"x" * 900).encode(5))
    writer.end.move()
    broker.world.hub.router.publish_own(Message(f"{TOP}own", b"x"))
    broker.world.turn()
    assert slow.closed
    assert set(reported(ear.output())) == {"own"}


def test_loads(broker):
    client, writer = broker.client(), broker.client("w")
    broker.world.advance(10)
    broker.ask(client, f"{TOP}load/publish/received/1min")
    for _ in range(6):
        for _ in range(10):
            writer.publish("a")
        broker.world.advance(10)
    found = [float(one.payload) for one in client.output()]
    assert found == sorted(found)
    assert 35 < found[-1] < 60  # on its way to sixty a minute
    broker.world.advance(600)
    assert float(client.output()[-1].payload) < 0.1


def test_a_mount_point_has_none():
    broker = Broker(prefix="boat")
    assert broker.ask(broker.client(), "$SYS/#") == {}
    assert broker.ask(broker.client("d"), "#") == {}


class Rights:
    def publish(self, topic):
        pass

    def subscribe(self, filter):
        if filter.startswith("$SYS"):
            raise Refusal("not-authorized", "not for you")

    def receives(self, topic):
        return True


def test_permissions_hold():
    broker = Broker(rights=lambda session: Rights())
    (granted,) = broker.client().subscribe("$SYS/#")
    assert granted.codes == [0x87]
    assert broker.looks == 0


def test_a_daemon_reports_it():
    with Daemon("--tcp", "tcp:0") as daemon, LineClient(daemon.tcp[0]) as client:
        assert client.ask(f"SUB {TOP}clients/maximum") == f"OK SUB {TOP}clients/maximum"
        assert client.line() == f"MSG {TOP}clients/maximum 1"
