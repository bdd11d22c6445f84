"""Templates of topics and filters, such as `plant/{id}`: parsed and checked once, filled for each client."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from string import Formatter
from typing import Literal

from hubbub.errors import ConfigError, Refusal
from hubbub.option import shown
from hubbub.topics import check_filter, check_topic, quote_value

COMMON = frozenset({"id", "host", "port", "user", "client"})
"""The fields that every link can fill; a dialect adds its own."""

_FIELD = re.compile("[a-z][a-z0-9_]*")


class Template:
    """A topic or filter with `{fields}`, equal to another with the same text and kind.

    text  `{name}` is a field, `{{` and `}}` are braces
    kind  what it must be once filled, "topic" or "filter"

    Raises ConfigError for a brace out of place, or where it would fill to no valid topic or filter.
    """

    __slots__ = ("_fixed", "_parts", "fields", "kind", "text")

    def __init__(self, text: str, kind: Literal["topic", "filter"] = "topic") -> None:
        self.text = text
        self.kind = kind
        self._parts = _parse(text)
        self.fields = frozenset(name for _, name in self._parts if name)
        self._fixed: str | None = None
        sample = self.fill({})
        try:
            (check_topic if kind == "topic" else check_filter)(sample)
        except Refusal as error:
            raise ConfigError(f"'{shown(text)}' is no {kind}: {error.reason}") from None
        if not self.fields:
            self._fixed = sample

    def fill(self, mapping: Mapping[str, str]) -> str:
        """Return the text with each field's value, percent-encoded into one level; `-` for none."""
        if self._fixed is not None:
            return self._fixed
        return "".join(literal + (quote_value(mapping.get(name, "")) if name else "") for literal, name in self._parts)

    def expect(self, known: Collection[str]) -> None:
        """Raise ConfigError where a field is neither COMMON nor in `known`, what the dialect fills."""
        if unknown := sorted(self.fields - COMMON.union(known)):
            names = " ".join(f"{{{name}}}" for name in sorted(COMMON.union(known)))
            reason = f"has the unknown field {{{unknown[0]}}}; there are {names}"
            raise ConfigError(f"'{shown(self.text)}' {reason}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and (self.text, self.kind) == (other.text, other.kind)

    def __hash__(self) -> int:
        return hash((self.text, self.kind))

    def __repr__(self) -> str:
        return f"Template({self.text!r}, {self.kind!r})"


def _parse(text: str) -> list[tuple[str, str]]:
    """Split into pairs of the literal text and the field after it, which is "" at the end."""
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        reason = "has a brace without its partner; a field is {id}, a brace is {{ or }}"
        raise ConfigError(f"'{shown(text)}' {reason}") from None
    parts = []
    for literal, name, spec, conversion in found:
        if name is not None and (spec or conversion or not _FIELD.fullmatch(name)):
            raise ConfigError(f"'{shown(text)}' has a field that is no name: a field is {{id}} or the like")
        parts.append((literal, name or ""))
    return parts
