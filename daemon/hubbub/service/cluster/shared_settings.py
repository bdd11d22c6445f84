"""The settings that have to be the same at all nodes of a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from hubbub.kernel.history.rule import HistoryRule
from hubbub.service.config.cluster import ClusterConfig


def shared_settings(config: ClusterConfig, history: Iterable[HistoryRule]) -> dict[str, str]:
    """Return the values by the names of their options, those of `--history` as a digest."""
    rules = sorted((rule.filter, rule.age) for rule in history)  # the bounds of the stream replace those of a rule
    return {
        "--history": hashlib.sha256(repr(rules).encode()).hexdigest()[:16],
        "replicas=": str(config.replicas),
        "stream-bytes=": str(config.stream_bytes),
        "stream-age=": f"{config.stream_age:g}",
    }
