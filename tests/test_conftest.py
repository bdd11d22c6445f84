"""The rules of conftest.py hold: a skip fails under CI=true, a coroutine that hangs ends alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = """
import signal

import pytest
from twisted.internet.defer import Deferred

def test_a_program_can_be_interrupted():
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN

def test_missing(need):
    need("no-such-program")

@pytest.mark.xfail
def test_known():
    assert False

async def test_hangs():
    await Deferred()

async def test_later(tmp_path):
    assert tmp_path.exists()
"""


@pytest.fixture
def run(tmp_path):
    """Run TESTS in an own pytest with this conftest and a short time limit."""
    conftest = (HERE / "conftest.py").read_text(encoding="utf-8") + "\nSECONDS = 0.2\n"
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "test_whole_file.py").write_text("import pytest\npytest.importorskip('no_such_module')")

    def run(ci: str) -> str:
        options = "-p no:asyncio -rs --continue-on-collection-errors"
        done = subprocess.run(
            ["sh", "-c", 'trap "" INT; exec "$0" -m pytest', sys.executable],  # as `make test &` in a script has it
            cwd=tmp_path,
            env={**os.environ, "CI": ci, "PYTEST_ADDOPTS": options, "PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout

    return run


def test_skips_are_reported_with_the_package_to_install(run):
    output = run(ci="false")
    assert "no-such-program isn't installed: apt install no-such-program" in output
    assert "1 failed, 2 passed, 2 skipped, 1 xfailed" in output


def test_under_ci_a_skip_is_a_failure(run):
    output = run(ci="true")
    assert "test_missing: skipped, and CI=true allows no skips" in output
    assert "test_whole_file.py: skipped, and CI=true allows no skips" in output
    assert "skipped," not in output.splitlines()[-1]


def test_what_hangs_ends_alone_and_shows_where(run):
    output = run(ci="false")
    assert "the test took longer than 0.2 s" in output
    assert "await Deferred()" in output


def test_no_test_imports_trial():
    """With trial, which twisted.internet.testing brings, pytest reads Twisted's metadata before each test: 1 ms."""
    assert "twisted.trial.unittest" not in sys.modules
