"""What clients may do: rules by user, group, client and listener, and what they come to for one client.

A client may do what some rule allows and none denies. A filter may be subscribed to where what is allowed covers it
wholly and nothing that is denied overlaps it. What begins with `$hubbub/` takes the right to manage, whatever is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.authorization.filter_sets import FilterSet
from hubbub.kernel.sessions.session import Session
from hubbub.template import Template
from hubbub.topics import check_filter

ACTIONS = ("publish", "subscribe", "manage")
MANAGED = "$hubbub"


class Subject(NamedTuple):
    """Whatever of a client its rights depend on.

    groups  those that its login named
    grants  pairs of action and filter that its login allows, or None: it has none
    """

    user: str | None
    client: str
    listener: str
    groups: frozenset[str] = frozenset()
    grants: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """The clients that a rule is about: all that is given has to hold; with nothing given all clients."""

    users: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    clients: frozenset[str] | None = None
    listeners: frozenset[str] | None = None
    login: bool | None = None

    def holds(self, one: Subject, groups: frozenset[str]) -> bool:
        """Tell whether the rule is about `one`, a member of `groups`."""
        return (
            (self.users is None or one.user in self.users)
            and (self.groups is None or not self.groups.isdisjoint(groups))
            and (self.clients is None or one.client in self.clients)
            and (self.listeners is None or one.listener in self.listeners)
            and (self.login is None or self.login is (one.user is not None))
        )


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that is allowed or denied. `where` tells a person where that is written."""

    allow: bool
    action: str
    template: Template
    where: str

    def __str__(self) -> str:
        return f'{self.where}: {"allow" if self.allow else "deny"}.{self.action} = "{self.template.text}"'


@dataclass(frozen=True, slots=True)
class Rule:
    """The clauses about some clients."""

    audience: Audience
    clauses: tuple[Clause, ...]


class Verdict(NamedTuple):
    """Whether something is allowed, and by what: none where nothing allows it."""

    allowed: bool
    clauses: tuple[Clause, ...]


class ClientRights:
    """What clients that are one subject may do (kernel.sessions.session.Rights); shared by all of them."""

    __slots__ = ("_clauses", "_sides", "_topics")

    def __init__(self, clauses: Mapping[tuple[bool, str, str], Clause]) -> None:
        """`clauses` are by (allow, action, filled filter)."""
        self._clauses = clauses
        self._sides = {
            (allow, action): FilterSet(filter for a, b, filter in clauses if (a, b) == (allow, action))
            for allow in (True, False)
            for action in ACTIONS
        }
        self._topics: dict[str, bool] = {}

    def publish(self, topic: str) -> None:
        """Raise Refusal where such a client may not publish to `topic`."""
        allowed = self._topics.get(topic)
        if allowed is None:
            allowed = self.decide("publish", topic).allowed
            if len(topic) <= limits.TOPIC_TABLE_BYTES:
                if len(self._topics) >= limits.RIGHTS_TOPICS:
                    self._topics.clear()
                self._topics[topic] = allowed
        if not allowed:
            raise Refusal("not-authorized", "the permissions don't let you publish to that topic")

    def subscribe(self, filter: str) -> None:
        """Raise Refusal where such a client may not subscribe to `filter`."""
        if not self.receives(filter):
            raise Refusal("not-authorized", "the permissions don't let you subscribe to all of that filter")

    def receives(self, topic: str) -> bool:
        """Tell whether messages on `topic` may come to such a client."""
        return self.decide("subscribe", topic).allowed

    def overlaps(self, filter: str) -> bool:
        """Tell whether some of the messages that `filter` matches may come to such a client."""
        return self._sides[True, "subscribe"].overlapping(filter) is not None

    def decide(self, action: str, name: str) -> Verdict:
        """Say whether `action` on the topic or filter `name` is allowed, and what decides."""
        if name.partition("/")[0] == MANAGED:
            action = "manage"
        against = self._sides[False, action].overlapping(name)
        if against is not None:
            return Verdict(False, (self._clauses[False, action, against],))
        found = self._sides[True, action].covering(name)
        return Verdict(bool(found), tuple(self._clauses[True, action, filter] for filter in found))

    def parts(self, action: str, name: str) -> list[Clause]:
        """What is allowed of the filter `name` though not all of it is."""
        action = "manage" if name.partition("/")[0] == MANAGED else action
        return [
            clause
            for (allow, kind, filter), clause in self._clauses.items()
            if allow and kind == action and FilterSet((filter,)).overlapping(name)
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientRights) and self._clauses.keys() == other._clauses.keys()


class Permissions:
    """All rules.

    groups  name -> its users
    open    whether a client that no login limits may do anything: there are no rules
    """

    def __init__(
        self, rules: Sequence[Rule] = (), groups: Mapping[str, frozenset[str]] | None = None, open: bool = False
    ) -> None:
        self.rules = rules
        self.groups = groups or {}
        self.open = open
        self._known: dict[Subject, ClientRights] = {}
        self._by_client = any(
            rule.audience.clients is not None or any("client" in clause.template.fields for clause in rule.clauses)
            for rule in rules
        )

    def of(self, session: Session) -> ClientRights | None:
        """Return what a client may do (kernel.connection.listener_context.ListenerContext.rights); None: everything."""
        grants = session.grants
        if self.open and grants is None:
            return None
        return self.rights(
            Subject(session.user, session.client, session.listener, frozenset(session.groups), _pairs(grants))
        )

    def rights(self, one: Subject) -> ClientRights:
        """Return the rights of a subject; clients with the same rights share them, and their cache."""
        if not self._by_client:
            one = one._replace(client="")
        known = self._known.get(one)
        if known is None:
            if len(self._known) >= limits.RIGHTS:
                self._known.clear()
            known = self._known[one] = ClientRights(self._clauses(one))
        return known

    def listeners(self) -> frozenset[str]:
        """Return the listeners that rules name."""
        return frozenset().union(*(rule.audience.listeners or () for rule in self.rules))

    def _clauses(self, one: Subject) -> dict[tuple[bool, str, str], Clause]:
        groups = one.groups.union(name for name, users in self.groups.items() if one.user in users)
        values = {"user": one.user or "", "client": one.client}
        found: dict[tuple[bool, str, str], Clause] = {}
        clauses = (clause for rule in self.rules if rule.audience.holds(one, groups) for clause in rule.clauses)
        for clause in (*clauses, *_granted(one.grants or ())):
            if all(
                values[name] for name in clause.template.fields
            ):  # a client without such a value gets no such clause
                found.setdefault((clause.allow, clause.action, clause.template.fill(values)), clause)
        return found


def _pairs(grants: Any) -> tuple[tuple[str, str], ...] | None:
    if grants is None:
        return None
    return tuple((action, filter) for action in ACTIONS for filter in grants.get(action, ()))


def _granted(grants: Iterable[tuple[str, str]]) -> Iterator[Clause]:
    """What a login allows. Its filters are taken as they are: a brace in them is a brace."""
    for action, filter in grants:
        try:
            check_filter(filter)
        except Refusal:
            continue  # which allows nothing
        yield Clause(True, action, Template(filter.replace("{", "{{").replace("}", "}}"), "filter"), "the login")
