"""StatsD: PyPI's statsd, datadog and hot-shots; metrics, events and service checks."""

from __future__ import annotations

import pytest
import statsd
from datadog.dogstatsd.base import DogStatsd

from interop.senders.hub import Hub, send_from_node


@pytest.fixture(scope="module")
def hub():
    with Hub("statsd") as one:
        yield one


@pytest.fixture(scope="module")
def dog():
    """A hub for DogStatsD's clients."""
    with Hub("statsd", ":gauges=value") as one:
        yield one


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_statsd(hub, transport):
    kind = {"udp": statsd.StatsClient, "tcp": statsd.TCPStatsClient}[transport]
    client = kind(*hub.listeners[transport], prefix="press")
    client.incr("hits", 2)
    assert hub.output() == ("statsd/press.hits", "2", {"type": "counter"})
    client.gauge("bar", -5)  # 0, which makes the next one no delta
    assert hub.output() == ("statsd/press.bar", "0", {"type": "gauge"})
    assert hub.output() == ("statsd/press.bar", "-5", {"type": "gauge", "delta": "yes"})
    client.gauge("bar", 3, delta=True)
    assert hub.output() == ("statsd/press.bar", "+3", {"type": "gauge", "delta": "yes"})
    client.timing("took", 320)
    assert hub.next() == ("statsd/press.took", "320.000000")
    client.set("users", "ann:1")
    assert hub.next() == ("statsd/press.users", "ann:1")
    with client.pipeline() as many:
        for count in range(50):
            many.incr("many", count)
    assert [hub.next() for _ in range(50)] == [("statsd/press.many", str(count)) for count in range(50)]
    if transport == "tcp":
        client.close()


def test_datadog(dog):
    client = DogStatsd(*dog.udp, disable_telemetry=True, constant_tags=["line:4"], origin_detection_enabled=False)
    client.gauge("bar", -5, tags=["shift:b", "hot"])
    about = {"type": "gauge", "tag.line": "4", "tag.shift": "b", "tag.hot": ""}
    client.flush()
    assert dog.output() == ("statsd/bar", "-5", about)
    client.distribution("took", 0.25, sample_rate=1)
    client.histogram("took", 7)
    client.gauge_with_timestamp("bar", 1.5, 1700000000)
    client.flush()
    assert dog.output() == ("statsd/took", "0.25", {"type": "distribution", "tag.line": "4"})
    assert dog.output() == ("statsd/took", "7", {"type": "histogram", "tag.line": "4"})
    assert dog.output() == ("statsd/bar", "1.5", {"type": "gauge", "tag.line": "4", "timestamp": "1700000000"})
    client.event("größe | heiß", "zwei\nZeilen", alert_type="error", hostname="web1", date_happened=1700000000)
    client.flush()
    assert dog.output() == ("statsd/_e", "zwei\nZeilen", {
        "type": "event", "title": "größe | heiß", "alert_type": "error", "hostname": "web1",
        "timestamp": "1700000000", "tag.line": "4",
    })  # fmt: skip
    client.service_check("app.db", DogStatsd.CRITICAL, message="m: it is\ndown", tags=["e:x"])
    client.flush()
    assert dog.output() == ("statsd/app.db", "2", {
        "type": "check", "status": "critical", "message": "m: it is\ndown", "tag.e": "x", "tag.line": "4",
    })  # fmt: skip
    client.stop()


def test_datadogs_telemetry(dog):
    """It tells of itself, in one datagram of eleven metrics."""
    client = DogStatsd(*dog.udp, telemetry_min_flush_interval=0, origin_detection_enabled=False)
    client.increment("hello")
    client.flush()
    output = {dog.next()[0] for _ in range(12)}
    assert "statsd/hello" in output
    assert "statsd/datadog.dogstatsd.client.metrics" in output
    client.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_hot_shots(dog, need, transport):
    send_from_node(need("node"), "hot-shots", dog, transport)
    line = {"tag.line": "4"}
    assert dog.output() == ("statsd/press.hits", "1", {"type": "counter", **line})
    assert dog.output() == ("statsd/press.bar", "-5", {"type": "gauge", "tag.shift": "b", **line})
    assert dog.output() == ("statsd/press.took", "320", {"type": "timer", "rate": "0.999999", **line})
    assert dog.output() == ("statsd/press.users", "ann", {"type": "set", **line})
    check = {"type": "check", "status": "critical", "message": "zwei\nZeilen | 🛢", "hostname": "web1", **line}
    if transport == "udp":  # over TCP it writes one byte for each character, which isn't UTF-8
        event = {"type": "event", "title": "press.größe 🛢", "alert_type": "error", **line}
        assert dog.output() == ("statsd/_e", "zwei\nZeilen 🛢", event)
    else:  # there what stands behind a raw LF is a line of its own
        check["message"] = "zwei"
    assert dog.output() == ("statsd/press.app.db", "2", check)
    assert dog.output() == ("statsd/press.last", "1", {"type": "counter", **line})
