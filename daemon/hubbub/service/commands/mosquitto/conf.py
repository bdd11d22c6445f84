"""mosquitto.conf as hubbub's listeners, bridges, logins and permissions. What it means is that of Mosquitto 2.0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.commands.mosquitto.acl import Acl
from hubbub.service.commands.mosquitto.bridges import KEYS, Bridge
from hubbub.service.commands.mosquitto.notes import Line, Note, located, read_lines, toml
from hubbub.service.commands.mosquitto.reasons import REASONS, reason

_SECURITY = ("allow_anonymous", "password_file", "acl_file")
_LISTENER = (
    "protocol", "cafile", "certfile", "keyfile", "require_certificate", "use_identity_as_username", "mount_point",
    "socket_domain",
)  # fmt: skip
_GENERAL = ("message_size_limit", "max_packet_size", "max_queued_bytes")


@dataclass(slots=True)
class _Listener:
    """One listener: where it is, and the last line of each option."""

    port: int
    host: str | None
    line: Line | None
    lines: dict[str, Line] = field(default_factory=dict)
    id: str = ""

    def get(self, key: str) -> str | None:
        line = self.lines.get(key)
        return line.rest if line is not None else None

    def is_on(self, key: str) -> bool:
        return self.get(key) == "true"


class Import:
    """One mosquitto.conf, converted: `config` and `permissions` are files for hubbub, `notes` what is missing."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where a file can't be read."""
        self.notes: list[Note] = []
        self._general: dict[str, Line] = {}
        self._default = _Listener(1883, None, None)
        self._listeners: list[_Listener] = []
        self._bridges: list[Bridge] = []
        self._per_listener = False
        self._read(path)
        explicit = bool(self._listeners) or self._default.line is not None
        if self._default.line is not None or not explicit:
            self._default.host = self._default.host or (None if explicit else "127.0.0.1")
            self._listeners.insert(0, self._default)
        else:
            self.notes += [Note(line, "it stands before the first listener") for line in self._default.lines.values()]
        self._local = not explicit
        self._name()
        self._auth = self._logins()
        self.permissions = self._rules()
        self.config = self._config()
        self.notes += [note for bridge in self._bridges for note in bridge.notes]
        self.notes.sort(key=lambda note: (str(note.line.file), note.line.number) if note.line is not None else ("", 0))

    # Reading

    def _read(self, path: Path) -> None:
        current = self._default
        for line in _all_lines(path):
            if line.key == "listener":
                current = self._listen(line)
            elif line.key == "connection":
                self._bridges.append(Bridge(line, f"bridge-{len(self._bridges) + 1}"))
            elif line.key in KEYS and self._bridges:
                self._bridges[-1].take(line)
            elif line.key in ("port", "bind_address"):
                self._place_default(line)
            elif line.key == "per_listener_settings":
                self._per_listener = line.rest == "true"
            elif line.key in _SECURITY:
                (current.lines if self._per_listener else self._general)[line.key] = line
            elif line.key in _LISTENER:
                current.lines[line.key] = line
            elif line.key in _GENERAL:
                self._general[line.key] = line
            else:
                self.notes.append(Note(line, reason(line.key)))

    def _listen(self, line: Line) -> _Listener:
        port, _, host = line.rest.partition(" ")
        if not port.isdecimal() or len(port) > 5:
            raise ConfigError(f"{line}: expected a port, as in listener 1883")
        made = _Listener(int(port), host.strip() or None, line)
        self._listeners.append(made)
        return made

    def _place_default(self, line: Line) -> None:
        self._default.line = line
        if line.key == "bind_address":
            self._default.host = line.rest
        elif line.rest.isdecimal() and len(line.rest) <= 5:
            self._default.port = int(line.rest)
        else:
            raise ConfigError(f"{line}: expected a port, as in port 1883")

    def _name(self) -> None:
        """Give each listener an id of its own, which rules can name."""
        taken: set[str] = set()
        for one in self._listeners:
            base = f"mosquitto-{one.port or 'unix'}"
            one.id = next(id for id in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if id not in taken)
            taken.add(one.id)

    def _security(self, one: _Listener, key: str) -> Line | None:
        return (one.lines if self._per_listener else self._general).get(key)

    # Logins and permissions

    def _logins(self) -> list[str]:
        found: dict[str, list[_Listener]] = {}
        for one in self._listeners:
            line = self._security(one, "password_file")
            if line is not None:
                found.setdefault(line.rest, []).append(one)
        for listeners in found.values():
            if len(listeners) < len(self._listeners):
                line = self._security(listeners[0], "password_file")
                self.notes.append(Note(line, "its users may log in on every listener here, on this one alone there"))
        names = [f"mosquitto:{located(file)}" for file in found]
        if any(one.is_on("use_identity_as_username") for one in self._listeners):
            names.append("certificate")
        return names

    def _rules(self) -> str | None:
        """Return the rules as TOML; None where there is no acl_file."""
        files: dict[str, list[_Listener]] = {}
        free = []
        for one in self._listeners:
            line = self._security(one, "acl_file")
            if line is None:
                free.append(one.id)
            else:
                files.setdefault(line.rest, []).append(one)
        if not files:
            return None
        rules = []
        for file, listeners in files.items():
            acl = Acl(Path(file))
            self.notes += acl.notes
            if acl.users and not self._auth:
                line = self._security(listeners[0], "acl_file")
                self.notes.append(
                    Note(line, "it names users, but there is no password_file, so none of them can log in")
                )
            ids = [one.id for one in listeners] if len(listeners) < len(self._listeners) else []
            rules += [section.toml(ids) for section in acl.sections()]
        if free:  # without an acl_file everything is allowed there
            rules.append(
                f'[[rule]]\nwho.listener = {toml(free)}\nallow.publish = "#"\nallow.subscribe = ["#", "$SYS/#"]\n'
            )
        return "\n".join(rules)

    # Writing

    def _config(self) -> str:
        parts = []
        if self._auth:
            parts.append(f"auth = [{', '.join(map(toml, self._auth))}]\n")
        if self.permissions is not None:
            parts.append('permissions = "permissions.toml"\n')
        parts += ["\n".join(self._listener(one)) + "\n" for one in self._listeners]
        parts += ["\n".join(bridge.toml()) + "\n" for bridge in self._bridges]
        return "\n".join(parts)

    def _listener(self, one: _Listener) -> Iterator[str]:
        protocol = one.get("protocol") or "mqtt"
        if protocol not in ("mqtt", "websockets"):
            self._note(one, "protocol", "it is neither mqtt nor websockets")
        yield "[[websocket]]" if protocol == "websockets" else "[[tcp]]"
        yield from self._endpoint(one)
        yield f"id = {toml(one.id)}"
        anonymous = self._security(one, "allow_anonymous")
        yield f"anonymous = {toml(self._local if anonymous is None else anonymous.rest == 'true')}"
        mount = one.get("mount_point")
        if mount is not None and mount.endswith("/") and mount[:-1]:
            yield f"prefix = {toml(mount[:-1].replace('{', '{{').replace('}', '}}'))}"
        elif mount is not None:
            self._note(one, "mount_point", "prefix= is put before / and the topic; this has no / at its end")
        yield from self._bounds()

    def _endpoint(self, one: _Listener) -> Iterator[str]:
        if one.port == 0 and one.host is not None:
            yield f"endpoint = {toml('unix:' + one.host.replace(':', chr(92) + ':'))}"
            return
        host, six = self._address(one)
        if one.get("certfile") is None:
            yield f"endpoint = {toml(f'tcp6:{one.port}' if six else f'tcp:{one.port}')}"
            yield f"interface = {toml(host)}"
            return
        yield f"endpoint = {toml(f'ssl:{one.port}')}"
        yield f"interface = {toml(host)}"
        yield f"privateKey = {toml(located(one.get('keyfile') or one.get('certfile') or ''))}"
        yield f"certKey = {toml(located(one.get('certfile') or ''))}"
        if one.is_on("require_certificate") and one.get("cafile") is not None:
            yield f"client-ca = {toml(located(one.get('cafile') or ''))}"
        elif one.is_on("require_certificate"):
            self._note(one, "require_certificate", "it needs the authorities in one file: client-ca=")

    def _address(self, one: _Listener) -> tuple[str, bool]:
        host = "127.0.0.1" if one.host == "localhost" else one.host
        if host is None:
            six = one.get("socket_domain") == "ipv6"
            if one.get("socket_domain") is None:
                self.notes.append(
                    Note(one.line, 'it listens on IPv4 here; one with tcp6: and interface = "::" adds IPv6')
                )
            return ("::" if six else "0.0.0.0"), six  # noqa: S104  as it was
        try:
            return host, isinstance(ip_address(host), IPv6Address)
        except ValueError:
            self.notes.append(Note(one.line, "interface= takes an address, not a name; it listens on 127.0.0.1 now"))
            return "127.0.0.1", False

    def _bounds(self) -> Iterator[str]:
        sizes = [int(line.rest) for key, line in self._general.items() if key in _GENERAL[:2] and line.rest.isdecimal()]
        if any(sizes):
            yield f"max-message = {min(size for size in sizes if size)}"
        queued = self._general.get("max_queued_bytes")
        if queued is not None and queued.rest.isdecimal() and int(queued.rest):
            yield f"queue = {int(queued.rest)}"

    def _note(self, one: _Listener, key: str, why: str) -> None:
        self.notes.append(Note(one.lines[key], why))


def _all_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file, and in its place what include_dir names."""
    for line in read_lines(path):
        if line.key != "include_dir":
            yield line
            continue
        try:
            files = sorted(file for file in Path(line.rest).iterdir() if file.suffix == ".conf")
        except (OSError, ValueError) as error:  # ValueError: it has a NUL
            raise ConfigError(f"{line}: {getattr(error, 'strerror', None) or 'there is no such folder'}") from None
        if len(files) > limits.CONFIG_FILES:
            raise ConfigError(f"{line}: there are more than {limits.CONFIG_FILES} files")
        for file in files:
            yield from read_lines(file)


_PLACES = ("connection", "listener", "port", "bind_address", "include_dir")
KNOWN = frozenset((*REASONS, *KEYS, *_SECURITY, *_LISTENER, *_GENERAL, *_PLACES))
