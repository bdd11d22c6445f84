"""The scripts of tools/, with stubs in the place of the programs that download."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
case "$*" in
*sys.executable*) echo "$0" ;;
-VV) echo "Python $VERSION" ;;
"-m venv "*) mkdir -p "$3/bin"; echo "#!/bin/sh" > "$3/bin/pip"; chmod +x "$3/bin/pip" ;;
esac
"""
NPM = """#!/bin/sh
echo "npm warn deprecated something" >&2
echo "npm error code ENOTFOUND" >&2
exit 1
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the scripts read, in a folder with a space in its name."""
    tree = tmp_path / "a tree"
    (tree / "daemon/hubbub.egg-info").mkdir(parents=True)
    (tree / "tools").symlink_to(ROOT / "tools")
    for name in ("setup.py", "pyproject.toml"):
        (tree / name).write_bytes((ROOT / name).read_bytes())
    return tree


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(tree: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tool = tree / "run"
    script(tool, (ROOT / command[0]).read_text().replace('cd "$(dirname "$0")/.."', f"cd '{tree}'"))
    done = subprocess.run(
        [tool, *command[1:]], env={**os.environ, **environment}, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done
    return done


def test_a_new_venv_keeps_what_npm_and_apt_have_put_there(tree: Path) -> None:
    python = str(script(tree.parent / "python", PYTHON))
    assert "Installing hubbub with test" in run(tree, "tools/venv", ".venv", "test", PYTHON=python, VERSION="1").stdout
    assert not (tree / "daemon/hubbub.egg-info").exists()
    for kept in (".venv/node", ".venv/node-nats", ".venv/debian", ".venv/debian-rabbitmq"):
        (tree / kept).mkdir()
    assert run(tree, "tools/venv", ".venv", "test", PYTHON=python, VERSION="1").stdout == ""
    (tree / "setup.py").write_text("changed")
    assert "Installing" in run(tree, "tools/venv", ".venv", "test", PYTHON=python, VERSION="1").stdout
    there = {path.name for path in (tree / ".venv").iterdir()}
    assert there == {"bin", "debian", "debian-rabbitmq", "installed-test", "made-from", "node", "node-nats"}


def test_npm_s_reason_is_shown(tree: Path) -> None:
    bin = tree / "bin"
    bin.mkdir()
    script(bin / "npm", NPM)
    script(bin / "node", "#!/bin/sh\n")
    source = ROOT / "tests/interop/nats"
    done = run(tree, "tools/node-packages", ".venv/node", str(source), PATH=f"{bin}{os.pathsep}{os.environ['PATH']}")
    assert "npm can't install what" in done.stderr
    assert "npm error code ENOTFOUND" in done.stderr
    assert not (tree / ".venv/node/made-from").exists()
