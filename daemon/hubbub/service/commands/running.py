"""The commands that talk to a running daemon: reload, status, kick, trace, top."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hubbub.option import duration, integer, printable, shown
from hubbub.service.commands.arguments import Arguments, read_by, wants_help
from hubbub.service.commands.client import ask
from hubbub.service.commands.connection import positive
from hubbub.service.commands.report import cluster_report, report, table, terminal_width
from hubbub.service.control.neighbours import neighbours

_WHERE = """\
  --control FILE   the daemon's control socket; default: that of this
                   user's daemon, or /run/hubbub/control.sock
"""
RELOAD_USAGE = f"""\
hubbub reload: make a running hubbub read its files again

The files are the configuration, plugins, certificates, users and permissions.
Applies all changes, and prints them; after a mistake it applies none, prints
the mistake, and the exit status is 1.

{_WHERE}"""
STATUS_USAGE = f"""\
hubbub status: show what a running hubbub does

  --links          list the links too: id, identity, bytes that wait
  --cluster        show all nodes of its cluster instead
  --json           for programs: one JSON object; with --links "each" is a list
{_WHERE}"""
KICK_USAGE = f"""\
hubbub kick: close links of a running hubbub, and print their number

  hubbub kick LINK...     by the ids that `hubbub status --links` shows
  --user NAME  --client ID  --host ADDRESS  --listener ID
                   all links of that user, of that MQTT client identifier, of
                   that address or network such as 10.0.0.0/8, of that listener
                   or connector; several options all have to match
{_WHERE}"""
TRACE_USAGE = f"""\
hubbub trace: show the bytes, events and results of clients

Prints each unit of bytes as text and in hexadecimal, its events, and the
number of subscribers of each message, or the reason of a refusal. Masks
passwords and tokens. Runs until Ctrl-C.

  --listener ID    links of one listener or connector
  --host ADDRESS   links of one address, or network such as 10.0.0.0/8
  --topic FILTER   messages on these topics only
  --json           a JSON object a line
{_WHERE}"""
TOP_USAGE = f"""\
hubbub top: show what a running hubbub does, again and again until q

  --interval TIME  time between two requests; default 1s
  --count N        end after N of them
{_WHERE}
On a terminal it needs rich: pip install 'hubbub[top]'.
"""


def reload(arguments: Sequence[str]) -> int:
    """Have a daemon read its files again."""
    if _helped(arguments, RELOAD_USAGE):
        return 0
    asked = _parser("reload").parse_args(arguments)
    for answer in ask(asked.control, {"command": "reload"}, seconds=None):
        print(f"reloaded: {printable(answer['changed'])}")
    return 0


def status(arguments: Sequence[str]) -> int:
    """Show a daemon's state."""
    if _helped(arguments, STATUS_USAGE):
        return 0
    parser = _parser("status")
    parser.add_argument("--links", action="store_true")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.cluster:
        (nodes,) = ask(asked.control, {"command": "cluster"})
        del nodes["done"]
        print(json.dumps(nodes) if asked.json else cluster_report(nodes, terminal_width()).rstrip("\n"))
        return 0
    found, links = look(asked.control, asked.links)
    if asked.control is None:
        _tell_others(found["pid"])
    if asked.json:
        print(json.dumps(found | ({"each": links} if asked.links else {})))
        return 0
    width = terminal_width()
    print(report(found, width), end="")
    if asked.links:
        print(f"\n{table(links, _LINK_COLUMNS, width)}" if links else "\nno links", end="" if links else "\n")
    return 0


def _tell_others(pid: int) -> None:
    """Say on stderr which other daemons run here: the one that has answered may not be the one that was meant."""
    for path, other in neighbours():
        if other["pid"] != pid:
            print(
                f"hubbub: pid {other['pid']} is another daemon; for that one: --control {path} asks it", file=sys.stderr
            )


