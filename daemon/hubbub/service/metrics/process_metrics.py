"""Metrics of the process, by the names that all programs have for them.

The collector of prometheus_client lists all descriptors, which takes 1 us for each in one turn; the kernel counts them.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_DESCRIPTORS = Path("/proc/self/fd")


def open_descriptors() -> int:
    """Return how many descriptors are open. Linux tells it from 6.2 on; before, each is looked at, 1 us."""
    return _DESCRIPTORS.stat().st_size or len(os.listdir(_DESCRIPTORS))  # noqa: PTH208  names are enough


class ProcessMetrics(Collector):
    """Reads what the system knows of this process (proc(5), stat and statm).

    A unit with ProcSubset=pid has nothing else of /proc, such as the time of boot.
    """

    def __init__(self) -> None:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        self._started = time.time() - age

    def collect(self) -> Iterator[Metric]:
        virtual, resident = map(int, Path("/proc/self/statm").read_text().split()[:2])
        page, used = os.sysconf("SC_PAGE_SIZE"), os.times()
        yield _gauge("virtual_memory_bytes", "Virtual memory size in bytes", virtual * page)
        yield _gauge("resident_memory_bytes", "Resident memory size in bytes", resident * page)
        yield _gauge("start_time_seconds", "Start time of the process in Unix seconds", self._started)
        yield CounterMetricFamily("process_cpu_seconds", "User and system CPU time", value=used.user + used.system)
        yield _gauge("open_fds", "Open file descriptors", open_descriptors())
        yield _gauge("max_fds", "Maximum of open file descriptors", resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"process_{name}", help, value=value)
