"""What ends with a daemon that keeps its state in memory is reported; with --state nothing does."""

from __future__ import annotations

from hubbub.service.state import describe_lost
from mqtt_client import V5, MqttHub, kept, subscription
from running import Daemon, LineClient


def test_sessions_queued_and_retained_messages_are_counted():
    hub = MqttHub()
    away, other = hub.client("away", **kept(V5)), hub.client("other")
    assert describe_lost(hub.world.hub) == ""
    away.subscribe(subscription("a", qos=1))
    away.goodbye()
    for id in (1, 2):
        other.publish("a", b"x", qos=1, id=id, retain=True)
    assert describe_lost(hub.world.hub) == (
        "forgotten with this process: 1 offline session, 2 queued messages, 1 retained message; --state DIR keeps them"
    )


def test_a_stop_reports_it_unless_it_is_kept(tmp_path):
    for options, lost in ((), True), (("--state", str(tmp_path / "state")), False):
        with Daemon("--tcp", "tcp:0", *options) as daemon:
            with LineClient(daemon.tcp[0]) as client:
                client.send("PUB! a 1")
                assert client.ask("PING") == "PONG"
        assert ("forgotten with this process: 1 retained message;" in daemon.log) == lost
