"""Whether a message of QoS 2 is in the stream already, though the session of its publisher doesn't say so.

A node that dies may have stored a message whose packet identifier it hadn't noted yet. Its client sends that again, to
another node. So each such message names its session, how many identifiers that had released, and its identifier.
"""

from __future__ import annotations

from hubbub import limits
from hubbub.nats_protocol.subjects import subject_of
from hubbub.service.cluster.missed_messages import Source
from hubbub.service.cluster.stream_codec import sent_of
from hubbub.service.cluster.stream_pages import read_on


class SentBefore:
    """What a session may have sent to a node that has died.

    left  how many identifiers are still looked for: a client sends what was in flight first
    """

    __slots__ = ("left", "_after", "_looked", "_name", "_released", "_source")

    def __init__(self, source: Source, name: str, released: int, after: int) -> None:
        """`released`: as its record says; what that doesn't say stands behind sequence `after`."""
        self.left = limits.UNRELEASED_UNANNOUNCED
        self._after = after
        self._looked: set[int] = set()
        self._name = name
        self._released = released
        self._source = source

    def doubts(self, id: int) -> bool:
        """Return whether it has to be looked for a message of that packet identifier."""
        return self.left > 0 and id not in self._looked

    async def has(self, topic: str, id: int) -> bool:
        """Look for a message. Raises JetStreamError."""
        source, at, subject = self._source, self._after, f"*.{subject_of(topic)}"
        known = source.numbers.last
        while page := await read_on(source.jetstream, source.reactor, source.stream, subject, at, known):
            if any(self._is_it(sent_of(one.headers), id) for one in page):
                self._look_no_more(id)
                return True
            at = page[-1].seq
        self._look_no_more(id)
        return False

    def _look_no_more(self, id: int) -> None:
        self._looked.add(id)
        self.left -= 1

    def _is_it(self, sent: str, id: int) -> bool:
        name, _, rest = sent.partition(".")
        released, _, number = rest.partition(".")
        return name == self._name and number == str(id) and released.isdigit() and int(released) >= self._released
