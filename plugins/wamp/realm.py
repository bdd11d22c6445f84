"""What the sessions of a realm share: their ids, and those of subscriptions and registrations.

A realm is a mount point: its topics begin with its name, except for one that is the root.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from hubbub_plugins.wamp.fields import MAX_ID
from hubbub_plugins.wamp.uris import topic_of


class Member:
    """One session. `groups` are what WAMP calls its roles.

    speaker     its own speaker.Speaker
    method      of its login
    testaments  scope and message of each
    """

    __slots__ = ("authid", "groups", "id", "method", "speaker", "testaments")

    def __init__(self, id: int, speaker: Any, authid: str, groups: frozenset[str], method: str) -> None:
        self.authid = authid
        self.groups = groups
        self.id = id
        self.method = method
        self.speaker = speaker
        self.testaments: list[tuple[str, Any]] = []

    @property
    def role(self) -> str:
        """The first of its roles."""
        return min(self.groups)

    def details(self) -> dict[str, Any]:
        """Return what other sessions may know of it ("Session Meta API")."""
        found: dict[str, Any] = {"session": self.id, "authid": self.authid, "authrole": self.role}
        return found | {"authmethod": self.method, "authprovider": "hubbub"}


class Entry:
    """A subscription that sessions share, or a registration.

    policy   of a registration, else empty
    members  session ids, in the order in which they came
    """

    __slots__ = ("created", "id", "match", "members", "policy", "uri")

    def __init__(self, id: int, uri: str, match: str, policy: str = "") -> None:
        self.created = ""
        self.id = id
        self.match = match
        self.members: dict[int, None] = {}
        self.policy = policy
        self.uri = uri

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and (self.id, self.uri, self.match) == (other.id, other.uri, other.match)

    __hash__ = None  # type: ignore[assignment]

    def details(self) -> dict[str, Any]:
        """Return what sessions may know of it ("Subscription Meta API")."""
        found = {"id": self.id, "created": self.created, "uri": self.uri, "match": self.match}
        return found | ({"invoke": self.policy} if self.policy else {})


class Numbers:
    """Counts from a million on, so that ids have the same length for long."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 1_000_000

    def next(self) -> int:
        """Return the next number."""
        self.last += 1
        return self.last


class Entries:
    """All subscriptions of a realm, or all registrations."""

    __slots__ = ("by_id", "_by_uri", "_ids")

    def __init__(self, ids: Numbers) -> None:
        self.by_id: dict[int, Entry] = {}
        self._by_uri: dict[tuple[str, str], Entry] = {}
        self._ids = ids

    def __len__(self) -> int:
        return len(self.by_id)

    def reserve(self, uri: str, match: str, policy: str = "") -> Entry:
        """Return the entry of a URI, or a new one, which is there once it is joined."""
        return self._by_uri.get((uri, match)) or Entry(self._ids.next(), uri, match, policy)

    def find(self, uri: str, match: str) -> Entry | None:
        """Return the entry of a URI."""
        return self._by_uri.get((uri, match))

    def join(self, entry: Entry, member: Member) -> bool:
        """Let a session have a part in an entry. Returns whether that is new there."""
        is_new = entry.id not in self.by_id
        if is_new:
            entry.created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.by_id[entry.id] = entry
            self._by_uri.setdefault((entry.uri, entry.match), entry)
        entry.members[member.id] = None
        return is_new

    def leave(self, id: int, member: Member) -> tuple[Entry | None, bool]:
        """End the part of a session. Returns the entry, and whether it has ended with that."""
        entry = self.by_id.get(id)
        if entry is None or member.id not in entry.members:
            return None, False
        del entry.members[member.id]
        if not entry.members:
            del self.by_id[id]
            if self._by_uri.get((entry.uri, entry.match)) is entry:
                del self._by_uri[entry.uri, entry.match]
        return entry, not entry.members


class Realm:
    """The sessions of one realm.

    mount    what its topics begin with; own: those of the realm itself
    running  calls of all realms that a session works on, by the topic of their reply: its dealer, and the invocation
    """

    def __init__(self, name: str, mount: str, running: dict[str, tuple[Any, int]]) -> None:
        ids = Numbers()
        self.mount = mount
        self.name = name
        self.own = f"$wamp/{topic_of(name)}/"
        self.procedures = Entries(ids)
        self.running = running
        self.sessions: dict[int, Member] = {}
        self.topics = Entries(ids)
        self._by_peer: dict[Any, Member] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Realm) and (other.name, other.mount) == (self.name, self.mount)

    def __hash__(self) -> int:
        return hash((self.name, self.mount))

    def join(self, speaker: Any, authid: str, groups: frozenset[str], method: str) -> Member:
        """Let a session take part."""
        id = secrets.randbelow(MAX_ID) + 1
        while id in self.sessions:
            id = secrets.randbelow(MAX_ID) + 1
        member = Member(id, speaker, authid or f"anonymous-{id}", groups, method)
        self.sessions[id] = self._by_peer[speaker.peer] = member
        return member

    def leave(self, member: Member) -> None:
        """A session has ended."""
        self.sessions.pop(member.id, None)
        self._by_peer.pop(member.speaker.peer, None)

    def has(self, peer: Any) -> bool:
        """Return whether a client has a session here."""
        return peer in self._by_peer

    def of(self, peer: Any) -> Member | None:
        """Return the session of a client, None: it is none of this realm."""
        return self._by_peer.get(peer)


class Realms:
    """All realms of a hub, by name and mount point. A name that is no URI has none.

    Listeners may name their root differently: then sessions of two realms share topics, and don't see each other.
    """

    def __init__(self) -> None:
        self._realms: dict[tuple[str, str], Realm] = {}
        self._running: dict[str, tuple[Any, int]] = {}

    def get(self, name: str, root: str) -> Realm:
        """Return a realm; `root` is the name of the one whose topics begin with nothing."""
        mount = "" if name == root else topic_of(name) + "/"
        found = self._realms.get((name, mount))
        if found is None:
            found = self._realms[name, mount] = Realm(name, mount, self._running)
        return found
