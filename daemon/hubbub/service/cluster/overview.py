"""All nodes as one of them sees them, for `hubbub status --cluster`.

$hubbub.CLUSTER.about.a1b2    asks a node of that id what it has to tell of itself: a JSON object
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList

from hubbub import limits
from hubbub.service.cluster.connection import NatsConnection
from hubbub.service.cluster.nodes import Beat, Nodes
from hubbub.service.cluster.wire import Received

Row = dict[str, Any]
_read = msgspec.json.Decoder(dict[str, Any]).decode


class Overview:
    """Asks all nodes at once, each for limits.CLUSTER_ABOUT_SECONDS at most.

    about  attribute: returns what this node tells of itself
    """

    def __init__(self, connection: NatsConnection, nodes: Nodes) -> None:
        self.about: Callable[[], Mapping[str, Any]] = dict
        self._connection = connection
        self._nodes = nodes
        self._prefix = f"$hubbub.{connection.config.cluster}.about."
        connection.subscribe(f"{self._prefix}{nodes.own}", self._asked)

    def _asked(self, question: Received) -> None:
        self._connection.publish(question.reply, msgspec.json.encode(self._own()))

    def _own(self) -> Row:
        return {"name": self._connection.config.name, **self.about()}

    def look(self) -> Deferred[list[Row]]:
        """Fire with a row for each node, this one first; one that can't be reached has `unreachable`, the reason."""
        lost = [{"name": name, "unreachable": why} for name, why in self._nodes.lost.items()]
        asked = DeferredList([self._ask(one.beat) for one in self._nodes.all.values()])

        def rows(answers: list[tuple[bool, Row]]) -> list[Row]:
            return [self._own(), *sorted([row for _, row in answers] + lost, key=lambda row: str(row["name"]))]

        return asked.addCallback(rows)

    def _ask(self, beat: Beat) -> Deferred[Row]:
        name, seconds = beat.name, limits.CLUSTER_ABOUT_SECONDS
        asked = self._connection.request(f"{self._prefix}{beat.node}", b"", timeout=seconds)

        def answered(answer: Received) -> Row:
            if answer.status:
                return {"name": name, "unreachable": "it isn't connected to NATS"}
            return {**_read(answer.payload), "name": name}

        return asked.addCallback(answered).addErrback(
            lambda failure: {"name": name, "unreachable": "it doesn't answer"}
        )
