"""Subscribing: the bounds of subscriptions, and the part of the hub that each of them is added to.

A plain filter leads to the Router, `$share/GROUP/FILTER` to a group, one below `$SYS/` to the hub's own topics too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from itertools import chain
from typing import Any, Protocol

from hubbub import limits
from hubbub.errors import BadFilter, Refusal
from hubbub.events import Subscribe
from hubbub.kernel.routing.retained import Retained
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.share_groups import SharedSubscriptions
from hubbub.kernel.routing.subscription import Encode, Encoding, Receiver, Subscription
from hubbub.kernel.routing.sys_topics import SYSTEM, SysTopics
from hubbub.kernel.sessions.retained_changes import RetainedChanges
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.topics import unshared


class SessionWatcher(Protocol):
    """Gets the sessions that come and go."""

    def joined(self, session: Session) -> None: ...
    def left(self, session: Session) -> None: ...


class Subscriptions:
    """The connected sessions and all subscriptions.

    sessions  those that have joined; watchers: get each
    """

    def __init__(
        self, turn: Turn, router: Router, retained: Retained, shared: SharedSubscriptions, system: SysTopics
    ) -> None:
        self.sessions: set[Session] = set()
        self.watchers: list[SessionWatcher] = []
        self._count = 0
        self._turn = turn
        self._router = router
        self._retained = retained
        self._shared = shared
        self._system = system
        self._encodings: dict[tuple[Any, ...], Encoding] = {}  # of those that a subscription uses

    @property
    def count(self) -> int:
        """The subscriptions of all sessions, and one for each group."""
        return self._count + len(self._shared)

    def join(self, session: Session) -> None:
        """Welcome a session."""
        self.sessions.add(session)
        for watcher in self.watchers:
            watcher.joined(session)

    def leave(self, session: Session) -> None:
        """Forget a session and its subscriptions."""
        if session not in self.sessions:
            return
        self.sessions.discard(session)
        session.left = True
        for watcher in self.watchers:
            watcher.left(session)
        self.end_all(session)

    def end_all(self, session: Session) -> None:
        """End the subscriptions of a session whose receivers take nothing any more."""
        self._drop_some(session, list(session.subscriptions or ()))

    def _drop_some(self, session: Session, ids: list[Hashable]) -> None:
        """End some of the subscriptions, and the others in later turns."""
        self._router.commit()
        for id in ids[: limits.SUBSCRIPTIONS_AT_ONCE]:
            if id in (session.subscriptions or ()):
                self._drop(session, id)
        rest = ids[limits.SUBSCRIPTIONS_AT_ONCE :]
        if rest:
            self._turn.do_later("subscriptions", partial(self._drop_some, session, rest))

    def encoding(
        self,
        encode: Encode,
        form: Any,
        wrap: Callable[[bytes], bytes] | None = None,
        mount: str = "",
        stream: bool = True,
        full: str | None = None,
        around: Callable[[Message, Any], tuple[bytes, bytes] | None] | None = None,
    ) -> Encoding:
        """Return the Encoding of these parts: the same one for all subscriptions that use it."""
        key = (encode, form, wrap, mount, stream, full)
        return self._encodings.get(key) or Encoding(*key, around)

    def subscribe(self, session: Session, wish: Subscribe, encoding: Encoding, receiver: Receiver) -> Subscription:
        """Let what matches `wish.filter` go to `receiver`. A second subscription with the same id replaces the first.

        Raises Refusal: quota, or a filter that isn't well formed.
        """
        self._router.commit()
        mine = session.subscriptions
        if mine is None:
            mine = session.subscriptions = {}
        filter = unshared(wish.filter)
        old = mine.get(wish.key)
        if old is not None and (old.wish.filter != wish.filter or is_copied(old.wish) != is_copied(wish)):
            self._drop(session, wish.key)
            old = None
        if old is None:
            self._check(session, wish, filter, receiver)
            self._count += 1
            session.levels += self._levels(wish, filter)
        else:
            self._release(old.encoding)
        new = mine[wish.key] = Subscription(session, wish, self._use(encoding), receiver)
        if filter.startswith(SYSTEM):
            self._system.begin()
        if filter != wish.filter:
            self._shared.join(wish.filter, filter, new, old)
        elif old is None:
            self._router.add(filter, new)
        else:
            self._router.replace(filter, old, new)
        return new

    def retained(
        self, wish: Subscribe, changes: RetainedChanges | None = None, known: bool = False
    ) -> Iterator[Message | None]:
        """Return the retained messages for a subscription, to be delivered after its answer; none for a group.

        changes  what the client has missed, or None; known: it has all but that
        """
        if unshared(wish.filter) != wish.filter:
            return iter(())
        if changes is None:
            return iter(()) if known else self._match(wish.filter)
        all_again = changes.overflown(wish.key) or not known
        missed = changes.take(wish.key, self._retained.get, all_again)
        return chain(self._match(wish.filter), missed) if all_again else missed

    def _match(self, filter: str) -> Iterator[Message | None]:
        return self._system.match(filter) if filter.startswith(SYSTEM) else self._retained.match(filter)

    def _check(self, session: Session, wish: Subscribe, filter: str, receiver: Receiver) -> None:
        """Check the bounds for one more subscription. Raises Refusal."""
        bounds, trie, shared = self._turn.bounds, self._router.trie, filter != wish.filter
        if len(session.subscriptions or ()) >= bounds.subscriptions:
            raise Refusal("quota", f"one client may have {bounds.subscriptions} subscriptions")
        if self.count + shared >= bounds.all_subscriptions:  # a group has one of its own
            raise Refusal("quota", f"all clients together may have {bounds.all_subscriptions} subscriptions")
        if filter.count("/") >= bounds.topic_levels:
            raise BadFilter(f"it has more than {bounds.topic_levels} levels")
        levels, most = trie.cost(filter), limits.SUBSCRIPTION_LEVELS
        if session.levels + self._levels(wish, filter) > most:
            kind = "one whose messages are acknowledged" if is_copied(wish) else "a shared subscription"
            each = f"{kind} counts for {limits.SHARED_LEVELS} beside these"
            raise Refusal("quota", f"one client's wildcard filters may have {most} levels; {each}")
        if trie.levels + levels > limits.SUBSCRIPTION_LEVELS_ALL:
            raise Refusal("quota", "the wildcard filters of all clients have reached the maximum of levels")
        if shared:
            self._shared.check(wish.filter, wish.policy)
        if shared and not hasattr(receiver, "room"):
            raise BadFilter("a member of a group has to say whether it has room")

    def _levels(self, wish: Subscribe, filter: str) -> int:
        """Return what a subscription counts for among those of its session; `wish.filter` contains `filter`."""
        return self._router.trie.cost(filter) + limits.SHARED_LEVELS * (wish.filter != filter or is_copied(wish))

    def hand_over(
        self, old: Session, session: Session, wish: Subscribe, encoding: Encoding, receiver: Receiver
    ) -> None:
        """Let another session have the subscription `wish.key` of `old`: there are as many as before."""
        self._router.commit()
        self.unsubscribe(session, wish.key)
        if session.subscriptions is None:
            session.subscriptions = {}
        assert old.subscriptions is not None
        before = old.subscriptions.pop(wish.key)
        self._release(before.encoding)
        new = session.subscriptions[wish.key] = Subscription(session, wish, self._use(encoding), receiver)
        filter = unshared(wish.filter)
        levels = self._levels(wish, filter)
        old.levels -= levels
        session.levels += levels
        if filter != wish.filter:
            self._shared.join(wish.filter, filter, new, before)
        else:
            self._router.replace(filter, before, new)

    def redirect(self, session: Session, old: Subscription, receiver: Receiver) -> None:
        """Let the messages of a subscription go to another receiver."""
        self._router.commit()
        assert session.subscriptions is not None
        new = session.subscriptions[old.id] = Subscription(session, old.wish, old.encoding, receiver)
        new.copies, new.merge = old.copies, old.merge
        self._router.replace(old.wish.filter, old, new)

    def inherit(self, session: Session, old: Session) -> None:
        """Let a session have all subscriptions of `old`; each stays as it is until it is replaced."""
        self._router.commit()
        taken, mine = old.subscriptions or {}, session.subscriptions or {}
        session.subscriptions = taken | mine
        session.levels += old.levels
        old.subscriptions, old.levels, old.successor = {}, 0, session

    def unsubscribe(self, session: Session, id: Hashable) -> None:
        """End one subscription, if there is one of that id."""
        if session.subscriptions and id in session.subscriptions:
            self._router.commit()
            self._drop(session, id)

    def _drop(self, session: Session, id: Hashable) -> None:
        assert session.subscriptions is not None
        subscription: Subscription = session.subscriptions.pop(id)
        self._release(subscription.encoding)
        self._count -= 1
        name = subscription.wish.filter
        filter = unshared(name)
        session.levels -= self._levels(subscription.wish, filter)
        if filter != name:
            self._shared.leave(name, subscription)
        else:
            self._router.remove(filter, subscription)

    def _use(self, encoding: Encoding) -> Encoding:
        encoding = self._encodings.setdefault(encoding.key, encoding)
        encoding.uses += 1
        return encoding

    def _release(self, encoding: Encoding) -> None:
        encoding.uses -= 1
        if not encoding.uses:
            del self._encodings[encoding.key]


def is_copied(wish: Subscribe) -> bool:
    """Return whether a client acknowledges messages that it may get for other subscriptions too."""
    return wish.qos > 0 and wish.id is not None
