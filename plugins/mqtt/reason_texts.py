"""Reason codes and return codes of a server as text (MQTT 5.0 section 2.4; MQTT 3.1.1 section 3.2.2.3)."""

from __future__ import annotations

from hubbub.option import shown
from hubbub_plugins.mqtt.properties import Properties

_RETURN_CODES = {
    1: "it doesn't speak that version of MQTT",
    2: "it doesn't take that client identifier",
    3: "it is unavailable",
    4: "bad user name or password",
    5: "not authorized",
}
_REASON_CODES = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "it has a reason of its own",
    0x84: "it doesn't speak that version of MQTT",
    0x85: "it doesn't take that client identifier",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "it is unavailable",
    0x89: "it is busy",
    0x8A: "banned",
    0x8B: "it shuts down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "another client has the same identifier, see client=",
    0x8F: "it doesn't take that filter",
    0x90: "it doesn't take that topic",
    0x91: "packet identifier in use",
    0x92: "packet identifier not found",
    0x93: "more at once than it takes",
    0x94: "bad topic alias",
    0x95: "packet too large",
    0x96: "more often than it takes",
    0x97: "quota exceeded",
    0x98: "by its operator",
    0x99: "bad payload format",
    0x9A: "it keeps no retained messages",
    0x9B: "not at that quality of service",
    0x9C: "use another server",
    0x9D: "the server has moved",
    0x9E: "it has no shared subscriptions",
    0x9F: "connections come too fast",
    0xA0: "connected for as long as it allows",
    0xA1: "it has no subscription identifiers",
    0xA2: "it has no wildcards in filters",
}


def reason_text(code: int, properties: Properties) -> str:
    """Describe a code in one line, with the server's reason string and server reference."""
    known = _RETURN_CODES.get(code) or _REASON_CODES.get(code) or "an unknown code"
    text = f"{known} (0x{code:02X})" if code >= 0x80 else f"{known} ({code})"
    for name in ("reason_string", "server_reference"):
        if properties.get(name):
            text += f": {shown(properties[name])}"
    return text
