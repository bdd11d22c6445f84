"""Metrics for Prometheus: the counters of the daemon, read when a scraper asks.

    hubbub run --metrics tcp:9100       then http://127.0.0.1:9100/metrics, /healthz and /readyz

The same pages are at a WebSocket listener, for this machine alone. `docs/metrics.md` has all names.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred

from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.kernel.ingress.client_rate import SourceRates
from hubbub.service.metrics.histogram import Histogram
from hubbub.service.metrics.link_sums import LinkSums, Sums, sum_up
from hubbub.service.metrics.process_metrics import ProcessMetrics
from hubbub.service.process.turns import Turns
from hubbub.transports.dial import Losses
from hubbub.transports.udp import UDPProtocol

_TEXT = "text/plain; charset=utf-8"
_WHERE = ("listener", "transport")
_REASON = (*_WHERE, "reason")
Page = tuple[int, str, bytes]


class Metered(NamedTuple):
    """A listener or a connector, as the metrics see it.

    datagrams  of a listener on UDP; paces: where it has them
    losses     of a connector on UDP
    """

    context: ListenerContext
    datagrams: UDPProtocol | None = None
    paces: SourceRates | None = None
    losses: Losses | None = None


class MetricsPage:
    """The pages of one daemon.

    places  its listeners and connectors as they are now
    ready   tells whether clients may come: all listeners are open, and it isn't stopping
    """

    def __init__(
        self, hub: Hub, turns: Turns, contexts: Callable[[], Iterable[Metered]], ready: Callable[[], bool]
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._turn = hub.turn
        self._contexts = contexts
        self._daemon = _Daemon(hub, turns)
        self._registry.register(self._daemon)
        self._registry.register(ProcessMetrics())
        self._ready = ready

    def add(self, collector: Collector) -> None:
        """Show more metrics."""
        self._registry.register(collector)

    def page(self, path: str, accept: str) -> Page | Deferred[Page] | None:
        """Return status, content type and body of a page, later if links are many (transports.http.pages.Pages)."""
        if path != "/metrics":
            return probe_page(path, self._ready)
        opens, found = list(self._contexts()), Deferred[Page]()

        def show(sums: Sums) -> None:
            encode, kind = choose_encoder(accept)
            self._daemon.opens, self._daemon.sums = opens, sums
            found.callback((200, kind, encode(self._registry)))

        sum_up(self._turn, [one.context for one in opens], show)
        return found.result if found.called else found  # type: ignore[return-value]


def probe_page(path: str, ready: Callable[[], bool]) -> Page | None:
    """Return the page of a probe: whether the process answers, and whether clients may come."""
    if path == "/healthz":
        return 200, _TEXT, b"alive\n"
    if path == "/readyz":
        return (200, _TEXT, b"ready\n") if ready() else (503, _TEXT, b"not ready\n")
    return None


class _Daemon(Collector):
    """Reads what one daemon has counted.

    opens  its listeners and connectors; sums: what their links have
    """

    def __init__(self, hub: Hub, turns: Turns) -> None:
        self.opens: Sequence[Metered] = ()
        self.sums: Sums = {}
        self._hub = hub
        self._turns = turns

    def collect(self) -> Iterator[Metric]:
        yield _build_info()
        yield from _traffic(self.opens, self.sums)
        yield from _datagrams(self.opens)
        yield from self._messages()
        yield from self._limits()
        yield _histogram(
            "hubbub_latency_seconds", "From reading a message to writing it, for each delivery", self._turns.latency
        )
        yield _histogram("hubbub_turn_seconds", "Duration of turns in which the hub had work", self._turns.turns)
        yield from self._scheduled()
        yield _histogram("hubbub_reactor_lag_seconds", "Delay of the reactor, measured once a second", self._turns.lag)
        yield from self._store()
        yield from self._history()

    def _messages(self) -> Iterator[Metric]:
        counters = self._hub.turn.counters
        yield _counter("hubbub_messages_published", "Messages from clients and handlers", counters.published)
        yield _counter(
            "hubbub_messages_delivered", "Messages put into outboxes and handlers' inboxes", counters.delivered
        )
        yield _counter("hubbub_messages_unrouted", "Messages on topics without a subscription", counters.unrouted)
        yield _counter(
            "hubbub_messages_uncarried", "Messages that a subscriber's dialect can't carry", counters.uncarried
        )
        yield _counter(
            "hubbub_messages_unanswered", "Replies whose receiver has left or can't take them", counters.unanswered
        )
        dropped = CounterMetricFamily(
            "hubbub_messages_dropped", "Messages lost by full outboxes and inboxes", labels=["reason"]
        )
        slow = self._hub.slow_consumers
        full = counters.dropped + slow.unsettled + self._hub.clients.unsettled - slow.dropped
        dropped.add_metric(["full"], full)
        dropped.add_metric(["outbox-bytes"], slow.dropped)
        yield dropped
        keys = self._hub.idempotency
        yield _counter("hubbub_messages_repeated", "Messages that came again with their idempotency key", keys.repeated)
        yield _gauge("hubbub_idempotency_keys", "Idempotency keys that are remembered", len(keys))
        yield _counter("hubbub_plugin_errors", "Exceptions in dialects and handlers", counters.failed)

    def _scheduled(self) -> Iterator[Metric]:
        scheduler = self._hub.turn.scheduler
        deferred = CounterMetricFamily(
            "hubbub_deferred_steps", "Steps of work put off to a later turn", labels=["kind"]
        )
        exhausted = CounterMetricFamily("hubbub_turns_exhausted", "Turns that ended with work left", labels=["kind"])
        for family, counts in ((deferred, scheduler.deferred), (exhausted, scheduler.exhausted)):
            for kind, count in counts.items():
                family.add_metric([kind], count)
            yield family

    def _limits(self) -> Iterator[Metric]:
        hub = self._hub
        yield _gauge("hubbub_connections", "Connections and UDP leases, as limited", hub.sources.connections)
        yield _gauge("hubbub_subscriptions", "Subscriptions of all clients and handlers", hub.subscriptions.count)
        yield _gauge("hubbub_retained_messages", "Retained messages", hub.retained.count)
        yield _gauge("hubbub_retained_bytes", "Bytes of retained messages", hub.retained.size)
        yield _gauge(
            "hubbub_backlog_bytes",
            "Memory of the messages for clients that don't read, in bytes",
            hub.slow_consumers.size,
        )

    def _history(self) -> Iterator[Metric]:
        """The message history, if there is one."""
        if self._hub.history is None:
            return
        kept = self._hub.history.metrics()
        yield _gauge("hubbub_history_messages", "Messages in the history", kept["messages"])
        yield _gauge("hubbub_history_bytes", "Bytes of the messages in the history", kept["bytes"])
        yield _counter("hubbub_history_unkept", "Messages that the history couldn't take", kept["unkept"])
        yield _counter("hubbub_history_replayed", "Messages sent from the history", self._hub.turn.counters.replayed)

    def _store(self) -> Iterator[Metric]:
        """The durable store, if there is one."""
        store, now = self._hub.clients.store.metrics(), self._hub.turn.wall()
        if not store:
            return
        age = 0.0 if store["oldest"] is None else max(0.0, now - store["oldest"])
        yield _histogram("hubbub_store_commit_seconds", "Transactions of the durable store", self._turns.commits)
        yield _counter("hubbub_store_messages", "Messages written, each once for all its receivers", store["stored"])
        yield _gauge("hubbub_store_bytes", "Bytes of the database and its log", store["bytes"])
        yield _gauge("hubbub_store_oldest_seconds", "Age of the oldest queued message", age)
        yield _gauge("hubbub_store_waiting_bytes", "Bytes that wait for their commit", store["waiting_bytes"])
        yield _gauge("hubbub_store_waiting_links", "Links that wait for a commit", store["waiting_links"])
        yield _gauge("hubbub_store_failing", "1 while nothing can be written", bool(store["failing"]))
        yield _counter("hubbub_store_failures", "Failed attempts to write", store["failures"])


def _traffic(opens: Sequence[Metered], counted: Sums) -> Iterator[Metric]:
    contexts = [one.context for one in opens]
    sums = [(one, [one.name, one.dialect_context.transport], counted[one]) for one in contexts]
    sent_over_udp = {one.context: one.datagrams.sent_bytes for one in opens if one.datagrams is not None}
    links = GaugeMetricFamily("hubbub_links", "Open links", labels=[*_WHERE, "dialect"])
    opened = CounterMetricFamily("hubbub_links_opened", "Links opened", labels=_WHERE)
    received = CounterMetricFamily("hubbub_received_messages", "Messages and commands read", labels=_WHERE)
    received_bytes = CounterMetricFamily("hubbub_received_bytes", "Bytes of messages and commands read", labels=_WHERE)
    sent = CounterMetricFamily("hubbub_sent_messages", "Messages handed to the transport", labels=_WHERE)
    sent_bytes = CounterMetricFamily("hubbub_sent_bytes", "Bytes of messages and answers sent", labels=_WHERE)
    lost = CounterMetricFamily("hubbub_outbox_dropped_messages", "Messages dropped by full outboxes", labels=_WHERE)
    for context, where, one in sums:
        for dialect, count in one.dialects.items():
            links.add_metric([*where, dialect], count)
        if not one.dialects:
            links.add_metric([*where, ""], 0)
        opened.add_metric(where, context.opened)
        received.add_metric(where, context.received)
        received_bytes.add_metric(where, context.received_bytes)
        sent.add_metric(where, one.sent)
        sent_bytes.add_metric(where, sent_over_udp.get(context, one.sent_bytes))
        lost.add_metric(where, one.dropped)
    yield from (links, opened, received, received_bytes, sent, sent_bytes, lost)
    yield from _depth([(where, one) for _, where, one in sums])
    held_back = CounterMetricFamily("hubbub_links_held_back", "Times that a link exceeded its rate", labels=_WHERE)
    events = GaugeMetricFamily("hubbub_events_held_back", "Messages and commands read, not acted on yet", labels=_WHERE)
    unchanged = CounterMetricFamily("hubbub_unchanged_messages", "Messages that `changed=` left out", labels=_WHERE)
    for context, where, one in sums:
        held_back.add_metric(where, context.held_back)
        events.add_metric(where, one.held_back)
        unchanged.add_metric(where, context.unchanged)
    yield from (held_back, events, unchanged)
    yield _by_reason("hubbub_refused", "Refused connections, commands and messages", contexts, lambda one: one.refused)
    yield _by_reason("hubbub_links_cut", "Links cut by a deadline or a limit", contexts, lambda one: one.cut)


def _depth(sums: Sequence[tuple[list[str], LinkSums]]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("hubbub_outbox_messages", "Messages that wait in outboxes", labels=_WHERE)
    size = GaugeMetricFamily("hubbub_outbox_bytes", "Bytes that wait in outboxes", labels=_WHERE)
    most = GaugeMetricFamily("hubbub_outbox_worst_messages", "Messages in the fullest outbox", labels=_WHERE)
    worst = GaugeMetricFamily("hubbub_outbox_worst_bytes", "Bytes in the fullest outbox", labels=_WHERE)
    for where, one in sums:
        waiting.add_metric(where, one.waiting)
        size.add_metric(where, one.waiting_bytes)
        most.add_metric(where, one.most)
        worst.add_metric(where, one.most_bytes)
    yield from (waiting, size, most, worst)


def _by_reason(
    name: str, help: str, contexts: Sequence[ListenerContext], counts: Callable[[ListenerContext], dict[str, int]]
) -> Metric:
    family = CounterMetricFamily(name, help, labels=_REASON)
    for context in contexts:
        for reason, count in counts(context).items():
            family.add_metric([context.name, context.dialect_context.transport, reason], count)
    return family


def _datagrams(opens: Sequence[Metered]) -> Iterator[Metric]:
    family = CounterMetricFamily("hubbub_datagrams_dropped", "Datagrams not read, or not sent", labels=_REASON)
    for one in opens:
        udp, counts = one.datagrams, {}
        if udp is not None:
            counts = {"waiting": udp.dropped, "unproven": udp.withheld, "unsent": udp.unsent, "failed": udp.failed}
            if one.paces is not None:
                counts["rate"] = one.paces.dropped
            port: Any = udp.transport  # a transports.udp_socket.DatagramPort
            counts["kernel"] = port.kernel_drops() if port is not None else 0
        elif one.losses is not None:
            counts = {"unsent": one.losses.unsent, "kernel": one.losses.kernel}
        for reason, count in counts.items():
            family.add_metric([one.context.name, "udp", reason], count)
    yield family


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value=value)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _histogram(name: str, help: str, histogram: Histogram) -> Metric:
    total, buckets = 0, []
    for bound, count in zip([*histogram.bounds, None], histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound is None else repr(bound), float(total)))
    return HistogramMetricFamily(name, help, buckets=buckets, sum_value=histogram.sum)


def _build_info() -> Metric:
    family = GaugeMetricFamily("hubbub_build_info", "Versions, always 1", labels=["version", "python", "twisted"])
    family.add_metric([_version("hubbub"), platform.python_version(), _version("twisted")], 1)
    return family


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
