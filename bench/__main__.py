"""`python -m bench`: the works, round after round, peers in turn."""

from __future__ import annotations

import argparse
import fnmatch
import resource
import signal
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from bench import machine, report
from bench.figures import DISTURBED, Runs
from bench.peers import HERE, PEERS, Hubbub, Unusable
from bench.profile import profile, table
from bench.run import Failed, build, measure
from bench.works import OURS, WORKS, Work

DESCRIPTION = "hubbub, its peers and the floor at the same work, in turn"
ROUNDS = 3
SECONDS = 2.0  # of one measurement
QUICK_SECONDS = 0.5
TRIES = 3  # of a measurement that other processes disturb; the quietest counts
RESULTS = HERE / "results"

Turn = tuple[int, Work, str]  # the round, and which peer


def options() -> argparse.Namespace:
    """What to run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=DESCRIPTION)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s; the median counts")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run, default: %(default)s")
    parser.add_argument("--only", metavar="WORK", action="append", help="its name or pattern; repeats")
    parser.add_argument("--peer", metavar="NAME", action="append", choices=list(PEERS), help="repeats")
    parser.add_argument("--quick", action="store_true", help=f"one round of {QUICK_SECONDS} s")
    parser.add_argument("--twistd", default="", help="command line of twistd, as 'twistd --reactor=asyncio'")
    parser.add_argument("--profile", action="store_true", help="where the time of hubbub goes, instead of figures")
    parser.add_argument("--list", action="store_true", help="the works and their aims")
    return parser.parse_args()


def chosen(patterns: list[str] | None) -> list[Work]:
    """The works that match. Raises `SystemExit` for a pattern that matches none."""
    for pattern in patterns or []:
        if not fnmatch.filter(WORKS, pattern):
            raise SystemExit(f"bench: no work {pattern}; python -m bench --list names them")
    names = {name for pattern in patterns or ["*"] for name in fnmatch.filter(WORKS, pattern)}
    return [work for work in WORKS.values() if work.name in names]


def missing(works: list[Work], only: list[str] | None) -> dict[str, str]:
    """The peers that can't take part, each with its reason."""
    found = {}
    for name in {peer for work in works for peer in work.peers if not only or peer in only}:
        try:
            PEERS[name].path()
        except Unusable as error:
            found[name] = str(error)
    return found


def attempt(work: Work, peer: str, round_: int, seconds: float) -> dict[str, Any]:
    """One measurement; where it fails, its reason in place of the figure. One that was disturbed is repeated."""
    run = {"work": work.name, "peer": peer, "round": round_}
    try:
        tries = [measure(work, peer, seconds)]
        while tries[-1]["disturbed"] > DISTURBED and len(tries) < TRIES:
            tries.append(measure(work, peer, seconds))
    except (Unusable, Failed) as error:
        return run | {"error": str(error)}
    return run | min(tries, key=lambda told: told["disturbed"])


def in_turn(works: list[Work], rounds: int, peers: list[str] | None) -> list[Turn]:
    """Every round takes every work; its peers one after the other, another one first each round."""
    turns = []
    for round_ in range(rounds):
        for work in works:
            names = [name for name in work.peers if not peers or name in peers]
            first = round_ % max(1, len(names))
            turns += [(round_, work, name) for name in names[first:] + names[:first]]
    return turns


def run(turns: list[Turn], absent: dict[str, str], seconds: float, console: Console) -> Runs:
    """Take every turn but those of absent peers. ^C or SIGTERM ends it early, and what there is is reported."""
    runs: Runs = []
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, suppress(KeyboardInterrupt):
        task = progress.add_task("", total=len(turns))
        for round_, work, peer in turns:
            progress.update(task, description=f"{work.name:<18} {peer:<10}")
            if peer in absent:
                runs.append({"work": work.name, "peer": peer, "round": round_, "error": absent[peer]})
            else:
                runs.append(attempt(work, peer, round_, seconds))
            progress.advance(task)
    return runs


def profile_all(works: list[Work], seconds: float, console: Console) -> None:
    """Print where the time goes, of both builds, and keep it under results/."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "profile.txt").open("w") as file:
        kept = Console(file=file, width=report.WIDTH + 40)
        for name in OURS:
            profiles = []
            for work in works:
                if name in work.peers and work.load["work"] not in ("idle", "paced"):
                    console.print(f"{work.name}, {name}", highlight=False)
                    with suppress(Unusable, Failed):
                        profiles.append(profile(work, name, max(2.0, seconds)))
            kept.print(table(profiles, name))
    console.print(f"kept as {RESULTS.name}/profile.txt", highlight=False)


def main() -> None:
    """Run, then report on the terminal and under results/."""
    given = options()
    console = report.console()
    if given.list:
        report.print_aims(console)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers are stopped either way
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Hubbub.twistd = given.twistd
    works = chosen(given.only)
    rounds, seconds = (1, QUICK_SECONDS) if given.quick else (given.rounds, given.seconds)
    build()
    if given.profile:
        profile_all(works, seconds, console)
        return
    absent = missing(works, given.peer)
    started = datetime.now(UTC)
    runs = run(in_turn(works, rounds, given.peer), absent, seconds, console)
    results = {
        "started": started.isoformat(timespec="seconds"),
        "rounds": rounds,
        "seconds": seconds,
        "machine": machine.about(),
        "versions": machine.versions(absent),
        "missing": absent,
        "runs": runs,
    }
    report.publish(results, RESULTS / started.strftime("%Y%m%dT%H%M%SZ"), console)


if __name__ == "__main__":
    main()
