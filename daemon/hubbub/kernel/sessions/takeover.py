"""Gives the subscriptions of a session to the link of its client, some in each turn of the reactor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from hubbub import limits
from hubbub.events import Subscribe
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.turn import Turn
from hubbub.topics import unshared


class Takeover:
    """One link that takes over from the stand-in of its client.

    The client's events wait until it is done, and its messages of QoS 1 and 2 in their queue. If the link goes before,
    the rest stays with the stand-in, as the client finds it then.

    done  is called with the subscriptions that the client may no longer have
    """

    __slots__ = ("_client", "_done", "_ended", "_left", "_link", "_stand_in", "_turn", "_waits")

    def __init__(
        self, turn: Turn, client: Any, stand_in: Session, link: Any, done: Callable[[list[Subscribe]], object]
    ) -> None:
        self._client = client
        self._done = done
        self._ended: list[Subscribe] = []
        self._left = deque(client.state.subscriptions.values())
        self._link = link
        self._stand_in = stand_in
        self._turn = turn
        self._waits = False
        stand_in.successor = link.session

    def step(self) -> None:
        """Give the link some subscriptions, and go on in a later turn if there are more (kernel.scheduler.Job)."""
        link = self._link
        if self._client.link is not link or not link.active:
            return
        try:
            for _ in range(min(limits.TAKEOVER_AT_ONCE, len(self._left))):
                self._take(self._left.popleft())
            if self._left:
                self._wait()
                return
            self._stand_in.successor = None
            self._done(self._ended)
            if self._waits:
                link.inbound.blocked -= 1
                link.go_on()
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            link.fail(error)

    def _take(self, wish: Subscribe) -> None:
        rights = self._link.session.rights
        kept = wish.key in (self._stand_in.subscriptions or ())
        if kept and (rights is None or rights.receives(unshared(wish.filter))):
            self._link.egress.take_over(self._stand_in, wish, self._client)
        else:
            self._ended.append(wish)

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            self._link.inbound.blocked += 1
        self._turn.do_later("takeovers", self.step)
