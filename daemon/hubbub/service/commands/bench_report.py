"""What `hubbub bench` shows: a bar while it measures, then percentiles and a plot of the latencies."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

_WIDTH = 40  # characters of a bar
_ROWS_A_DECADE = 6  # rows of the plot from one latency to ten times as much
_ROWS = 24  # at most; the first and the last take what lies beyond
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHOW_SECONDS = 0.1  # between two drawings of the bar
PERCENTILES = (50.0, 90.0, 99.0, 99.9)


class Bar:
    """Tells on a terminal how far a phase is; in a pipe it says nothing."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._shown = -1.0
        self._on = sys.stderr.isatty()

    def show(self, seconds: float, count: int) -> None:
        """So many seconds are over, and so many messages have come."""
        if not self._on or seconds < self._shown + _SHOW_SECONDS:
            return
        self._shown = seconds
        part = min(1.0, seconds / self._seconds)
        done = round(part * _WIDTH)
        bar = f"\x1b[36m{'━' * done}\x1b[2m{'─' * (_WIDTH - done)}\x1b[0m"
        print(end=f"\r{self._name:<11}{bar} {part:4.0%}  {count:,} messages\x1b[K", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Give the line back."""
        if self._on:
            print(end="\r\x1b[K", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the sorted values that so many percent don't exceed."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def summary(paced: Any, fast: Any) -> dict[str, Any]:
    """Return the results as a JSON object: seconds, messages, messages a second."""
    found = sorted(paced.latencies)
    latency = {f"p{percent:g}": percentile(found, percent) for percent in PERCENTILES} if found else {}
    return {
        "latency": {**latency, "max": found[-1] if found else None, "sent": paced.sent, "received": paced.received},
        "throughput": {
            "seconds": fast.seconds, "sent": fast.sent, "received": fast.received, "rate": fast.received / fast.seconds,
        },
    }  # fmt: skip


def report(where: str, asked: Any, paced: Any, fast: Any) -> str:
    """Write the results for a person."""
    found = sorted(paced.latencies)
    lines = [f"{where}: {asked.size} bytes, QoS {asked.qos}", "", f"latency   {paced.received:,} messages"]
    lines[-1] += f" at {paced.sent / paced.seconds:,.0f}/s{_lost(paced)}"
    if found:
        tops = [f"p{percent:g} {shown(percentile(found, percent))}" for percent in PERCENTILES]
        lines += [f"          {'   '.join([*tops, f'max {shown(found[-1])}'])}", "", *plot(found)]
    rate, size = fast.received / fast.seconds, fast.received * asked.size / fast.seconds / 1e6
    lines += ["", f"throughput  {rate:,.0f} messages/s, {size:.1f} MB/s of payload{_lost(fast)}"]
    return "\n".join(lines) + "\n"


def _lost(phase: Any) -> str:
    lost = phase.sent - phase.received
    return f"; {lost:,} of {phase.sent:,} didn't come" if lost > 0 else ""


def plot(found: Sequence[float]) -> list[str]:
    """Draw how many of the sorted latencies, in seconds, lie where; rows grow by a constant factor."""
    rows = [_row_of(value) for value in found]
    first, last = rows[0], min(rows[-1], rows[0] + _ROWS - 1)
    counts = [0] * (last - first + 1)
    for row in rows:
        counts[min(row, last) - first] += 1
    most = max(counts)
    lines = []
    for at, count in enumerate(counts):
        sign = "≥" if first + at == last and rows[-1] > last else "<"
        edge = first + at + (sign == "<")
        share = f"{count / len(found):.1%}" if count else ""
        lines.append(f"{sign} {shown(10 ** (edge / _ROWS_A_DECADE)):>8}  {_bar(count / most)} {share}".rstrip())
    return lines


def _row_of(seconds: float) -> int:
    return math.floor(math.log10(max(seconds, 1e-7)) * _ROWS_A_DECADE)


def _bar(part: float) -> str:
    eighths = math.ceil(part * _WIDTH * 8)
    return (_EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()


def shown(seconds: float) -> str:
    """Write a time with three digits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            value = seconds * factor
            break
    return f"{value:.{max(0, 2 - int(math.log10(max(value, 1))))}f} {unit}"
