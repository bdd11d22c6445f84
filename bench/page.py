"""`python -m bench.page RESULTS.json...`: writes the tables of docs/performance.md, between two markers.

Of several results, such as those of works that ran for fewer rounds, the first tells of the machine.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from bench.figures import COMPILED, SUBJECT, Figure, Runs, Verdict, figures_of, judge, ratio
from bench.reasons import REASONS
from bench.works import OURS, SECTIONS, Aim, Work

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
TABLES = re.compile(r"(<!-- python -m bench\.page writes from here -->\n).*?(<!-- to here -->)", re.DOTALL)
NAMES = {
    "mosquitto": "Mosquitto",
    "nats": "NATS",
    "redis": "Redis",
    "rabbitmq": "RabbitMQ",
    "crossbar": "Crossbar",
    "floor": "the floor",
    "autobahn": "Autobahn",
    "aiohttp": "aiohttp",
    "twisted": "Twisted",
    "datagrams": "a Twisted protocol that only counts",
    "jetstream": "JetStream",
    "jetstream-always": "JetStream that syncs always",
    "mosquitto-kept": "Mosquitto with persistence",
    "process": "`--durability process`",
    "fsync": "`--durability fsync`",
    "disk": "a program that only syncs",
    "history-memory": "in memory",
    "history-process": "`process`",
    "history-fsync": "`fsync`",
    "cluster-hubbub": "two nodes, pure",
    "cluster-compiled": "two nodes, compiled",
}
TITLES = {
    "lines": "Lines over TCP",
    "websocket": "Lines over WebSocket",
    "http": "HTTP",
    "tls": "MQTT over TLS",
    "mqtt": "MQTT",
    "nats": "NATS",
    "cluster": "Two nodes of a cluster",
    "stomp": "STOMP",
    "wamp": "WAMP",
    "kept": "Messages for clients that are away",
    "history": "The history",
    "links": "Datagrams, latency, links and memory",
    "stalled": "Beside subscribers that don't read",
    "growth": "With more subscribers, topics and filters",
}
UNITS = {
    "messages/s": "/s",
    "datagrams/s": "/s",
    "connections/s": "/s",
    "requests/s": "/s",
    "KiB/link": " KiB",
    "% lost": "%",
}
Results = dict[str, Any]


def write(results: Results, text: str) -> str:
    """Return the page with the tables of these results."""
    tables = [(TITLES[name], _table(results["runs"], works)) for name, works in SECTIONS.items()]
    made = "\n".join([_machine(results), *(f"\n### {title}\n\n{table}" for title, table in tables if table)])
    return TABLES.sub(lambda found: f"{found[1]}\n{made}\n\n{found[2]}", text)


def _machine(results: Results) -> str:
    about, versions = results["machine"], results["versions"]
    names = [name for name in ("mosquitto", "nats", "redis", "twisted", "autobahn") if name in versions]
    said = [f"{NAMES.get(name, name)} {versions[name]}" for name in names]
    return (
        f"Commit {about['commit']}, {results['started'][:10]}: {about['cpu']}, {about['cores']} cores, Linux "
        f"{about['kernel']}, Python {about['python']}, {', '.join(said)}; 100-byte payloads, medians of the "
        f"undisturbed of {results['rounds']} rounds of {results['seconds']:g} s."
    )


def _table(runs: Runs, works: list[Work]) -> str:
    rows = [_row(runs, work) for work in works if figures_of(runs, work)]
    head = ["| work | pure | compiled | beside it, and pure to it | aims |", "|---|---|---|---|---|"]
    return "\n".join(head + rows) if rows else ""


def _row(runs: Runs, work: Work) -> str:
    figures = figures_of(runs, work)
    ours = [_shown(figures.get(name), work) for name in OURS]
    others = [_beside(runs, work, name, figure) for name, figure in figures.items() if name not in OURS]
    aims = [said for aim in work.aims if (said := _aim(runs, work, aim))]
    missed = any(one.met is False for aim in work.aims for one in _verdicts(runs, work, aim).values())
    reason = f". {REASONS[work.name]}" if missed and work.name in REASONS else ""
    return f"| {work.title} | {ours[0]} | {ours[1]} | {'; '.join(others)} | {'; '.join(aims)}{reason} |"


def _shown(figure: Figure | None, work: Work) -> str:
    if figure is None:
        return ""
    if not figure.rounds:
        return "not measured"
    value, unit = figure.median, work.measure.unit
    if unit.startswith("us"):
        return f"{value / 1000:.2f} ms"
    digits = f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"
    return digits + UNITS.get(unit, f" {unit}") + ("" if figure.calm else " (disturbed)")


def _beside(runs: Runs, work: Work, name: str, figure: Figure) -> str:
    compared = ratio(runs, work.name, name)
    shown = _shown(figure, work)
    return f"{NAMES.get(name, name)} {shown}" + ("" if compared is None else f": {compared:.2f}")


def _verdicts(runs: Runs, work: Work, aim: Aim) -> dict[str, Verdict]:
    return {build: judge(runs, work, aim, build) for build in (SUBJECT, COMPILED) if aim.of(build)}


def _aim(runs: Runs, work: Work, aim: Aim) -> str:
    """`1.2 of Mosquitto: pure 1.31 met, compiled 1.40 met`."""
    told = [f"{name} {_verdict(aim, work, build, one)}" for build, one in _verdicts(runs, work, aim).items()
            if one.reached is not None and (name := "pure" if build == SUBJECT else build)]  # fmt: skip
    if not told:
        return ""
    of = f" of {aim.work}" if aim.work else "" if aim.peer is None else f" of {NAMES.get(aim.peer, aim.peer)}"
    goals = dict.fromkeys(
        f"{aim.of(build):,.3g}" if aim.peer else f"{aim.of(build):,g}" for build in OURS if aim.of(build)
    )
    unit = "" if aim.peer is not None else f" {work.measure.unit}"
    return f"{', '.join(goals)}{unit}{of}: {', '.join(told)}"


def _verdict(aim: Aim, work: Work, build: str, verdict: Verdict) -> str:
    assert verdict.reached is not None
    shown = f"{verdict.reached:.2f}" if aim.peer is not None else f"{float(f'{verdict.reached:.3g}'):,g}"
    if verdict.met:
        return f"{shown} met"
    goal = aim.of(build)
    off = 1 - verdict.reached / goal if work.measure.more_is_better else verdict.reached / goal - 1
    return f"{shown} **missed by {off:.0%}**"


def main() -> None:
    """Write the page anew."""
    if len(sys.argv) < 2:
        raise SystemExit("use: python -m bench.page bench/results/NAME.json [bench/results/ANOTHER.json ...]")
    results, *others = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    for other in others:
        results["runs"] += other["runs"]
    PAGE.write_text(write(results, PAGE.read_text()))


if __name__ == "__main__":
    main()
