"""What several workers tell of themselves, as one daemon would tell it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Status = dict[str, Any]
LINKS = 1_000_000_000  # a link of worker 2 is number 2,000,000,007 outside, and 7 there

_SAME = ("version", "metrics", "plugins", "cluster", "store", "history", "handlers", "connectors")
_SHARED = ("retained", "retained_bytes")  # each worker has all of them


def outside(worker: int, link: int) -> int:
    """Return the number of a worker's link as operators see it."""
    return worker * LINKS + link


def total(statuses: Sequence[tuple[int, Status]]) -> Status:
    """Return one status of those of some workers, by number; the first worker has connectors and handlers."""
    all_of = [status for _, status in statuses]
    first = min(statuses, key=lambda one: one[0])[1]
    made: Status = _sum(all_of) | {name: first[name] for name in _SAME if name in first}
    made["topics"] |= {name: max(one["topics"][name] for one in all_of) for name in _SHARED}
    made["outboxes"]["worst"] = _greatest("waiting", [(n, status["outboxes"]["worst"]) for n, status in statuses])
    made["busiest"] = _greatest("deferred", [(n, status["busiest"]) for n, status in statuses])
    return made


def _greatest(by: str, links: Iterable[tuple[int, Status | None]]) -> Status | None:
    """Return the link that has most of something, among one of each worker or None."""
    known = [one | {"link": outside(number, one["link"])} for number, one in links if one is not None]
    return max(known, key=lambda one: one[by], default=None)


def _sum(values: Sequence[Any]) -> Any:
    """Add up numbers, also in objects and in lists of objects with an id; of all else the first counts."""
    known = [value for value in values if value is not None]
    first = known[0] if known else None
    if isinstance(first, dict):
        return {
            name: _sum([one.get(name) for one in known]) for name in dict.fromkeys(key for one in known for key in one)
        }
    if isinstance(first, list) and first and isinstance(first[0], dict) and "id" in first[0]:
        ids = dict.fromkeys(row["id"] for rows in known for row in rows)
        return [_sum([row for rows in known for row in rows if row["id"] == id]) for id in ids]
    if isinstance(first, int | float) and not isinstance(first, bool):
        return sum(known)
    return first


_HEAD = re.compile(r"# (?:HELP|TYPE|UNIT) (\S+)")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{)?(.*)")


def metrics(pages: Iterable[tuple[int, str]]) -> str:
    """Return one page of the pages of some workers (Prometheus text format 0.0.4), each sample with its worker."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for number, page in pages:
        family = ""
        for line in page.splitlines():
            if found := _HEAD.match(line):
                family = found[1]
                if line not in heads.setdefault(family, []):
                    heads[family].append(line)
            elif sample := _SAMPLE.match(line):
                label = f'worker="{number}"'
                labels = f"{{{label},{sample[3]}" if sample[2] else f"{{{label}}}{sample[3]}"
                samples.setdefault(family, []).append(f"{sample[1]}{labels}")
    return "".join(f"{line}\n" for family in heads for line in (*heads[family], *samples.get(family, ())))


def row(number: int, status: Mapping[str, Any]) -> Status:
    """Return what one worker alone tells."""
    counters = status["counters"]
    return {
        "links": status["links"], "memory": status["memory"], "up": status["uptime"],
        "published": counters["published"], "delivered": counters["delivered"],
    }  # fmt: skip
