"""CONNECT and CONNECTED (STOMP 1.2, "Connecting")."""

from __future__ import annotations

from collections.abc import Mapping

from hubbub import Connect
from hubbub_plugins.stomp.frames import V10, V11, V12, Malformed, write_frame

VERSIONS = (V12, V11, V10)


def choose_version(headers: Mapping[str, str]) -> str:
    """Return the highest version that both sides speak (Protocol Negotiation). Raises Malformed."""
    offered = headers.get("accept-version", V10).split(",")
    for version in VERSIONS:
        if version in offered:
            return version
    raise Malformed(f"accept-version names none of {', '.join(VERSIONS)}")


def connect_event(headers: Mapping[str, str], heart_beat: str, prefetch: int) -> Connect:
    """Return the event of CONNECT; `heart_beat` is the header of the answer.

    prefetch  messages that the client may have without having acknowledged them

    A passcode without a login is a token. `host` is where the client connected to, no name of a tenant.
    """
    login, passcode = headers.get("login", ""), headers.get("passcode", "")
    user, password, token = None, None, None
    if login:
        user, password = login, passcode
    elif passcode:
        token = passcode
    return Connect(None, user, password, token, heart_beat, receive_maximum=prefetch)


def connected(event: Connect, version: str) -> bytes:
    """Encode CONNECTED. Its headers have no escapes."""
    headers = {"version": version, "heart-beat": event.tag, "session": event.client or "", "server": "hubbub"}
    return write_frame("CONNECTED", headers, V10)
