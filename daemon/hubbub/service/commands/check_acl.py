"""`hubbub check-acl`: whether the permissions allow something, and which rule decides."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hubbub.errors import ConfigError, Refusal
from hubbub.kernel.authorization.permissions import ACTIONS, Subject
from hubbub.option import shown
from hubbub.service.auth.permissions import load
from hubbub.service.commands.arguments import Arguments, one_of, wants_help
from hubbub.topics import check_filter, check_topic, unshared

USAGE = """\
hubbub check-acl: print whether the permissions allow a topic, and by which rule

  hubbub check-acl [OPTIONS] USER publish TOPIC
  hubbub check-acl [OPTIONS] USER subscribe FILTER
  hubbub check-acl [OPTIONS] USER manage TOPIC

USER is the name of a login; - is a client without one. It reads the
file itself, not through the daemon. Exit status: 0 allowed, 1 denied or a
mistake.

  --permissions FILE  the rules; default /etc/hubbub/permissions.toml
  --group NAME        a group of the login's token; may be repeated
  --client ID         the client identifier
  --listener ID       the id of the client's listener

Example:
  hubbub check-acl ann publish plant/7/set --permissions permissions.toml
"""
DEFAULT = Path("/etc/hubbub/permissions.toml")


def check_acl(arguments: Sequence[str]) -> int:
    """Print the verdict; 0: allowed, 1: denied. Raises ConfigError."""
    if wants_help(arguments):
        sys.stdout.write(USAGE)
        return 0
    parser = Arguments("check-acl")
    parser.add_argument("user", metavar="USER")
    parser.add_argument("action", type=one_of(*ACTIONS), metavar="ACTION")
    parser.add_argument("name", metavar="TOPIC")
    parser.add_argument("--permissions", type=Path, metavar="FILE")
    parser.add_argument("--group", action="append", default=[], metavar="NAME")
    parser.add_argument("--client", default="", metavar="ID")
    parser.add_argument("--listener", default="", metavar="ID")
    asked = parser.parse_args(arguments)
    name = _name(asked.action, asked.name)
    user = None if asked.user == "-" else asked.user
    try:
        permissions = load(asked.permissions or DEFAULT)
    except ConfigError as error:
        raise ConfigError(str(error) if asked.permissions else f"{error}; --permissions FILE names another") from None
    rights = permissions.rights(Subject(user, asked.client, asked.listener, frozenset(asked.group)))
    verdict = rights.decide(asked.action, name)
    if verdict.clauses:
        lines = [f"{'allowed' if verdict.allowed else 'denied'} by {clause}" for clause in verdict.clauses]
    else:
        lines = [f"denied: no rule of {asked.permissions or DEFAULT} allows it"]
        lines += [f"only a part of it is allowed by {clause}" for clause in rights.parts(asked.action, name)]
    sys.stdout.write("".join(line + "\n" for line in lines))
    return 0 if verdict.allowed else 1


def _name(action: str, name: str) -> str:
    """Return the topic or filter that permissions are about. Raises ConfigError."""
    try:
        return unshared(check_filter(name)) if action == "subscribe" else check_topic(name)
    except Refusal as refusal:
        raise ConfigError(f"check-acl: {shown(name)}: {refusal.reason}") from None
