"""The compiled build (HUBBUB_COMPILE=1): the same behaviour from the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICKLY = {"HUBBUB_COMPILE": "1", "MYPYC_OPT_LEVEL": "0"}  # the C compiler is trusted with its own optimizations
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], str]) -> dict[str, str]:
    """The environment in which hubbub is a copy of this tree with its hot modules compiled."""
    need("cc")
    copy = tmp_path_factory.mktemp("compiled")
    unwanted = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for name in ("daemon", "plugins"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=unwanted)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    built = subprocess.run(command, cwd=copy, env=CLEAN | QUICKLY, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return CLEAN | {"PYTHONPATH": str(copy / "daemon")}


@pytest.mark.timeout(300)
def test_the_hot_modules_are_compiled(compiled: dict[str, str]) -> None:
    names = "kernel.hub kernel.connection.link kernel.connection.outbox dialects.lines transports.frames message events"
    code = "".join(f"import hubbub.{name}; print(hubbub.{name}.__file__)\n" for name in names.split())
    told = subprocess.run([sys.executable, "-c", code], env=compiled, capture_output=True, text=True, check=True).stdout
    assert all(line.endswith(".so") for line in told.splitlines()), told


@pytest.mark.timeout(300)
def test_it_passes_what_the_pure_one_passes(compiled: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/unit", "tests/matrix"]
    ran = subprocess.run(command, cwd=ROOT, env=compiled, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-4000:]
