"""Writes the last section of docs/nats-conformance.md, from nats_differences.txt: python tests/nats_conformance.py."""

from __future__ import annotations

from pathlib import Path

from differences import read

PAGE = Path(__file__).parents[1] / "docs" / "nats-conformance.md"
HEAD = "## Differences from nats-server\n"


def section() -> str:
    """Return the section as it should be."""
    rows = [f"| `{one.script}` | {_said(one.hubbub)} | {_said(one.other)} | {one.why} |" for one in read("nats")]
    return "\n".join([HEAD, "| script | hubbub alone | nats-server alone | why |", "|---|---|---|---|", *rows, ""])


def _said(lines: tuple[str, ...]) -> str:
    return "<br>".join(f"`{line.replace('|', chr(92) + '|')}`" for line in lines) or "nothing"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(HEAD)[0] + section())
