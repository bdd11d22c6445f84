"""CONNECT and CONNACK, the server's side (MQTT 5.0 sections 3.1 and 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hubbub import Connect, Publish, Refusal, limits
from hubbub.errors import BadMethod
from hubbub.loop_prevention import NODE
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.codes import (
    BAD_AUTHENTICATION_METHOD,
    BAD_USER_NAME_OR_PASSWORD,
    CLIENT_IDENTIFIER_NOT_VALID,
    CONNECTION_RATE_EXCEEDED,
    NOT_AUTHORIZED,
    QUOTA_EXCEEDED,
    SERVER_UNAVAILABLE,
    return_code,
)
from hubbub_plugins.mqtt.messages import checked_topic, qos_publish
from hubbub_plugins.mqtt.packets import V5, V31, V311, Connack
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed

DROPPED = "hubbub-dropped"  # a user property of CONNACK: messages that the session has lost
NO_EXPIRY = 0xFFFFFFFF  # a session expiry interval without an end (section 3.1.2.11.2)
KEEP_ALIVE_MAX = 0xFFFF  # seconds
_REASON_CODES = {  # MQTT-3.2.2-8
    "not-authorized": NOT_AUTHORIZED,
    "quota": QUOTA_EXCEEDED,
    "rate-limited": CONNECTION_RATE_EXCEEDED,
}


class ConnectRefused(Malformed):
    """A CONNECT that is answered with a CONNACK of its reason code."""


def connect_event(packet: packets.Connect, check_size: Callable[[bytes], None]) -> Connect:
    """Return the event of a CONNECT. `check_size` raises Malformed for a long payload. Raises ConnectRefused."""
    properties = packet.properties
    method, data = properties.get("authentication_method"), properties.get("authentication_data")
    if method is None and data is not None:
        raise ConnectRefused("authentication data without a method", PROTOCOL_ERROR)
    _check_client(packet)
    user, password, token = _credentials(packet)
    will, delay = _will(packet, check_size)
    receive_maximum = properties.get("receive_maximum", 65_535)
    return Connect(
        packet.client,
        user,
        password,
        token,
        packet,
        packet.clean,
        session_expiry(packet),
        will,
        delay,
        receive_maximum,
        auth_method=method,
        auth_data=data or b"",
        knows_receive_maximum=packet.version == V5,
    )


def session_expiry(packet: packets.Connect) -> float:
    """Return how many seconds the session outlives its connection."""
    if packet.version != V5:
        return 0.0 if packet.clean else math.inf
    return session_seconds(packet.properties.get("session_expiry_interval", 0))


def session_seconds(interval: int) -> float:
    """Return the seconds of a session expiry interval."""
    return math.inf if interval == NO_EXPIRY else float(interval)


def _check_client(packet: packets.Connect) -> None:
    client, version = packet.client, packet.version
    if len(client) > limits.NAME_CHARACTERS:
        raise ConnectRefused(
            f"a client identifier has at most {limits.NAME_CHARACTERS} characters", CLIENT_IDENTIFIER_NOT_VALID
        )
    if not client and (version == V31 or (version != V5 and not packet.clean)):  # MQTT-3.1.3-8 of 3.1.1
        raise ConnectRefused("a session that is to be kept needs a client identifier", CLIENT_IDENTIFIER_NOT_VALID)


def _credentials(packet: packets.Connect) -> tuple[str | None, str | None, str | None]:
    """Return user, password and token: in version 5 a password without a user is a token."""
    try:
        password = packet.password.decode() if packet.password is not None else None
    except UnicodeDecodeError:
        raise ConnectRefused("a password is UTF-8 here", BAD_USER_NAME_OR_PASSWORD) from None
    if packet.user is None:
        return None, None, password
    return packet.user, password or "", None


def _will(packet: packets.Connect, check_size: Callable[[bytes], None]) -> tuple[Publish | None, int]:
    """Return the will message and its delay in seconds."""
    sent = packet.will
    if sent is None:
        return None, 0
    try:
        check_size(sent.payload)
        will = qos_publish(checked_topic(sent.topic), sent.payload, sent.qos, sent.retain, 0, sent.properties)
    except Malformed as error:
        raise ConnectRefused(error.reason, error.code) from None
    will.dedup_id = None
    return will, sent.properties.get("will_delay_interval", 0)


def keep_alive(packet: packets.Connect, idle: float) -> int:
    """Return the keep alive in seconds, 0 for none; in version 5 the server may shorten it to `idle` (3.2.2.3.14)."""
    longest = max(1, min(int(idle), KEEP_ALIVE_MAX))
    if packet.version == V5 and not 0 < packet.keep_alive <= longest:
        return longest
    return packet.keep_alive


def connack(event: Connect, max_packet: int, idle: float, node: str) -> Connack:
    """Return the CONNACK of an accepted client.

    max_packet  bytes of the longest packet that is accepted here; idle: seconds that a client may be silent
    node        the name of this hub for another hub, which has sent its own
    """
    packet, properties = event.tag, dict[str, Any]()
    if packet.version == V5:
        seconds = keep_alive(packet, idle)
        user_properties = [(NODE, node)] * (NODE in dict(packet.properties.get("user_property", ())))
        user_properties += [(DROPPED, str(event.dropped))] * (event.dropped > 0)
        properties = {
            "receive_maximum": limits.INFLIGHT_MESSAGES,
            "maximum_packet_size": max_packet,
            "topic_alias_maximum": limits.TOPIC_ALIASES,
            "server_keep_alive": seconds if seconds != packet.keep_alive else None,  # MQTT-3.2.2-21
            "authentication_method": event.auth_method,
            "authentication_data": event.server_data or None,
            "assigned_client_identifier": event.client if not packet.client else None,
            "user_property": user_properties,
        }
        if event.session_expiry > limits.SESSION_SECONDS:
            properties["session_expiry_interval"] = int(limits.SESSION_SECONDS)
    return Connack(present=event.session_present, properties=properties)


def refused_connack(code: int, reason: str, version: int, max_packet: int | None) -> bytes:
    """Encode a CONNACK with a reason code, at most `max_packet` bytes; empty if the version has no such code."""
    if version == V5:
        for properties in ({"reason_string": reason}, {}):
            data = Connack(code=code, properties=properties).encode(V5)
            if max_packet is None or len(data) <= max_packet:
                return data
        return b""
    returned = return_code(code)
    return Connack(code=returned).encode(version or V311) if returned else b""


def connect_reason_code(refusal: Refusal) -> int:
    """Return the reason code of a login that was refused."""
    if isinstance(refusal, BadMethod):
        return BAD_AUTHENTICATION_METHOD
    return _REASON_CODES.get(refusal.code, SERVER_UNAVAILABLE)
