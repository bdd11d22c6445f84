"""The history of a cluster: its stream, which has the same positions at each node (kernel.history.store.HistoryStore).

A message is in the stream before any node delivers it, so nothing is kept here but the tail in memory. Pages are direct
gets. What the stream has dropped is lost for all rules; beside that a rule only says which messages are its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.task import deferLater

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.commits import Commits
from hubbub.kernel.history.rule import HistoryRule, RuleState, change_rules
from hubbub.kernel.history.store import Asker, Newest, OnLast, OnPage, Page, Wanted
from hubbub.message import Message
from hubbub.publish import Publish
from hubbub.service.cluster.jetstream import JetStream, StreamInfo
from hubbub.service.cluster.jetstream_errors import JetStreamError, Unavailable
from hubbub.service.cluster.stream_pages import PageMessage, read_page
from hubbub.topics import matches

Decode = Callable[[PageMessage], Publish | None]
_NONE = 2**63  # more than any number


class StreamHistory:
    """Reads the stream.

    newest  the sequence of the newest message that this node has read; it sets it before it publishes that
    """

    def __init__(
        self,
        jetstream: JetStream,
        reactor: Any,
        wall: Callable[[], float],
        stream: str,
        info: StreamInfo,
        decode: Decode,
    ) -> None:
        self.commits = Commits()  # what comes from the stream waits for nothing
        self.epoch = info.epoch
        self.newest = info.state.last_seq
        self._decode = decode
        self._first = info.state.first_seq
        self._jetstream = jetstream
        self._last_rule = 0
        self._least = _NONE  # of the numbers that are waited for
        self._look_at = 1  # so many waiting may have gone
        self._pages = DeferredSemaphore(limits.CLUSTER_PAGES)
        self._prefix = f"{info.epoch}-"
        self._reactor = reactor
        self._running: set[Deferred[None]] = set()
        self._states: list[RuleState] = []
        self._stream = stream
        self._wall = wall
        self._waiting: list[tuple[int, Callable[[], object], Asker]] = []

    @property
    def readable(self) -> int:
        return self.newest

    # What is kept

    def begin_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        return self.change_history(rules)

    def change_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        self._states, _, _ = change_rules(self._states, rules, self._begin_rule)
        return self._states

    def _begin_rule(self, rule: HistoryRule) -> RuleState:
        self._last_rule += 1
        return RuleState(rule, self._last_rule, self._first - 1, 0.0)

    def keep(self, state: RuleState, message: Message) -> int:
        return self.newest

    def skip(self, state: RuleState, message: Message) -> None:
        """It is in the stream in any case."""

    def will_come(self, number: int) -> bool:
        return self.newest < number <= self.newest + limits.CLUSTER_AHEAD

    def when_there(self, number: int, then: Callable[[], object], asker: Asker) -> None:
        if len(self._waiting) >= self._look_at:  # those that have gone go before they are many
            self._waiting = [one for one in self._waiting if not one[2].gone]
            self._look_at = 2 * len(self._waiting) + 1
        self._waiting.append((number, then, asker))
        self._least = min(self._least, number)

    def reached(self, seq: int) -> None:
        """The message of that sequence is published next."""
        self.newest = max(self.newest, seq)
        if seq >= self._least:
            ready = [then for number, then, asker in self._waiting if number <= seq and not asker.gone]
            self._waiting = [one for one in self._waiting if one[0] > seq and not one[2].gone]
            self._least = min([number for number, _, _ in self._waiting], default=_NONE)
            for then in ready:
                then()

    def end(self) -> None:
        """Read no more."""
        for one in list(self._running):
            one.cancel()

    # Pages

    def read(self, wanted: Wanted, after: int, then: OnPage, asker: Asker) -> None:
        until = self.newest
        self._run(partial(self._read, wanted, after, until, then), lambda: then(Page((), until, until)), asker)

    def _run(self, job: Callable[[], Awaitable[None]], give_up: Callable[[], object], asker: Asker) -> None:
        """Run a job; when the history ends meanwhile, give up."""
        running: Deferred[None] = Deferred.fromCoroutine(self._until_done(job, asker))
        self._running.add(running)
        running.addBoth(partial(self._ended, running))
        running.addErrback(lambda failure: failure.trap(CancelledError) and give_up())

    def _ended(self, running: Deferred[None], result: Any) -> Any:
        self._running.discard(running)
        return result

    async def _until_done(self, job: Callable[[], Awaitable[None]], asker: Asker) -> None:
        """Run a job again for as long as JetStream doesn't answer: its replay waits."""
        pause = limits.CLUSTER_RETRY_FIRST_SECONDS
        await deferLater(self._reactor, 0)  # `then` is called later
        while not asker.gone:
            try:
                await job()
            except JetStreamError:
                await deferLater(self._reactor, pause)
                pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)
            else:
                return

    async def _page(self, after: int, until: int) -> tuple[Sequence[PageMessage], int]:
        """Return the messages of a page, and the sequence up to which these are all. Raises JetStreamError."""
        await self._pages.acquire()
        try:
            page = await read_page(self._jetstream, self._reactor, self._stream, ">", after)
        finally:
            self._pages.release()
        if page:
            return [one for one in page if one.seq <= until], min(page[-1].seq, until)
        info = await self._jetstream.stream_info(self._stream)
        if info.epoch != self.epoch:
            raise Unavailable("the stream was wiped")
        behind = info.state.last_seq < until  # a server that was the leader before
        there = info.state.messages and info.state.first_seq <= until
        if behind or (there and await self._has_next(after, until)):
            raise Unavailable("the replica that answers is behind")
        return (), until

    async def _has_next(self, after: int, until: int) -> bool:
        """Ask the leader whether there is a message in between."""
        found = await self._jetstream.next(self._stream, ">", after + 1)
        return found is not None and found.seq <= until

    async def _look_for_loss(self) -> None:
        """Note which messages the stream has dropped. Raises JetStreamError."""
        self._first = (await self._jetstream.stream_info(self._stream)).state.first_seq
        for state in self._states:
            state.trimmed = max(state.trimmed, self._first - 1)

    async def _read(self, wanted: Wanted, after: int, until: int, then: OnPage) -> None:
        if after + 1 < self._first or not after:
            await self._look_for_loss()
        page, end = await self._page(after, until)
        if wanted.numbers is not None:
            page = [one for one in page if one.seq in wanted.numbers]
        lost = max([0, *[state.lost for state in self._states if state.id in wanted.rules]])
        then(Page([message for _, message in self._matching(wanted, page)], end, lost))

    def _matching(self, wanted: Wanted, page: Sequence[PageMessage]) -> Iterator[tuple[int, Message]]:
        now = self._wall()
        rules = [state.rule for state in self._states if state.id in wanted.rules]
        for one in page:
            try:
                message = self._decode(one)
            except Refusal:
                continue
            if message is None or one.time < wanted.since or not wanted.has(message.topic):
                continue
            if any(matches(rule.filter, message.topic) and one.time >= now - rule.age for rule in rules):
                message.time, message.position = one.time, f"{self._prefix}{one.seq}"
                yield one.seq, message

    def find_last(self, newest: Newest, until: int, then: OnLast, asker: Asker) -> None:
        job = partial(self._find_last, newest, until, then, asker)
        self._run(job, lambda: then(newest), asker)

    async def _find_last(self, newest: Newest, until: int, then: OnLast, asker: Asker) -> None:
        """Look at the newest messages; a stream is read forwards alone."""
        at = max(0, until - limits.HISTORY_MESSAGES)
        found: list[tuple[int, str]] = []
        while at < until and not asker.gone:
            page, at = await self._page(at, until)
            found += [(seq, message.topic) for seq, message in self._matching(newest.wanted, page)]
        for seq, topic in reversed(found):
            if newest.full:
                break
            newest.look(seq, topic)
        then(newest)
