"""Reads the file of `--permissions`, and has it apply to all links.

    [groups]
    operators = ["ann", "ben"]

    [[rule]]
    who.group = "operators"
    allow.subscribe = "#"
    allow.publish = ["plant/+/set", "plant/+/reset"]
    deny.publish = "plant/7/set"

`who` is "everyone", or of user, group, client, listener and login those that have to hold, each a text or a list of
which one has to. docs/permissions.md is the guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from twisted.logger import Logger

from hubbub.errors import ConfigError
from hubbub.kernel.authorization.permissions import ACTIONS, MANAGED, Audience, Clause, Permissions, Rule
from hubbub.kernel.sessions.session import Rights, Session
from hubbub.option import flag, hint, shown
from hubbub.service.config import toml
from hubbub.service.config.settings import Settings
from hubbub.template import Template

FIELDS = frozenset({"user", "client"})
"""What a filter of a rule may have in braces."""

_HEADER = re.compile(r"[ \t]*\[\[[ \t]*rule[ \t]*\]\]")
_WHO = ("user", "group", "client", "listener", "login")
_log = Logger(namespace="hubbub.permissions")


class Guard:
    """The permissions of one daemon. Making it raises ConfigError.

    changed  whether there are other rules, and clients have yet to get them
    """

    def __init__(self, path: Path | None) -> None:
        self.changed = False
        self._permissions = load(path)

    def rights_of(self, session: Session) -> Rights | None:
        """Return what a client may do (kernel.connection.listener_context.ListenerContext)."""
        return self._permissions.of(session)

    def prepare(self, settings: Settings) -> Callable[[], list[str]]:
        """Read the file again, and return what puts it into effect; a Recheck follows. Raises ConfigError."""
        new = load(settings.permissions)

        def commit() -> list[str]:
            if (new.rules, new.groups, new.open) == (
                self._permissions.rules,
                self._permissions.groups,
                self._permissions.open,
            ):
                return []
            self._permissions = new
            self.changed = True
            self.check(settings)
            return []

        return commit

    def check(self, settings: Settings) -> None:
        """Warn of rules for listeners that aren't there."""
        there = {config.id for config in (*settings.listeners, *settings.connectors)}
        if unknown := sorted(self._permissions.listeners() - there):
            _log.warn("there are permissions for {names}, but no such listener", names=", ".join(unknown))


def load(path: Path | None) -> Permissions:
    """Read the rules of a file; without one everybody may do everything. Raises ConfigError, naming file and line."""
    if path is None:
        return Permissions(open=True)
    text = toml.read_text(path)
    found = toml.parse_text(text, path)
    _known(found, ("groups", "rule"), str(path))
    groups = _groups(found.get("groups", {}), path)
    raw = found.get("rule", [])
    if not isinstance(raw, list):
        raise ConfigError(f"{path}: rule is an array of tables: each rule begins with [[rule]]")
    return Permissions(
        [_rule(one, where, groups) for one, where in zip(raw, _contexts(path, text, len(raw)), strict=True)], groups
    )


def _contexts(path: Path, text: str, count: int) -> list[str]:
    """Say where each of `count` rules stands, with the line of its header where that is sure."""
    lines = [at for at, line in enumerate(text.split("\n"), 1) if _HEADER.match(line)]
    if len(lines) == count:
        return [f"{path}:{line}: rule {at}" for at, line in enumerate(lines, 1)]
    return [f"{path}: rule {at}" for at in range(1, count + 1)]


def _groups(raw: object, path: Path) -> dict[str, frozenset[str]]:
    if not isinstance(raw, dict):
        raise ConfigError(f'{path}: groups is a table, as in [groups] and below it operators = ["ann", "ben"]')
    return {name: _names(users, f"{path}: groups: {shown(name)}", empty=True) for name, users in raw.items()}


def _rule(raw: object, where: str, groups: Collection[str]) -> Rule:
    table = _known(raw, ("who", "allow", "deny"), where)
    if "who" not in table:
        raise ConfigError(f'{where}: it needs who, as in who.user = "ann" or who = "everyone"')
    if not table.keys() & {"allow", "deny"}:
        raise ConfigError(f'{where}: it has neither allow nor deny; add allow.subscribe = "#" or the like')
    clauses = [clause for verb in ("allow", "deny") if verb in table for clause in _clauses(verb, table[verb], where)]
    return Rule(_who(table["who"], where, groups), tuple(clauses))


def _who(raw: object, where: str, groups: Collection[str]) -> Audience:
    if raw == "everyone":
        return Audience()
    if isinstance(raw, str) or not raw:
        raise ConfigError(f'{where}: who = {shown(raw)}: expected "everyone", or who.user = "ann" and the like')
    table = _known(raw, _WHO, f"{where}: who")
    audience = {f"{name}s": _names(table[name], f"{where}: who.{name}") for name in _WHO[:-1] if name in table}
    for group in sorted(audience.get("groups", frozenset()) - set(groups)):
        reason = f"there is no such group; add {shown(group)} = [...] to [groups], empty where only logins name it"
        raise ConfigError(f"{where}: who.group = {shown(group)}: {reason}")
    return Audience(**audience, login=_flag(table["login"], f"{where}: who.login") if "login" in table else None)


def _clauses(verb: str, raw: object, where: str) -> Iterable[Clause]:
    for action, filters in _known(raw, ACTIONS, f"{where}: {verb}").items():
        for text in sorted(_names(filters, f"{where}: {verb}.{action}")):
            yield Clause(verb == "allow", action, _template(text, action, f"{where}: {verb}.{action}"), where)


def _template(text: str, action: str, where: str) -> Template:
    try:
        template = Template(text, "filter")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if unknown := sorted(template.fields - FIELDS):
        raise ConfigError(f"{where}: '{shown(text)}' has {{{unknown[0]}}}; there are {{user}} and {{client}}")
    if (text.partition("/")[0] == MANAGED) != (action == "manage"):
        raise ConfigError(f"{where}: '{shown(text)}': what begins with {MANAGED}/, and nothing else, is for manage")
    return template


def _known(raw: object, names: Collection[str], where: str) -> dict[str, object]:
    """Return a table, all of whose keys are known. Raises ConfigError."""
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: expected a table with {' '.join(names)}")
    for key in raw:
        if key not in names:
            raise ConfigError(f"{where}: unknown key {shown(key)}{hint(key, names)}")
    return raw


def _names(raw: object, where: str, empty: bool = False) -> frozenset[str]:
    """Return the texts of a text or a list of them. Raises ConfigError."""
    texts = raw if isinstance(raw, list) else [raw]
    if not all(isinstance(text, str) and text for text in texts) or not (texts or empty):
        raise ConfigError(f"{where} = {shown(raw)}: expected a text or a list of them, none of them empty")
    return frozenset(texts)


def _flag(raw: object, where: str) -> bool:
    try:
        return flag(raw)
    except ValueError as error:
        raise ConfigError(f"{where} = {shown(raw)}: {error}") from None
