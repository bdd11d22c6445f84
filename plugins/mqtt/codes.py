"""Reason codes (MQTT 5.0 section 2.4), return codes of 3.1.1, and the refusals of the hub that they stand for."""

from __future__ import annotations

from hubbub import Refusal

NO_MATCHING_SUBSCRIBERS, NO_SUBSCRIPTION_EXISTED = 0x10, 0x11
CONTINUE_AUTHENTICATION, REAUTHENTICATE = 0x18, 0x19
UNSPECIFIED_ERROR, IMPLEMENTATION_SPECIFIC_ERROR, NOT_AUTHORIZED, SERVER_UNAVAILABLE = 0x80, 0x83, 0x87, 0x88
CLIENT_IDENTIFIER_NOT_VALID, BAD_USER_NAME_OR_PASSWORD, BAD_AUTHENTICATION_METHOD = 0x85, 0x86, 0x8C
SERVER_SHUTTING_DOWN, KEEP_ALIVE_TIMEOUT, SESSION_TAKEN_OVER, ADMINISTRATIVE_ACTION = 0x8B, 0x8D, 0x8E, 0x98
TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID, PACKET_IDENTIFIER_NOT_FOUND = 0x8F, 0x90, 0x92
RECEIVE_MAXIMUM_EXCEEDED, TOPIC_ALIAS_INVALID, PACKET_TOO_LARGE, MESSAGE_RATE_TOO_HIGH = 0x93, 0x94, 0x95, 0x96
QUOTA_EXCEEDED, PAYLOAD_FORMAT_INVALID, CONNECTION_RATE_EXCEEDED = 0x97, 0x99, 0x9F
WILDCARDS_NOT_SUPPORTED = 0xA2

REASONS = {
    "not-authorized": NOT_AUTHORIZED,
    "bad-topic": TOPIC_NAME_INVALID,
    "bad-filter": TOPIC_FILTER_INVALID,
    "too-long": PACKET_TOO_LARGE,
    "rate-limited": MESSAGE_RATE_TOO_HIGH,
    "quota": QUOTA_EXCEEDED,
    "bad-payload": PAYLOAD_FORMAT_INVALID,
}
"""Reason codes by the code of a Refusal."""

_RETURN_CODES = {  # 3.1.1 section 3.2.2.3
    0x84: 1,
    CLIENT_IDENTIFIER_NOT_VALID: 2,
    SERVER_UNAVAILABLE: 3,
    QUOTA_EXCEEDED: 3,
    CONNECTION_RATE_EXCEEDED: 3,
    BAD_USER_NAME_OR_PASSWORD: 4,
    NOT_AUTHORIZED: 5,
}


def reason_code(refusal: Refusal) -> int:
    """Return the reason code of a refusal."""
    return REASONS.get(refusal.code, UNSPECIFIED_ERROR)


def publish_reason_code(refusal: Refusal) -> int:
    """Return the one for PUBACK and PUBREC, which have none for rates, lengths and a full disk (section 3.4.2.1)."""
    code = reason_code(refusal)
    full = code in (MESSAGE_RATE_TOO_HIGH, PACKET_TOO_LARGE) or refusal.code == "unavailable"
    return QUOTA_EXCEEDED if full else code


def return_code(code: int) -> int:
    """Return the return code of a 3.1.1 CONNACK for a reason code of 5.0; 0: there is none."""
    return _RETURN_CODES.get(code, 0)
