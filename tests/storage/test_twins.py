"""The database beside a journal that forgets nothing: whatever happens, both bring the same back after a restart.

The journal of tests/storage/journal.py writes each change one after the other, as plainly as it can be done.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hubbub import limits
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, Rights, kept, subscription
from storage.journal import DatabaseDisk, Disk, run

CLIENTS = ("ann", "bob", "cyd")
TOPICS = ("a", "b", "c")
FILTERS = (*TOPICS, "+", "$share/g/a", "$share/g/b")
STEPS = 120


class Hub:
    """One of the twins: a process after the other over one disk, and its clients."""

    def __init__(self, disk: Any, away: int) -> None:
        """`away`: from how many sessions on what waits for them is kept once."""
        self.disk = disk
        self.away = away
        self.rights = Rights()
        self.restart()

    def restart(self) -> None:
        self.context = run(self.disk)
        self.context.listener.context.rights = lambda session: self.rights if session.client in CLIENTS else None
        self.clients: dict[str, Any] = {}
        self.unanswered: dict[str, list[Any]] = {name: [] for name in CLIENTS}
        self.writer = self.context.client("writer", **kept(V5))
        self.writer_id = 0

    def do(self, step: Callable[[Hub], object]) -> None:
        limits.AWAY_SESSIONS = self.away
        step(self)

    def publish(self, topic: str, payload: bytes, qos: int, release: bool) -> None:
        self.writer_id = self.writer_id % 50 + 1
        self.writer.publish(topic, payload, qos=qos, id=self.writer_id)
        if qos == 2 and release:
            self.writer.ack(PUBREL, self.writer_id)
        self.receive()

    def connect(self, name: str, filters: list[tuple[str, int]]) -> None:
        self.leave(name)
        client = self.clients[name] = self.context.client(name, **kept(V5))
        self.unanswered[name] = [one for one in client.first if hasattr(one, "kind") or hasattr(one, "topic")]
        if filters:
            client.subscribe(*(subscription(*one) for one in filters))
        self.receive()

    def leave(self, name: str) -> None:
        if name in self.clients:
            self.clients.pop(name).end.vanish()
            self.context.world.turn()

    def receive(self) -> None:
        for name, client in self.clients.items():
            self.unanswered[name] += client.output()

    def answer(self, name: str, at: int) -> None:
        """Answer one of the packets that wait for it."""
        those = self.unanswered[name]
        if name not in self.clients or not those:
            return
        one = those.pop(at % len(those))
        client = self.clients[name]
        if getattr(one, "kind", None) == PUBREL:
            client.ack(PUBCOMP, one.id)
        elif getattr(one, "qos", 0):
            client.ack(PUBACK if one.qos == 1 else PUBREC, one.id)
        self.receive()

    def deny(self, topics: set[str]) -> None:
        self.rights.denied = topics
        for client in self.context.world.hub.clients.without_link():
            list(client.reconsidering())
        self.context.world.turn()

    def seen(self) -> dict[str, Any]:
        """What each session has, with everything read that only the store has."""
        found = {}
        for key, client in self.context.world.hub.clients._known.items():
            state = client.state
            client.delivery.queue.settle()
            while state.paged_count:
                state.fetch(lambda *page, state=state: state.take_page(*page))
                self.context.world.turn()
            inflight = [(one.message.payload, one.id, one.qos, one.received) for one in state.inflight.values()]
            queue = [(one.message.topic, one.message.payload, one.qos) for one in state.queue]
            filters = sorted((str(id), wish.qos) for id, wish in state.subscriptions.items())
            found[key[2]] = (filters, inflight, queue, state.received)
        return found


def lower_limits(monkeypatch, **more):
    few = {"AWAY_TOLD": 3, "QUEUE_MESSAGES": 12, "INFLIGHT_MESSAGES": 3, "STORE_SWEEP_SECONDS": 0.0, "QUEUE_GAPS": 3}
    for name, value in {**few, **more}.items():
        monkeypatch.setattr(limits, name, value)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("away", [1, 2, 100])
def test_both_bring_the_same_back(tmp_path, monkeypatch, away, seed):
    lower_limits(monkeypatch, AWAY_SESSIONS=away, PAGE_MESSAGES=4)
    rolls = random.Random(seed)
    database = DatabaseDisk(tmp_path)
    twins = Hub(Disk(), 100), Hub(database, away)
    for n in range(STEPS):
        step = random_step(rolls, n)
        for one in twins:
            one.do(step)
        if n % 30 == 29:
            first, second = (one.restart() or one.seen() for one in twins)
            assert first == second, n
    for store in database.stores:
        store.stop()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("away", [1, 2])
def test_members_of_groups(tmp_path, monkeypatch, away, seed):
    """They get copies of what waits for them too. One restart: who has its queue in memory then gets more."""
    lower_limits(monkeypatch, AWAY_SESSIONS=away)
    rolls = random.Random(seed)
    database = DatabaseDisk(tmp_path)
    twins = Hub(Disk(), 100), Hub(database, away)
    for n in range(STEPS // 2):
        step = random_step(rolls, n, FILTERS)
        for one in twins:
            one.do(step)
    first, second = (one.restart() or one.seen() for one in twins)
    assert first == second
    for store in database.stores:
        store.stop()


def random_step(rolls: random.Random, n: int, filters: Sequence[str] = TOPICS) -> Any:
    name = rolls.choice(CLIENTS)
    kind = rolls.choices(("publish", "connect", "leave", "answer", "deny"), (10, 3, 2, 8, 1))[0]
    if kind == "publish":
        topic, qos, release = rolls.choice(TOPICS), rolls.choice((1, 2)), rolls.random() < 0.8
        return lambda hub: hub.publish(topic, b"%d" % n, qos, release)
    if kind == "connect":
        some = [(one, rolls.choice((1, 2))) for one in filters if rolls.random() < 0.5]
        return lambda hub: hub.connect(name, some)
    if kind == "leave":
        return lambda hub: hub.leave(name)
    if kind == "answer":
        at = rolls.randrange(100)
        return lambda hub: hub.answer(name, at)
    denied = {topic for topic in TOPICS if rolls.random() < 0.2}
    return lambda hub: hub.deny(denied)
