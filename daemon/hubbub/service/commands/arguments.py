"""What all commands read their command lines with."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from hubbub.errors import ConfigError
from hubbub.option import closest, hint, shown

T = TypeVar("T")


class Arguments(ArgumentParser):
    """The arguments of one command. A mistake raises ConfigError; the usage text is written by hand."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError, in one line."""
        text = " ".join(message.split())
        wrong = re.match(r"unrecognized arguments: --([\w-]+)", text)
        names = [name.lstrip("-") for action in self._actions for name in action.option_strings]
        if wrong and (near := closest(wrong[1], names)):
            text += f", did you mean --{near}?"
        how = "" if text.endswith("?") else f"; `hubbub {self.prog} --help` shows how"
        raise ConfigError(f"{self.prog}: {text}{how}")


def read_by(kind: Callable[[str], T]) -> Callable[[str], T]:
    """Return the type of an argument that `kind` reads, as in `hubbub.option`; its error says what was expected."""

    def read(text: str) -> T:
        try:
            return kind(text)
        except ValueError as error:
            raise ArgumentTypeError(f"{shown(text)}: {error}") from None

    return read


def one_of(*words: str) -> Callable[[str], str]:
    """Return the type of an argument that is one of `words`."""

    def choose(text: str) -> str:
        if text in words:
            return text
        raise ArgumentTypeError(f"unknown '{shown(text)}'{hint(text, words)}")

    return choose


def wants_help(arguments: Sequence[str]) -> bool:
    """Tell whether the usage text is asked for; a command without arguments asks for it too."""
    return not arguments or "--help" in arguments or "-h" in arguments
