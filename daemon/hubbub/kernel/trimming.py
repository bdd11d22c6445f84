"""How memory over a bound is taken back: the largest holders give way, down to one level."""

from __future__ import annotations


def level(sizes: list[int], room: int) -> int:
    """Return how much each holder may keep, so that all of `sizes`, in ascending order, fit into `room` together."""
    for at, size in enumerate(sizes):
        left = len(sizes) - at
        if size * left > room:
            return room // left
        room -= size
    return room
