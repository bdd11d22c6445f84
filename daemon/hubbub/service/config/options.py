"""The options of `twistd hubbub`: what the command line and the configuration file say, as one Settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from twisted.cred.strcred import AuthOptionMixin
from twisted.python import usage

from hubbub import limits
from hubbub.bounds import Bounds, count, read_bound
from hubbub.errors import ConfigError
from hubbub.option import duration, shown
from hubbub.service.auth.kinds import INTERFACES
from hubbub.service.auth.specs import ignores, read_spec
from hubbub.service.config import toml
from hubbub.service.config.cluster import parse_cluster
from hubbub.service.config.link_keys import parse_network
from hubbub.service.config.run_help import SYNOPSIS, explained, help_text
from hubbub.service.config.settings import Settings, parse_connector, parse_handler, parse_history, parse_listener
from hubbub.service.config.toml_place import Place

T = TypeVar("T")

DEFAULTS = {"tcp": "tcp:6999", "udp": "udp:6999", "websocket": "tcp:8999"}
"""The listeners that are opened if no option names one."""

_HOST = "[a-z0-9][a-z0-9_.-]{0,252}"
_ORIGIN = re.compile(rf"{_HOST}|file://|[a-z][a-z0-9+.-]{{0,62}}://({_HOST}|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?")


class Options(usage.Options, AuthOptionMixin):
    """The tap options. `settings()` is what they and the configuration file come to."""

    supportedInterfaces = INTERFACES
    longdesc = ""  # usage.Options would wrap the examples; getUsage puts them first
    optFlags = (
        ("list-plugins", None, "List the plugins, with the reason for each that can't be loaded, and exit."),
        ("watch", None, "Reload when a file in a --plugin-dir folder changes, for plugin authors."),
    )
    compData = usage.Completions(
        multiUse=[*toml.ARRAYS, "limit"],
        optActions={
            "config": usage.CompleteFiles("*.toml"),
            "permissions": usage.CompleteFiles("*.toml"),
            "plugin-dir": usage.CompleteDirs(),
            "state": usage.CompleteDirs(),
        },
    )

    opt_h = usage.Options.opt_help

    _mistake: Callable[[str], object] | None = None

    def opt_tcp(self, spec: str) -> None:
        """Listen on TCP, TLS or a Unix socket: a SPEC such as tcp:6999. Repeats."""
        self._add("tcp", spec)

    def opt_udp(self, spec: str) -> None:
        """Listen on UDP: a SPEC such as udp:6999. Repeats."""
        self._add("udp", spec)

    def opt_websocket(self, spec: str) -> None:
        """Listen for WebSocket: a SPEC such as tcp:8999. Repeats."""
        self._add("websocket", spec)

    def opt_handler(self, spec: str) -> None:
        """Run a handler: its name and its keys, such as upper or alarm:above=30. Repeats."""
        self._add("handler", spec)

    def opt_plugin_dir(self, folder: str) -> None:
        """Look for plugins in this folder too; a reload reads it again. Repeats."""
        self._add("plugin-dir", folder)

    def opt_origin(self, host: str) -> None:
        """Accept web pages of this host, hub.example.org, or of this origin, https://app.example.org. Repeats."""
        self._add("origin", host)

    def opt_connect(self, spec: str) -> None:
        """Connect to tcp:HOST:PORT, udp:HOST:PORT, unix:FILE or ws://HOST:PORT/, and again after a loss. Repeats."""
        self._add("connect", spec)

    def opt_auth(self, spec: str) -> None:
        """Require a login: hubbub:FILE, see `hubbub passwd`; --help-auth lists the kinds; none: ignore it. Repeats."""
        self._add("auth", read_spec(spec, "--auth", Path.cwd())[1])

    def opt_trust_proxy(self, network: str) -> None:
        """Take the client's address from proxies of this network, such as 10.0.0.0/8. Repeats."""
        self._add("trust-proxy", network)

    def opt_permissions(self, file: str) -> None:
        """Read permissions to publish and subscribe from this TOML file, and deny everything else."""
        self._set("permissions", file)

    def opt_metrics(self, endpoint: str) -> None:
        """Serve metrics for Prometheus at /metrics of this endpoint, such as tcp:9100."""
        self._set("metrics", endpoint)

    def opt_limit(self, spec: str) -> None:
        """Set one of the limits below, such as connections=1000. Repeats."""
        name, equals, value = spec.partition("=")
        if not equals:
            raise usage.UsageError(f"--limit {shown(spec)}: expected NAME=VALUE, such as connections=1000")
        self._add("limit", (name, value))

    def opt_control(self, file: str) -> None:
        """Open this socket for `hubbub status`, `reload`, `trace` and the other commands."""
        self._set("control", file)

    def opt_state(self, folder: str) -> None:
        """Store sessions, queued and retained messages in this folder, so that they survive a restart."""
        self._set("state", folder)

    def opt_history(self, spec: str) -> None:
        """Keep the messages of a filter for later clients, with bounds: sensors/#:age=24h. Repeats."""
        self._add("history", spec)

    def opt_durability(self, level: str) -> None:
        """Acknowledge after fsync, which survives a power loss, or after process, which survives a crash of hubbub."""
        self._set("durability", level)

    def opt_on_damage(self, what: str) -> None:
        """With a damaged file in --state, set-aside starts with the readable records, refuse doesn't start."""
        self._set("on-damage", what)

    def opt_cluster(self, spec: str) -> None:
        """Join a cluster as a node: its NATS servers and this node's name, such as nats://a,b:name=node1."""
        self._set("cluster", spec)

    def opt_workers(self, number: str) -> None:
        """Run so many processes on the same ports, for machines with several cores; they need nats-server."""
        self._set("workers", number)

    def opt_once(self, time: str) -> None:
        """Remember idempotency keys for this time, such as 2min; a retry after it is a new message."""
        self._set("once", time)

    def opt_drain(self, time: str) -> None:
        """At a stop, wait at most this time for clients to receive their messages, such as 30s."""
        self._set("drain", time)

    def opt_config(self, file: str) -> None:
        """Read this TOML file and conf.d/*.toml beside it. An option replaces the list of its name in the file."""
        self._set("config", file)

    def opt_version(self) -> NoReturn:
        """Print the version, and exit."""
        try:
            number = version("hubbub")
        except PackageNotFoundError:
            number = "(not installed)"
        sys.stdout.write(f"hubbub {number}\n")
        sys.exit(0)

    def parseArgs(self, *words: str) -> None:
        """There are no arguments beyond options."""
        if words:
            raise usage.UsageError(f"{shown(words[0])} is no option; `hubbub run --help` lists them")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse and check all that needs no plugin. A mistake is one line on stderr and exit status 1."""
        try:
            self._here = Path.cwd()
            self.arguments = list(options or ())
            super().parseOptions(options)
            self._settings = self._merge()
            self._fix_paths()
        except (usage.UsageError, ConfigError) as error:
            raise SystemExit(f"hubbub: {explained(error, self.longOpt)}") from None

    def look(self, options: Sequence[str], mistake: Callable[[str], object]) -> None:
        """Parse as for a start, but tell `mistake` of what is wrong, and leave it out. Raises ConfigError."""
        self._mistake, self._here = mistake, Path.cwd()
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            raise ConfigError(explained(error, self.longOpt)) from None
        self._settings = self._merge()

    def reread(self) -> Settings:
        """Return what is asked for now: the command line as it was, the file as it is. Raises ConfigError."""
        return self._merge()

    def settings(self) -> Settings:
        """Return what was asked for, once the options are parsed."""
        return self._settings

    @property
    def folder(self) -> Path:
        """Return where the options were given."""
        return self._here

    def getSynopsis(self) -> str:
        """Say how the options are given."""
        return SYNOPSIS

    def getUsage(self, width: int | None = None) -> str:
        """Put the examples before the options."""
        return help_text(super().getUsage(width))

    def _add(self, name: str, value: object) -> None:
        self.setdefault(name, []).append((f"--{name}", value))

    def _set(self, name: str, value: str) -> None:
        if name in self:
            more = "; more files go into conf.d beside the first" if name == "config" else ""
            raise usage.UsageError(f"--{name} is given twice{more}")
        self[name] = value

    def _fix_paths(self) -> None:
        """What is read again is meant from where the command was given, and twistd may go elsewhere (--rundir)."""
        for name in ("config", "permissions", "control", "state"):
            if name in self:
                self[name] = str(Path(self[name]).absolute())
        if "plugin-dir" in self:
            self["plugin-dir"] = [(at, str(Path(raw).absolute())) for at, raw in self["plugin-dir"]]

    def _merge(self) -> Settings:
        found: dict[str, list[tuple[str, object]]] = {name: [] for name in toml.ARRAYS + toml.SCALARS + toml.TABLES}
        if "config" in self:
            for name, entries in toml.read(self["config"]).items():
                found[name] = [(f"{where}: {name}", _beside(where, name, value)) for where, value in entries]
        found |= {name: self[name] for name in toml.ARRAYS if self.get(name)}
        found |= {name: [(f"--{name}", self[name])] for name in toml.SCALARS if name in self}
        if not any(found[name] for name in DEFAULTS):
            found |= {name: [(f"--{name}", spec)] for name, spec in DEFAULTS.items()}
        auth = tuple(read_spec(raw, at, self._here) for at, raw in found["auth"])
        ignore_logins = ignores(auth)
        return Settings(
            listeners=tuple(one for name in DEFAULTS for one in self._each(found[name], partial(parse_listener, name))),
            connectors=tuple(self._each(found["connect"], parse_connector)),
            handlers=tuple(self._each(found["handler"], parse_handler)),
            plugin_dirs=tuple(self._each(found["plugin-dir"], _folder)),
            origins=tuple(self._each(found["origin"], partial(_origin, bool(found["websocket"] or found["metrics"])))),
            trust_proxy=tuple(self._each(found["trust-proxy"], parse_network)),
            auth=() if ignore_logins else auth,
            ignore_logins=ignore_logins,
            watch=bool(self.get("watch")),
            history=tuple(self._each(found["history"], parse_history)),
            bounds=Bounds(**dict(self._each([*found["limits"], *self.get("limit", ())], read_bound))),
            **{name.replace("-", "_"): one for name in toml.SCALARS for one in self._each(found[name], _SCALARS[name])},
        )

    def _each(self, entries: Iterable[tuple[str, object]], read: Callable[[object, str], T]) -> Iterator[T]:
        """Read each entry; `look` wants to know of all that are wrong."""
        for at, raw in entries:
            try:
                yield read(raw, at)
            except ConfigError as error:
                if self._mistake is None:
                    raise
                self._mistake(str(error))


def _beside(where: Place, name: str, value: object) -> object:
    """A folder in a file is meant from where the file is; the daemon's own may be /."""
    folder = where.path.parent
    if name == "auth":
        return read_spec(value, f"{where}: auth", folder)[1]
    return str(folder / value) if name in _BESIDE and isinstance(value, str) and value else value


