"""A bridge whose rights end while the server is away, or is slow to answer: what waits for the server isn't sent."""

from __future__ import annotations

import contextlib
import socket

import pytest

from hostile.mqtt import MqttClient
from hubbub.service.commands.client import ask
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.properties import PUBACK
from running import Daemon, LineClient
from system.test_mqtt_bridge import Caller, Server

ALLOWED = '[[rule]]\nwho = "everyone"\nallow.subscribe = "#"\nallow.publish = "#"\n'
DENIED = ALLOWED + '[[rule]]\nwho.user = "ann"\ndeny.subscribe = "ann/#"\ndeny.publish = "ann/#"\n'
CONFIG = """
control = "{folder}/control"
permissions = "rules.toml"
tcp = ["tcp:0"]
[[connect]]
endpoint = "tcp:127.0.0.1:{port}"
id = "bridge"
dialect = "mqtt"
as = "ann"
qos = 1
push = ["ann/#", "ben/#"]
pull = ["ann/#"]
"""


class Bridge:
    """A hub with a bridge to a server that the test plays."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.server = stack.enter_context(Server())
        (folder / "rules.toml").write_text(ALLOWED)
        config = CONFIG.format(folder=folder, port=self.server.address[1])
        (folder / "hubbub.toml").write_text(config)
        self.hub = stack.enter_context(Daemon("--config", str(folder / "hubbub.toml"), folder=folder))
        self.publisher = MqttClient(stack.enter_context(socket.create_connection(self.hub.tcp[0])), "publisher")

    def publish(self, text):
        for topic in ("ann/x", "ben/x"):
            self.publisher.publish(topic, text)
            self.publisher.send(packets.Publish(topic=topic + "/kept", payload=text, qos=1, id=2, retain=True))
            assert isinstance(self.publisher.next(), packets.Ack)

    def revoke(self):
        (self.folder / "rules.toml").write_text(DENIED)
        return next(ask(self.folder / "control", {"command": "reload"}))["changed"]

    def sent(self, caller):
        """What comes to the server, up to the last message that is for it; each subscription is granted."""
        found = []
        while b"last" not in [payload for _, payload in found]:
            packet = caller.next()
            if isinstance(packet, packets.Disconnect):  # as a subscription has ended; the bridge comes again
                caller.connection.close()
                caller = self.stack.enter_context(self.server.greet(present=True))
            elif isinstance(packet, packets.Publish):
                found.append((packet.topic, packet.payload))
                if packet.qos:
                    caller.say(packets.Ack(kind=PUBACK, id=packet.id))
            elif isinstance(packet, packets.Subscribe):
                caller.say(packets.Suback(id=packet.id, codes=[1] * len(packet.subscriptions)))
        return found


@pytest.fixture
def bridge(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Bridge(tmp_path, stack)


@pytest.mark.parametrize("before", ["never there", "gone", "shaking hands", "not acknowledging"])
def test_what_waits_for_the_server_is_not_sent(bridge, before):
    caller = None
    if before == "never there":
        bridge.publish(b"before")
    elif before == "shaking hands":
        caller = Caller(bridge.server.accept(), 5)
        caller.connect = caller.next()
        bridge.publish(b"before")
    else:
        caller = bridge.stack.enter_context(bridge.server.greet())
        caller.say(packets.Suback(id=caller.next().id, codes=[1]))
        bridge.publish(b"before")
        if before == "gone":
            caller.connection.close()
            caller = None
    bridge.revoke()
    bridge.publish(b"after")
    bridge.publisher.publish("ben/x", b"last")
    if before == "shaking hands":
        caller.say(packets.Connack(present=False, code=0, properties={}))
    elif caller is None:
        caller = bridge.stack.enter_context(bridge.server.greet(present=before == "gone"))
    found = bridge.sent(caller)
    assert [payload for topic, payload in found if topic == "ben/x"][-1] == b"last"
    assert ("ann/x", b"after") not in found
    assert ("ann/x/kept", b"after") not in found
    if before != "not acknowledging":
        assert not [one for one in found if one[0].startswith("ann/")]


def test_what_the_server_sends_is_not_published(bridge):
    caller = bridge.stack.enter_context(bridge.server.greet())
    caller.say(packets.Suback(id=caller.next().id, codes=[1]))
    with LineClient(bridge.hub.tcp[0]) as watcher:
        assert watcher.ask("SUB ann/#") == "OK SUB ann/#"
        caller.say(packets.Publish(topic="ann/y", payload=b"before", qos=1, id=1))
        assert watcher.line() == "MSG ann/y before"
        bridge.revoke()
        with contextlib.suppress(OSError):
            caller.say(packets.Publish(topic="ann/y", payload=b"after", qos=1, id=2))
        with LineClient(bridge.hub.tcp[0]) as other:
            assert other.ask("PING") == "PONG"
            other.send("PUB ann/end x")
        assert watcher.line() == "MSG ann/end x"
