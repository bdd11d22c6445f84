"""The bytes of all wills, bounded in total and for each source."""

from __future__ import annotations

from collections import Counter

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.ingress.sources import Sources, source_of
from hubbub.message import cost
from hubbub.publish import Publish


class Wills:
    """Counts wills; each belongs to a session, which has a source.

    size  bytes of all wills
    """

    def __init__(self, sources: Sources) -> None:
        self.size = 0
        self._by_source: Counter[str] = Counter()  # bytes
        self._sources = sources

    def count(self, source: str, old: Publish | None, new: Publish | None) -> None:
        """A session of `source` has another will, or none."""
        more = will_bytes(new) - will_bytes(old)
        self.size += more
        self._by_source[source] += more
        if not self._by_source[source]:
            del self._by_source[source]

    def check(self, new: Publish | None, old: Publish | None, old_source: str | None, host: str) -> None:
        """Check that there is room for a will of a client at `host` in place of `old`. Raises Refusal (quota)."""
        source, size, before = source_of(host), will_bytes(new), will_bytes(old)
        if size > before and self.size + size - before > limits.WILL_BYTES_ALL:
            raise Refusal("quota", "the hub can't keep more wills")
        here = self._by_source[source] - (before if old_source == source else 0)
        if size and here + size > limits.WILL_BYTES_SOURCE and self._sources.rated(host):
            raise Refusal("quota", "the hub can't keep more wills from your address")


def will_bytes(will: Publish | None) -> int:
    """Return the bytes of a will; none has none."""
    return 0 if will is None else cost(will)
