"""The nodes of the cluster: each says once a second that it is there, and no two have one name.

$hubbub.CLUSTER.beats          {"name":"n1","node":"a1b2...","since":1700000000.0,"groups":3}
$hubbub.CLUSTER.name.n1        asks the node of that name whether it is there; the older one keeps the name
$hubbub.CLUSTER.groups.a1b2    asks a node for the names of its groups, once the number in its beats has changed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hubbub import limits
from hubbub.option import shown
from hubbub.service.cluster.connection import NatsConnection
from hubbub.service.cluster.wire import Received

Id = Annotated[str, msgspec.Meta(pattern=f"^[A-Za-z0-9_-]{{1,{limits.NODE_CHARACTERS}}}$")]  # it stands in subjects


class Beat(msgspec.Struct, gc=False):
    """What a node says of itself.

    node    its id, new with each process; since: Unix seconds when it began
    groups  counts the changes of its groups; clients: those that are connected
    gone    whether it leaves
    settings  those that have to be the same at all nodes: values, by the names of their options
    """

    name: Id
    node: Id
    since: float
    groups: int = 0
    gone: bool = False
    clients: int = 0
    settings: dict[str, str] = {}


class Node:
    """Another node.

    last_seen  monotonic seconds of its last beat
    groups     their names, as of version `known`
    differs    the shared settings that have another value there, in words; empty: none
    """

    __slots__ = ("beat", "differs", "groups", "known", "last_seen")

    def __init__(self, beat: Beat, last_seen: float) -> None:
        self.beat = beat
        self.differs = ""
        self.groups: frozenset[str] = frozenset()
        self.last_seen = last_seen
        self.known = 0


_T = TypeVar("_T")
_beats, _groups = msgspec.json.Decoder(Beat), msgspec.json.Decoder(tuple[int, list[str]])


class Nodes:
    """The other nodes, by their ids, and this one's claim to its name.

    groups   attribute: returns the names of this node's groups; clients: how many are connected here
    settings  attribute: returns the settings that have to be the same at all nodes
    admitted  attribute: is called when the name is this node's; refused: attribute, when it isn't any more
    sweepers  are called when nodes have gone, and now and then
    lost     those that have gone without a goodbye: why, by name
    rival    the node that has this one's name, or None
    """

    log = Logger(namespace="hubbub.cluster")

    def __init__(self, reactor: Any, connection: NatsConnection, node: str, since: float) -> None:
        config = connection.config
        self.admitted: Callable[[], object] = bool
        self.all: dict[str, Node] = {}
        self.clients: Callable[[], int] = int
        self.groups: Callable[[], Iterable[str]] = tuple
        self.lost: dict[str, str] = {}
        self.refused: Callable[[], object] = bool
        self.rival: Beat | None = None
        self.settings: Callable[[], Mapping[str, str]] = dict
        self.sweepers: list[Callable[[], object]] = []
        self._beat = Beat(config.name, node, since)
        self._connection = connection
        self._prefix = f"$hubbub.{config.cluster}"
        self._reactor = reactor
        self._timer: Any = None
        self._knows_all_at = self._look_at = 0.0  # monotonic seconds
        self._named = False  # the name is this node's
        self._said = 0.0  # monotonic seconds of its last beat
        connection.subscribe(f"{self._prefix}.beats", self._heard)
        connection.subscribe(f"{self._prefix}.name.{config.name}", self._asked)
        connection.subscribe(f"{self._prefix}.groups.{node}", self._asked_for_groups)

    def joined(self) -> None:
        """NATS is there: claim the name (connection.ConnectionWatcher)."""
        self._claim()

    def left(self) -> None:
        """NATS has gone, and with it all others."""
        self._named, self.rival = False, None
        for node in self.all.values():
            self._lose(node, "this node isn't connected to NATS")
        self.all.clear()
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    @property
    def own(self) -> str:
        """The id of this node."""
        return self._beat.node

    def may_be_there(self, node: str) -> bool:
        """Return whether a node is there, or this one doesn't know all others yet."""
        return self.is_there(node) or self._reactor.seconds() < self._knows_all_at

    def is_there(self, node: str) -> bool:
        """Return whether a node is there, this one or another."""
        return node == self._beat.node or node in self.all

    # The name

    def _claim(self) -> None:
        """Ask whether another node has the name; silence means that it had it."""
        subject = f"{self._prefix}.name.{self._beat.name}"
        asked: Deferred[Any] = self._connection.request(subject, msgspec.json.encode(self._beat))
        asked.addCallbacks(self._answered, lambda failure: self._admit() if self._connection.joined else None)

    def _answered(self, answer: Received) -> None:
        rival = _read(_beats, answer.payload)
        if rival is None:
            self._admit()
        else:
            self._refuse(rival)

    def _admit(self) -> None:
        if self.rival is not None:
            self.log.info("cluster: no other node has the name {name} now", name=self._beat.name)
        self.rival, self._named = None, True
        self._said = self._reactor.seconds()
        self._knows_all_at = self._look_at = self._said + limits.CLUSTER_LEASE_SECONDS
        self.admitted()
        self._say()

    def _refuse(self, rival: Beat) -> None:
        if self.rival is None:
            says = "cluster: not joined: another node is called {name}: give one of them another name="
            self.log.error(says, name=self._beat.name)
        self.rival = rival
        if self._named:
            self._named = False
            self.refused()
        self._cancel()
        self._timer = self._reactor.callLater(limits.CLUSTER_LEASE_SECONDS, self._claim)

    def _asked(self, claim: Received) -> None:
        """Another process claims this node's name."""
        other = _read(_beats, claim.payload)
        if other is None:
            return
        keeps = self._named or (self._beat.since, self._beat.node) < (other.since, other.node)
        self._connection.publish(claim.reply, msgspec.json.encode(self._beat) if keeps else b"")

    # Beats

    def changed(self) -> None:
        """The groups of this node have changed: say so soon."""
        self._beat.groups += 1
        timer, soon = self._timer, limits.CLUSTER_CHANGE_SECONDS
        if self._named and timer.active() and timer.getTime() - self._reactor.seconds() > soon:
            timer.reset(soon)

    def _say(self) -> None:
        """Say that this node is there, and look which of the others have said nothing for too long."""
        now = self._reactor.seconds()
        if now - self._said > limits.CLUSTER_LEASE_SECONDS:  # what the others have said meanwhile is still to be read
            for node in self.all.values():
                node.last_seen = now
            self._knows_all_at = self._look_at = now + limits.CLUSTER_LEASE_SECONDS
        self._said = now
        self._beat.clients, self._beat.settings = self.clients(), dict(self.settings())
        self._connection.publish(f"{self._prefix}.beats", msgspec.json.encode(self._beat))
        oldest = now - limits.CLUSTER_LEASE_SECONDS
        for id, node in [(id, node) for id, node in self.all.items() if node.last_seen < oldest]:
            why = f"it has been silent for more than {limits.CLUSTER_LEASE_SECONDS:g} s"
            self.log.warn("cluster: node {name} is lost: {why}", name=shown(node.beat.name), why=why)  # noqa: G010
            self._lose(node, why)
            self._remove(id)
        if now >= self._look_at:
            self._look_at = now + limits.CLUSTER_LEASE_SECONDS
            self._sweep()
        self._timer = self._reactor.callLater(limits.CLUSTER_BEAT_SECONDS, self._say)

    def _lose(self, node: Node, why: str) -> None:
        if len(self.lost) < limits.CLUSTER_NODES:
            self.lost[node.beat.name] = why

    def _remove(self, id: str) -> Node | None:
        node = self.all.pop(id, None)
        if node is not None and self._reactor.seconds() >= self._knows_all_at:
            self._sweep()
        return node

    def _sweep(self) -> None:
        for sweep in self.sweepers:
            sweep()

    def leave(self) -> None:
        """Say that this node isn't there any more."""
        if self._named:
            self._beat.gone = True
            self._connection.publish(f"{self._prefix}.beats", msgspec.json.encode(self._beat))

    def _heard(self, message: Received) -> None:
        beat = _read(_beats, message.payload)
        if beat is None:
            return
        if beat.name == self._beat.name:
            if self._named and (beat.since, beat.node) < (self._beat.since, self._beat.node):
                self._refuse(beat)  # two parts of a network are one again
            return
        node = self.all.get(beat.node)
        if beat.gone:
            if self._remove(beat.node) is not None:
                self.log.info("cluster: node {name} has left", name=shown(beat.name))
            return
        if node is None:
            if len(self.all) >= limits.CLUSTER_NODES:
                return
            node = self.all[beat.node] = Node(beat, 0.0)
            self.lost.pop(beat.name, None)
            self.log.info("cluster: node {name} has joined", name=shown(beat.name))
        node.beat, node.last_seen = beat, self._reactor.seconds()
        self._compare(node)
        if node.known != beat.groups:
            node.known = beat.groups
            asked = self._connection.request(f"{self._prefix}.groups.{beat.node}", b"")
            asked.addCallbacks(lambda answer: self._learn(node, answer), lambda failure: None)

    def _compare(self, node: Node) -> None:
        """Log it when a node begins to have other settings than this one, or the same again."""
        theirs = node.beat.settings
        differs = ", ".join(name for name, value in self.settings().items() if theirs.get(name, value) != value)
        if differs == node.differs:
            return
        node.differs, name = differs, shown(node.beat.name)
        if differs:
            says = "cluster: node {name} has another value of {settings} than this one: give all nodes the same"
            self.log.warn(says, name=name, settings=differs)  # noqa: G010  Twisted calls it so
        else:
            self.log.info("cluster: node {name} has the settings of this one now", name=name)

    def members(self, now: float) -> list[dict[str, Any]]:
        """Describe all nodes at Unix seconds `now`, this one first: `up` and `silent` in seconds."""
        self._beat.clients, seconds = self.clients(), self._reactor.seconds()
        others = sorted(self.all.values(), key=lambda one: one.beat.name)
        return [_member(self._beat, now, 0.0), *(_member(one.beat, now, seconds - one.last_seen) for one in others)]

    # Groups

    def _asked_for_groups(self, question: Received) -> None:
        names = sorted(self.groups())[: limits.CLUSTER_GROUPS]
        self._connection.publish(question.reply, msgspec.json.encode((self._beat.groups, names)))

    def _learn(self, node: Node, answer: Received) -> None:
        found = _read(_groups, answer.payload)
        if found is not None:
            node.known, names = found
            node.groups = frozenset(names[: limits.CLUSTER_GROUPS])

    def have_members(self, group: str) -> bool:
        """Return whether another node has members of a group."""
        return any(group in node.groups for node in self.all.values())


def _read(decoder: msgspec.json.Decoder[_T], payload: bytes) -> _T | None:
    """Return what a node says; None: no node has said it."""
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _member(beat: Beat, now: float, silent: float) -> dict[str, Any]:
    return {"name": beat.name, "clients": beat.clients, "up": round(now - beat.since, 1), "silent": round(silent, 1)}
