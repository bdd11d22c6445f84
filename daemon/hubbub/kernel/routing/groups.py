"""The receivers of a topic, by what they share: the whole encoding, or all of it but an id."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from hubbub.dialect import Text
from hubbub.kernel.routing.batch import Around, SplicedBatch
from hubbub.kernel.routing.subscription import AwayLog, Backlog, Encoding, Receiver
from hubbub.limits import BACKLOG_LINKS
from hubbub.message import Message


class ReceiverGroup:
    """The receivers of a route that share an encoding.

    quiet    those of sessions that don't want their own messages, by session; None: there are none such
    backlog  what waits for receivers that have stopped reading, and aren't in `receivers` then; or None
    looked   counters.stalls when these were last looked for
    away     receivers of sessions without a link, until they have their place; log: what waits for them, or None
    """

    __slots__ = ("away", "backlog", "encoding", "log", "looked", "receivers", "quiet")

    def __init__(self, encoding: Encoding) -> None:
        self.away: list[Any] = []
        self.encoding = encoding
        self.log: AwayLog | None = None
        self.receivers: list[Receiver] = []
        self.quiet: dict[Any, list[Receiver]] | None = None
        self.backlog: Backlog | None = None
        self.looked = 0

    def of_the_stalled(self, stalls: int) -> Backlog | None:
        """Return the backlog of those that have stopped reading, if there is one; `stalls`: see Counters."""
        if stalls - self.looked >= BACKLOG_LINKS:
            self.sift(stalls)
        return self.backlog if self.backlog is not None and self.backlog.places else None

    def sift(self, stalls: int) -> None:
        """Give receivers that have stopped reading a place in the backlog, if they are many."""
        self.looked = stalls
        if self.quiet is not None:
            return
        stalled: list[Any] = [one for one in self.receivers if getattr(one, "stalled", False)]
        if self.backlog is None:
            if len(stalled) < BACKLOG_LINKS or len(set(self.receivers)) < len(self.receivers):
                return
            self.backlog = stalled[0].new_backlog(self)
        taken = {one for one in stalled if self.backlog.join(one)}
        self.receivers = [one for one in self.receivers if one not in taken]

    def succeed(self, before: ReceiverGroup) -> None:
        """Take over the backlog of the group before a subscription changed."""
        backlog, receivers = before.backlog, set(self.receivers)
        assert backlog is not None
        same = len(receivers) == len(self.receivers)
        for outbox in list(backlog.places):
            if not same or outbox not in receivers:
                outbox.evict()
        self.backlog = backlog
        backlog.group = self
        self.receivers = [one for one in self.receivers if one not in backlog.places]

    def others(self, sender: Any) -> list[Receiver]:
        """Return the receivers of a message of `sender`."""
        if self.quiet is None or sender not in self.quiet:
            return self.receivers
        own = self.quiet[sender]
        return [receiver for receiver in self.receivers if receiver not in own]


class SplicedGroup:
    """The receivers of groups whose units differ in an id alone, see dialect.IdForm.

    encoding  of what stands around the id: its units are pairs
    groups    these groups, each with another id; count: how many receivers they have
    """

    __slots__ = ("count", "encoding", "groups", "_receivers", "_wrap")

    def __init__(self, groups: list[ReceiverGroup]) -> None:
        one = groups[0].encoding
        around: Any = one.around
        self.encoding = Encoding(partial(_encode_around, around), one.form.shared, None, one.mount, True, one.full)
        self.groups = groups
        self.count = sum([len(group.receivers) for group in groups])
        self._receivers: list[tuple[bytes, list[Receiver]]] = [
            (group.encoding.form.id, group.receivers) for group in groups
        ]
        self._wrap: Any = one.wrap

    def put(self, messages: Sequence[Any], pairs: Sequence[Any]) -> bool:
        """Put messages into the receivers, each with its id. False: the transport's frame doesn't allow that."""
        if self._wrap is not None:
            pairs = [self._framed(head, tail) for head, tail in pairs]
            if None in pairs:
                return False
        around = Around(messages, pairs, self.encoding.full)
        for id, receivers in self._receivers:
            batch = SplicedBatch(around, id)
            for receiver in receivers:
                receiver.put(batch)
        return True

    def _framed(self, head: bytes, tail: bytes) -> tuple[bytes, bytes] | None:
        """Put the transport's frame around a unit. None: it changes the unit, as by a mask."""
        unit = head + self._receivers[0][0] + tail
        frame: bytes = self._wrap(Text(unit) if isinstance(head, Text) else unit)
        start = len(frame) - len(unit)
        return (frame[:start] + head, tail) if frame.endswith(unit) else None


def _encode_around(around: Any, messages: Sequence[Message], shared: Any) -> Any:
    return [around(message, shared) for message in messages]


def splice(groups: list[ReceiverGroup]) -> tuple[list[ReceiverGroup], list[SplicedGroup]]:
    """Bring groups together whose units differ in an id alone. Returns all others, and those."""
    found: dict[Any, list[ReceiverGroup]] = {}
    for group in groups:
        one = group.encoding
        if one.around is not None and one.stream and group.quiet is None and not group.away and _is_small(group):
            size = 0 if one.wrap is None else len(one.form.id)  # which a transport's frame depends on
            key = (one.encode, one.form.shared, one.wrap, one.mount, one.full, size)
            found.setdefault(key, []).append(group)
    spliced = [several for several in found.values() if len(several) > 1]
    taken = {group for several in spliced for group in several}
    return [group for group in groups if group not in taken], [SplicedGroup(several) for several in spliced]


def _is_small(group: ReceiverGroup) -> bool:
    """Return whether a group is too small for a backlog."""
    return group.backlog is None and len(group.receivers) < BACKLOG_LINKS
