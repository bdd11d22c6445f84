"""Writes what a daemon tells of itself for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from hubbub.option import printable

_LEAST = 6  # characters that a cell keeps, however narrow the terminal is

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], object]]

_PLACES: Columns = {
    "id": lambda row: row["id"],
    "where": lambda row: f"{row['transport']} {row['where']}",
    "dialect": lambda row: row["dialect"],
    "links": lambda row: row["links"],
    "in": lambda row: row["received"],
    "out": lambda row: row["sent"],
    "waiting": lambda row: size(row["waiting"]),
    "dropped": lambda row: row["dropped"],
    "refused": lambda row: row["refused"],
}
_STATE: Columns = {**_PLACES, "state": lambda row: row["state"]}
_NODES: Columns = {
    "name": lambda row: row["name"],
    "clients": lambda row: row["clients"],
    "up": lambda row: time(row["up"]),
    "silent": lambda row: f"{row['silent']} s",
}


_WORKERS: Columns = {
    "number": lambda row: row["number"],
    "pid": lambda row: row["pid"] or "-",
    "state": lambda row: row["state"],
    "starts": lambda row: row["starts"],
    "up": lambda row: time(row["up"]) if "up" in row else "-",
    "memory": lambda row: size(row["memory"]) if "memory" in row else "-",
    "links": lambda row: row["links"],
    "in": lambda row: row.get("published", "-"),
    "out": lambda row: row.get("delivered", "-"),
}
_ABOUT: Columns = {
    "node": lambda row: row["name"],
    "version": lambda row: row["version"],
    "up": lambda row: time(row["up"]),
    "memory": lambda row: size(row["memory"]),
    "links": lambda row: row["links"],
    "filters": lambda row: row["subscriptions"],
    "in": lambda row: row["published"],
    "out": lambda row: row["delivered"],
    "dropped": lambda row: row["dropped"],
    "lag": lambda row: "-" if row["lag"] is None else f"{row['lag'] * 1_000:.1f} ms",
}


def cluster_report(found: Row, width: int | None = None) -> str:
    """Write what all nodes tell of themselves, then what doesn't work."""
    there = [row for row in found["nodes"] if "unreachable" not in row]
    gone = [row for row in found["nodes"] if "unreachable" in row]
    count = f"{len(there)} node{'s' * (len(there) != 1)}"
    lines = [printable(f"cluster {found['cluster']}: {count}, {len(gone)} unreachable")]
    troubles = [f"UNREACHABLE  {row['name']}: {row['unreachable']}" for row in gone]
    troubles += [f"DEGRADED  {row['name']}: {why}" for row in there for why in row["degraded"]]
    lines += [table(there, _ABOUT, width).rstrip("\n"), *filled(map(printable, troubles), width)]
    return "\n".join(lines) + "\n"


def filled(lines: Iterable[str], width: int | None) -> Iterable[str]:
    """Break lines that are longer than `width` characters; None: no limit."""
    return lines if width is None else (fill(line, width, subsequent_indent=" " * 10) for line in lines)


def report(status: Row, width: int | None = None) -> str:
    """Write a status in some lines and tables; none is longer than `width` characters, None: as long as they are."""
    lines = [headline(status)]
    for name, columns in (("listeners", _PLACES), ("connectors", _STATE)):
        if status[name]:
            lines += ["", name, table(status[name], columns, width).rstrip("\n")]
    if workers := status.get("workers"):
        lines += ["", "workers", table(workers, _WORKERS, width).rstrip("\n")]
    if cluster := status.get("cluster"):
        lines += ["", "nodes", table(cluster["members"], _NODES, width).rstrip("\n")]
    lines += ["", *filled(summary(status), width)]
    return "\n".join(lines) + "\n"


def terminal_width() -> int | None:
    """Return how many characters a line of stdout has; None: it is no terminal, and a line has room for all."""
    return get_terminal_size().columns if sys.stdout.isatty() else None


def headline(status: Row) -> str:
    """Say in a line how the daemon is."""
    up = time(status["uptime"])
    links = f"{status['links']} link{'s' * (status['links'] != 1)}"
    return printable(f"hubbub {status['version']}, pid {status['pid']}, up {up}, {size(status['memory'])}, {links}")


