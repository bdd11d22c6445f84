"""How much of a test runs: a part in `make test`, all of it with HUBBUB_FULL=1, as `make test-all` sets it."""

from __future__ import annotations

import os
from pathlib import Path

FULL = os.environ.get("HUBBUB_FULL") == "1"


def examples(count: int) -> int:
    """Return how many examples a property takes of `count`: three of ten, or all."""
    return count if FULL else count * 3 // 10


EXAMPLES = examples(100)  # of each property that names no number of its own


def scale_examples(folder: Path) -> None:
    """Have a pytest of its own in this folder take EXAMPLES of each property."""
    (folder / "conftest.py").write_text(
        "from hypothesis import settings\n\n"
        f'settings.register_profile("scaled", max_examples={EXAMPLES})\n'
        'settings.load_profile("scaled")\n'
    )


def crowd(count: int) -> int:
    """Return how many clients or messages a test takes of `count`: a fifth, or all."""
    return count if FULL else count // 5
