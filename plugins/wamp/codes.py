"""Numbers of WAMP's messages, and the URIs of its errors."""

from __future__ import annotations

from hubbub.errors import Refusal

HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE, ERROR = 1, 2, 3, 4, 5, 6, 8
PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT = 16, 17, 32, 33, 34, 35, 36
CALL, CANCEL, RESULT, REGISTER, REGISTERED, UNREGISTER, UNREGISTERED = 48, 49, 50, 64, 65, 66, 67
INVOCATION, INTERRUPT, YIELD = 68, 69, 70

_URIS = {
    "bad-topic": "wamp.error.invalid_uri",
    "bad-filter": "wamp.error.invalid_uri",
    "bad-payload": "wamp.error.invalid_argument",
    "bad-utf8": "wamp.error.invalid_argument",
    "too-long": "wamp.error.payload_size_exceeded",
    "not-authorized": "wamp.error.not_authorized",
    "timeout": "wamp.error.timeout",
    "no-responders": "wamp.error.no_such_procedure",
}
CANCELED = "wamp.error.canceled"
FAILURE = "wamp.error"
"""The property of a reply that makes it an ERROR: its value is the URI."""


def uri_of_refusal(refusal: Refusal) -> str:
    """Return the URI of an error."""
    return _URIS.get(refusal.code) or f"hubbub.error.{refusal.code.replace('-', '_')}"
