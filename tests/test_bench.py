"""bench writes its results into the page on performance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = "import json, sys; from bench.page import write; print(write(json.load(sys.stdin), sys.argv[1]))"
PAGE = "before\n<!-- python -m bench.page writes from here -->\nold\n<!-- to here -->\nbehind"
MACHINE = {"commit": "abc", "cpu": "a CPU", "cores": 2, "kernel": "6", "python": "3.11"}


def written(*runs: dict[str, object]) -> str:
    """The page with these runs."""
    results = {
        "started": "2026-11-29T14:35:00",
        "rounds": 1,
        "seconds": 2.0,
        "machine": MACHINE,
        "versions": dict.fromkeys(("mosquitto", "nats", "redis", "twisted", "autobahn"), "1.0"),
        "runs": [{"round": 0, "disturbed": 0, "saturated": False} | run for run in runs],
    }
    command = [sys.executable, "-c", SCRIPT, PAGE]
    return subprocess.run(
        command, input=json.dumps(results), capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def test_an_aim_stands_beside_what_was_measured():
    page = written(
        {"work": "qos1-pairs-10", "peer": "hubbub", "figure": 130_000},
        {"work": "qos1-pairs-10", "peer": "compiled", "figure": 150_000},
        {"work": "qos1-pairs-10", "peer": "mosquitto", "figure": 100_000},
        {"work": "memory", "peer": "hubbub", "figure": 5.0},
    )
    assert page.startswith("before\n")
    assert page.endswith("behind\n")
    assert "old" not in page
    assert "| 130,000/s | 150,000/s | Mosquitto 100,000/s: 1.30 | 1.2, 2 of Mosquitto: " in page
    assert "pure 1.30 met, compiled 1.50 **missed by 25%**. A message has four packets" in page
    assert "| TCP, 8,000 idle links | 5 KiB |  |  | 4 KiB/link: pure 5 **missed by 25%** |" in page


def test_what_did_not_run_has_no_row():
    page = written({"work": "fanin", "peer": "hubbub", "error": "nothing arrived"})
    assert "| 100 -> 1, 50 in flight each | not measured |" in page
    assert "TLS" not in page
