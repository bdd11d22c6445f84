"""What all commands read their command lines with."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import NoReturn

from hubbub.errors import ConfigError
from hubbub.option import closest


class Arguments(ArgumentParser):
    """The arguments of one command. A mistake raises ConfigError; the usage text is written by hand."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError, in one line."""
        text = " ".join(message.split())
        wrong = re.match(r"unrecognized arguments: --([\w-]+)", text)
        names = [name.lstrip("-") for action in self._actions for name in action.option_strings]
        near = wrong and closest(wrong[1], names)
        raise ConfigError(
            f"{self.prog}: {text}"
            + (f", did you mean --{near}?" if near else f"; `hubbub {self.prog} --help` shows how")
        )


def wants_help(arguments: Sequence[str]) -> bool:
    """Tell whether the usage text is asked for; a command without arguments asks for it too."""
    return not arguments or "--help" in arguments or "-h" in arguments
