"""The plot of the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.figures import SUBJECT, Runs, figures_of, ran, ratio
from bench.works import Work

MARKERS = "os^Dvp*"
STYLES = ("-", "--", ":")


def plot(runs: Runs, path: Path) -> None:
    """Draw the ratios, and the curves of growth."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    works = ran(runs)
    ratios, grown = [work for work in works if not work.growth], [work for work in works if work.growth]
    panels = [(draw, some) for draw, some in ((_plot_ratios, ratios), (_plot_growth, grown)) if some]
    size = (7 * len(panels), 3 + 0.4 * max(len(ratios), 8))
    figure, columns = plt.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False)
    for axes, (draw, some) in zip(columns[0], panels, strict=True):
        draw(axes, runs, some)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _plot_ratios(axes: Any, runs: Runs, works: list[Work]) -> None:
    """How many times better hubbub is than each peer: above one is better, whatever the unit."""
    names = list(dict.fromkeys(name for work in works for name in work.peers if name != SUBJECT))
    for n, name in enumerate(names):
        color = f"C{n}"
        for row, work in enumerate(works):
            better = 1 if work.measure.more_is_better else -1
            aims = [aim.ratio**better for aim in work.aims if aim.peer == name and aim.ratio]
            axes.plot(aims, [row] * len(aims), "|", color=color, markersize=16)
            if name in work.peers and (value := ratio(runs, work.name, name)):
                axes.plot(value**better, row, MARKERS[n % len(MARKERS)], color=color)
        axes.plot([], [], MARKERS[n % len(MARKERS)], color=color, label=f"than {name}")
    axes.legend()
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(works)), [work.name for work in works])
    axes.invert_yaxis()
    axes.set_xlabel("times better is hubbub (strokes: aims)")


def _plot_growth(axes: Any, runs: Runs, works: list[Work]) -> None:
    """Time per delivery as something grows."""
    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for work in works:
        assert work.growth is not None
        for name, figure in figures_of(runs, work).items():
            if figure.rounds:
                curves.setdefault((work.growth[0], name), []).append((work.growth[1], 1e6 / figure.median))
    kinds, names = ([*dict.fromkeys(pair[i] for pair in curves)] for i in (0, 1))
    for (curve, name), points in curves.items():
        style, color = STYLES[kinds.index(curve)], f"C{names.index(name)}"
        axes.plot(*zip(*points, strict=True), style, color=color, marker=".", label=f"{curve}, {name}")
    if curves:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(fontsize="small")
    axes.set_xlabel("how many")
    axes.set_ylabel("us per delivery")
