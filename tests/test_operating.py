"""The operator's guide: every command is run as it stands there, in order; only ports differ."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from test_docs import ROOT, Terminals, blocks, commands, looks_like, read

PAGE = "operating.md"


class Trace:
    """A `hubbub trace` that goes on while other commands are typed."""

    def __init__(self, command: str, expected: list[str], terminals: Terminals) -> None:
        self.expected = expected
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=terminals.folder, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.output = self.process.stdout.readline()

    def end(self) -> str:
        assert self.process.stdout is not None
        for _ in self.expected[1:]:
            self.output += self.process.stdout.readline()
        self.process.terminate()
        self.process.communicate(timeout=30)
        return self.output


@pytest.mark.timeout(120)
def test_every_command(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("nc")
    terminals, trace = Terminals(tmp_path), None
    try:
        for language, code, _ in blocks(read(PAGE)):
            assert language == "console"
            for command, expected in commands(code):
                if command.startswith("hubbub trace"):
                    trace = Trace(command, expected, terminals)
                    continue
                terminals.type(command, expected)
                if trace is not None:
                    output, trace, wanted = trace.end(), None, trace.expected
                    assert looks_like(output, wanted), output
        terminals.close()
    finally:
        if terminals.daemon is not None:
            terminals.daemon.__exit__(None, None, None)


def test_what_is_named_is_there() -> None:
    text = read(PAGE)
    for file in re.findall(r"`((?:etc|daemon|plugins)/[\w/.]+)`", text):
        assert (ROOT / file).exists(), file
    assert max(map(len, text.splitlines())) <= 125
