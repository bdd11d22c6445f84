"""The inputs that are kept: one text file for each target, each line the bytes of one input as Python writes them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


def load(name: str) -> list[bytes]:
    path = FOLDER / f"{name}.txt"
    return [ast.literal_eval(line) for line in path.read_text().splitlines()] if path.exists() else []


def save(name: str, inputs: Iterable[bytes]) -> None:
    lines = [repr(one) for one in sorted(set(inputs), key=lambda one: (len(one), one))]
    (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")
