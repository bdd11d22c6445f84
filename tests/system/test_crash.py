"""A daemon that is killed at any moment keeps its word. `make soak` has it killed for longer."""

from __future__ import annotations

import os
import sys

import pytest

from crash.harness import run

SECONDS = float(os.environ.get("HUBBUB_SOAK_CRASH", "5"))


@pytest.mark.timeout(SECONDS * 3 + 60)
@pytest.mark.parametrize("durability", ["fsync", "process"])
def test_nothing_acknowledged_is_lost(tmp_path, durability, capsys):
    outcome = run(tmp_path, SECONDS, "--durability", durability)
    with capsys.disabled():
        sys.stdout.write(f"{durability}: {outcome}\n")
    assert outcome.faults == []
    assert outcome.lost == outcome.doubled == 0
    assert outcome.kills > 2
    assert outcome.acknowledged > 100
