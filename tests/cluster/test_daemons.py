"""Real daemons as nodes: the example of docs/cluster.md, real clients, what they tell, and how they end."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import subprocess
import tomllib
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cluster.servers import Server
from hubbub.kernel.history.rule import HistoryRule
from hubbub.service.cluster.shared_settings import shared_settings
from hubbub.service.config.cluster import parse_cluster
from interop.mqtt.base import At
from interop.nats.clients import NatsPy
from running import LineClient
from system.controlled import Controlled, output
from test_docs import commands, looks_like
from waiting import wait_until

CLUSTER = secrets.token_hex(4)


CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (Path(__file__).parents[2] / "docs/cluster.md").read_text()


@pytest.fixture
def port(server):
    """The port of a nats-server with JetStream."""
    return server.port


@pytest.fixture
def stack():
    with ExitStack() as made:
        yield made


def node(stack, port, name, *more, **config):
    """A daemon of a cluster that only this test run has."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    spec = f"nats://127.0.0.1:{port}:name={name}:cluster={CLUSTER}"
    return stack.enter_context(Controlled(folder, "--tcp", "tcp:0", "--cluster", spec, *more, **config))


def status(daemon):
    return json.loads(output(daemon.ask("status", "--json")))["cluster"]


def joined(*daemons):
    """Wait until these know each other."""
    for daemon in daemons:
        daemon.wait_for("cluster: joined as ")
    wait_until(lambda: all(len(status(one)["nodes"]) == len(daemons) for one in daemons))


def here(stack, daemon, *filters):
    made = stack.enter_context(LineClient(daemon.tcp[0]))
    for filter in filters:
        assert made.ask(f"SUB {filter}") == f"OK SUB {filter}"
    wait_until(lambda: status(daemon)["filters"] >= len(filters))
    return made


def test_a_node_with_other_settings_is_named(stack, port):
    """And is forgotten once a reload has made them the same; a node that dies is a warning too."""
    a = node(stack, port, "a", "--history", "plant/#:age=1h")
    b = node(stack, port, "b", config='history = ["plant/#:age=2h"]\n')
    joined(a, b)
    for one, other in ((a, "b"), (b, "a")):
        line = one.wait_for(
            f"cluster: node {other} has another value of --history than this one: give all nodes the same"
        )
        assert json.loads(line)["level"] == "warn"
        assert f"--history differs from that of {other}" in status(one)["degraded"]
    b.config.write_text('history = ["plant/#:age=1h"]\n')
    assert "history changed" in output(b.ask("reload"))
    a.wait_for("cluster: node b has the settings of this one now")
    wait_until(lambda: not status(a)["degraded"] and not status(b)["degraded"])
    b.process.kill()
    b.process.wait()
    line = a.wait_for("cluster: node b is lost: it has been silent for more than 5 s")
    assert json.loads(line)["level"] == "warn"


@pytest.mark.parametrize("key", ["replicas=2", "stream-bytes=32MiB", "stream-age=1h"])
def test_each_shared_setting(key):
    plain, other = (parse_cluster(f"nats://127.0.0.1:name=a{more}", "--cluster") for more in ("", f":{key}"))
    mine, theirs = shared_settings(plain, []), shared_settings(other, [])
    assert [name for name in mine if mine[name] != theirs[name]] == [key.partition("=")[0] + "="]


def test_rules_in_another_order_are_the_same():
    config = parse_cluster("nats://127.0.0.1:name=a", "--cluster")
    rules = [HistoryRule("a/#", 60.0), HistoryRule("b/#")]
    assert shared_settings(config, rules) == shared_settings(config, rules[::-1])
    assert shared_settings(config, rules) != shared_settings(config, rules[:1])


def test_clients_of_two_daemons_share_one_topic_space(stack, port):
    a, b = node(stack, port, "a"), node(stack, port, "b")
    joined(a, b)
    ear, mouth = here(stack, b, "sensors/#", "x"), here(stack, a)
    mouth.send("PUB sensors/hall 21.5")
    assert ear.line() == "MSG sensors/hall 21.5"
    service = here(stack, b)
    service.ask('{"op":"subscribe","topic":"double","meta":true}')
    wait_until(lambda: status(b)["filters"] >= 3)
    mouth.send("REQ double 21")
    reply = re.search(r'"reply_to":"([^"]+)"', service.line())[1]
    service.send(f'{{"op":"publish","topic":"{reply}","data":"42"}}')
    assert mouth.line() == "REP 42"
    assert mouth.ask("REQ nobody/there 21").startswith("ERR no-responders")
    text = output(a.ask("status"))
    assert f"cluster   joined by tcp 127.0.0.1:{port}, lag " in text
    assert f": a of a, b in {CLUSTER}\n" in text
    assert re.search(r"\nnodes\n  name +clients +up +silent\n  a +1 .*\n  b +[0-9] .*\n", text)


