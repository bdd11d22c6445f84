"""Autobahn's test suite against a WebSocket listener that echoes, `make conformance`.

Cases 1-7, 9 and 10 as the listener is by itself, 12 and 13 with compression on. Fails unless every case passes; those
that the suite calls informational have no wrong answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from running import Daemon  # noqa: E402

LISTENER = "tcp:0:dialect=raw:topic=echo:max-message=20MiB:queue=64MiB"
RUNS = {
    "1-7, 9, 10": ("no", ["12.*", "13.*"]),
    "12, 13": ("yes", [f"{number}.*" for number in range(1, 12)]),
}
PASSED = {"OK", "INFORMATIONAL"}


def run(compression: str, excluded: list[str]) -> dict[str, dict[str, str]]:
    """The results by case."""
    options = ["--plugin-dir", str(HERE), "--handler", "echo"]
    with Daemon("--websocket", f"{LISTENER}:compression={compression}", *options) as daemon, \
            tempfile.TemporaryDirectory() as folder:  # fmt: skip
        command = [Path(sys.executable).with_name("kosoku"), "-m", "fuzzingclient", "-o", folder]
        for case in excluded:
            command += ["-x", case]
        subprocess.run([*command, "{}:{}".format(*daemon.websocket[0])], check=False, stdout=subprocess.DEVNULL)
        (index,) = Path(folder).rglob("index.json")
        (results,) = json.loads(index.read_text()).values()
    return results


def main() -> int:
    failed = False
    for name, (compression, excluded) in RUNS.items():
        results = run(compression, excluded)
        counts = Counter(result["behavior"] for result in results.values())
        print(f"cases {name}: {len(results)} run, {', '.join(f'{n} {what}' for what, n in counts.items())}")  # noqa: T201
        for case, result in results.items():
            if result["behavior"] not in PASSED or result["behaviorClose"] not in PASSED:
                print(f"  {case}: {result['behavior']}, close {result['behaviorClose']}")  # noqa: T201
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
