"""hubbub works installed in each way: `pip install .`, `pip install -e .`, and from the built wheel.

The three venvs are fresh, and pip installs hubbub into each from a copy of the checkout. Its dependencies
aren't fetched three times again: a .pth file shows each venv a folder of links to those that the tests run
with. hubbub is left out of that folder, so that nothing of it can be found but what was just installed. That
the dependencies can be fetched is proven by `make test`; here `pip check` proves that all are declared. `pip install .`
builds the same wheel as `python -m build`, so `make test-all` alone has it too.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from scale import FULL

ROOT = Path(__file__).parents[2]
SITE = Path(sysconfig.get_path("purelib"))
LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "dist", "*.egg-info", "__pycache__", "dropin.cache", "tests", "docs", "bench"
)

SECONDS = 200  # for one command: a build takes ten times as long on a busy machine
pytestmark = pytest.mark.timeout(4 * SECONDS)

# Nothing in it could show the checkout to what is installed.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def run(*command: object, cwd: Path) -> str:
    """Return what `command` prints."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the checkout: a build leaves files behind, and may not find an older build's."""
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("checkout") / "hubbub", symlinks=True, ignore=LEFT_OUT)


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dependencies")
    for path in SITE.iterdir():
        if "hubbub" not in path.name and path.suffix != ".pth":
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory) -> Path:
    """Built from the sdist, as `python -m build` does, so that the sdist is known to be complete."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def venv(dependencies, tmp_path) -> Path:
    folder = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=tmp_path)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return folder


def pip(venv: Path, *arguments: object) -> str:
    return run(venv / "bin/python", "-m", "pip", *arguments, cwd=venv)


def works(venv: Path) -> None:
    python, elsewhere = venv / "bin/python", venv.parent
    twistd = run(python, "-c", "from twisted.scripts.twistd import run; run()", "--help", cwd=elsewhere)
    assert "    hubbub " in twistd, twistd
    assert "one topic space" in " ".join(twistd.split())
    assert run(venv / "bin/hubbub", "--version", cwd=elsewhere) == run(
        python, "-m", "hubbub", "--version", cwd=elsewhere
    )
    assert "--tcp" in run(venv / "bin/hubbub", "run", "--help", cwd=elsewhere)
    assert {"upper", "clock"} <= set(run(venv / "bin/hubbub", "run", "--list-plugins", cwd=elsewhere).split())
    pip(venv, "check")
    serves(venv)


def serves(venv: Path) -> None:
    """The daemon starts, and a client gets what it publishes."""
    command = (venv / "bin/hubbub", "run", "--tcp", "tcp:0", "--control", venv.parent / "control.sock")
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=venv.parent, env=ENVIRONMENT, **output) as daemon:
        try:
            log = iter(daemon.stdout.readline, b"")
            port = next(int(found[1]) for line in log if (found := re.search(rb"ready: tcp 127.0.0.1:(\d+)", line)))
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(b"SUB a\nPUB a 1\nQUIT\n")
                assert client.makefile("rb").read() == b"OK SUB a\nMSG a 1\nBYE\n"
        finally:
            daemon.send_signal(signal.SIGTERM)
    assert daemon.returncode == 0


@pytest.mark.parametrize("options", [["--editable"], []] if FULL else [["--editable"]])
def test_pip_install(checkout, venv, options):
    pip(venv, "install", "--no-deps", "--no-build-isolation", *options, checkout)
    works(venv)


def test_wheel(wheel, venv):
    pip(venv, "install", "--no-deps", wheel)
    works(venv)


def test_the_wheel_holds_what_the_daemon_reads(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = ROOT / "daemon/hubbub"
    console = (folder / "transports/http/console").rglob("*.*")
    pages = {f"hubbub/{page.relative_to(folder)}" for page in console}
    assert pages
    assert names >= {"hubbub/py.typed", "twisted/plugins/hubbub_dropin.py", "hubbub_plugins/upper.py"} | pages
    assert not [name for name in names if name.startswith(("plugins/", "tests/", "twisted/plugins/__init__"))]
