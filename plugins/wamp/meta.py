"""Procedures of the realm itself, `wamp.session.count` and the like ("Session Meta API" and the others)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Close, Event, ForPeer
from hubbub.message import Message
from hubbub.topics import matches
from hubbub_plugins.wamp.broker import Broker
from hubbub_plugins.wamp.options import PublishOptions, match_of, read
from hubbub_plugins.wamp.publications import OWN
from hubbub_plugins.wamp.realm import Entries, Entry, Member
from hubbub_plugins.wamp.speaker import Speaker
from hubbub_plugins.wamp.uris import EXACT, MATCHES, filter_of, topic_of

_KILL = "$hubbub/wamp/kill"  # what the right to manage must allow
_SCOPES = ("destroyed", "detached")


class Failure(Exception):
    """An ERROR: `uri` and a sentence."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.uri = uri


class Meta:
    """What one session may ask of its realm. A procedure takes args and kwargs, and returns its result.

    events  attribute: what follows from the last call
    """

    __slots__ = ("events", "_broker", "_speaker")

    def __init__(self, speaker: Speaker, broker: Broker) -> None:
        self.events: list[Event | Message] = []
        self._broker = broker
        self._speaker = speaker

    def call(self, uri: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a procedure. Raises Failure, Refusal, Malformed."""
        self.events = []
        call = _PROCEDURES.get(uri.removeprefix(OWN))
        if call is None:
            raise Failure("wamp.error.no_such_procedure", "the realm has no such procedure")
        rights = self._speaker.peer.rights
        if rights is not None:
            rights.publish(self._speaker.realm.own + topic_of(uri.removeprefix(OWN)))
        try:
            return call(self, args, kwargs)
        except (IndexError, TypeError, KeyError, AttributeError):
            raise Failure("wamp.error.invalid_argument", "these aren't the arguments of that procedure") from None

    # Sessions

    def _sessions(self, roles: Any) -> list[Member]:
        members = _bounded(self._speaker.realm.sessions)
        return [one for one in members if roles is None or one.groups & set(roles)]

    def count(self, args: list[Any], kwargs: dict[str, Any]) -> int:
        """Return how many sessions there are, with any of the roles."""
        return len(self._sessions(_first(args, kwargs, "filter_authroles")))

    def ids(self, args: list[Any], kwargs: dict[str, Any]) -> list[int]:
        """Return the ids of those."""
        return [one.id for one in self._sessions(_first(args, kwargs, "filter_authroles"))]

    def get(self, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the details of a session."""
        return self._session(args[0]).details()

    def _session(self, id: Any) -> Member:
        found = self._speaker.realm.sessions.get(id)
        if found is None:
            raise Failure("wamp.error.no_such_session", "there is no such session")
        return found

    def kill(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        """End a session."""
        self._end([self._session(args[0])], kwargs)

    def kill_by_authid(self, args: list[Any], kwargs: dict[str, Any]) -> int:
        """End the sessions of an authid."""
        return self._end([one for one in self._sessions(None) if one.authid == args[0]], kwargs)

    def kill_by_authrole(self, args: list[Any], kwargs: dict[str, Any]) -> int:
        """End the sessions that have a role."""
        return self._end(self._sessions([args[0]]), kwargs)

    def kill_all(self, args: list[Any], kwargs: dict[str, Any]) -> int:
        """End all sessions but the own one."""
        return self._end(self._sessions(None), kwargs)

    def _end(self, members: list[Member], kwargs: dict[str, Any]) -> int:
        """End sessions but the own one."""
        rights = self._speaker.peer.rights
        if rights is None:
            raise Refusal("not-authorized", "ending sessions takes --permissions with allow.manage")
        rights.publish(_KILL)
        uri, reason = kwargs.get("reason") or "wamp.close.killed", kwargs.get("message") or ""
        if type(uri) is not str or type(reason) is not str:
            raise TypeError
        others = [one for one in members if one is not self._speaker.member]
        for one in others:
            last = one.speaker.goodbye(uri, reason)
            self.events.append(ForPeer(one.speaker.peer, [Close("another session has ended this one", last)]))
        return len(others)

    # Testaments

    def add_testament(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Have a message published when the session ends."""
        member, scope = self._speaker.member, kwargs.get("scope", _SCOPES[0])
        if member is None or scope not in _SCOPES or type(args[0]) is not str:
            raise TypeError
        if len(member.testaments) >= limits.WAMP_TESTAMENTS:
            raise Refusal("quota", f"a session may have {limits.WAMP_TESTAMENTS} testaments")
        options = read(PublishOptions, kwargs.get("publish_options") or {})
        payload = [*args[1:3]] if len(args) > 2 else [*args[1:2], {}]
        member.testaments.append((scope, self._broker.event(payload, 0, args[0], options, None)))

    def flush_testaments(self, args: list[Any], kwargs: dict[str, Any]) -> int:
        """Forget these messages; return how many there were."""
        member, scope = self._speaker.member, _first(args, kwargs, "scope") or _SCOPES[0]
        if member is None or scope not in _SCOPES:
            raise TypeError
        kept = [one for one in member.testaments if one[0] != scope]
        count, member.testaments = len(member.testaments) - len(kept), kept
        return count


def _first(args: list[Any], kwargs: dict[str, Any], name: str) -> Any:
    return args[0] if args else kwargs.get(name)


def _bounded(found: dict[int, Any]) -> list[Any]:
    if len(found) > limits.WAMP_LISTED:
        raise Refusal("quota", f"there are more than {limits.WAMP_LISTED} of them")
    return list(found.values())


# Subscriptions and registrations


def _listed(entries: Entries) -> dict[str, list[int]]:
    return {match: [one.id for one in _bounded(entries.by_id) if one.match == match] for match in MATCHES}


def _entry(entries: Entries, id: Any, error: str) -> Entry:
    found = entries.by_id.get(id)
    if found is None:
        raise Failure(f"wamp.error.{error}", "there is none with that id")
    return found


def _lookup(entries: Entries, args: list[Any], kwargs: dict[str, Any]) -> int | None:
    options = args[1] if len(args) > 1 else kwargs.get("options") or {}
    found = entries.find(args[0], match_of(options.get("match")))
    return None if found is None else found.id


def _matching(entries: Entries, uri: str) -> list[int]:
    topic = topic_of(uri)
    return [one.id for one in _bounded(entries.by_id) if matches(filter_of(one.uri, one.match), topic)]


Procedure = Callable[[Meta, list[Any], dict[str, Any]], Any]


def _about(name: str, members: str, error: str) -> dict[str, Procedure]:
    """Return the procedures about subscriptions, or registrations."""

    def of(meta: Meta) -> Entries:
        realm = meta._speaker.realm
        return realm.topics if name == "subscription" else realm.procedures

    return {
        f"{name}.list": lambda meta, args, kwargs: _listed(of(meta)),
        f"{name}.lookup": lambda meta, args, kwargs: _lookup(of(meta), args, kwargs),
        f"{name}.get": lambda meta, args, kwargs: _entry(of(meta), args[0], error).details(),
        f"{name}.list_{members}": lambda meta, args, kwargs: list(_entry(of(meta), args[0], error).members),
        f"{name}.count_{members}": lambda meta, args, kwargs: len(_entry(of(meta), args[0], error).members),
    }


_PROCEDURES: dict[str, Procedure] = {
    "session.count": Meta.count,
    "session.list": Meta.ids,
    "session.get": Meta.get,
    "session.kill": Meta.kill,
    "session.kill_by_authid": Meta.kill_by_authid,
    "session.kill_by_authrole": Meta.kill_by_authrole,
    "session.kill_all": Meta.kill_all,
    "session.add_testament": Meta.add_testament,
    "session.flush_testaments": Meta.flush_testaments,
    **_about("subscription", "subscribers", "no_such_subscription"),
    **_about("registration", "callees", "no_such_registration"),
    "subscription.match": lambda meta, args, kwargs: _matching(meta._speaker.realm.topics, args[0]) or None,
    "registration.match": lambda meta, args, kwargs: _lookup(
        meta._speaker.realm.procedures, args[:1], {"options": {"match": EXACT}}
    ),
}
