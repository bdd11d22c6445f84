"""`python -m bench.console`: what an open console costs, in the browser and in the daemon.

A publisher sends 5,000 messages a second on 10,000 topics: a minute without a console, and one in which headless
Chromium has a view of it open. Prints for each view a line of JSON: the tasks of the page's main thread by Chromium's
trace, the part of a core that they take, the page's memory after a collection of garbage, before and after the minute,
and the part of a core that the daemon takes without and with it; `console` is the difference.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import CDPSession, Page, sync_playwright

from bench.peers import PEERS, Running
from bench.start import running

RATE = 5_000  # messages a second
TOPICS = 10_000
STEP = 0.02  # s between two writes of the publisher
WARM = 10.0  # s
VIEWS = {
    "overview": "overview",
    "topics": "topics?topic=bench/000/000",
    "live": "live?filter=%23",
}
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
TRACE = {"includedCategories": ["disabled-by-default-devtools.timeline", "__metadata"]}


class Publisher(threading.Thread):
    """Publishes until it is ended; `sent` counts."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.sent = 0
        self._lines = [b"PUB bench/%03d/%03d %d\n" % (*divmod(n, 100), n) for n in range(TOPICS)]
        self._link = socket.create_connection(("127.0.0.1", port))
        self._ended = threading.Event()

    def run(self) -> None:
        """Send what is due, again and again."""
        each, due = int(RATE * STEP), time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            at = self.sent % TOPICS
            self._link.sendall(b"".join(self._lines[at : at + each]))
            self.sent += each
            due += STEP

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self._link.close()


def processor(pid: int) -> float:
    """Return the seconds that a process has had a core."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def heap(session: CDPSession) -> float:
    """Return the MiB that the page uses after a collection of garbage."""
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return used / 2**20


def tasks(session: CDPSession, page: Page, seconds: float) -> list[float]:
    """Return the ms of each task of the page's main thread."""
    events: list[dict[str, Any]] = []
    complete: list[object] = []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda told: complete.append(told))
    session.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": TRACE})
    page.wait_for_timeout(seconds * 1000)
    session.send("Tracing.end")
    while not complete:
        page.wait_for_timeout(100)
    threads = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in events:
        place = one["pid"], one["tid"]
        if one["name"] == "RunTask" and threads.get(place) == "CrRendererMain":
            found[place].append(one.get("dur", 0) / 1000)
    return max(found.values(), key=sum)  # the page's own; others are spare


def percentile(values: list[float], share: float) -> float:
    """Return the value that so many of `values` don't exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(page: Page, server: Running, publisher: Publisher, address: str, seconds: float) -> dict[str, Any]:
    """Look at the daemon without the console, and then at both."""
    time.sleep(WARM)
    began, alone = time.monotonic(), processor(server.pid)
    time.sleep(seconds)
    without = (processor(server.pid) - alone) / (time.monotonic() - began)
    page.goto(f"http://127.0.0.1:{server.ports.websocket}/#{address}")
    session = page.context.new_cdp_session(page)
    page.wait_for_timeout(WARM * 1000)
    before, began, used, sent = heap(session), time.monotonic(), processor(server.pid), publisher.sent
    took = tasks(session, page, seconds)
    passed = time.monotonic() - began
    used = (processor(server.pid) - used) / passed
    return {
        "messages/s": round((publisher.sent - sent) / passed), "tasks": len(took),
        **{f"p{share}_ms": percentile(took, share / 100) for share in (95, 99)}, "max_ms": max(took),
        "over_50_ms": sum(one > 50 for one in took), "page": round(sum(took) / 1000 / seconds, 3),
        "heap_MiB": [round(before, 2), round(heap(session), 2)],
        "daemon": [round(without, 4), round(used, 4)], "console": round(used - without, 4),
    }  # fmt: skip


def main() -> None:
    """Measure each view."""
    parser = argparse.ArgumentParser(prog="python -m bench.console", description="Measure an open console.")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each view, and without it (60)")
    parser.add_argument("--view", choices=VIEWS, action="append", help="this view alone; may be repeated")
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("bench: no browser: apt install chromium")
    for view in given.view or VIEWS:
        with running(PEERS["hubbub"]) as server, Publisher(server.ports.tcp) as publisher, \
                sync_playwright() as playwright:  # fmt: skip
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            told = measure(browser.new_page(), server, publisher, VIEWS[view], given.seconds)
            browser.close()
        sys.stdout.write(json.dumps({"view": view, **told}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
