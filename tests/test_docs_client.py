"""docs/client.md: its first program prints what it says, under asyncio and under Twisted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from running import Daemon

PAGE = (Path(__file__).parent.parent / "docs/client.md").read_text()
RUNS = "asyncio.run(main())"
REACTS = """
from twisted.internet import task
from twisted.internet.defer import ensureDeferred
task.react(lambda reactor: ensureDeferred(main()))
"""


@pytest.mark.parametrize("loop", ["asyncio", "twisted"])
def test_the_first_program(loop: str) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (talk,) = re.findall(r"^```console\n\$ .*?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    with Daemon("--websocket", "tcp:0") as daemon:
        program = program.replace("ws://127.0.0.1:8999", daemon.url())
        if loop == "twisted":
            assert "from hubbub.client.twisted import Client" in PAGE
            program = program.replace("hubbub.client", "hubbub.client.twisted").replace(RUNS, REACTS)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == (talk, "")
