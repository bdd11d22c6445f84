"""A histogram, as Prometheus has them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Counts of observations of at most so many seconds each, as plain integers.

    bounds  upper bounds in seconds; counts: of each, and the last of what is above all; sum: seconds
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Note `times` observations of `seconds`."""
        self.counts[bisect_left(self.bounds, seconds)] += times
        self.sum += seconds * times
