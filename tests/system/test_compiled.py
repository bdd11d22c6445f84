"""The compiled build (HUBBUB_COMPILE=1): the same behaviour from the same files.

What stands here is the part that `make test` has time for; `make test-all` runs every test against this build.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}

# The tests of each compiled module: bytes that were cut anywhere, floods, and everything that may happen to an outbox.
UNIT = (
    "alarms backlog client_rate connector_sessions datagram_outbox frames framing half_duplex hub hub_bounds "
    "hub_requests joined_frames line_dialect lines link link_dialects link_end outbox permissions_links presence proof "
    "retained shared subscription_ids topics trie udp udp_leases udp_signed"
)
# Each transport and dialect as publisher with each as subscriber, and all of them cut anywhere.
MATRIX = "publishing cutting subscribing"
MQTT = "aliases dialect reader refused sessions version_3_1"
NATS = "contract dialect hostile subjects"
STOMP = "acknowledgements contract dialect frames messages queues reader transports"
WAMP = "arguments dialect hostile meta procedures vectors"
PARTS = {
    "unit": UNIT,
    "matrix": MATRIX,
    "plugins/mqtt": MQTT,
    "plugins/nats": NATS,
    "plugins/stomp": STOMP,
    "plugins/wamp": WAMP,
}


@pytest.fixture(scope="module")
def compiled(need: Callable[[str], str]) -> dict[str, str]:
    """The environment in which hubbub is a copy of this tree with its hot modules compiled."""
    need("cc")
    folder = ROOT / ".compiled"
    made = subprocess.run([ROOT / "tools/compile", folder, sys.executable], env=CLEAN, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return CLEAN | {"PYTHONPATH": str(folder / "tree/daemon")}


def hot() -> list[str]:
    """The modules that setup.py compiles."""
    packages = {"HOT": "hubbub", "HOT_PLUGINS": "hubbub_plugins"}
    found: list[str] = []
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        package = packages.get(ast.unparse(node.targets[0])) if isinstance(node, ast.Assign) else None
        if package is not None:
            found += [f"{package}.{name.replace('/', '.')}" for name in ast.literal_eval(node.value)]
    return found


@pytest.mark.timeout(600)  # it may have to compile them
def test_the_hot_modules_are_compiled(compiled: dict[str, str]) -> None:
    code = "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    command = [sys.executable, "-c", code, *hot()]
    reported = subprocess.run(command, env=compiled, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(reported) > 60
    assert [line for line in reported if not line.endswith(".so")] == []


@pytest.mark.timeout(600)
def test_it_passes_what_the_pure_one_passes(compiled: dict[str, str]) -> None:
    """In one interpreter, as its start takes as long as many tests."""
    files = [f"tests/{part}/test_{name}.py" for part, names in PARTS.items() for name in names.split()]
    options = ("-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile=few")  # the pure build has had them all
    command = [sys.executable, "-m", "pytest", *options, *files]
    ran = subprocess.run(command, cwd=ROOT, env=compiled, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
