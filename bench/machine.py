"""Where and with what the figures were taken."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.peers import HERE, PEERS, Unusable
from bench.start import cores

PACKAGES = ("twisted", "autobahn", "msgspec", "uvloop")


def about() -> dict[str, Any]:
    """Hardware, kernel, Python, and the commit that was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    server, load = cores()
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "server core": server,
        "load core": load,
        "memory MiB": memory,
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "commit": _commit(),
    }


def versions(absent: dict[str, str]) -> dict[str, str]:
    """Of peers and packages."""
    found = {}
    for name, peer in PEERS.items():
        if name not in absent and peer.install:
            try:
                found[name] = peer.version()
            except Unusable:  # one that these works don't need; their figures count without it
                found[name] = "not installed"
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """`abc1234`, with a + where files have changed since."""
    try:
        return _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "none"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
