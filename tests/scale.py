"""How much of a test runs: a part in `make test`, all of it with HUBBUB_FULL=1, as `make test-all` sets it."""

from __future__ import annotations

import os

FULL = os.environ.get("HUBBUB_FULL") == "1"


def examples(count: int) -> int:
    """Return how many examples a property takes of `count`: three of ten, or all."""
    return count if FULL else count * 3 // 10


EXAMPLES = examples(100)  # of each property that names no number of its own


def crowd(count: int) -> int:
    """Return how many clients or messages a test takes of `count`: a fifth, or all."""
    return count if FULL else count // 5
