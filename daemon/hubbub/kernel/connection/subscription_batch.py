"""Many subscriptions with one answer: made some at a time, while the link's other events wait.

Between two steps others have their turns, so what is published meanwhile may come before the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Fault, Subscribe, SubscriptionBatch, Unsubscribe
from hubbub.kernel.routing.batch import Batch

Retained = tuple[Subscribe, Iterator[Batch | None]]
"""A subscription and what it gets of the retained messages."""


def work_on(
    link: Any,
    event: SubscriptionBatch,
    answer: Callable[[Any, SubscriptionBatch, list[Any]], object],
    send_retained: Callable[[Any, Subscribe, Iterator[Batch | None]], object],
) -> Iterator[None]:
    """Act on the events of a batch, piece by piece; then `answer` with all results, and send retained messages."""
    results: list[Any] = []
    retained: list[Retained] = []
    link.inbound.blocked += 1
    try:
        for one in event.events:
            if results and not len(results) % limits.FILTERS_AT_ONCE:
                yield
                if not link.active:
                    return
            try:
                results.append(_act(link, one, retained))
            except Refusal as error:
                link.count_refused(error)
                results.append(error)
        if event.all_or_none and any(isinstance(result, Refusal) for result in results):
            for wish, _ in retained:
                link.egress.unsubscribe(link.egress.id_of(wish), link.client)
            retained.clear()
        answer(link, event, results)
        for at, (one, batches) in enumerate(retained):
            if at and not at % limits.FILTERS_AT_ONCE:
                yield
                if not link.active:
                    return
            send_retained(link, one, batches)
        link.inbound.blocked -= 1
        if link.inbound.holding:
            link.go_on()
    except Exception as error:  # noqa: BLE001  a plugin's dialect
        link.fail(error)


def _act(link: Any, one: Subscribe | Unsubscribe | Fault, retained: list[Retained]) -> Any:
    """Subscribe or unsubscribe for one event of the batch, and return its result. Raises Refusal."""
    link.access.authorize()
    if isinstance(one, Fault):
        raise one.refusal
    if isinstance(one, Subscribe):
        retained.append((one, link.subscribe(one)))
        return None
    id = link.egress.id_of(one)
    found = id in (link.session.subscriptions or ())
    link.egress.unsubscribe(id, link.client, one.after)
    return found
