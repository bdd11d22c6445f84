"""Mosquitto's acl_file as rules: `topic` and `user` lines, and `pattern` lines with %u and %c."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hubbub.errors import BadFilter
from hubbub.option import shown
from hubbub.service.commands.mosquitto.notes import Line, Note, read_lines, toml
from hubbub.topics import check_filter

_ACCESS = {
    "read": ("allow.subscribe",),
    "write": ("allow.publish",),
    "readwrite": ("allow.publish", "allow.subscribe"),
    "deny": ("deny.publish", "deny.subscribe"),
}
_SUBSTITUTES = {"%u": "{user}", "%c": "{client}"}


@dataclass(slots=True)
class Section:
    """The lines for one user, for clients without a user, or of patterns.

    who   lines of TOML; lists: what is allowed and denied, as in allow.publish -> filters
    """

    who: tuple[str, ...]
    lists: dict[str, list[str]] = field(default_factory=dict)

    def add(self, access: str, filter: str) -> None:
        for key in _ACCESS[access]:
            filters = self.lists.setdefault(key, [])
            if filter not in filters:
                filters.append(filter)

    def toml(self, listeners: Sequence[str]) -> str:
        """Write it as one rule, for these listeners, or for all where there are none."""
        who = list(self.who)
        if listeners:
            who.append(f"who.listener = {toml(listeners)}")
        lines = ["[[rule]]", *(who or ['who = "everyone"'])]
        return "\n".join([*lines, *(f"{key} = {toml(self.lists[key])}" for key in sorted(self.lists))]) + "\n"


class Acl:
    """One acl_file. `sections` are in the order of the file, `notes` what can't be carried over."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where the file can't be read."""
        self.notes: list[Note] = []
        self._anonymous = Section(("who.login = false",))
        self._patterns = Section(())
        self._users: dict[str, Section] = {}
        self._denied: list[Line] = []
        self._read(path)
        if any(section.lists for section in (self._anonymous, *self._users.values())):
            reason = "here a deny wins: what this denies can't be allowed again by a topic line"
            self.notes += [Note(line, reason) for line in self._denied]

    @property
    def users(self) -> list[str]:
        """Return the users that have lines of their own."""
        return list(self._users)

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the ACL that have lines: of clients without a login, of each user, and of patterns."""
        yield from (one for one in (self._anonymous, *self._users.values(), self._patterns) if one.lists)

    def _read(self, path: Path) -> None:
        current = self._anonymous
        for line in read_lines(path):
            if line.key == "user" and line.rest:
                current = self._users.setdefault(line.rest, Section((f"who.user = {toml(line.rest)}",)))
            elif line.key == "topic":
                self._add(line, current)
            elif line.key == "pattern":
                self._add(line, self._patterns)
            else:
                self.notes.append(Note(line, "it is no line of an acl_file"))

    def _add(self, line: Line, section: Section) -> None:
        access, _, text = line.rest.partition(" ")
        if not text:
            access, text = "readwrite", access
        filter = text.strip()
        try:
            check_filter(filter)
            if access not in _ACCESS:
                raise BadFilter(f"'{shown(access)}' isn't read, write, readwrite or deny")
            filter = filter.replace("{", "{{").replace("}", "}}")
            filter = _substituted(filter) if section is self._patterns else filter
        except BadFilter as refusal:
            self.notes.append(Note(line, refusal.reason))
            return
        section.add(access, filter)
        if section is self._patterns and access == "deny":
            self._denied.append(line)


def _substituted(filter: str) -> str:
    levels = filter.split("/")
    if any(len(level) > 2 and ("%u" in level or "%c" in level) for level in levels):
        raise BadFilter("%u and %c stand alone in their level")
    return "/".join(_SUBSTITUTES.get(level, level) for level in levels)
