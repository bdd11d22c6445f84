"""The command `hubbub`: a short way to twistd, and tools for authors of plugins."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version

from hubbub.errors import ConfigError
from hubbub.option import hint, shown

USAGE = """\
hubbub: one daemon for every real-time client

  Try first, in three terminals:
      hubbub run
      hubbub sub tcp://localhost hello/#
      hubbub pub tcp://localhost hello/world "Hello"
  and open http://localhost:8999/ in a browser.

  hubbub run [OPTIONS]  open the listeners and serve until SIGINT or SIGTERM;
                        same as twistd --nodaemon --pidfile=
                        --logger=hubbub.service.logs.observers.by_destination
                        hubbub [OPTIONS]
  hubbub run --help     the options
  hubbub pub  sub  req  publish, subscribe and request, with any hub or MQTT
                        broker, from the shell
  hubbub bench URL      measure the latency and throughput of a hub
  hubbub new dialect NAME  or  hubbub new handler NAME
                        write a small plugin with its test
  hubbub try DIALECT FILE
                        print the events that a dialect reads from bytes
  hubbub check [OPTIONS]
                        print the mistakes in options and files
  hubbub status  reload  kick  trace  top
                        inspect and change a running hubbub
  hubbub passwd add|remove|check|list FILE [USER]
                        edit a password file for --auth hubbub:FILE
  hubbub check-acl USER publish|subscribe TOPIC
                        print whether the permissions allow it, and why
  hubbub store stats|check|export|import DIR
                        inspect, export and import the folder of --state
  hubbub import mosquitto mosquitto.conf
                        convert a configuration of Mosquitto
  hubbub completion bash|zsh|fish
                        print the completion for a shell
  hubbub COMMAND --help
                        more about one of these
  hubbub --version      the version
  hubbub --help         this text
"""

LOGGER = "--logger=hubbub.service.logs.observers.by_destination"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: those of this process) and return the exit status.

    What can't be done is one line on stderr and status 1.
    """
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command not in COMMANDS:
        known = [name for name in COMMANDS if name[0] != "-"]
        print(f"hubbub: no command '{shown(command)}'{hint(command, known)}", file=sys.stderr)
        return 1
    try:
        try:
            return found(command)(rest)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # the program that reads our output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigError as error:
        print(f"hubbub: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # 128 and SIGINT, as shells have it


def found(command: str) -> Callable[[Sequence[str]], int]:
    """Return what does `command`; its module is imported here, so that no command waits for what others need."""
    module, _, function = COMMANDS[command].partition(":")
    what: Callable[[Sequence[str]], int] = getattr(import_module(module, "hubbub.service"), function)
    return what


def run(options: Sequence[str]) -> int:
    """Become `twistd --nodaemon --pidfile= --logger=... hubbub OPTIONS`, in this process."""
    # Imported late: it takes a quarter of a second, and the other commands don't need it.
    from twisted.scripts.twistd import run as twistd

    sys.argv[:] = ["twistd", "--nodaemon", "--pidfile=", LOGGER, "hubbub", *options]
    twistd()
    return 0


def show_version(_: Sequence[str]) -> int:
    """Print the version that is installed."""
    print(f"hubbub {version('hubbub')}")
    return 0


def show_help(_: Sequence[str]) -> int:
    """Print what commands there are."""
    print(USAGE, end="")
    return 0


COMMANDS = {
    "run": ".cli:run",
    **{name: f".commands.messages:{name}" for name in ("pub", "sub", "req")},
    "bench": ".commands.bench:bench",
    "new": ".commands.new:new",
    "try": ".commands.try_dialect:try_dialect",
    "check": ".commands.check:check",
    **{name: f".commands.running:{name}" for name in ("status", "reload", "kick", "trace", "top")},
    "check-acl": ".commands.check_acl:check_acl",
    "passwd": ".commands.passwd:passwd",
    "store": ".commands.store:store",
    "completion": ".commands.completion:completion",
    "import": ".commands.mosquitto.command:import_from",
    **dict.fromkeys(("--version", "-V", "version"), ".cli:show_version"),
    **dict.fromkeys(("--help", "-h", "help"), ".cli:show_help"),
}
