"""Presence: the retained `1` or `0` of `presence=`, and `silent=`, which ends the presence of a silent client.

Each topic has one PresenceState, whatever listeners its links come through. It is `1` as long as one of them is up. A
topic with `{client}` belongs to one user while links are up: others with the same client identifier can't set it,
but a login displaces clients without one. Over UDP, where no link goes up or down, the last sender has the state.
"""

from __future__ import annotations

from typing import Any, Protocol

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.routing.retained import Retained
from hubbub.kernel.routing.router import Router
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.template import Template


class Owner(Protocol):
    """The link of a client.

    last_received  when something came from it, in monotonic seconds
    holding  whether nothing can come, because it isn't read
    """

    @property
    def last_received(self) -> float: ...
    @property
    def holding(self) -> bool: ...


class PresenceMessage(Message):
    """What the hub says of a client's presence: `1` or `0`."""

    __slots__ = ()


class PresenceState:
    """Whether the client of one topic is online.

    owner      its newest link, or the last sender
    online     None until it is first known
    silent     seconds of silence after which it is offline; None: it is online as long as its link is up
    connected  whether links go up and down
    """

    __slots__ = (
        "alarm_at", "connected", "online", "owner", "silent", "topic",
        "_links", "_router", "_since", "_table", "_turn", "_user",
    )  # fmt: skip

    def __init__(self, table: PresenceTable, turn: Turn, router: Router, topic: str) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self.topic = topic
        self.silent: float | None = None
        self.connected = True
        self.owner: Owner | None = None
        self.online: bool | None = None
        self._links: dict[Owner, None] = {}  # the newest at the end
        self._router = router
        self._table = table
        self._turn = turn
        self._user: str | None = None  # whose links these are
        self._since = turn.now()  # when something came, as far as was looked

    def up(self, owner: Owner, user: str | None) -> bool:
        """A link of `user` is up: from now on it has the state. False: another user has it."""
        known = owner in self._links
        if user != self._user and len(self._links) > known:
            if self._user is not None:
                self.down(owner)
                return False
            self._links.clear()
        self._links[owner] = None
        self._user, self.owner = user, owner
        if not known:
            self._is_there()
        return True

    def received(self, owner: Owner) -> None:
        """Something has come; without connections the last sender has the state."""
        if not self.connected:
            self._since = owner.last_received
        if not self.online and (owner in self._links or not self.connected):
            if self.connected:
                self.owner = owner
            self._is_there()

    def down(self, owner: Owner) -> None:
        """A link has gone: the newest of those that are left has the state."""
        self._links.pop(owner, None)
        if owner is self.owner:
            self.owner = next(reversed(self._links), None)
            if self.owner is None:
                self._is_gone()

    def watch(self) -> None:
        """Silence counts from now on."""
        if self.silent is not None:
            self._since = self._turn.now()
            self._turn.alarms.at(self, self._since + self.silent)

    def alarm(self, now: float) -> None:
        """The client may have been silent for too long (kernel.alarms.AlarmTarget)."""
        if self.silent is None or self.online is False:
            return
        if self.owner is not None:
            self._since = now if self.owner.holding else max(self._since, self.owner.last_received)
        if now < self._since + self.silent:
            self._turn.alarms.at(self, self._since + self.silent)
        else:
            self._is_gone()

    def _is_there(self) -> None:
        if self._table.keeps(self):
            self.online = True
            self._say(b"1")
            self.watch()

    def _is_gone(self) -> None:
        if self.online is not False:
            self.online = False
            self._table.gone[self.topic] = self
            self._say(b"0")

    def repeat(self) -> None:
        """Say again that it is online."""
        self._say(b"1")

    def _say(self, payload: bytes) -> None:
        try:
            self._router.publish(PresenceMessage(self.topic, payload, retain=True))
        except Refusal:
            self._turn.counters.refused += 1


class PresenceTable:
    """The states of all listeners, by topic; `gone`: those that are offline, the longest first."""

    def __init__(self, turn: Turn, router: Router, retained: Retained) -> None:
        self.gone: dict[str, PresenceState] = {}
        self.forgotten = 0  # evicted, with their retained message
        self._retained = retained
        self._router = router
        self._turn = turn
        self._states: dict[str, PresenceState] = {}

    def state(self, topic: str, silent: float | None, connected: bool) -> PresenceState | None:
        """Return the state of `topic`; None: the table is full of clients that are online."""
        found = self._states.get(topic)
        if found is None:
            if len(self._states) >= limits.PRESENCES and not self._forget():
                return None
            found = self._states[topic] = PresenceState(self, self._turn, self._router, topic)
        found.silent, found.connected = silent, connected  # of the listener that was asked last
        return found

    def contradict(self, topic: str) -> bool:
        """Another hub says that a client is offline: say that it is online, if it is here. Returns whether it is."""
        state = self._states.get(topic)
        if state is None or not state.online:
            return False
        state.repeat()
        return True

    def keeps(self, state: PresenceState) -> bool:
        """A client is online. False: its state was forgotten while it was offline."""
        self.gone.pop(state.topic, None)
        return self._states.get(state.topic) is state

    def _forget(self) -> bool:
        """Evict the state that is offline the longest."""
        topic = next(iter(self.gone), None)
        if topic is None:
            return False
        state = self._states.pop(topic)
        del self.gone[topic]
        self._turn.alarms.cancel(state)
        self._retained.keep(Message(topic, b""))
        self.forgotten += 1
        return True


class Presence:
    """The presence of the clients of one listener.

    topic   of each client; with a field that only a login gives, it waits for the login
    silent  seconds, or None
    prefix  the mount point
    connected  whether links go up and down, which they don't over UDP
    """

    def __init__(
        self,
        turn: Turn,
        table: PresenceTable,
        topic: Template,
        silent: float | None,
        prefix: Template | None = None,
        connected: bool = True,
    ) -> None:
        self._connected = connected
        self._table = table
        self._turn = turn
        self._topic = topic
        self._silent = silent
        self._prefix = prefix
        self._late = topic.fields & {"user", "client"}
        fields = topic.fields | (prefix.fields if prefix is not None else frozenset())
        self._chosen = "client" in fields  # by the client
        self._fixed = fields <= {"id"}  # one topic for all clients

    def watch(self, id: str) -> None:
        """The listener `id` serves: where all its clients have one topic, silence counts from now on."""
        if self._silent is not None and self._fixed:
            state = self._state({"id": id})
            if state is not None:
                state.watch()

    def up(self, link: Any, old: PresenceState | None) -> PresenceState | None:
        """A link is up, or has logged in: return the state that it has from now on."""
        session = link.session
        fields = session.fields()
        if any(not fields[name] for name in self._late):
            return old
        state = self._state(fields) if self._permits(session, fields) else None
        if old is not None and state is not old:
            old.down(link)
        if state is not None and self._connected and not state.up(link, session.user if self._chosen else None):
            state = None
        if state is None:
            self._turn.counters.refused += 1
        return state

    def _permits(self, session: Any, fields: dict[str, str]) -> bool:
        """Return whether a client may have its topic: one without a login has to be allowed to publish to it."""
        if self._fixed or session.user is not None or session.rights is None:
            return True
        try:
            session.rights.publish(self._topic_of(fields))
        except Refusal:
            return False
        return True

    def _topic_of(self, fields: dict[str, str]) -> str:
        mount = self._prefix.fill(fields) + "/" if self._prefix is not None else ""
        return mount + self._topic.fill(fields)

    def _state(self, fields: dict[str, str]) -> PresenceState | None:
        return self._table.state(self._topic_of(fields), self._silent, self._connected)
