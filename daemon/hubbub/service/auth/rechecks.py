"""What a reload has changed for clients: each link and session is looked at, some in each turn of the reactor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred

from hubbub.errors import Refusal
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.client import Client
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.steps import spread
from hubbub.service.auth.login import STALE

_ANONYMOUS = Refusal("not-authorized", "the logins of this listener have changed")


class Recheck:
    """One look at all clients.

    admits  tells whether a client without a login may stay where it came in
    subscriptions  that have ended; links, sessions: that have ended because their login is no longer valid
    """

    def __init__(self, hub: Hub, contexts: Iterable[ListenerContext], admits: Callable[[Session], bool]) -> None:
        self.links = self.sessions = self.subscriptions = 0
        self._admits = admits
        self._contexts = list(contexts)
        self._hub = hub

    def start(self) -> Deferred[Recheck]:
        """Begin. Fires once every client has what it may have now, and nothing else."""
        done: Deferred[Recheck] = Deferred()

        def work() -> Iterator[None]:
            yield from self._look_at_all()
            done.callback(self)

        spread(self._hub.turn, "permissions", work())
        return done

    def ended(self) -> str:
        """Return what to log of logins that are no longer valid."""
        counts = {"link": self.links, "session": self.sessions}
        counted = " and ".join(f"{count} {what}{'s' * (count > 1)}" for what, count in counts.items() if count)
        return f"{counted} ended, as the login has changed" if counted else ""

    def _look_at_all(self) -> Iterator[None]:
        for context in self._contexts:
            for link in list(context.links):
                if link.open and not link.session.revoked:
                    yield from self._look_at(link)
                yield
        clients = self._hub.clients
        for client in clients.without_link():
            if clients.has(client) and client.link is None:
                yield from self._look_at_session(client)
            yield
        yield from self._hub.requests.reconsidering()

    def _look_at(self, link: Any) -> Iterator[None]:
        if not link.session.is_valid(self._hub.turn.wall()):
            self.links += 1
            link.revoke(STALE.reason, STALE)
        elif link.context.turns_away(link):
            link.revoke("this listener wants a login now", _ANONYMOUS)
        else:
            self.subscriptions += yield from link.access.reconsidering(link)

    def _look_at_session(self, client: Client) -> Iterator[None]:
        owner = client.state.owner
        if client.connector is None and not (owner.is_valid(self._hub.turn.wall()) and self._admits(owner)):
            self.sessions += 1
            client.revoke()
        else:
            self.subscriptions += yield from client.reconsidering()