def look(control: Path | None, links: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the state of a daemon, and with `links` of each link. Raises ConfigError."""
    answers = list(ask(control, {"command": "status", "links": links}))
    return answers[0]["status"], sorted(answers[1:-1], key=lambda link: int(link["link"]))


def kick(arguments: Sequence[str]) -> int:
    """Close links."""
    if _helped(arguments, KICK_USAGE):
        return 0
    parser = _parser("kick")
    parser.add_argument("links", metavar="LINK", type=read_by(integer), nargs="*")
    for name in ("--user", "--client", "--host", "--listener"):
        parser.add_argument(name)
    asked = parser.parse_args(arguments)
    chosen = {"user": asked.user, "client": asked.client, "host": asked.host, "listener": asked.listener}
    if not asked.links and not any(chosen.values()):
        parser.error("it closes nothing without a LINK, --user, --client, --host or --listener")
    kicked = 0
    for link in asked.links or [None]:
        for answer in ask(asked.control, {"command": "kick", "link": link, **chosen}):
            kicked += answer["kicked"]
    print(f"kicked {kicked} link{'s' * (kicked != 1)}")
    return 0 if kicked else 1


def trace(arguments: Sequence[str]) -> int:
    """Show what comes and goes."""
    if _helped(arguments, TRACE_USAGE):
        return 0
    parser = _parser("trace")
    for name in ("--listener", "--host", "--topic"):
        parser.add_argument(name)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    wish = {"command": "trace", "listener": asked.listener, "host": asked.host, "topic": asked.topic}
    show = json.dumps if asked.json else traced
    for record in ask(asked.control, wish, seconds=None):
        print(show(record), flush=True)
    return 0


def traced(record: Mapping[str, Any]) -> str:
    """Write one record of a trace, in some lines."""
    if "tracing" in record:
        count = record["tracing"]
        return f"tracing {count} link{'s' * (count != 1)}, and those that come"
    if "dropped" in record:
        return f"({record['dropped']} more, which came too fast to be shown)"
    if "refused" in record:
        head = f"{record['listener']} {record['host']} refused: {record['refused']}"
    else:
        head = f"#{record['link']} {record['listener']} {record['peer']} {record['dialect']}"
    if "time" in record:
        head = f"{datetime.fromtimestamp(record['time']).astimezone():%H:%M:%S.%f}"[:-3] + f" {head}"
    lines = []
    for name, sign in (("in", "<"), ("out", ">")):
        if name in record:
            more = f" ... {record['bytes']} bytes" if record["bytes"] > len(record["hex"].split()) else ""
            lines += [f"  {sign} {record[name]}{more}", f"    {record['hex']}"]
    lines += [f"  {text}" for text in (record.get("note"), *record.get("events", ())) if text]
    if "more" in record:
        lines.append(f"  ... {record['more']} more events")
    lines += [f"  = {record[name]}" for name in ("result", "held") if name in record]
    return printable("\n".join([head, *lines]), keep="\n")


def top(arguments: Sequence[str]) -> int:
    """Show a daemon's state again and again."""
    from hubbub.service.commands.top import watch

    if _helped(arguments, TOP_USAGE):
        return 0
    parser = _parser("top")
    parser.add_argument("--interval", type=read_by(duration), default=1.0)
    parser.add_argument("--count", type=positive)
    asked = parser.parse_args(arguments)
    watch(lambda: look(asked.control)[0], max(asked.interval, 0.1), asked.count)
    return 0


def _parser(command: str) -> Arguments:
    parser = Arguments(command)
    parser.add_argument("--control", type=Path, metavar="FILE")
    return parser


def _helped(arguments: Sequence[str], usage: str) -> bool:
    """Print the usage text where it is asked for."""
    if arguments and wants_help(arguments):
        print(usage, end="")
        return True
    return False


_LINK_COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "link": lambda link: link["link"],
    "listener": lambda link: link["listener"],
    "peer": lambda link: f"{link['host']}:{link['port']}" if link["port"] else link["host"],
    "user": lambda link: link["user"] or "-",
    "client": lambda link: shown(link["client"] or "-"),
    "dialect": lambda link: link["dialect"],
    "filters": lambda link: link["subscriptions"],
    "waiting": lambda link: link["waiting"],
    "dropped": lambda link: link["dropped"],
    "silent": lambda link: f"{link['silent']:g} s",
}