def _folder(raw: object, source: str) -> Path:
    if isinstance(raw, str) and raw:
        return Path(raw).absolute()  # before twistd goes to --rundir
    raise ConfigError(f"{source} {shown(raw)}: expected a folder")


def _file(raw: object, source: str) -> Path:
    if isinstance(raw, str) and raw:
        return Path(raw).absolute()
    raise ConfigError(f"{source} {shown(raw)}: expected a file")


def _text(raw: object, source: str) -> str:
    if isinstance(raw, str) and raw:
        return raw
    raise ConfigError(f"{source} {shown(raw)}: expected some text")


def _duration(raw: object, source: str) -> float:
    try:
        return duration(raw)
    except ValueError as error:
        raise ConfigError(f"{source} {shown(raw)}: {error}") from None


def _some_time(raw: object, source: str) -> float:
    seconds = _duration(raw, source)
    if seconds > 0:
        return seconds
    raise ConfigError(f"{source} {shown(raw)}: expected more than 0, such as 2min")


def _origin(has_pages: bool, raw: object, source: str) -> str:
    if not has_pages:
        raise ConfigError(f"{source} {shown(raw)}: there is no WebSocket listener for pages; add --websocket tcp:8999")
    if isinstance(raw, str) and _ORIGIN.fullmatch(raw.lower()):
        return raw.lower()
    reason = "expected a host name, or an origin such as https://app.example.org, capacitor://localhost or file://"
    raise ConfigError(f"{source} {shown(raw)}: {reason}")


def _one_of(*words: str) -> Callable[[object, str], str]:
    def read(raw: object, source: str) -> str:
        if raw in words:
            return str(raw)
        raise ConfigError(f"{source} {shown(raw)}: expected {' or '.join(words)}")

    return read


def _workers(raw: object, source: str) -> int:
    try:
        found = count(raw)
    except ValueError:
        found = 0
    if 1 <= found <= limits.WORKERS:
        return found
    raise ConfigError(f"{source} {shown(raw)}: expected a number from 1 to {limits.WORKERS}")


_BESIDE = ("plugin-dir", "permissions", "state")
_SCALARS: dict[str, Callable[[object, str], Any]] = {
    "permissions": _file,
    "metrics": _text,
    "control": _file,
    "drain": _duration,
    "state": _file,
    "durability": _one_of("fsync", "process"),
    "on-damage": _one_of("set-aside", "refuse"),
    "once": _some_time,
    "cluster": parse_cluster,
    "workers": _workers,
}