def test_a_nats_application_and_an_mqtt_sensor_meet(stack, port):
    a = node(stack, port, "a")
    joined(a)
    app = stack.enter_context(NatsPy(At("tcp", "127.0.0.1", port)))
    app.subscribe("sensors.>")
    ear = here(stack, a, "cmd/+")
    ear.send("PUB sensors/hall/x 1")
    assert app.next()[:2] == ("sensors.hall.x", b"1")
    app.publish("cmd.stop", b"2")
    assert ear.line() == "MSG cmd/stop 2"


def test_a_daemon_without_nats_serves_and_joins_later(stack, tmp_path):
    later = Server(tmp_path, "later")
    port = later.port
    a = node(stack, port, "a")
    ear = stack.enter_context(LineClient(a.tcp[0]))
    assert ear.ask("SUB x") == "OK SUB x"
    ear.send("PUB x 1")
    assert ear.line() == "MSG x 1"
    wait_until(lambda: status(a)["degraded"][:1] == [f"NATS: connecting: tcp 127.0.0.1:{port}: connection refused"])
    stack.callback(later.kill)
    later.start()
    joined(a)
    wait_until(lambda: status(a)["degraded"] == [])


def test_the_example(stack, port, need):
    """docs/cluster.md, as it stands there; only ports differ, and the name of the cluster."""
    need("nc")
    (_, *nodes), (listen, publish), (ask,) = [commands(code) for code in CONSOLE.findall(PAGE)[:3]]
    daemons = []
    for command, _ in nodes:
        options = shlex.split(command.replace("6999", "0").replace("7001", "0"))[2:]
        options[-1] = options[-1].replace("127.0.0.1", f"127.0.0.1:{port}") + f":cluster={CLUSTER}"
        folder = Path(stack.enter_context(TemporaryDirectory()))
        daemons.append(stack.enter_context(Controlled(folder, *options)))
    joined(*daemons)
    ports = {"6999": str(daemons[0].tcp[0][1]), "7001": str(daemons[1].tcp[0][1])}
    words = {**ports, "4222": str(port)}
    with subprocess.Popen(["sh", "-c", placed(listen[0], words)], stdout=subprocess.PIPE, text=True) as shell:
        stack.callback(shell.kill)
        assert shell.stdout.readline().rstrip("\n") == listen[1][0]
        wait_until(lambda: status(daemons[1])["filters"] == 1)
        subprocess.run(["sh", "-c", placed(publish[0], words)], check=True)
        assert shell.stdout.readline().rstrip("\n") == listen[1][1]
        shell.kill()
    expected = [placed(line, words).replace("in hubbub", f"in {CLUSTER}") for line in ask[1]]
    assert looks_like(output(daemons[0].ask("status")), expected)


def placed(text, words):
    for port, other in words.items():
        text = text.replace(port, other)
    return text


def test_the_table_of_the_page(tmp_path):
    """What it says in TOML is what it says as an option."""
    (table,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "secret").write_text("x\n")
    found = tomllib.loads(table)["cluster"] | {"password-file": str(tmp_path / "secret")}
    option = re.search(r"`--cluster (nats://[^`]*):user=\.\.\.`", PAGE)[1]
    table, line = parse_cluster(found, "[cluster]"), parse_cluster(option, "--cluster")
    assert (table.remote, table.name, table.replicas) == (line.remote, line.name, line.replicas)


def test_what_is_acknowledged_is_at_all_nodes_and_in_the_history(stack, port):
    a, b = [node(stack, port, name, "--history", "h/#") for name in "ab"]
    joined(a, b)
    a.wait_for("the history of h/# is kept in the stream of the cluster")
    mouth, ear = here(stack, a), here(stack, b)
    mouth.send("PUB! h/x 1")
    for number in (2, 3):
        assert mouth.ask(f"ONCE {number} PUB h/x {number}") == f"OK ONCE {number}"
    wait_until(lambda: status(b)["stream"]["position"] == status(a)["stream"]["position"] >= 3)
    ear.send("SUB h/# AFTER 0")
    found = [ear.line() for _ in range(6)]
    assert found[0] == "OK SUB h/#"
    assert found[1].startswith("LOST ")  # of a position that is none
    assert [line for line in found if line.startswith("MSG")] == [f"MSG h/x {number}" for number in (1, 2, 3)]
    late = node(stack, port, "late")
    joined(a, b, late)
    wait_until(lambda: status(late)["stream"]["position"] is not None)
    assert here(stack, late, "h/#").line() == "MSG h/x 1"


def test_a_stopping_daemon_sends_what_waits(stack, port):
    a, b = node(stack, port, "a"), node(stack, port, "b")
    joined(a, b)
    ear, mouth = here(stack, b, "x"), here(stack, a)
    mouth.send(*(f"PUB x {number}" for number in range(1_000)))
    assert mouth.ask("PING") == "PONG"
    a.process.terminate()
    assert [ear.line() for _ in range(1_000)] == [f"MSG x {number}" for number in range(1_000)]
    wait_until(lambda: status(b)["nodes"] == ["b"])
