"""What `hubbub bench` makes of its measurements."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.service.commands.bench_report import percentile, plot, report, shown, summary

TIMES = st.lists(st.floats(1e-6, 1000.0), min_size=1, max_size=200).map(sorted)


@given(TIMES, st.floats(0.1, 100.0))
def test_a_percentile_is_the_smallest_value_that_so_many_dont_exceed(values, percent):
    found = percentile(values, percent)
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-6
    assert sum(value < found for value in values) < len(values) * percent / 100 + 1e-6


@given(TIMES)
def test_a_plot_is_bounded_and_shows_all(values):
    lines = plot(values)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 60
    shares = [float(line.split()[-1].rstrip("%")) for line in lines if line.endswith("%")]
    assert sum(shares) == pytest.approx(100, abs=0.06 * len(lines))
    assert any("█" * 40 in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 µs"), (1.234e-4, "123 µs"), (1e-3, "1.00 ms"), (0.0256, "25.6 ms"), (12.34, "12.3 s")],
)
def test_times(seconds, text):
    assert shown(seconds) == text


def phase(sent, latencies):
    return SimpleNamespace(seconds=2.0, sent=sent, received=len(latencies), latencies=latencies)


def test_what_is_lost_is_reported():
    asked = SimpleNamespace(size=100, qos=1)
    text = report("tcp://h:1", asked, phase(4, [0.001, 0.003, 0.002]), phase(10, [0.1] * 8))
    assert "p50 2.00 ms" in text
    assert "1 of 4 didn't come" in text
    assert "4 messages/s" in text
    assert "2 of 10 didn't come" in text
    found = summary(phase(4, [0.001, 0.003, 0.002]), phase(10, [0.1] * 8))
    assert found["latency"]["max"] == 0.003
    assert found["throughput"]["rate"] == 4.0


def test_nothing_came():
    asked = SimpleNamespace(size=100, qos=0)
    assert "4 of 4 didn't come" in report("udp://h:1", asked, phase(4, []), phase(4, []))
    assert summary(phase(4, []), phase(4, []))["latency"]["max"] is None
