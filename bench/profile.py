"""Where the time of a work goes: py-spy looks at the daemon, native frames included, while the load runs.

Each sample is told by the innermost frame that says what was done: a system call, or the room of the house.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from bench.peers import PEERS, Running, Unusable
from bench.run import load
from bench.start import running
from bench.works import Work

RATE = 500  # samples a second
WARM = 0.7  # s until the links are open and messages flow
SYSTEM_CALLS = {
    "recv": r"^(__libc_recv|recv|__recv|recvfrom|__recvfrom|__libc_recvfrom|recvmsg)\b",
    "send": r"^(__libc_send|send|__send|sendto|__sendto|writev|__libc_sendto)\b",
    "epoll": r"^epoll_",
}
FILES = {  # of daemon/hubbub: the files and folders whose functions do it
    "frames": "transports/frames transports/masks transports/deflate",
    "read": "dialects framing line_dialect topics",
    "events": "events publish message",
    "outbox": "kernel/connection/units kernel/connection/overflow kernel/connection/backlog "
    "kernel/connection/outbox kernel/connection/flushing kernel/connection/egress "
    "kernel/connection/datagram_outbox kernel/connection/per_link_encoder kernel/sessions",
    "hub": "kernel/hub kernel/turn kernel/alarms kernel/counters kernel/commits kernel/scheduler kernel/routing",
    "link": "kernel/connection kernel/ingress kernel/authorization",
    "transport": "transports service/process/reactor",
}
ENCODE = (
    r"^(?:\w+\.encode(?:_all)?|is_(?:ascii_)?text|encoded) \(hubbub/|mqtt/(?:messages|outbound|aliases)|stomp/messages"
    r"|CPyDef_(?:lines___Lines___encode|lines_text___is_\w*text|router___encoded|\w+___messages___(?:encode|_is_plain))"
)
LIBRARIES = {"autobahn": r"autobahn/", "twisted": r"twisted/"}
HUBBUB = Path(__file__).parents[1] / "daemon/hubbub"


def pattern_of(files: str) -> str:
    """Return a pattern for frames of these files and folders, and for the C functions that mypyc makes of them."""
    stems = {
        inner.stem
        for one in files.split()
        for inner in ([HUBBUB / f"{one}.py"] if (HUBBUB / f"{one}.py").exists() else (HUBBUB / one).iterdir())
        if inner.suffix == ".py" and inner.stem != "__init__"
    }
    return rf"hubbub/(?:{'|'.join(files.split())})[./]|CPyDef_(?:{'|'.join(sorted(stems))})___"


PARTS = {  # what is done, and the frames that do it; the first that fits counts
    **SYSTEM_CALLS,
    "openssl": r"\(lib(?:ssl|crypto)\b|\(_ssl\.",
    "encode": ENCODE,
    **{name: pattern_of(files) for name, files in FILES.items()},
    **LIBRARIES,
}
PARTS["read"] += r"|hubbub_plugins/|CPyDef_(?:mqtt|stomp|wamp)___"
_PARTS = {name: re.compile(pattern) for name, pattern in PARTS.items()}
REST = "rest"


def part_of(stack: str) -> str:
    """What a sample, frames from the outermost with semicolons between, was doing."""
    for frame in reversed(stack.split(";")):
        for name, pattern in _PARTS.items():
            if pattern.search(frame):
                return name
    return REST


def profile(work: Work, name: str, seconds: float) -> dict[str, Any]:
    """Share of the samples by part, and the daemon's CPU for each delivery. Raises `Unusable`, `bench.run.Failed`."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise Unusable("py-spy is missing: pip install py-spy")
    with running(PEERS[name]) as server, tempfile.NamedTemporaryFile() as raw:
        command = [spy, "record", "--native", "--format", "raw", "--rate", str(RATE), "--duration", str(int(seconds))]
        before = _cpu(server)
        waiting = ["/bin/sh", "-c", f'sleep {WARM}; exec "$@"', "sh", *command, "--output", raw.name]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        watch = subprocess.Popen([*waiting, "--pid", str(server.pid)], **quiet)
        began = time.monotonic()
        told = load(work, PEERS[name], server, seconds=seconds + 2)
        used = _cpu(server) - before
        watch.wait(10 + time.monotonic() - began)
        shares: Counter[str] = Counter()
        for line in Path(raw.name).read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            shares[part_of(stack)] += int(count)
    done = told["deliveries"] or told["churned"]
    total = max(1, shares.total())
    return {"work": work.name, "us": 1e6 * used / max(1, done), "shares": {k: n / total for k, n in shares.items()}}


def _cpu(server: Running) -> float:
    """Seconds of CPU that the daemon has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def table(profiles: list[dict[str, Any]], name: str) -> Table:
    """A row for each work: microseconds of CPU for each message delivered, and the share of each part."""
    shown = Table(box=box.SIMPLE, title=f"{name}: microseconds of CPU for each delivery, and its parts in percent")
    names = [*PARTS, REST]
    for column in ("work", "us", *names):
        shown.add_column(column, justify="left" if column == "work" else "right", no_wrap=True)
    for one in profiles:
        parts = (f"{100 * one['shares'].get(part, 0):.0f}" for part in names)
        shown.add_row(one["work"], f"{one['us']:.2f}", *parts)
    return shown
