"""Medians, ratios and aims out of the runs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.works import WORKS, Aim, Work

Runs = list[dict[str, Any]]
SUBJECT = "hubbub"
COMPILED = "compiled"
DISTURBED = 0.1  # of the time server and load were kept from their cores by other processes


@dataclass(frozen=True)
class Figure:
    """What one peer reached in one work, over the rounds."""

    rounds: dict[int, float]
    calm: frozenset[int]  # the rounds that nothing disturbed
    saturated: bool  # the load's core was full in most rounds: the server could have given more
    loss: float | None  # of datagrams
    error: str  # the first round's that failed

    @property
    def median(self) -> float:
        """Of the calm rounds, or of all where there was none."""
        return median(self.rounds[n] for n in self.calm or self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and most."""
        return min(self.rounds.values()), max(self.rounds.values())


@dataclass(frozen=True)
class Verdict:
    """An aim, and how far hubbub came."""

    aim: str
    reached: float | None
    met: bool | None  # None: not measured


def figure_of(runs: Runs, work: str, peer: str) -> Figure | None:
    """None where that pair didn't run at all."""
    mine = [run for run in runs if run["work"] == work and run["peer"] == peer]
    good = [run for run in mine if "figure" in run]
    if not mine:
        return None
    losses = [run["loss"] for run in good if "loss" in run]
    return Figure(
        rounds={run["round"]: run["figure"] for run in good},
        calm=frozenset(run["round"] for run in good if run["disturbed"] <= DISTURBED),
        saturated=2 * sum(run["saturated"] for run in good) > len(good),
        loss=median(losses) if losses else None,
        error=next((run["error"] for run in mine if "error" in run), ""),
    )


def figures_of(runs: Runs, work: Work) -> dict[str, Figure]:
    """Of every peer that took its turn, in the table's order."""
    found = {name: figure_of(runs, work.name, name) for name in work.peers}
    return {name: figure for name, figure in found.items() if figure is not None}


def ratio(runs: Runs, work: str, peer: str, reference: str = "", subject: str = SUBJECT) -> float | None:
    """Our figure to the peer's (in `reference` where given): the median of the calm rounds, or of all."""
    ours, theirs = figure_of(runs, work, subject), figure_of(runs, reference or work, peer)
    if ours is None or theirs is None:
        return None
    both = {n for n in ours.calm & theirs.calm or ours.rounds if theirs.rounds.get(n)}
    return median(ours.rounds[n] / theirs.rounds[n] for n in both) if both else None


def in_words(work: Work, aim: Aim, subject: str = SUBJECT) -> str:
    """As the table says it."""
    bound = "≥" if work.measure.more_is_better else "≤"
    if aim.peer is None:
        return f"{bound} {aim.of(subject):g} {work.measure.unit}"
    return f"{bound} {aim.of(subject):.3g}x {aim.work or aim.peer}"


def judge(runs: Runs, work: Work, aim: Aim, subject: str = SUBJECT) -> Verdict:
    """Has `subject` met this aim? An aim of 0 is none."""
    ours = figure_of(runs, work.name, subject)
    if aim.peer is not None:
        peer = subject if aim.peer == SUBJECT else aim.peer
        reached = ratio(runs, work.name, peer, aim.work, subject)
    else:
        reached = ours.median if ours and ours.rounds else None
    if reached is None or not aim.of(subject):
        return Verdict(in_words(work, aim, subject), None, None)
    met = reached >= aim.of(subject) if work.measure.more_is_better else reached <= aim.of(subject)
    return Verdict(in_words(work, aim, subject), reached, met)


def ran(runs: Runs) -> list[Work]:
    """The works that have runs, in the table's order."""
    names = {run["work"] for run in runs}
    return [work for name, work in WORKS.items() if name in names]
