"""What a supervisor makes of the settings, and of what its workers tell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from hubbub import limits
from hubbub.service.config.options import Options
from hubbub.service.workers import totals
from hubbub.service.workers.handover import Handover, node_name
from hubbub.service.workers.worker import Worker


def read(*options):
    made = Options()
    made.parseOptions(options)
    return made.settings()


def test_the_first_worker_has_connectors_and_handlers_and_each_a_folder_and_a_name():
    settings = read(
        "--tcp", "tcp:1:id=a", "--udp", "udp:2:id=b", "--connect", "tcp:h:1", "--handler", "upper",
        "--state", "/tmp/x", "--cluster", "nats://n:name=m", "--workers", "3", "--metrics", "tcp:9",
    )  # fmt: skip
    first = Handover(1, "/c1", ("a", "b")).settings(settings)
    second = Handover(2, "/c2", ("a",)).settings(settings)
    assert (len(first.connectors), len(first.handlers), len(first.listeners)) == (1, 1, 2)
    assert (len(second.connectors), len(second.handlers), [one.id for one in second.listeners]) == (0, 0, ["a"])
    assert (second.cluster.name, second.state, second.control) == ("m-2", Path("/tmp/x/worker2"), Path("/c2"))
    assert (first.metrics, first.workers) == (None, 1)
    alone = Handover(2, "/c2", (), "nats://127.0.0.1:9").settings(read("--workers", "2"))
    assert alone.cluster.cluster == "workers"
    assert len(node_name("n" * limits.NODE_CHARACTERS, 12)) == limits.NODE_CHARACTERS


@pytest.mark.parametrize("number", ["0", "65", "x", "-1", "2.5"])
def test_a_number_that_is_none(number, capsys):
    with pytest.raises(SystemExit, match=rf"--workers {number}: expected a number from 1 to 64"):
        read("--workers", number)


def part(**more):
    return {
        "version": "1", "pid": 5, "uptime": 7.5, "memory": 10, "links": 2, "metrics": None, "plugins": ["json"],
        "listeners": [{"id": "t", "where": "1:2", "links": 2, "dropped": 0}], "connectors": [], "handlers": [],
        "topics": {"routed": 1, "subscriptions": 3, "retained": 4, "retained_bytes": 40},
        "outboxes": {"waiting": 5, "memory": 0, "worst": None}, "busiest": None, "store": {}, "history": {},
        "cluster": {"node": "a"}, "refused": {"quota": 1}, "counters": {"published": 1},
    } | more  # fmt: skip


def test_a_status_of_all():
    other = part(
        outboxes={"waiting": 1, "memory": 2, "worst": {"link": 7, "waiting": 1}},
        refused={"quota": 2, "other": 1}, cluster={"node": "b"}, busiest={"link": 3, "who": "x", "deferred": 2},
    )  # fmt: skip
    made = totals.total([(2, other), (1, part())])
    assert made["links"] == 4
    assert made["listeners"] == [{"id": "t", "where": "1:2", "links": 4, "dropped": 0}]
    assert made["topics"] == {"routed": 2, "subscriptions": 6, "retained": 4, "retained_bytes": 40}
    assert made["outboxes"] == {"waiting": 6, "memory": 2, "worst": {"link": 2_000_000_007, "waiting": 1}}
    assert made["refused"] == {"quota": 3, "other": 1}
    assert (made["cluster"], made["busiest"]["link"]) == ({"node": "a"}, 2_000_000_003)


def test_metrics_of_all():
    pages = [
        (1, '# HELP a_total A\n# TYPE a_total counter\na_total{x="1 {"} 1\n# HELP b B\n# TYPE b gauge\nb 2\n'),
        (2, '# HELP b B\n# TYPE b gauge\nb 3\n# HELP c C\n# TYPE c histogram\nc_bucket{le="1"} 1\nc_sum 1\n'),
    ]
    assert totals.metrics(pages).splitlines() == [
        "# HELP a_total A", "# TYPE a_total counter", 'a_total{worker="1",x="1 {"} 1',
        "# HELP b B", "# TYPE b gauge", 'b{worker="1"} 2', 'b{worker="2"} 3',
        "# HELP c C", "# TYPE c histogram", 'c_bucket{worker="2",le="1"} 1', 'c_sum{worker="2"} 1',
    ]  # fmt: skip


class Processless(Clock):
    def spawnProcess(self, child, *more, **others):
        child.transport = self.process

    def listenUNIXDatagram(self, *more):
        return None


def test_a_worker_that_is_silent_is_killed():
    clock = Processless()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        clock.process = process
        worker = Worker(clock, Handover(1, "/nowhere", ()), [])
        serving = worker.begin()
        clock.pump([limits.WORKER_SILENCE_SECONDS / 4] * 8)
        assert process.poll() is None  # it may take its time to start
        worker.notified("READY=1\nSTATUS=serving, links: 12")
        assert (serving.called, worker.ready, worker.links) == (True, True, 12)
        for _ in range(8):
            worker.notified("WATCHDOG=1")
            clock.advance(limits.WORKER_SILENCE_SECONDS / 4)
        assert process.poll() is None
        clock.pump([limits.WORKER_SILENCE_SECONDS / 4] * 6)
        assert process.wait(30) == -9
        assert not worker.ready
