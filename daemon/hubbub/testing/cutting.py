"""The ways in which a stream may be cut: what a reader makes of it must always be the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hypothesis import strategies as st

Cutting = Callable[[Sequence[bytes]], list[bytes]]
"""Units as a client sends them -> the pieces in which they arrive."""


def whole(units: Sequence[bytes]) -> list[bytes]:
    """Each unit arrives alone."""
    return list(units)


def byte_by_byte(units: Sequence[bytes]) -> list[bytes]:
    """Each byte arrives alone."""
    return [bytes((byte,)) for byte in b"".join(units)]


def coalesced(units: Sequence[bytes]) -> list[bytes]:
    """Everything arrives at once."""
    return [b"".join(units)]


def with_a_tail(units: Sequence[bytes]) -> list[bytes]:
    """With each unit arrives the beginning of the next."""
    halves = [half for unit in units for half in (unit[: len(unit) // 2], unit[len(unit) // 2 :])]
    pieces = [halves[0]] if halves else []
    pieces += [halves[at] + halves[at + 1] for at in range(1, len(halves) - 1, 2)]
    return [piece for piece in [*pieces, *halves[-1:]] if piece]


def damaged(data: bytes) -> st.SearchStrategy[bytes]:
    """Return a strategy for `data` that ends early, or with a byte missing or changed."""
    contexts = st.integers(0, max(0, len(data) - 1))
    cut = contexts.map(lambda at: data[:at])
    lost = contexts.map(lambda at: data[:at] + data[at + 1 :])
    changed = st.tuples(contexts, st.binary(min_size=1, max_size=2))
    return st.one_of(cut, lost, changed.map(lambda one: data[: one[0]] + one[1] + data[one[0] + 1 :]))


CUTTINGS: Mapping[str, Cutting] = {
    "whole": whole,
    "byte by byte": byte_by_byte,
    "coalesced": coalesced,
    "with a tail": with_a_tail,
}
