"""First levels of topics that are not for all clients of all hubs."""

from __future__ import annotations

RESERVED = ("$SYS", "$hubbub")  # only the hub itself publishes below these
_LOCAL = (*RESERVED, "$JS", "$KV", "$MQTT")  # below the last three a nats-server takes commands, with a node's rights


def is_local(name: str) -> bool:
    """Return whether a topic or filter stays in its hub, also where that is a node of a cluster."""
    return name[:1] == "$" and name.partition("/")[0] in _LOCAL
