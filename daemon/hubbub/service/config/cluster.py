"""`--cluster nats://a:4222,nats://b:4222:name=node1`: the NATS servers, and this node's name among the others."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hubbub import limits
from hubbub.bounds import count
from hubbub.errors import ConfigError
from hubbub.nats_protocol.nkeys import Credentials, credentials
from hubbub.option import Secret, duration, flag, hint, parse, secret, shown, size
from hubbub.service.config.link_keys import filled, identifier
from hubbub.service.config.remote import Remote, split_remote, take_remote
from hubbub.service.config.spec import parts_of


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """The cluster that a daemon is a node of.

    spec      where it was given and how, for messages
    remote    the NATS servers
    name      of this node, unique in the cluster
    cluster   the name of the cluster: two of them may share NATS servers
    replicas  on how many servers JetStream keeps each stream
    stream_bytes, stream_age  bounds of the stream: bytes, and seconds
    user, password_file, credentials_file  the login there, as that of a NATS connector
    handshake_first  whether TLS comes before INFO
    """

    spec: str
    remote: Remote
    name: str
    cluster: str = "hubbub"
    replicas: int = 1
    stream_bytes: int = limits.CLUSTER_STREAM_BYTES
    stream_age: float = limits.CLUSTER_STREAM_SECONDS
    user: str = ""
    password_file: Secret = field(default=Secret(""), repr=False)
    credentials_file: Credentials | None = None
    handshake_first: bool = False


def parse_cluster(raw: object, source: str) -> ClusterConfig:
    """Read an option string or a TOML table with `servers`; `source` is where it stands. Raises ConfigError."""
    spec, parts = parts_of(raw, "servers", source, split_remote)
    try:
        remote, rest = take_remote(parts)
        if remote.kind not in ("tcp", "tls"):
            raise ConfigError("the servers of a cluster are nats://HOST:PORT, or tls:HOST:PORT")
        values: dict[str, Any] = {}
        for key, value in rest:
            name = key.replace("_", "-")
            if (name, value) == ("dialect", "nats"):
                continue  # what nats:// stands for
            if name not in _KEYS:
                raise ConfigError(f"unknown key {shown(key)}={hint(name, _KEYS)}")
            values[name.replace("-", "_")] = parse(name, _KEYS[name], value)
        values.setdefault("name", parse("name", _node, platform.node().partition(".")[0]))
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    return ClusterConfig(spec=spec, remote=remote, **values)


def _node(raw: object) -> str:
    name = identifier(raw)
    if "." in name or len(name) > limits.NODE_CHARACTERS:
        raise ValueError(f"expected up to {limits.NODE_CHARACTERS} letters, digits, _ and -")
    return name


def _replicas(raw: object) -> int:
    found = count(raw)
    if 1 <= found <= limits.CLUSTER_REPLICAS:
        return found
    raise ValueError(f"expected a number from 1 to {limits.CLUSTER_REPLICAS}, 3 for a cluster that survives a server")


def _stream_age(raw: object) -> float:
    found = duration(raw)
    if found < limits.CLUSTER_STREAM_LEAST_SECONDS:
        raise ValueError(f"expected {limits.CLUSTER_STREAM_LEAST_SECONDS / 60:g}min at least")
    return found


def _stream_bytes(raw: object) -> int:
    found = size(raw)
    if found < limits.CLUSTER_STREAM_LEAST_BYTES:
        raise ValueError(f"expected {limits.CLUSTER_STREAM_LEAST_BYTES // limits.MiB}MiB at least")
    return found


_KEYS: dict[str, Callable[[object], Any]] = {
    "name": _node,
    "cluster": _node,
    "replicas": _replicas,
    "stream-bytes": _stream_bytes,
    "stream-age": _stream_age,
    "user": filled,
    "password-file": secret,
    "credentials-file": credentials,
    "handshake-first": flag,
}
