"""`python -m soak [SECONDS]`: mixed clients come and go for half an hour; memory and descriptors have to stay flat.

It prints a line each 30 s, then what docs/operating.md tells, and ends with status 1 where something leaks or is lost.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from running import Daemon
from soak.clients import KINDS, Tally

LINKS = 60  # at any time
RATE = 1.0  # messages of each client in a second
LIFE = (2.0, 40.0)  # seconds
RELOAD = 30.0  # seconds between two of SIGHUP
GROWTH = 1024 * 1024  # bytes that memory may grow between the second and the last tenth
PEAK = 64 * 1024 * 1024  # bytes above the start


async def client(kind: int, where: dict[str, object], until: float, tally: Tally) -> None:
    """One after the other of one kind."""
    while time.monotonic() < until:
        one = KINDS[kind % len(KINDS)](where, RATE)
        ends = min(time.monotonic() + random.uniform(*LIFE), until)
        await one.live(lambda ends=ends: time.monotonic() < ends, tally)  # type: ignore[misc]


async def soak(daemon: Daemon, folder: Path, seconds: float) -> tuple[Tally, list[tuple[int, int]]]:
    """Let clients come and go; return what they saw, and (bytes, descriptors) of the daemon, sample by sample."""
    where = {"tcp": daemon.tcp[0], "raw": daemon.tcp[1], "udp": daemon.udp[0], "websocket": daemon.websocket[0]}
    where["unix"] = str(folder / "hub.sock")  # type: ignore[assignment]
    tally, samples = Tally(), []
    began = time.monotonic()
    until = began + seconds
    every = min(RELOAD, seconds / 40)
    running = [asyncio.ensure_future(client(kind, where, until, tally)) for kind in range(LINKS)]
    while time.monotonic() < until:
        await asyncio.sleep(every)
        samples.append((daemon.memory(), daemon.descriptors()))
        if len(samples) % 10 == 0:
            show(f"{time.monotonic() - began:6.0f} s  {samples[-1][0] // 1024:7} KiB  {samples[-1][1]:4} descriptors  "
                 f"{tally.output} messages")  # fmt: skip
        daemon.process.send_signal(signal.SIGHUP)
    for failed in await asyncio.gather(*running, return_exceptions=True):
        if failed is not None:
            tally.faults[repr(failed)] += 1
    return tally, samples


def settled(daemon: Daemon, most: int) -> int:
    """Wait until the descriptors of those who have gone are closed; return how many there are.

    A client that closes without a word may still listen; its machine tells otherwise after tcp_fin_timeout, 60 s.
    """
    until = time.monotonic() + 90
    while daemon.descriptors() > most and time.monotonic() < until:
        time.sleep(0.2)
    return daemon.descriptors()


def processor(daemon: Daemon) -> float:
    """Seconds of processor time that the daemon has used."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(seconds: float) -> int:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        options = [
            "--tcp", "tcp:0:queue=256KiB", "--tcp", "tcp:0:id=raw:dialect=raw:end=lf:topic=soak/raw:subscribe=soak/raw",
            "--tcp", f"unix:{folder}/hub.sock", "--udp", "udp:0", "--websocket", "tcp:0", "--handler", "upper",
        ]  # fmt: skip
        with Daemon(*options) as daemon:
            first, start = daemon.descriptors(), daemon.memory()
            tally, samples = asyncio.run(soak(daemon, folder, seconds))
            left, used = settled(daemon, first), processor(daemon)
        faults = Counter(tally.faults)
        faults["tracebacks in the log"] = daemon.log.count("Traceback")
        faults["exit status"] = abs(daemon.process.returncode)
    report(tally, samples, first, start, left, faults)
    show(f"processor    {used:.1f} s of {seconds:.0f} s")
    for fault, count in (+faults).items():
        show(f"FAULT        {fault}: {count}")
    return 1 if +faults else 0


def report(
    tally: Tally, samples: list[tuple[int, int]], first: int, start: int, left: int, faults: Counter[str]
) -> None:
    """Show the figures; count what is wrong with them.

    first, left  descriptors before the first client and after the last; start: bytes before the first
    """
    memory = [size for size, _ in samples]
    tenth = max(1, len(memory) // 10)
    early = sorted(memory[tenth : 2 * tenth])[tenth // 2]
    late = sorted(memory[-tenth:])[tenth // 2]
    show(f"clients      {sum(tally.lives.values())}, {dict(tally.lives)}")
    show(f"messages     {tally.sent} sent, {tally.output} heard")
    show(
        f"memory       {start // 1024} KiB before, {early // 1024} KiB in the second tenth, {late // 1024} KiB in the "
        f"last, {max(memory) // 1024} KiB at most"
    )
    show(f"descriptors  {first} before, {max(count for _, count in samples)} at most, {left} after")
    faults["messages lost"] = max(0, tally.sent - tally.output - sum(tally.faults.values()))
    faults["bytes of growth"] = late - early if late - early > GROWTH else 0
    faults["bytes above the start"] = max(memory) - start if max(memory) - start > PEAK else 0
    faults["descriptors left"] = max(0, left - first)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1_800.0))
