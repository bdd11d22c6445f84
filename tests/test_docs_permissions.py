"""docs/permissions.md: its file is used, and its commands are typed, as they stand there; only ports differ."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from test_docs import ROOT, Terminals, blocks, commands, read

PAGE = "permissions.md"


def test_every_block(tmp_path: Path, need: Callable[[str], str]) -> None:
    need("nc")
    terminals = Terminals(tmp_path)
    try:
        for language, code, _ in blocks(read(PAGE)):
            if language == "toml":
                (tmp_path / "permissions.toml").write_text(code)
                continue
            for command, expected in commands(code):
                terminals.type(command, expected)
    finally:
        terminals.close()


def test_what_is_named_is_there() -> None:
    text = read(PAGE)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link
    assert max(map(len, text.splitlines())) <= 125
    example = (ROOT / "etc/hubbub/permissions.toml").read_text()
    for line in re.findall(r"^(?:who|deny).*", text, re.MULTILINE):
        assert line.split("#")[0].strip() in example, line
