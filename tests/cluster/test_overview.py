"""All nodes as one of them sees them: `hubbub status --cluster`, `/api/v1/cluster`."""

from __future__ import annotations

import json
import secrets
import signal
from pathlib import Path

import httpx
import pytest
import pytest_twisted

from cluster.nodes import passed
from hubbub import limits
from hubbub.service.commands.report import cluster_report
from system.controlled import Controlled, output
from waiting import wait_until

_CUT = ("version", "up", "memory", "links", "filters", "in", "out", "dropped", "lag")


def row(**more):
    return {
        "name": "node1", "version": "1.0", "up": 90_000.0, "memory": 5 << 30, "links": 50_000,
        "subscriptions": 1_000_000, "published": 123_456_789, "delivered": 123_456_789_012, "dropped": 0,
        "lag": 0.000_3, "degraded": [],
    } | more  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_each_node_describes_itself_and_one_that_is_silent_is_named(nodes, nats_port, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_ABOUT_SECONDS", 0.2)
    a, b, c = await nodes.cluster(nats_port, "a", "b", "c")
    await passed(lambda: len(a.cluster.nodes.all) == 2)
    for one in (a, b, c):
        one.cluster.overview.about = lambda one=one: {"links": len(one.hub.subscriptions.sessions)}
    nodes.client(b)
    links = {"a": 1, "b": 2, "c": 1}
    assert await a.cluster.overview.look() == [{"name": name, "links": count} for name, count in links.items()]
    c.cluster.overview.about = lambda: 1 / 0
    found = await a.cluster.overview.look()
    assert found[2] == {"name": "c", "unreachable": "it doesn't answer"}


@pytest_twisted.ensureDeferred
async def test_a_node_that_dies_stays_in_the_list_until_it_is_back_and_one_that_leaves_does_not(
    nodes, nats_port, monkeypatch
):
    monkeypatch.setattr(limits, "CLUSTER_LEASE_SECONDS", 0.5)
    monkeypatch.setattr(limits, "CLUSTER_BEAT_SECONDS", 0.1)
    a, b, c = await nodes.cluster(nats_port, "a", "b", "c")
    await passed(lambda: len(a.cluster.nodes.all) == 2)
    c.cluster.stop()
    await passed(lambda: len(a.cluster.nodes.all) == 1)
    assert [one["name"] for one in await a.cluster.overview.look()] == ["a", "b"]
    b.cluster.nodes.left()  # no more beats
    await passed(lambda: not a.cluster.nodes.all)
    assert (await a.cluster.overview.look())[1:] == [
        {"name": "b", "unreachable": "it has been silent for more than 0.5 s"}
    ]
    b.cluster.nodes.joined()
    await passed(lambda: a.cluster.nodes.all)
    assert [one["name"] for one in await a.cluster.overview.look()] == ["a", "b"]


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_longer_than_the_terminal_is_wide(width):
    rows = [row(), row(name="node2", degraded=["NATS takes messages more slowly than they come", "x" * 50])]
    text = cluster_report({"cluster": "hubbub", "nodes": [*rows, {"name": "n3", "unreachable": "y " * 50}]}, width)
    assert max(map(len, text.splitlines())) <= width
    assert "cluster hubbub: 2 nodes, 1 unreachable" in text
    assert "UNREACHABLE  n3: y" in text
    assert "DEGRADED  node2: NATS takes" in text
    assert all(name in text.splitlines()[1].split() for name in _CUT if width > 80)


def test_the_command_and_http(server, tmp_path):
    cluster = secrets.token_hex(4)

    def node(name: str) -> Controlled:
        (folder := Path(tmp_path / name)).mkdir()
        spec = f"nats://127.0.0.1:{server.port}:name={name}:cluster={cluster}"
        return Controlled(folder, "--tcp", "tcp:0", "--websocket", "tcp:0", "--cluster", spec)

    def look(daemon: Controlled) -> list[dict[str, object]]:
        return json.loads(output(daemon.ask("status", "--cluster", "--json")))["nodes"]

    with node("a") as a, node("b") as b:
        wait_until(lambda: [one["name"] for one in look(a)] == ["a", "b"] == [one["name"] for one in look(b)][::-1])
        text = output(a.ask("status", "--cluster"))
        assert text.startswith(f"cluster {cluster}: 2 nodes, 0 unreachable\n  node  version")
        found = httpx.get(a.url(scheme="http") + "api/v1/cluster", trust_env=False).json()
        assert (found["cluster"], [one["name"] for one in found["nodes"]]) == (cluster, ["a", "b"])
        b.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: look(a)[1] == {"name": "b", "unreachable": "it doesn't answer"})
            wait_until(lambda: "silent" in str(look(a)[1].get("unreachable")), limits.CLUSTER_LEASE_SECONDS + 10)
        finally:
            b.process.send_signal(signal.SIGCONT)


def test_a_daemon_without_a_cluster_says_so(tmp_path):
    with Controlled(tmp_path, "--websocket", "tcp:0") as daemon:
        asked = daemon.ask("status", "--cluster")
        assert (asked.returncode, asked.stderr) == (
            1,
            "hubbub: this daemon is no node of a cluster: --cluster makes it one\n",
        )
        answer = httpx.get(daemon.url(scheme="http") + "api/v1/cluster", trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (404, "no-responders")
