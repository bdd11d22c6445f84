"""What a supervisor hands to a worker, and what a worker makes of the settings that both have read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from hubbub import limits
from hubbub.service.config.cluster import parse_cluster
from hubbub.service.config.settings import Settings

VARIABLE = "HUBBUB_WORKER"
OWN_NATS = "workers"  # the name of the cluster that the workers alone are nodes of


class Handover(msgspec.Struct, frozen=True):
    """One worker.

    number     from 1 on; the first has the connectors and handlers
    control    the path of its control socket
    listeners  the ids of those that have a socket for it
    cluster    the NATS servers as an option, or "": those of the settings
    """

    number: int
    control: str
    listeners: tuple[str, ...]
    cluster: str = ""

    def settings(self, read: Settings) -> Settings:
        """Return the settings of this worker. Raises ConfigError."""
        cluster = read.cluster or parse_cluster(f"{self.cluster}:cluster={OWN_NATS}", "--workers")
        first = self.number == 1
        return replace(
            read,
            workers=1,
            cluster=replace(cluster, name=node_name(cluster.name, self.number)),
            control=Path(self.control),
            metrics=None,
            state=None if read.state is None else folder_of(read.state, self.number),
            listeners=tuple(one for one in read.listeners if one.id in self.listeners),
            connectors=read.connectors if first else (),
            handlers=read.handlers if first else (),
        )


def node_name(name: str, number: int) -> str:
    """Return the name of a worker as a node, of at most limits.NODE_CHARACTERS."""
    end = f"-{number}"
    return name[: limits.NODE_CHARACTERS - len(end)] + end


def folder_of(state: Path, number: int) -> Path:
    """Return where a worker keeps its state: one folder is for one process."""
    return state / f"worker{number}"


def handed_to_this_process(environment: Mapping[str, str] = os.environ) -> Handover | None:
    """Return what a supervisor has handed to this process; None: it is no worker."""
    handed = environment.get(VARIABLE)
    return None if handed is None else msgspec.json.decode(handed, type=Handover)
