"""InfluxDB's line protocol: pytelegraf, collectd, and the lines that InfluxDB's own clients write."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from influxdb_client import Point
from telegraf import TelegrafClient

from interop.senders.hub import Hub, collectd, send_from_node

AT = 1700000000123456789
WHEN = datetime.fromtimestamp(AT // 10**9, UTC)


@pytest.fixture(scope="module")
def hub():
    with Hub("influx") as one:
        yield one


def point(measurement, tags, fields, timestamp=None):
    return {"measurement": measurement, "tags": tags, "fields": fields, "timestamp": timestamp}


def test_pytelegraf(hub):
    client = TelegrafClient(*hub.udp, tags={"host": "press 1"})
    client.metric("oil", 7)
    assert hub.output() == ("influx/oil", point("oil", {"host": "press 1"}, {"value": 7}), {"tag.host": "press 1"})
    client.metric("öl, heiß", {"a=b": 1.5, "ok": True, "text": "zwei\nZeilen", "none": None}, {"k,": "v="}, AT)
    fields = {"a=b": 1.5, "ok": True, "text": "zwei\nZeilen"}
    wanted = point("öl, heiß", {"host": "press 1", "k,": "v="}, fields, AT)
    assert hub.next() == ("influx/öl,%20heiß", wanted)
    client.metric("broken", 'it leaves "quotes" as they are')  # which InfluxDB refuses too
    client.metric("oil", False)
    assert hub.next() == ("influx/oil", point("oil", {"host": "press 1"}, {"value": False}))


TEXT = 'say "hi",\nC:\\dir = 7 # no'
POINTS = [
    (Point("oil").field("bar", 140.5), point("oil", {}, {"bar": 140.5})),
    (Point("oil").tag("host", "press 1").field("ok", True).time(WHEN),
     point("oil", {"host": "press 1"}, {"ok": True}, AT // 10**9 * 10**9)),
    (Point("a b,c").tag("t,=", "v =,").field("f =,", 7).field("big", 2**63 - 1).time(AT),
     point("a b,c", {"t,=": "v =,"}, {"f =,": 7, "big": 2**63 - 1}, AT)),
    (Point("log").field("text", TEXT).field("next", 1e-07), point("log", {}, {"text": TEXT, "next": 1e-07})),
    (Point("log").tag("t", "two\nlines").field("f", 1.0), point("log", {"t": "two\\nlines"}, {"f": 1.0})),  # for good
]  # fmt: skip


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_points_of_influxdbs_client(hub, transport):
    """It writes no LF behind the last one."""
    sent = "\n".join(one.to_line_protocol() for one, _ in POINTS).encode()
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[transport]
    with socket.socket(socket.AF_INET, kind) as sender:
        sender.connect(hub.listeners[transport])
        sender.sendall(sent)
    assert [hub.next()[1] for _ in POINTS] == [wanted for _, wanted in POINTS]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_points_of_influxdbs_client_for_javascript(hub, need, transport):
    send_from_node(need("node"), "@influxdata/influxdb-client", hub, transport)
    fields = {"bar": 140.5, "count": 7, "big": 2**64 - 1, "ok": True, "text": 'say "hi",\nC:\\dir'}
    assert hub.next() == ("influx/oil", point("oil", {"host": "press 1", "t": "a\\nb"}, fields, AT))


def test_collectd(need, tmp_path):
    with Hub("influx") as hub:
        plugins = f"""
            LoadPlugin write_influxdb_udp
            <Plugin write_influxdb_udp>
              Server "{hub.udp[0]}" "{hub.udp[1]}"
            </Plugin>
        """
        with collectd(need("collectd"), tmp_path, plugins):
            topic, said, about = hub.output()
        assert (topic, said["measurement"]) == ("influx/load", "load")
        assert said["tags"] == {"host": "press1", "type": "load"}
        assert said["fields"].keys() == {"shortterm", "midterm", "longterm"}
        assert about["timestamp"] == str(said["timestamp"])
        assert len(about["timestamp"]) == 13  # it says milliseconds
