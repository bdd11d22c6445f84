"""Programs of Debian packages that are unpacked, not installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(sys.prefix) / "debian"  # where tools/unpacked-packages puts them


def unpacked(program: str) -> Path:
    """Return the path of a program."""
    found = next(FOLDER.glob(f"**/{program}"), None)
    if found is None or not (FOLDER / "made-from").exists():
        pytest.skip(f"{program} isn't in {FOLDER}: tools/unpacked-packages puts it there")
    return found


def environment() -> dict[str, str]:
    """Return the environment in which they find their libraries and modules."""
    libraries = {str(path.parent) for path in FOLDER.glob("**/*.so*")}
    modules = FOLDER / "usr" / "lib" / "python3" / "dist-packages"
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries)), "PYTHONPATH": str(modules)}
