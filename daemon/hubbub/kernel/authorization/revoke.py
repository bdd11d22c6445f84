"""What ends when a client may do less than before: its permissions have changed, or it has logged in as somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from hubbub.errors import Refusal
from hubbub.events import Fault
from hubbub.kernel.sessions.session import Batch, Rights
from hubbub.topics import unshared

if TYPE_CHECKING:
    from hubbub.kernel.connection.authentication import Entrance
    from hubbub.kernel.connection.outbox import Outbox

Keep = Callable[[str], bool]
"""Tells whether messages on a topic may stay."""


def revoke(link: Entrance, old: Rights | None) -> None:
    """End the subscriptions of `link` that its rights no longer allow, and forget what waits for it because of them.

    The client is told as its dialect tells any refusal. Where that has no words for one the link is closed, as it would
    be if the client came now: else it would wait for ever.

    old  its rights before
    """
    session, rights = link.session, link.session.rights
    if rights is None or rights == old:
        return
    ended = [filter for filter in session.subscriptions or () if not rights.receives(unshared(filter))]
    for filter in ended:
        link.unsubscribe(filter)
    _purge(link.outbox, rights.receives)
    if link.half_duplex is not None:
        link.half_duplex.purge(rights.receives)
    if link.client is not None:
        link.client.delivery.purge(rights.receives)
    tell(link, ended)


def tell(link: Entrance, ended: Iterable[str]) -> None:
    """Tell a client that it may no longer have some of its subscriptions, or close its link."""
    for filter in ended:
        refusal = Refusal(
            "not-authorized", f"you may no longer receive {link.seen(filter)}; that subscription has ended"
        )
        if link.dialect.outcome(Fault(refusal), refusal):
            link.act([Fault(refusal)])
        else:
            link.close(refusal.reason, refusal)


def _purge(outbox: Outbox, keep: Keep) -> None:
    """Forget what waits on topics that `keep` says no to. The client may not know of it: none of it counts as lost."""
    units, outbox._units[:] = outbox._units[:], []
    for unit in units:
        left = unit
        if not isinstance(unit, Batch):  # retained messages that are still to come
            unit.batches = _kept(unit.batches, keep)
        elif not all(keep(message.topic) for message in unit.messages):
            outbox._not_newest(unit)
            left = _part(unit, keep, outbox.stream)
            outbox.size += left.size - unit.size
            outbox.count += left.count - unit.count
        if left is unit or left.count:
            outbox._units.append(left)
    outbox.mark()


def _part(unit: Batch, keep: Keep, stream: bool) -> Batch:
    """What stays of a unit, which others may share."""
    pairs = zip(unit.messages, unit.frames, strict=True)
    left = [(message, frame) for message, frame in pairs if keep(message.topic)]
    return Batch([message for message, _ in left], [frame for _, frame in left], stream, unit.full)


def _kept(batches: Iterator[Batch | None], keep: Keep) -> Iterator[Batch | None]:
    """The retained messages that may stay; each of the others is a step without one."""
    for batch in batches:
        yield None if batch is not None and batch.messages and not keep(batch.messages[0].topic) else batch
