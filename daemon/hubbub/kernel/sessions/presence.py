"""Who is there: the retained `1` or `0` of `presence=`, and what `silent=` makes of a client that says nothing.

Each identity, which is a topic, has one Sign, whatever listeners its links come through. The newest link has it: an
older one of the same identity can't set it to `0`. Over UDP, where no link goes up or down, whoever is heard has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.message import Message
from hubbub.template import Template

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub


class Owner(Protocol):
    """What is there or not: a link.

    heard    when something came from it, in monotonic seconds
    holding  whether nothing can come, because it isn't read
    """

    heard: float

    @property
    def holding(self) -> bool: ...


class PresenceState:
    """Whether one identity is there.

    online     None until the first word on it
    silent     seconds without a word after which it isn't there; None: it is as long as its link is up
    connected  whether links go up and down
    """

    __slots__ = ("alarm_at", "connected", "online", "owner", "silent", "topic", "_hub", "_since")

    def __init__(self, hub: Hub, topic: str) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self.topic = topic
        self.silent: float | None = None
        self.connected = True
        self.owner: Owner | None = None
        self.online: bool | None = None
        self._hub = hub
        self._since = hub.now()  # when it was heard, as far as it was looked

    def up(self, owner: Owner) -> None:
        """A link of this identity is up: from now on it has the sign."""
        self.owner = owner
        self._is_there()

    def heard(self, owner: Owner) -> None:
        """Something has come; without connections whoever says something has the sign."""
        if not self.connected:
            self._since = owner.heard
        if not self.online and (owner is self.owner or not self.connected):
            self._is_there()

    def down(self, owner: Owner) -> None:
        """A link of this identity has gone."""
        if owner is self.owner:
            self.owner = None
            self._is_gone()

    def watch(self) -> None:
        """Silence counts from now on."""
        if self.silent is not None:
            self._since = self._hub.now()
            self._hub.alarms.at(self, self._since + self.silent)

    def alarm(self, now: float) -> None:
        """It may have been silent for too long (kernel.alarms.Sleeper)."""
        if self.silent is None or self.online is False:
            return
        if self.owner is not None:
            self._since = now if self.owner.holding else max(self._since, self.owner.heard)
        if now < self._since + self.silent:
            self._hub.alarms.at(self, self._since + self.silent)
        else:
            self._is_gone()

    def _is_there(self) -> None:
        if self._hub.presences.keeps(self):
            self.online = True
            self._say(b"1")
            self.watch()

    def _is_gone(self) -> None:
        if self.online is not False:
            self.online = False
            self._hub.presences.gone[self.topic] = self
            self._say(b"0")

    def _say(self, payload: bytes) -> None:
        try:
            self._hub.publish(Message(self.topic, payload, retain=True))
        except Refusal:
            self._hub.counters.refused += 1


class PresenceTable:
    """The signs of all listeners, by topic; `gone`: those of them that aren't there, the longest gone first."""

    def __init__(self, hub: Hub) -> None:
        self.gone: dict[str, PresenceState] = {}
        self.forgotten = 0  # that gave way, with their retained message
        self._hub = hub
        self._signs: dict[str, PresenceState] = {}

    def sign(self, topic: str, silent: float | None, connected: bool) -> PresenceState | None:
        """Return the sign of `topic`; None where all that are kept are there."""
        found = self._signs.get(topic)
        if found is None:
            if len(self._signs) >= limits.PRESENCES and not self._forget():
                return None
            found = self._signs[topic] = PresenceState(self._hub, topic)
        found.silent, found.connected = silent, connected  # as the listener says that was asked last
        return found

    def keeps(self, sign: PresenceState) -> bool:
        """Take note that `sign` is there. One that gave way while its link was silent is no longer known."""
        self.gone.pop(sign.topic, None)
        return self._signs.get(sign.topic) is sign

    def _forget(self) -> bool:
        """Let the one that is gone the longest give way."""
        topic = next(iter(self.gone), None)
        if topic is None:
            return False
        sign = self._signs.pop(topic)
        del self.gone[topic]
        self._hub.alarms.cancel(sign)
        self._hub.retained.keep(Message(topic, b""))
        self.forgotten += 1
        return True


class Presence:
    """What one listener says of the presence of its clients.

    topic   of each one; a field that only a login tells has it wait for that
    silent  seconds, or None
    prefix  the mount point
    connected  whether links go up and down, which they don't over UDP
    """

    def __init__(
        self, hub: Hub, topic: Template, silent: float | None, prefix: Template | None = None, connected: bool = True
    ) -> None:
        self._connected = connected
        self._hub = hub
        self._topic = topic
        self._silent = silent
        self._prefix = prefix
        self._late = topic.fields & {"user", "client"}

    def watch(self, id: str) -> None:
        """The listener `id` serves: where all its clients have one topic, silence counts from now on."""
        prefixed = self._prefix.fields if self._prefix is not None else frozenset()
        if self._silent is not None and self._topic.fields | prefixed <= {"id"}:
            sign = self._sign({"id": id})
            if sign is not None:
                sign.watch()

    def up(self, link: Any, old: PresenceState | None) -> PresenceState | None:
        """A link is up, or says who it is: return the sign that it has from now on."""
        fields = link.session.fields()
        if any(not fields[name] for name in self._late):
            return old
        sign = self._sign(fields)
        if sign is None:
            self._hub.counters.refused += 1
        if sign is old:
            return old
        if old is not None:
            old.down(link)
        if sign is not None and self._connected:
            sign.up(link)
        return sign

    def _sign(self, fields: dict[str, str]) -> PresenceState | None:
        mount = self._prefix.fill(fields) + "/" if self._prefix is not None else ""
        return self._hub.presences.sign(mount + self._topic.fill(fields), self._silent, self._connected)
