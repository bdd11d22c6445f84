"""Runs contract suites outside pytest, to look at what they fail with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from hubbub.testing import DialectContract


def failures(contract: type) -> Iterator[str]:
    """Run a suite as pytest would in a project without a Hypothesis profile, and yield its failures."""
    profile = settings.get_current_profile_name()
    settings.load_profile("default")
    try:
        for name, arguments in cases(contract):
            try:
                getattr(contract(), name)(*arguments)
            except pytest.fail.Exception as error:
                yield str(error)
    finally:
        settings.load_profile(profile)


def cases(contract: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    known = contract.transports or contract.dialect.transports if issubclass(contract, DialectContract) else ()
    for name in dir(contract):
        if not name.startswith("test_"):
            continue
        marks = getattr(getattr(contract, name), "pytestmark", ())
        if marks:
            yield from ((name, (what,)) for what in marks[0].args[1])
        elif "transport" in getattr(contract, name).__code__.co_varnames[:2]:
            yield from ((name, (transport,)) for transport in known if transport in ("tcp", "udp", "websocket"))
        else:
            yield name, ()


class Broken:
    """Plugins and suites that break one rule each, and what the sentence says."""

    def __init__(self) -> None:
        self.cases: list[tuple[str, type]] = []

    def says(self, sentence: str) -> Callable[[type], type]:
        def note(broken: type) -> type:
            self.cases.append((sentence, broken))
            return broken

        return note

    @property
    def every(self) -> Any:
        """Parametrizes a test."""
        ids = [broken.__name__ for _, broken in self.cases]
        return pytest.mark.parametrize(("sentence", "broken"), self.cases, ids=ids)


def check(sentence: str, contract: type) -> None:
    """Fail unless the suite says that sentence, and how to mend it."""
    found = []
    for one in failures(contract):
        rule, mend = one.split("\n")
        assert len(rule) < 1_000
        assert mend[0].isupper()
        assert mend.endswith(".")
        found.append(one)
        if sentence in one:
            return
    raise AssertionError("\n".join(found) or "nothing fails")
