"""Fuzz one target, with coverage: `python tests/fuzz/run.py TARGET SECONDS`, `make fuzz`. Alone it names the targets.

It goes on from the corpus and from what earlier runs have reached, which is in `.fuzz/`. A finding is added to the
corpus, so that the tests fail until it is mended. `keep` for SECONDS adds to the corpus some of the inputs that
reached something new.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1])]

import atheris  # noqa: E402

from fuzz import corpus  # noqa: E402

LENGTH = 2048  # bytes of the longest input
SLOW = 2.0  # seconds of processor time for one input; a clock on the wall would count when others work
KEPT_LENGTH, KEPT = 300, 40  # bytes of an input in the corpus, and inputs of one target


def fuzz(name: str, seconds: int) -> int:
    work, found = _folders(name)
    before = set(found.iterdir())
    limits = [f"-max_total_time={seconds}", f"-max_len={LENGTH}", "-timeout=600", "-rss_limit_mb=1024"]
    ended = _libfuzzer(name, [*limits, "-print_final_stats=1", f"-artifact_prefix={found}/", str(work)])
    new = [path.read_bytes() for path in found.iterdir() if path not in before and path.name.startswith("crash-")]
    if new:
        corpus.save(name, [*corpus.load(name), *new])
    return ended


def keep(name: str) -> None:
    """Each input that libFuzzer kept reaches something new; of the short ones take some of every length."""
    work, _ = _folders(name)
    inputs = sorted((one for one in map(Path.read_bytes, work.iterdir()) if len(one) <= KEPT_LENGTH), key=len)
    corpus.save(name, [*corpus.load(name), *inputs[:: max(1, len(inputs) // KEPT)]])


def _folders(name: str) -> tuple[Path, Path]:
    """Where inputs are worked on, and where findings go."""
    work, found = ROOT / ".fuzz" / name, ROOT / ".fuzz" / "found" / name
    for folder in (work, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(corpus.load(name)):
        (work / f"corpus-{number}").write_bytes(one)
    return work, found


def _libfuzzer(name: str, arguments: list[str]) -> int:
    """It ends its process, and so gets one of its own."""
    return subprocess.run([sys.executable, __file__, "--inside", name, *arguments], check=False).returncode


def _inside(name: str, arguments: list[str]) -> None:
    parsers = ["pynmea2", "pyais", "pickletools", "tomllib", "ipaddress"]
    with atheris.instrument_imports(include=["hubbub", "hubbub_plugins", *parsers]):
        from fuzz.targets import TARGETS

    def timed(data: bytes) -> None:
        before = time.process_time()
        TARGETS[name](data)
        assert time.process_time() - before < SLOW

    atheris.Setup([__file__, *arguments], timed)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        from fuzz.targets import TARGETS

        print(*TARGETS)  # noqa: T201
    elif sys.argv[1] == "--inside":
        _inside(sys.argv[2], sys.argv[3:])
    elif sys.argv[2] == "keep":
        keep(sys.argv[1])
    else:
        sys.exit(fuzz(sys.argv[1], int(sys.argv[2])))
