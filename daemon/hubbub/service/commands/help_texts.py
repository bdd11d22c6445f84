"""The help text of every command, and the options that it names: man pages and completions are made of these."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

from hubbub.service.config.options import Options

_OPTION = re.compile(r"(?:^|  )\s*(--[a-z][a-z-]*)(?:[ =]([A-Z][\w/|]*|[01][|\d]*))?", re.MULTILINE)
_WORDS = re.compile(r"^  hubbub [a-z-]+ ([a-z]+(?:\|[a-z]+)*)\b", re.MULTILINE)


@dataclass(frozen=True)
class Help:
    """What a command can be asked for.

    text     what `--help` prints
    options  each option, and whether a value follows it
    words    what may stand first behind the command, such as add or remove
    """

    text: str
    options: dict[str, bool]
    words: tuple[str, ...]

    @property
    def summary(self) -> str:
        """What the command is for, in some words."""
        first = self.text.split("\n\n", 1)[0].split(":", 1)[-1]
        return " ".join(first.split())


def help_of(command: str, function: Callable[[Sequence[str]], int]) -> Help:
    """Return the help of a command that `function` runs."""
    options = Options()
    taken = {f"--{name.removesuffix('=')}": name.endswith("=") for name in sorted(options.longOpt)}
    if command == "run":
        return Help(f"hubbub run: open the listeners and serve\n\n{options}", taken, ())
    with StringIO() as printed, redirect_stdout(printed):
        function(["--help"])
        text = printed.getvalue()
    found = {name: bool(value) for name, value in _OPTION.findall(text)} | {"--help": False}
    words = [word for match in _WORDS.findall(text.partition("Example")[0]) for word in match.split("|")]
    return Help(text, found | taken if command == "check" else found, tuple(dict.fromkeys(words)))


def all_help() -> dict[str, Help]:
    """Return the help of every command, by name."""
    from hubbub.service.cli import COMMANDS, found

    return {name: help_of(name, found(name)) for name in COMMANDS if name[0] != "-" and name not in ("help", "version")}


def manual(name: str, help: Help, version: str) -> str:
    """Return the man page of a command (man(7)): its help text as it stands."""
    text = help.text.replace("\\", r"\e").replace("-", r"\-")
    lines = "\n".join(rf"\&{line}" if line[:1] in (".", "'") else line for line in text.rstrip().split("\n"))
    return (
        f'.TH HUBBUB-{name.upper()} 1 "" "hubbub {version}" "User Commands"\n'
        f".SH NAME\nhubbub-{name} \\- {help.summary}\n"
        f".SH DESCRIPTION\n.nf\n{lines}\n.fi\n"
        ".SH SEE ALSO\n.BR hubbub (1)\n"
    )
