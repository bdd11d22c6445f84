"""What the figures say: each is on the page, none of a link that has gone is lost, and a scrape is quick."""

from __future__ import annotations

import time
from pathlib import Path
from queue import SimpleQueue

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry
from twisted.internet.defer import Deferred

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.errors import Refusal
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.connection.slow_consumers import weigh
from hubbub.kernel.history.rule import HistoryRule
from hubbub.publish import QosPublish
from hubbub.service.cluster.cluster import Cluster
from hubbub.service.config.cluster import parse_cluster
from hubbub.service.metrics.cluster_metrics import ClusterMetrics
from hubbub.service.metrics.histogram import Histogram
from hubbub.service.metrics.prometheus import Metered, MetricsPage
from hubbub.service.process.turns import Turns
from hubbub.storage.opening import open_store
from unit.kernel_help import FakeWire, Tiny, World

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


class NoReactor:
    def callLater(self, seconds, call, *arguments):
        raise AssertionError

    def seconds(self):
        return 0.0


class Scraped:
    """The figures of a world with one TCP place."""

    def __init__(self, **more):
        self.world = World()
        self.context = ListenerContext("here", DialectContext("tcp"), **more)
        self.turns = Turns(NoReactor())
        self.ready = True
        self.opens = [Metered(self.context)]
        self.metrics = MetricsPage(self.world.hub, self.turns, lambda: self.opens, lambda: self.ready)

    def link(self):
        wire = FakeWire()
        link = wire.link = Link(self.world.hub, self.context, wire, Tiny, "192.0.2.7", 4711)
        link.start()
        return link

    def page(self):
        """The page of metrics; what its links have may be summed up in several turns."""
        found = self.metrics.page("/metrics", "")
        if isinstance(found, Deferred):
            self.world.turn()
            found = found.result
        return found

    def families(self):
        status, kind, body = self.page()
        assert (status, kind.split(";")[0]) == (200, "text/plain")
        return {family.name: family for family in text_string_to_metric_families(body.decode())}

    def value(self, name, **labels):
        family = self.families()[name.removesuffix("_total")]
        found = [one.value for one in family.samples if one.name == name and labels.items() <= one.labels.items()]
        return sum(found)


def test_traffic_is_counted_and_that_of_links_which_have_gone_is_kept():
    scraped = Scraped()
    world, stays, goes = scraped.world, scraped.link(), scraped.link()
    world.say(stays, b"sub a\n")
    world.say(goes, b"sub a\n")
    world.say(stays, b"pub a hello\npub b x\n")
    sent = scraped.value("hubbub_sent_bytes_total")
    assert sent == 2 * len(b"ok a\na=hello\n")
    for _ in range(2):
        assert scraped.value("hubbub_links_opened_total", listener="here", transport="tcp") == 2
        assert scraped.value("hubbub_received_messages_total") == 4
        assert scraped.value("hubbub_received_bytes_total") == 2 * 6 + 20
        assert scraped.value("hubbub_sent_messages_total") == 2
        assert scraped.value("hubbub_sent_bytes_total") == sent
        if goes.open:
            assert scraped.value("hubbub_links", dialect="tiny") == 2
            goes.lost()
    assert scraped.value("hubbub_links", dialect="tiny") == 1
    assert scraped.value("hubbub_messages_published_total") == 2
    assert scraped.value("hubbub_messages_delivered_total") == 2
    assert scraped.value("hubbub_messages_unrouted_total") == 1


def test_what_waits_and_what_was_lost():
    scraped = Scraped(queue=1_000)
    world, link = scraped.world, scraped.link()
    world.say(link, b"sub a\n")
    link.transport_paused(0)
    for _ in range(20):
        world.publish("a", b"x" * 97)
        world.turn()
    assert scraped.value("hubbub_outbox_messages") == scraped.value("hubbub_outbox_worst_messages") == 10
    assert scraped.value("hubbub_outbox_bytes") == scraped.value("hubbub_outbox_worst_bytes") == 1_000
    assert scraped.value("hubbub_backlog_bytes") == weigh(1_000, units=10, messages=10)
    assert scraped.value("hubbub_messages_dropped_total", reason="full") == 10
    assert scraped.value("hubbub_outbox_dropped_messages_total") == 10
    link.lost()
    assert scraped.value("hubbub_outbox_dropped_messages_total") == 10
    assert scraped.value("hubbub_outbox_bytes") == 0


def test_refusals_and_cuts_by_reason():
    scraped = Scraped(stall=30.0, full="disconnect", queue=10)
    world, link, full = scraped.world, scraped.link(), scraped.link()
    world.say(link, b"tag $SYS/x y\ntag $SYS/x y\nsub a/#/b\n")
    scraped.context.refuse(Refusal("whatever a plugin says", "no"))
    world.say(full, b"sub a\n")
    for _ in range(2):
        world.publish("a", b"x" * 20)
    world.turn()
    world.say(link, b"sub a\n")
    link.wire.held = 5
    link.transport_paused(5)
    world.sleep(31)
    world.sleep(31)
    for reason, count in {"not-authorized": 2, "bad-filter": 1, "other": 1}.items():
        assert scraped.value("hubbub_refused_total", reason=reason, listener="here") == count
    assert scraped.value("hubbub_links_cut_total", reason="full") == 1
    assert scraped.value("hubbub_links_cut_total", reason="stall") == 1


