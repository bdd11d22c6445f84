"""Every cell of the table of the history in docs/semantics.md: what a client is told of positions."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hubbub.dialects.http import Http
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.http import HttpRequest
from hubbub.kernel.history.rule import HistoryRule
from hubbub_plugins.mqtt.packets import Suback
from matrix import page
from mqtt_client import MqttHub, subscription
from unit.history_help import SlowHistory
from unit.kernel_help import World

CELLS = list(page.crossed("history"))
BEGINS = {
    "after": {
        "lines": "AFTER {}", "json": '"after":"{}"', "MQTT 5": "history-after {}", "HTTP events": "after={}",
        "HTTP lines": "after={}",
    },
    "since": {
        "lines": "SINCE {}", "json": '"since":{}', "MQTT 5": "history-since {}", "HTTP events": "since={}",
        "HTTP lines": "since={}",
    },
}  # fmt: skip


class Scene:
    """A hub with a history of a/#, and one subscriber to a/1."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.mqtt = MqttHub() if dialect == "MQTT 5" else None
        self.world: Any = World() if self.mqtt is None else self.mqtt.world
        self.hub = self.world.hub
        self.store = SlowHistory(self.hub.turn)
        self.hub.keep_history([HistoryRule("a/#")], self.store)
        self.text = ""
        self.client: Any = None

    def publish(self, payload: str) -> None:
        """Publish by a client of its own."""
        if self.mqtt is not None:
            self.mqtt.client("w").publish("a/1", payload.encode())
        else:
            self.world.say(self.world.link(Lines), f"PUB a/1 {payload}\n".encode())

    def subscribe(self, name: str = "", value: object = "") -> str:
        """Subscribe, and return what the client is told."""
        begin = BEGINS[name][self.dialect].format(value) if name else ""
        getattr(self, f"_by_{self.dialect.split()[0].lower()}")(begin)
        return self.reported()

    def reported(self) -> str:
        """What has come since, as text."""
        while self.store.answer():
            self.turn()
        self.turn()
        if self.mqtt is None:
            return self.client.wire.output().decode()
        found = self.client.answers + self.client.output()
        self.client.answers = []
        pairs = [pair for one in found for pair in (one.properties.get("user_property") or ())]
        return "".join(f"{name}: {value}\n" for name, value in pairs)

    def turn(self) -> None:
        self.world.turn()

    def _by_lines(self, begin: str) -> None:
        self.client = self.world.link(Lines)
        self.client.receive(f"SUB a/1 {begin}\n".encode())

    def _by_json(self, begin: str) -> None:
        self.client = self.world.link(Json)
        self.client.receive(b'{"op":"subscribe","topic":"a/1","meta":true%b}\n' % (begin and f",{begin}").encode())

    def _by_http(self, begin: str) -> None:
        self.client = self.world.link(Http, transport="websocket")
        path = b"/events" if self.dialect == "HTTP events" else b"/messages"
        query = {"filter": ["a/1"]} | ({begin.split("=")[0]: [begin.split("=")[1]]} if begin else {})
        self.client.receive(HttpRequest.made("GET", path, query, {}))

    def _by_mqtt(self, begin: str) -> None:
        assert self.mqtt is not None
        self.client = self.mqtt.client("c")
        pairs = [tuple(begin.split())] if begin else []
        self.client.answers = self.client.subscribe(subscription("a/1"), user_property=pairs)
        assert not self.client.answers or isinstance(self.client.answers[0], Suback)


def lost_at_the_start(scene: Scene) -> str:
    return scene.subscribe("after", "another-1")


def lost_during_a_replay(scene: Scene) -> str:
    """Its messages were of a filter that a reload takes away."""
    scene.publish("x")
    (scene.world.sleep if scene.mqtt is None else scene.world.advance)(3_600)
    scene.store.answer = lambda: False
    reported = scene.subscribe("since", 10)
    assert "lost" not in reported.lower()
    scene.hub.change_history([HistoryRule("a/1")])
    del scene.store.answer
    return scene.reported()


def a_message(scene: Scene) -> str:
    scene.subscribe("after", scene.hub.history.end)
    scene.publish("x")
    return scene.reported()


def live_begins(scene: Scene) -> str:
    end = scene.hub.history.end
    scene.publish("x")
    reported = scene.subscribe("after", end)
    return reported[reported.find("x") + 1 :].partition("\n")[2]


def subscribed(scene: Scene) -> str:
    scene.publish("x")
    return scene.subscribe()


def own_message(scene: Scene) -> str:
    if scene.mqtt is not None:
        (puback,) = scene.mqtt.client("c").publish("a/1", b"x", qos=1, id=1)
        return str(puback)
    if scene.dialect == "lines":
        return str(scene.world.say(scene.world.link(Lines), b"PUB a/1 x\nPING\n"))
    if scene.dialect == "json":
        command = b'{"op":"publish","topic":"a/1","data":"x","id":1}\n'
        return str(scene.world.say(scene.world.link(Json), command).decode())
    link = scene.world.link(Http, transport="websocket")
    link.receive(HttpRequest.made("POST", b"/topics/a/1", {}, {}, b"x"))
    scene.turn()
    return str(link.wire.output().decode())


ROWS = {
    "messages were lost before the first one": lost_at_the_start,
    "messages were lost during the replay": lost_during_a_replay,
    "a message": a_message,
    "the replay has ended, live messages follow": live_begins,
    "a subscription that begins with live messages": subscribed,
    "the answer to a publish": own_message,
}


def test_the_table_has_these_rows() -> None:
    assert list(dict.fromkeys(row for row, _, _ in CELLS)) == list(ROWS)


@pytest.mark.parametrize(("row", "dialect", "cell"), CELLS)
def test_what_a_client_receives(row: str, dialect: str, cell: str) -> None:
    scene = Scene(dialect)
    reported = ROWS[row](scene)
    position = rf"{scene.store.epoch}-\d+"
    if cell == "nothing":
        assert not re.search(f"{position}|lost|LIVE|history-complete", reported)
        return
    (said,) = re.findall("`(.*?)`", cell)
    wanted = re.escape(said).replace("POSITION", position).replace(r"\.\.\.", ".*")
    assert re.search(wanted, reported), (said, reported)
