"""docs/history.md: its commands in a shell."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from hubbub.service.config import toml
from hubbub.service.config.settings import parse_history
from running import Daemon
from test_docs import commands, looks_like

PAGE = (Path(__file__).parent.parent / "docs/history.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_commands(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("curl")
    need("nc")
    start, *rest = commands("".join(blocks("console")))
    options = start[0].removeprefix("hubbub run ").replace("6999", "0").replace("8999", "0").replace("'", "").split()
    with Daemon(*options, folder=tmp_path) as daemon:
        for command, expected in rest:
            here = command.replace("6999", str(daemon.tcp[0][1])).replace("8999", str(daemon.websocket[0][1]))
            with subprocess.Popen(["sh", "-c", here], stdout=subprocess.PIPE) as shell:
                assert shell.stdout is not None
                said = b"".join(shell.stdout.readline() for _ in expected).decode()
                if expected:
                    shell.kill()  # a subscriber stays
            assert looks_like(said, expected), said


def test_a_table() -> None:
    (table,) = blocks("toml")
    (entry,) = toml.parse_text(table, Path("hubbub.toml"))["history"]
    option = parse_history("sensors/#:age=24h:messages=100000:bytes=1GiB", "--history")
    assert parse_history(entry, "hubbub.toml history") == option