def test_a_histogram_adds_up():
    histogram = Histogram((0.001, 0.01))
    histogram.add(0.001, 3)
    histogram.add(0.005)
    histogram.add(7.0, 2)
    assert histogram.counts == [3, 1, 2]
    assert histogram.sum == pytest.approx(14.008)


def test_latency_counts_each_delivery():
    class Reactor(NoReactor):
        def call_at_turn_end(self, end):
            self.end = end

    reactor, world = Reactor(), World()
    turns = Turns(reactor)
    turns.serve(world.hub)
    links = [world.link() for _ in range(3)]
    for link in links:
        world.say(link, b"sub a\n")
    turns.wake()
    world.publish("a")
    world.publish("a")
    reactor.end()
    assert sum(turns.latency.counts) == 6
    turns.wake()
    reactor.end()
    assert sum(turns.latency.counts) == 6


def test_health():
    scraped = Scraped()
    assert scraped.metrics.page("/healthz", "") == (200, "text/plain; charset=utf-8", b"alive\n")
    assert scraped.metrics.page("/readyz", "")[0] == 200
    scraped.ready = False
    assert scraped.metrics.page("/readyz", "")[0] == 503
    assert scraped.metrics.page("/", "") is None


def test_openmetrics_for_a_client_that_asks_for_it():
    _, kind, body = Scraped().metrics.page("/metrics", "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def rows(folder):
    """The table of the page, as the code has it; the store has figures too, the history, and a cluster."""
    scraped = Scraped()
    store = open_store(folder / "state", "process", print)
    scraped.world.hub.load(store)
    scraped.world.hub.keep_history([HistoryRule("#")])
    cluster = Cluster(NoReactor(), World(clustered=True).hub, parse_cluster("nats://a:name=a", "--cluster"), "a1")
    scraped.metrics.add(ClusterMetrics(cluster.status))
    registry: CollectorRegistry = scraped.metrics._registry
    for family in registry.collect():
        if family.name.startswith("hubbub_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(family._labelnames) or "none"
            yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def test_the_page_has_each_and_no_other(tmp_path):
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| `hubbub_")]
    found = list(rows(tmp_path))
    assert table == found, "\n".join(found)


def test_the_figures_of_a_store(tmp_path):
    scraped, calls = Scraped(), SimpleQueue()
    store = open_store(tmp_path / "state", "process", lambda *call: calls.put(call))
    store.observed = scraped.turns.commits.add
    scraped.world.hub.load(store)
    link = scraped.link()
    assert scraped.value("hubbub_store_bytes") > 0
    scraped.world.hub.retained.keep(QosPublish("a", bytes(1_000), 1, None, True))
    assert scraped.value("hubbub_store_waiting_bytes") > 1_000
    link.egress.hold(store.commits)
    link.egress.write(b"x")
    scraped.world.turn()
    assert scraped.value("hubbub_store_waiting_links") == 1
    store.failing("the disk is gone")
    assert (scraped.value("hubbub_store_failing"), scraped.value("hubbub_store_failures_total")) == (1, 1)
    store.recovered()
    store.start()
    call, *arguments = calls.get(timeout=30)
    call(*arguments)
    for name in ("failing", "waiting_bytes", "waiting_links"):
        assert scraped.value(f"hubbub_store_{name}") == 0
    assert sum(scraped.turns.commits.counts) == 1
    store.stop()


def test_names_and_labels_are_as_promised(tmp_path):
    allowed = {"listener", "transport", "dialect", "reason", "kind"}
    for row in rows(tmp_path):
        name, kind, labels, help = row[2:-2].split(" | ")
        assert name.strip("`").startswith("hubbub_")
        assert name.strip("`").endswith("_total") == (kind == "counter")
        assert "build_info" in name or set(labels.split(", ")) <= allowed | {"none"}
        assert not help.endswith(".")


def test_a_scrape_with_5000_links_is_quick():
    """100 ms is what is promised; the bound here is for a machine that does something else too."""
    scraped = Scraped()
    for link in [scraped.link() for _ in range(5_000)]:
        scraped.world.say(link, b"sub a\n")
    scraped.world.publish("a")
    times = []
    for _ in range(5):
        before = time.process_time()
        assert scraped.page()[0] == 200
        times.append(time.process_time() - before)
    assert min(times) < 0.1


def test_many_links_are_summed_up_in_several_turns():
    """Others have their turns meanwhile. What a link has sent counts, also if it goes amid that."""
    scraped = Scraped()
    links = [scraped.link() for _ in range(2 * limits.PIECES_AT_ONCE**2)]
    for link in links:
        scraped.world.say(link, b"ping\n")
    found = scraped.metrics.page("/metrics", "")
    assert isinstance(found, Deferred)
    assert not found.called
    for link in links[::100]:
        link.lost()
    scraped.world.turn()
    _, _, body = found.result
    sent = sum(link.outbox.sent_bytes for link in links)
    assert sent >= len(links)
    assert f'hubbub_sent_bytes_total{{listener="here",transport="tcp"}} {sent}.0' in body.decode()
    assert scraped.value("hubbub_sent_bytes_total") == sent
