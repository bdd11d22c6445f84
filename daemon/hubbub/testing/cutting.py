"""The ways in which a stream may be cut: what a reader makes of it must always be the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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


CUTTINGS: Mapping[str, Cutting] = {
    "whole": whole,
    "byte by byte": byte_by_byte,
    "coalesced": coalesced,
    "with a tail": with_a_tail,
}
