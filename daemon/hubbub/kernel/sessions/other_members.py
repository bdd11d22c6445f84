"""What a client doesn't get any more: other members of its groups have it, and work queues what they have lent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.kernel.routing.subscription import AWAY, LATER
from hubbub.kernel.sessions.inflight import InflightMessage, Lender
from hubbub.kernel.sessions.qos import PassOn
from hubbub.kernel.sessions.records import StoredMessage
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.steps import in_pieces, spread_later
from hubbub.kernel.turn import Turn


def give_to_others(pass_on: PassOn, those: Sequence[InflightMessage]) -> None:
    """Give others these messages, but no QoS 2 of a flight."""
    loans: dict[Lender, list[InflightMessage]] = {}
    for one in those:
        if one.lender is not None and one.loan is not None:
            loans.setdefault(one.lender, []).append(one.loan)
        elif one.share and (one.qos == 1 or not one.id):  # MQTT-4.8.2-5
            pass_on(one.share, one.message, AWAY)
    for lender, back in loans.items():
        lender.returned(back)


def give_all(turn: Turn, pass_on: PassOn, state: PersistentSession, ended: Callable[[], object]) -> None:
    """Give others the queue of a session that has ended, and what is in flight at QoS 1.

    `ended` is called once they have it; until then a store keeps it for this session.
    """
    shared = [one for one in (*state.inflight.values(), *state.queue) if one.share]
    if shared or (state.paged_count and state.paged.shared):
        state.expire()
    if shared:
        spread_later(turn, "shared messages", _give_some(pass_on, state, ended, shared))
    else:
        _give_page(pass_on, state, ended)


def _give_some(
    pass_on: PassOn, state: PersistentSession, ended: Callable[[], object], shared: Sequence[InflightMessage]
) -> Iterator[None]:
    for some in in_pieces(shared, limits.SHARED_AT_ONCE):
        give_to_others(pass_on, some)
        yield
    _give_page(pass_on, state, ended)


def _give_page(
    pass_on: PassOn,
    state: PersistentSession,
    ended: Callable[[], object],
    last: int = 0,
    page: Sequence[StoredMessage] = (),
) -> None:
    """Give others what the store has read of a queue, and go on until it has no more."""
    state.queue.clear()
    state.take_page(last, page)
    give_to_others(pass_on, list(state.queue))
    if state.paged_count and state.paged.shared:
        state.fetch(partial(_give_page, pass_on, state, ended))
    else:
        ended()


def give_while_away(delivery: Any, pass_on: PassOn, shared: Sequence[InflightMessage]) -> Iterator[None]:
    """Give others messages of a client's queue, some at a time, until it is back, or has left."""
    refused: Counter[str] = Counter()
    for some in in_pieces(shared, limits.SHARED_AT_ONCE):
        if delivery.link is not None or delivery.ended:
            return
        delivery.queue.settle()  # what is in logs has older numbers than a queue that is written anew
        there, given = set(some).intersection(delivery.state.queue), set()
        for one in some:
            if one in there and refused[one.share] < limits.SHARED_REFUSALS:
                if pass_on(one.share, one.message, LATER):
                    given.add(one)
                else:
                    refused[one.share] += 1
        if given:
            delivery.queue.take_out(given.__contains__)
        yield
