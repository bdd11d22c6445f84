"""Daemons that are killed at any moment keep their word: some 15 kills of each kind, and more in `make test-all`.

`make soak` has them killed for longer.
"""

from __future__ import annotations

import os
import sys

import pytest

from crash.disk import Disk
from crash.harness import run
from crash.outcome import Outcome
from scale import FULL

SECONDS = float(os.environ.get("HUBBUB_SOAK_CRASH", 20 if FULL else 8))


@pytest.fixture
def check(capsys):
    def show_and_check(name: str, outcome: Outcome) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: {outcome}\n")
        assert [*outcome.faults, *outcome.details] == [], "\n".join(outcome.accounts)
        assert outcome.lost == outcome.doubled == 0, "\n".join(outcome.accounts)
        assert outcome.acknowledged

    return show_and_check


@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize("durability", ["fsync", "process"])
def test_nothing_acknowledged_is_lost(tmp_path, durability, check):
    check(durability, run(tmp_path, SECONDS, durability))


@pytest.mark.timeout(SECONDS * 3 + 120)
def test_nor_over_a_disk_that_fails(tmp_path, check):
    with Disk(tmp_path) as disk:
        outcome = run(tmp_path, SECONDS, disk=disk)
    assert outcome.disks > 0
    check("fsync, a failing disk", outcome)
