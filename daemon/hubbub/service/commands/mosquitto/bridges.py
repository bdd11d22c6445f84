"""Bridges of mosquitto.conf(5) as hubbub's connectors."""

from __future__ import annotations

from collections.abc import Iterator

from hubbub.errors import ConfigError
from hubbub.option import host_port
from hubbub.service.commands.mosquitto.notes import Line, Note, located, toml

KEYS = (
    "address", "addresses", "topic", "remote_clientid", "clientid", "remote_username", "username", "remote_password",
    "password", "cleansession", "clean_session", "keepalive_interval", "bridge_protocol_version", "bridge_cafile",
    "bridge_certfile", "bridge_keyfile", "round_robin",
)  # fmt: skip
_VERSIONS = {"mqttv50": "5", "mqttv311": "3.1.1"}
_DIRECTIONS = {"out": ("push",), "in": ("pull",), "both": ("pull", "push")}
_FILES = {"trustRoots": "bridge_cafile", "certificate": "bridge_certfile", "privateKey": "bridge_keyfile"}


class Bridge:
    """One bridge: its `connection` line, and the lines below it whose keys are KEYS."""

    def __init__(self, line: Line, id: str) -> None:
        self.notes: list[Note] = []
        self._filters: dict[str, list[str]] = {"pull": [], "push": []}
        self._id = id
        self._line = line
        self._quality = 0
        self._lines: dict[str, Line] = {}

    def take(self, line: Line) -> None:
        """Take one of its lines."""
        if line.key == "topic":
            self._topic(line)
        else:
            self._lines[line.key] = line

    def _topic(self, line: Line) -> None:
        """Read `topic PATTERN [out|in|both [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]`."""
        words = line.rest.split()
        pattern, direction, qos, *prefixes = [*words, *("", "out", "0")[len(words) :]]
        if any(prefix.strip('"') for prefix in prefixes) or not pattern.strip('"'):
            self.notes.append(Note(line, "a bridge renames nothing here, but prefix= stands before all its topics"))
        elif direction not in _DIRECTIONS or qos not in ("0", "1", "2"):
            self.notes.append(Note(line, "expected topic PATTERN, then out, in or both, then 0, 1 or 2"))
        else:
            self._quality = max(self._quality, int(qos))
            for way in _DIRECTIONS[direction]:
                self._filters[way].append(pattern)

    def toml(self) -> Iterator[str]:
        """Yield its lines. Raises ConfigError if it has no usable address."""
        yield "[[connect]]"
        yield f"endpoint = {toml(self._endpoint())}"
        yield f"id = {toml(self._id)}"
        yield 'dialect = "mqtt"'
        for way, filters in self._filters.items():
            if filters:
                yield f"{way} = {toml(filters)}"
        yield f"qos = {self._quality}"
        yield from self._login()
        if (clean := self._get("cleansession", "clean_session")) is not None:
            yield f"clean = {toml(clean.rest == 'true')}"
        if (interval := self._get("keepalive_interval")) is not None and interval.rest.isdecimal():
            yield f'keep-alive = "{int(interval.rest)}s"'
        version = self._get("bridge_protocol_version")
        if version is not None and version.rest in _VERSIONS:
            yield f'version = "{_VERSIONS[version.rest]}"'
        elif version is not None:
            self.notes.append(Note(version, "it speaks 5, or 3.1.1 where the broker wants that"))

    def _get(self, *keys: str) -> Line | None:
        return next((self._lines[key] for key in keys if key in self._lines), None)

    def _endpoint(self) -> str:
        line = self._get("address", "addresses")
        if line is None or not line.rest:
            raise ConfigError(f"{self._line}: it has no address")
        (host, port), *others = [_place(one, line) for one in line.rest.split()]
        keys = {}
        if others:
            keys["servers"] = ",".join(host_port(name, at) for name, at in others)
            robin = self._get("round_robin")
            if robin is None or robin.rest != "true":
                self.notes.append(Note(line, "they are dialled in turn; the first isn't preferred"))
        secure = self._get("bridge_cafile") is not None
        if secure:
            keys |= {name: located(one.rest) for name, key in _FILES.items() if (one := self._get(key)) is not None}
        parts = ["tls" if secure else "tcp", _escaped(host), port]
        return ":".join([*parts, *(f"{name}={_escaped(value)}" for name, value in keys.items())])

    def _login(self) -> Iterator[str]:
        if (client := self._get("remote_clientid", "clientid")) is not None:
            yield f"client = {toml(client.rest)}"
        if (user := self._get("remote_username", "username")) is not None:
            yield f"user = {toml(user.rest)}"
        if (password := self._get("remote_password", "password")) is not None:
            self.notes.append(Note(password, "write it into a file of its own, and name that: password-file="))


def _place(text: str, line: Line) -> tuple[str, str]:
    """Return host and port. Raises ConfigError."""
    host, _, port = text.rpartition(":") if text.count(":") == 1 or "]" in text else (text, "", "1883")
    host = host.strip("[]")
    if not port.isdecimal() or len(port) > 5 or not host:
        raise ConfigError(f"{line}: expected HOST:PORT")
    return host, port


def _escaped(value: str) -> str:
    return value.replace(":", "\\:")
