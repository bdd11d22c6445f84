"""Graphite: graphyte, collectd, and the pickles that carbon's documentation sends."""

from __future__ import annotations

import pickle
import re
import socket
import struct

import graphyte
import pytest

from interop.senders.hub import Hub, collectd
from ports import free_port


@pytest.fixture(scope="module")
def hub():
    with Hub("graphite") as one:
        yield one


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_graphyte(hub, transport):
    host, port = hub.listeners[transport]
    sender = graphyte.Sender(host, port, prefix="plant", protocol=transport, tags={"line": "4"}, raise_send_errors=True)
    sender.send("press.temp", 21.5, 1700000000)  # a connection for each
    assert hub.output() == ("graphite/plant.press.temp", "21.5", {"tag.line": "4", "timestamp": "1700000000"})
    sender.send("press.on", True, 1700000000.6, {"shift": "b"})
    about = {"tag.line": "4", "tag.shift": "b", "timestamp": "1700000001"}
    assert hub.output() == ("graphite/plant.press.on", "True", about)
    sender.send("press.größe", 1e-07, 1700000000)
    assert hub.next() == ("graphite/plant.press.größe", "1e-07")
    sender.send("press.lost", float("nan"), 1700000000)
    assert hub.next() == ("graphite/plant.press.lost", "nan")


def test_graphyte_sends_many_at_once(hub):
    sender = graphyte.Sender(*hub.tcp, interval=60)
    for count in range(100):
        sender.send(f"many.{count}", count, 1700000000)
    sender.stop()
    assert [hub.next() for _ in range(100)] == [(f"graphite/many.{count}", str(count)) for count in range(100)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(hub, protocol):
    points = [("a.b", (1700000000, 2.5)), ("a.c", (1700000000, "7")), ("a.d", (1700000000.5, True))]
    with socket.create_connection(hub.tcp) as sender:
        for _ in range(2):
            payload = pickle.dumps(points, protocol)
            sender.sendall(struct.pack("!L", len(payload)) + payload)
    wanted = [("graphite/a.b", "2.5"), ("graphite/a.c", "7"), ("graphite/a.d", "True")]
    assert [hub.next() for _ in range(6)] == wanted * 2


NODE = """
<Node "{transport}">
  Host "{host}"
  Port "{port}"
  Protocol "{transport}"
  Prefix "{transport}."
</Node>
"""


def test_collectd(need, tmp_path):
    """Over both transports; a timer of its statsd has no average while nothing comes, which is nan."""
    statsd = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
    with Hub("graphite") as hub, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as timer:
        nodes = [NODE.format(transport=one, host=host, port=port) for one, (host, port) in hub.listeners.items()]
        plugins = f"""
            LoadPlugin statsd
            <Plugin statsd>
              Host "{statsd[0]}"
              Port "{statsd[1]}"
            </Plugin>
            LoadPlugin write_graphite
            <Plugin write_graphite>
              {"".join(nodes)}
            </Plugin>
        """
        wanted = {f"{one}.press1.load.load.{term}" for one in hub.listeners for term in ("shortterm", "longterm")}
        wanted |= {f"{one}.press1.statsd.latency-took-average nan" for one in hub.listeners}
        with collectd(need("collectd"), tmp_path, plugins):
            for _ in range(5_000):
                timer.sendto(b"took:5|ms", statsd)  # until it listens
                topic, value, about = hub.output()
                assert re.fullmatch("[0-9]{10}", about["timestamp"])
                name = topic.removeprefix("graphite/")
                wanted -= {name if float(value) >= 0 else f"{name} {value}"}
                if not wanted:
                    break
        assert not wanted