def summary(status: Row) -> list[str]:
    """Say in some lines what there is beside listeners."""
    topics, outboxes, counters = status["topics"], status["outboxes"], status["counters"]
    sessions = status["sessions"]
    waiting = size(outboxes["waiting"])
    if outboxes["memory"]:
        waiting += f", {size(outboxes['memory'])} of memory"
    if outboxes["worst"] is not None:
        waiting += f", most for link {outboxes['worst']['link']} ({size(outboxes['worst']['waiting'])})"
    kept = f"{topics['retained']} retained ({size(topics['retained_bytes'])})"
    handlers = [f"{one['id']} ({one['failed']} failures)" if one["failed"] else one["id"] for one in status["handlers"]]
    lines = [
        f"topics    {topics['routed']} in use, {topics['subscriptions']} subscriptions, {kept}",
        f"messages  {counters['published']} in, {counters['delivered']} out, {counters['dropped']} dropped",
        f"refused   {_reasons(counters['refused'], status['refused'])}",
        f"waiting   {waiting}",
        f"sessions  {sessions['away']} offline, {sessions['queued']} messages queued ({size(sessions['bytes'])})",
        f"kept      {_kept(status['store'])}",
        *_history(status.get("history")),
        *_cluster(status.get("cluster")),
        f"plugins   {', '.join(status['plugins'])}",
    ]
    if (busiest := status["busiest"]) is not None:
        lines.append(f"busiest   link {busiest['link']}, {busiest['who']}: put off {busiest['deferred']} times")
    if handlers:
        lines.append(f"handlers  {', '.join(handlers)}")
    return list(map(printable, lines))


def _history(history: Row | None) -> list[str]:
    if not history:
        return []
    unkept = f"; {history['unkept']} COULDN'T BE KEPT" if history["unkept"] else ""
    filters = f"{history['rules']} filter{'s' * (history['rules'] != 1)}"
    return [f"history   {history['messages']} messages ({size(history['bytes'])}), {filters}{unkept}"]


def _cluster(cluster: Row | None) -> list[str]:
    if not cluster:
        return []
    lag = "" if cluster["lag"] is None else f", lag {cluster['lag'] * 1_000:.1f} ms"
    where = f" by {cluster['server']}" if cluster["server"] else ""
    names = f"{cluster['node']} of {', '.join(cluster['nodes'])} in {cluster['cluster']}"
    counts = f"{cluster['sent']} out, {cluster['received']} in, {cluster['dropped']} dropped"
    degraded = f"; DEGRADED: {'; '.join(cluster['degraded'])}" if cluster["degraded"] else ""
    servers = f"          servers {', '.join(cluster['servers'])}; {cluster['filters']} filters; {counts}"
    state = f"cluster   {cluster['state']}{where}{lag}: {names}{degraded}"
    return [state, servers, _stream(cluster["stream"]), _moves(cluster["sessions"])]


def _stream(stream: Row) -> str:
    at = "not joined" if stream["position"] is None else f"at {stream['position']}, {stream['behind']} behind"
    return f"          stream {at}; {stream['waiting']} wait for it ({size(stream['waiting_bytes'])})"


def _moves(sessions: Row) -> str:
    moved = f"{sessions['moved']} came from other nodes, {sessions['let_go']} went to others"
    return f"          sessions {sessions['owned']} here; {moved}"


def _kept(store: Row) -> str:
    if not store:
        return "in memory"
    failing = f"; NOTHING CAN BE WRITTEN: {store['failing']}" if store["failing"] else ""
    return f"in {store['folder']}, durability {store['durability']}{failing}"


def _reasons(count: int, reasons: Mapping[str, int]) -> str:
    listed = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items(), key=lambda one: -one[1]))
    return f"{count} ({listed})" if listed else str(count)


def table(rows: Iterable[Row], columns: Columns, width: int | None = None) -> str:
    """Write rows under the names of their columns; numbers stand to the right.

    width  characters of a line: where that is too few, columns of zeros are left out, and texts are cut; None: no limit
    """
    cells = [list(columns), *([printable(str(column(row))) for column in columns.values()] for row in rows)]
    made = [list(column) for column in zip(*cells, strict=True)]
    if width is not None:
        _fit(made, width)
    aligned = [_aligned(column) for column in made]
    return "".join("  " + "  ".join(row).rstrip() + "\n" for row in zip(*aligned, strict=True))


def _aligned(column: list[str]) -> list[str]:
    width, numbers = max(map(len, column)), all(cell[:1].isdigit() for cell in column[1:])
    return [cell.rjust(width) if numbers else cell.ljust(width) for cell in column]


def _fit(columns: list[list[str]], width: int) -> None:
    """Leave out columns of zeros, the last first, then cut the longest texts, until a line has `width` characters."""

    def excess() -> int:
        return sum(2 + max(map(len, column)) for column in columns) - width

    for column in [one for one in reversed(columns) if set(one[1:]) <= {"0", "0 B"}]:
        if excess() > 0:
            columns.remove(column)
    while (more := excess()) > 0:
        column = max(columns, key=lambda one: max(map(len, one)))
        longest = max(map(len, column))
        if longest <= _LEAST:
            return
        short = max(_LEAST, longest - more)
        column[:] = [cell if len(cell) <= short else cell[: short - 1] + "…" for cell in column]


def size(count: float) -> str:
    """Write bytes: 812 B, 1.5 KiB, 24 MiB."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024 or unit == "GiB":
            break
    return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"


def time(seconds: float) -> str:
    """Write a duration in its two largest units: 12 s, 3 min 5 s, 2 d 4 h."""
    left, parts = int(seconds), list[str]()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
