"""CONNECT and CONNACK, as a server takes the one and gives the other (sections 3.1 and 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hubbub import Connect, Publish, Refusal, limits
from hubbub.errors import BadMethod
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.hearing import checked
from hubbub_plugins.mqtt.packets import V5, V31, V311, Connack
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed
from hubbub_plugins.mqtt.words import (
    BAD_CLIENT,
    BAD_LOGIN,
    BAD_METHOD,
    NODE,
    NOT_AUTHORIZED,
    QUOTA,
    TOO_OFTEN,
    UNAVAILABLE,
    publish,
    return_code,
)

NEVER = 0xFFFFFFFF  # a session expiry interval without an end (section 3.1.2.11.2)
KEEP_ALIVE_MAX = 0xFFFF  # seconds
_REFUSALS = {"not-authorized": NOT_AUTHORIZED, "quota": QUOTA, "rate-limited": TOO_OFTEN}  # MQTT-3.2.2-8


class Refused(Malformed):
    """What is refused in CONNECT, and so with a CONNACK."""


def opening(packet: packets.Connect, check_size: Callable[[bytes], None]) -> Connect:
    """Say who a client is, and what it wants. `check_size` raises Malformed for a long payload. Raises Refused."""
    properties = packet.properties
    method, proof = properties.get("authentication_method"), properties.get("authentication_data")
    if method is None and proof is not None:
        raise Refused("authentication data without a method", PROTOCOL_ERROR)
    _check_client(packet)
    user, password, token = _credentials(packet)
    will, delay = _will(packet, check_size)
    window = properties.get("receive_maximum", 65_535)
    return Connect(
        packet.client,
        user,
        password,
        token,
        packet,
        packet.clean,
        expiry(packet),
        will,
        delay,
        window,
        auth_method=method,
        auth_data=proof or b"",
        knows_receive_maximum=packet.version == V5,
    )


def expiry(packet: packets.Connect) -> float:
    """Tell how many seconds the session lives after its link."""
    if packet.version != V5:
        return 0.0 if packet.clean else math.inf
    return session_seconds(packet.properties.get("session_expiry_interval", 0))


def session_seconds(interval: int) -> float:
    """Tell the seconds of a session expiry interval."""
    return math.inf if interval == NEVER else float(interval)


def _check_client(packet: packets.Connect) -> None:
    client, version = packet.client, packet.version
    if len(client) > limits.NAME_CHARACTERS:
        raise Refused(f"a client identifier has at most {limits.NAME_CHARACTERS} characters", BAD_CLIENT)
    if not client and (version == V31 or (version != V5 and not packet.clean)):  # MQTT-3.1.3-8 of 3.1.1
        raise Refused("a session that is to be kept needs a client identifier", BAD_CLIENT)


def _credentials(packet: packets.Connect) -> tuple[str | None, str | None, str | None]:
    """Tell user, password and token: in version 5 a password without a user is a token."""
    try:
        password = packet.password.decode() if packet.password is not None else None
    except UnicodeDecodeError:
        raise Refused("a password is UTF-8 here", BAD_LOGIN) from None
    if packet.user is None:
        return None, None, password
    return packet.user, password or "", None


def _will(packet: packets.Connect, check_size: Callable[[bytes], None]) -> tuple[Publish | None, int]:
    said = packet.will
    if said is None:
        return None, 0
    try:
        check_size(said.payload)
        will = publish(checked(said.topic), said.payload, said.qos, said.retain, 0, said.properties)
    except Malformed as refusal:
        raise Refused(refusal.reason, refusal.code) from None
    will.dedup_id = None
    return will, said.properties.get("will_delay_interval", 0)


def keep_alive(packet: packets.Connect, idle: float) -> int:
    """Tell how many seconds a client may be silent, 0: any time. One of version 5 can be told to be silent for less."""
    most = max(1, min(int(idle), KEEP_ALIVE_MAX))
    if packet.version == V5 and not 0 < packet.keep_alive <= most:
        return most
    return packet.keep_alive


def welcome(event: Connect, version: int, longest: int, idle: float, node: str) -> Connack:
    """Make the CONNACK of who may come.

    longest  bytes of the longest packet that is taken here; idle: seconds that a client may be silent
    node     what this hub is known as to another one, which has said what it is
    """
    properties: dict[str, Any] = {}
    if version == V5:
        seconds = keep_alive(event.tag, idle)
        properties = {
            "receive_maximum": limits.FLIGHT,
            "maximum_packet_size": longest,
            "topic_alias_maximum": limits.TOPIC_ALIASES,
            "server_keep_alive": seconds if seconds != event.tag.keep_alive else None,  # MQTT-3.2.2-21
            "authentication_method": event.auth_method,
            "authentication_data": event.server_data or None,
            "assigned_client_identifier": event.client if not event.tag.client else None,
            "user_property": [(NODE, node)] * (NODE in dict(event.tag.properties.get("user_property", ()))),
        }
        if event.session_expiry > limits.SESSION_SECONDS:
            properties["session_expiry_interval"] = int(limits.SESSION_SECONDS)
    return Connack(present=event.session_present, properties=properties)


def turned_away(code: int, why: str, version: int, most: int | None) -> bytes:
    """Write a CONNACK that says no, at most `most` bytes; empty where the version has no word for it."""
    if version == V5:
        for properties in ({"reason_string": why}, {}):
            data = Connack(code=code, properties=properties).encode(V5)
            if most is None or len(data) <= most:
                return data
        return b""
    returned = return_code(code)
    return Connack(code=returned).encode(version or V311) if returned else b""


def refusal_code(refusal: Refusal) -> int:
    """Tell the reason code of a login that was refused."""
    if isinstance(refusal, BadMethod):
        return BAD_METHOD
    return _REFUSALS.get(refusal.code, UNAVAILABLE)
