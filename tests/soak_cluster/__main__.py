"""`python -m soak_cluster [SECONDS]`: faults one after the other, at least 100 in 30 minutes.

As root the machines are network namespaces, whose links are cut too. It prints a line for each fault, then what
docs/cluster.md tells, and ends with status 1 where something was lost, doubled at QoS 2, invented, out of order, or
isn't the same at all nodes.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from soak_cluster.checker import Ear, Writer, faults, faults_of_group, replay
from soak_cluster.machine import Machine, paused
from soak_cluster.network import MACHINES, network

_APART = "HUBBUB_SOAK_APART"  # set in the process that has a network namespace of its own
_BACK = 90.0  # seconds after which service that isn't back is a failure
_END = 180.0  # seconds in which everything has to have come
_LONG = 0.05  # of the pauses are of 60 s, in a run of at least 10 minutes


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Soak:
    """The machines, their clients, and what happens to them."""

    def __init__(self, machines: list[Machine], seconds: float) -> None:
        self.machines = machines
        self.back: dict[str, list[float]] = {}
        self.failed: list[str] = []
        self.writers = [Writer(one.where, one.at, qos) for one in machines for qos in (1, 2)]
        self.ears = [Ear(one.where, f"ear{one.at}") for one in machines]
        self.members = [Ear(one.where, f"member{one.at}", "$share/soak/soak/#") for one in machines]
        self._long = seconds >= 600
        self._flowing = True
        self._flow = threading.Thread(target=self._publish, daemon=True)

    def begin(self) -> None:
        for ear in (*self.ears, *self.members):
            assert ear.ready.wait(60), f"{ear.name} gets no SUBACK"
        self._flow.start()

    def _publish(self) -> None:
        while self._flowing:
            for writer in self.writers:
                writer.publish()
            time.sleep(0.02)

    # Faults

    def strike(self) -> None:
        """Let one thing fail, and wait until service is back."""
        one = random.choice(self.machines)
        what = [
            self.kill_server,
            self.kill_leader,
            self.pause_server,
            self.kill_node,
            self.pause_node,
            self.restart_node,
        ]
        if one.network.can_cut:
            what += [self.cut]
        act = random.choice(what)
        name = act.__name__.replace("_", " ")
        act(one)
        before, began = [len(writer.acknowledged) for writer in self.writers], time.monotonic()
        back = self._wait(
            lambda: all(len(one.acknowledged) > count for one, count in zip(self.writers, before, strict=True)), _BACK
        )
        took = time.monotonic() - began
        if not back:
            self.failed.append(f"service wasn't back {_BACK:g} s after: {name} of {one.name}")
        self.back.setdefault(name, []).append(took)
        show(f"{name} of {one.name}: back in {took:.1f} s")

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def _seconds(self) -> float:
        return 60.0 if self._long and random.random() < _LONG else 5.0

    def kill_server(self, one: Machine) -> None:
        one.end_server()
        time.sleep(random.uniform(0, 3))
        one.start_server()

    def kill_leader(self, one: Machine) -> None:
        leader = next(filter(None, (other.leader() for other in self.machines)), None)
        self.kill_server(next((other for other in self.machines if other.name == leader), one))

    def pause_server(self, one: Machine) -> None:
        paused(one.server, self._seconds())

    def kill_node(self, one: Machine) -> None:
        one.end_node()
        time.sleep(random.uniform(0, 3))
        one.start_node()

    def pause_node(self, one: Machine) -> None:
        assert one.node is not None
        paused(one.node.process, self._seconds())

    def restart_node(self, one: Machine) -> None:
        one.end_node(signal.SIGTERM)
        one.start_node()

    def cut(self, one: Machine) -> None:
        one.network.cut(one.at)
        time.sleep(random.uniform(1, 15))
        one.network.mend(one.at)

    # The end

    def _is_answered(self) -> bool:
        for writer in self.writers:
            writer.look()
        return not any(writer.waiting for writer in self.writers)

    def finish(self) -> Counter[str]:
        """Wait until everything has come, and count what is wrong."""
        self._flowing = False
        self._flow.join()
        if not self._wait(self._is_answered, _END):
            self.failed.append(f"{sum(writer.waiting for writer in self.writers)} messages have no acknowledgement")
        known = sum(len(writer.acknowledged) for writer in self.writers)
        self._wait(lambda: all(not faults(self.writers, ear.got)["lost"] for ear in self.ears), _END)
        self._wait(lambda: not faults_of_group(self.writers, self.members)["lost in the group"], _END)
        found: Counter[str] = Counter()
        for ear in self.ears:
            wrong = +faults(self.writers, ear.got)
            show(f"{ear.name}: {len(ear.got)} messages; {dict(wrong) or 'nothing'} wrong")
            found += wrong
        wrong = faults_of_group(self.writers, self.members)
        show(f"group: {sum(len(one.got) for one in self.members)} messages; {dict(wrong) or 'nothing'} wrong")
        found += wrong
        replays = [replay(one.where) for one in self.machines]
        if any(one != replays[0] for one in replays):
            self.failed.append(f"the histories differ: {[len(one) for one in replays]} messages")
        refused = sum(len(writer.refused) for writer in self.writers)
        show(f"{known} acknowledged, {refused} refused, {len(replays[0])} in the history of each node")
        for one in (*self.writers, *self.ears, *self.members):
            one.stop()
        return found


def run(seconds: float, apart: bool) -> int:
    """Let things fail for so long. Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="hubbub-soak-") as folder, network(apart) as net:
        machines = [Machine(net, Path(folder), at) for at in range(MACHINES)]
        try:
            for one in machines:
                one.start_server()
            for one in machines:
                one.start_node()
            soak = Soak(machines, seconds)
            soak.begin()
            until = time.monotonic() + seconds
            while time.monotonic() < until and not soak.failed:
                soak.strike()
                time.sleep(random.uniform(0, 2))
            wrong = soak.finish()
            logs = "\n".join(
                [*(log for one in machines for log in one.logs), *(one.node.log for one in machines if one.node)]
            )
        finally:
            for one in machines:
                one.end_node()
                one.end_server()
    return _report(soak, wrong, logs)


def _report(soak: Soak, wrong: Counter[str], logs: str) -> int:
    count = 0
    for name, times in sorted(soak.back.items()):
        count += len(times)
        show(f"{name:14} {len(times):4} times; back in {statistics.median(times):.1f} s, at most {max(times):.1f} s")
    show(f"{count} faults; {dict(wrong) or 'nothing lost, doubled, invented or out of order'}")
    if "Traceback" in logs:
        soak.failed.append(f"a node has raised: {logs[logs.index('Traceback') :][:2_000]}")
    for one in soak.failed:
        show(f"FAILED: {one}")
    bad = [name for name in wrong if not name.startswith("doubled at QoS 1")]
    return 1 if soak.failed or bad else 0


def main() -> int:
    """Run, in a network namespace of its own where that may be."""
    if _APART not in os.environ and os.geteuid() == 0 and not subprocess.run(["unshare", "--net", "true"]).returncode:
        apart = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*apart, sys.executable, "-m", "soak_cluster", *sys.argv[1:]]
        return subprocess.run(command, env=os.environ | {_APART: "1"}, check=False).returncode
    return run(float(sys.argv[1]) if len(sys.argv) > 1 else 1800.0, _APART in os.environ)


if __name__ == "__main__":
    sys.exit(main())
