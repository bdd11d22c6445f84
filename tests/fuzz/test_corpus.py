"""What fuzzing has found once stays mended, and every target is run with what it is likely to stumble over."""

from __future__ import annotations

import pytest

from fuzz import corpus
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus(name: str) -> None:
    inputs = corpus.load(name)
    assert inputs
    for one in (b"", *inputs):
        TARGETS[name](one)
