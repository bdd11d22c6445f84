"""What came of a run: what was acknowledged, against what has arrived."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Publisher(Protocol):
    """Publishes the numbers from 0 on, each once as it means it, until `end`.

    acknowledged  numbers by topic; exact: topics whose messages come once
    total         how many it has sent, once it has ended
    """

    acknowledged: dict[str, list[int]]
    exact: set[str]
    total: int

    def start(self) -> None: ...
    def end(self, until: float) -> bool:
        """Publish no more; tell whether everything was acknowledged by then, in monotonic seconds."""

    def go(self) -> None: ...


class Subscriber(Protocol):
    """Gets all messages, also of the time when it has no link. heard: numbers by topic, as they have come."""

    output: Mapping[str, Sequence[int]]


@dataclass
class Outcome:
    """What has come of it.

    seconds   from a start to its `ready`, each
    accounts  what the daemons said of themselves when something was long in coming
    """

    acknowledged: int = 0
    arrived: int = 0
    lost: int = 0
    doubled: int = 0
    repeated: int = 0
    kills: int = 0
    disks: int = 0
    replayed: int = 0
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        slowest = max(self.seconds, default=0.0)
        return (
            f"{self.kills} kills, {self.disks} faults of the disk, {self.acknowledged} acknowledged, {self.lost} lost, "
            f"{self.doubled} doubled that come once, {self.repeated} of {self.arrived} repeated, "
            f"{self.replayed} replayed, ready after {slowest:.2f} s at most"
        )

    def audit(self, publishers: Sequence[Publisher], subscribers: Sequence[Subscriber]) -> None:
        """Compare what was acknowledged with what has arrived at each subscriber."""
        for publisher in publishers:
            for topic, numbers in publisher.acknowledged.items():
                self.acknowledged += len(numbers)
                for at, subscriber in enumerate(subscribers):
                    self._compare(topic, numbers, subscriber.output.get(topic, ()), publisher, f"subscriber {at}")

    def _compare(
        self, topic: str, numbers: Sequence[int], output: Sequence[int], publisher: Publisher, where: str
    ) -> None:
        counts = Counter(output)
        self.arrived += len(output)
        if lost := set(numbers) - set(output):
            self.lost += len(lost)
            self.details.append(f"{topic}: {len(lost)} lost for {where}, of {min(lost)} to {max(lost)}")
        again = sum(counts.values()) - len(counts)
        if topic in publisher.exact:
            self.doubled += again
            if again:
                self.details.append(
                    f"{topic}: {again} doubled for {where}: {sorted(counts - Counter(set(output)))[:9]}"
                )
        else:
            self.repeated += again
        first = list(dict.fromkeys(output))
        if first != sorted(first):
            self.faults.append(f"{topic}: out of order for {where}")
        if invented := [one for one in counts if one >= publisher.total]:
            self.faults.append(f"{topic}: invented {invented}")


def wait_for_last(subscribers: Sequence[Subscriber], publishers: Sequence[Publisher], until: float) -> None:
    """Wait until each subscriber has the last message of each publisher and topic, or the time is over."""
    wanted = [(topic, max(numbers)) for one in publishers for topic, numbers in one.acknowledged.items() if numbers]
    for subscriber in subscribers:
        for topic, last in wanted:
            while last not in subscriber.output.get(topic, ())[-1_000:] and time.monotonic() < until:
                time.sleep(0.02)
