"""The results for people: a table, bars in text, a plot, and everything as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.figures import COMPILED, SUBJECT, Figure, Runs, Verdict, figures_of, in_words, judge, ran, ratio
from bench.plot import plot
from bench.works import OURS, WORKS, Aim, Work

BAR = 40  # characters of the longest bar
WIDTH = 120  # of the text file


def console() -> Console:
    """The terminal, or a pipe that is wide enough for the table."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=WIDTH)


def number(value: float) -> str:
    """With as many digits as matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def publish(results: dict[str, Any], stem: Path, terminal: Console) -> None:
    """Print it, and keep it as STEM.json, STEM.txt and STEM.png."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    with stem.with_suffix(".txt").open("w") as file:
        for output in (terminal, Console(file=file, width=WIDTH)):
            _print_all(results, output)
    plot(results["runs"], stem.with_suffix(".png"))
    terminal.print(f"kept as {stem.parent.name}/{stem.name}.json, .txt and .png", highlight=False)


def print_aims(console: Console) -> None:
    """The works, without running them."""
    table = Table("work", "what", "unit", "peers", "aims", box=box.SIMPLE)
    for work in WORKS.values():
        aims = "\n".join(in_words(work, aim, build) for aim in work.aims for build in _builds(aim))
        table.add_row(work.name, work.title, work.measure.unit, " ".join(work.peers), aims)
    console.print(table)


def _builds(aim: Aim) -> list[str]:
    """The builds that have an aim of their own."""
    return [build for build in OURS if aim.of(build)] if aim.compiled is not None else [SUBJECT]


def _print_all(results: dict[str, Any], console: Console) -> None:
    runs = results["runs"]
    for title in ("machine", "versions"):
        said = ", ".join(f"{name} {value}" for name, value in results[title].items())
        console.print(f"{title}: {said}", highlight=False)
    console.print(_table(runs, results["rounds"]))
    for note in _notes(runs):
        console.print(note, highlight=False, markup=False)
    _print_bars(runs, console)


def _table(runs: Runs, rounds: int) -> Table:
    table = Table(box=box.SIMPLE, title=f"medians of the undisturbed of {rounds} rounds; ratios within a round")
    for name in ("work", "unit", "peer", "figure", "least", "most", "ratio"):
        table.add_column(name, no_wrap=True, justify="left" if name in ("work", "unit", "peer") else "right")
    table.add_column("aim")
    for work in ran(runs):
        verdicts, heading = _verdicts(runs, work), (work.name, work.measure.unit)
        for name, figure in figures_of(runs, work).items():
            aim = _judged(verdicts.pop(0)) if verdicts else ""
            table.add_row(*heading, name, *_cells(runs, work, name, figure), aim)
            heading = ("", "")
        for verdict in verdicts:
            table.add_row(*[""] * 7, _judged(verdict))
        table.add_section()
    return table


def _verdicts(runs: Runs, work: Work) -> list[Verdict]:
    """Of both builds, aim by aim."""
    both = [(judge(runs, work, aim), judge(runs, work, aim, COMPILED)) for aim in work.aims]
    pure = [one for (one, _), aim in zip(both, work.aims, strict=True) if aim.ratio]
    return pure + [replace(one, aim=f"{COMPILED} {one.aim}") for _, one in both if one.met is not None]


def _cells(runs: Runs, work: Work, name: str, figure: Figure) -> tuple[str, str, str, str]:
    if not figure.rounds:
        return "none", "", "", ""
    marks = "*" * figure.saturated + "~" * (not figure.calm)
    compared = ratio(runs, work.name, name) if name != SUBJECT else None
    least, most = figure.spread
    shown = "" if compared is None else f"{compared:.2f}"
    return f"{marks}{number(figure.median)}", number(least), number(most), shown


def _judged(verdict: Verdict) -> str:
    if verdict.met is None:
        return f"{verdict.aim}: [dim]not measured[/]"
    return f"{verdict.aim}: {verdict.reached:.2f}, " + ("[green]met[/]" if verdict.met else "[red]not met[/]")


def _notes(runs: Runs) -> list[str]:
    """What the marks mean, and what went wrong."""
    notes = [
        "ratio: hubbub's figure to the peer's",
        "*: the load's core was full (udp: nothing was lost): the server could have given more",
        "~: other processes kept the server or the load from its core for a tenth of the time, in every round",
    ]
    for work in ran(runs):
        for name, figure in figures_of(runs, work).items():
            if figure.loss is not None:
                notes.append(f"{work.name}, {name}: {figure.loss:.0%} of what was sent was lost")
            if figure.error:
                notes.append(f"{work.name}, {name}: {figure.error}")
    return notes


def _print_bars(runs: Runs, console: Console) -> None:
    """Each work on its own scale."""
    for work in ran(runs):
        medians = {name: figure.median for name, figure in figures_of(runs, work).items() if figure.rounds}
        longest = max(medians.values(), default=0) or 1
        console.print(f"\n{work.name}: {work.title}, {work.measure.unit}", highlight=False)
        for name, value in medians.items():
            bar = "█" * max(1, round(BAR * value / longest))
            console.print(f"  {name:<10} {bar} {number(value)}", highlight=False)
