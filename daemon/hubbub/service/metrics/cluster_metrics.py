"""Metrics of the cluster, as this node sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_GAUGES = (
    ("filters", "filters", "Distinct filters of this node's clients, each a subscription at NATS"),
    ("waiting_bytes", "waiting", "Bytes that wait for the NATS server"),
)
_COUNTERS = (
    ("sent", "Messages to other nodes"),
    ("received", "Messages from other nodes and from NATS applications"),
)
_STREAM_GAUGES = (
    ("behind", "behind", "Messages of the stream that this node hasn't read"),
    ("waiting", "waiting", "Messages of this node that aren't stored yet"),
    ("waiting_bytes", "waiting_bytes", "Bytes of messages of this node that aren't stored yet"),
)
_STREAM_COUNTERS = (
    ("received", "Messages that this node has read from the stream"),
    ("resent", "Messages that were sent to the stream again"),
    ("restarts", "Times that reading of the stream began again"),
    ("unfit", "Messages of the stream that couldn't be published here"),
)
_SESSION_COUNTERS = (
    ("moved", "Sessions that this node took over from other nodes, dead ones too"),
    ("let_go", "Sessions that this node released to other nodes"),
    ("written", "Writes of sessions to the bucket"),
    ("wills", "Wills of clients of dead nodes that this node published"),
    ("ended", "Sessions of dead nodes that this node ended"),
)
_LOST = (("full", "dropped"), ("unfit", "unfit"), ("refused", "refused"))


class ClusterMetrics(Collector):
    """Reads what a node tells of itself (service.cluster.cluster.Cluster.status)."""

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        found = self._status()
        joined = found["state"] == "joined"
        yield GaugeMetricFamily("hubbub_cluster_joined", "1 while this node is joined", value=joined)
        yield GaugeMetricFamily(
            "hubbub_cluster_nodes", "Nodes of the cluster, with this one", value=len(found["nodes"])
        )
        yield GaugeMetricFamily(
            "hubbub_cluster_degraded", "Functions that don't work now", value=len(found["degraded"])
        )
        lag = GaugeMetricFamily("hubbub_cluster_lag_seconds", "Last round trip to the NATS server")
        if found["lag"] is not None:
            lag.add_metric([], found["lag"])
        yield lag
        for name, key, help in _GAUGES:
            yield GaugeMetricFamily(f"hubbub_cluster_{name}", help, value=found[key])
        for name, help in _COUNTERS:
            yield CounterMetricFamily(f"hubbub_cluster_{name}", help, value=found[name])
        lost = CounterMetricFamily("hubbub_cluster_dropped", "Messages lost between nodes", labels=["reason"])
        for reason, key in _LOST:
            lost.add_metric([reason], found[key])
        yield lost
        yield from _stream(found["stream"])
        yield from _sessions(found["sessions"])


def _sessions(sessions: dict[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily("hubbub_cluster_sessions", "Clients whose session this node has", value=sessions["owned"])
    for name, help in _SESSION_COUNTERS:
        yield CounterMetricFamily(f"hubbub_cluster_sessions_{name}", help, value=sessions[name])


def _stream(stream: dict[str, Any]) -> Iterator[Metric]:
    for name, key, help in _STREAM_GAUGES:
        yield GaugeMetricFamily(f"hubbub_cluster_stream_{name}", help, value=stream[key] or 0)
    for name, help in _STREAM_COUNTERS:
        yield CounterMetricFamily(f"hubbub_cluster_stream_{name}", help, value=stream[name])
