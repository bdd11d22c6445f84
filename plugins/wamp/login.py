"""HELLO, CHALLENGE, AUTHENTICATE and WELCOME: how a session begins.

method       --auth has                      what the client sends
anonymous    nothing, or it is allowed       no credentials
ticket       passwords or tokens             the password of `authid`, or a token
wampcra      passwords with a key=           an HMAC of the challenge with the key
scram        passwords with a scram=         a proof of the password, without showing it
cryptosign   passwords with a public key     a signature of the challenge
"""

from __future__ import annotations

import json
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Connect
from hubbub_plugins.wamp.arguments import json_of
from hubbub_plugins.wamp.codec import Malformed
from hubbub_plugins.wamp.codes import CHALLENGE, WELCOME
from hubbub_plugins.wamp.options import HelloDetails
from hubbub_plugins.wamp.speaker import Speaker

ANONYMOUS, TICKET = "anonymous", "ticket"
METHODS = (ANONYMOUS, TICKET, "wampcra", "scram", "cryptosign")
_TOKEN_PARTS = 3
_FEATURES = {
    "broker": (
        "event_retention pattern_based_subscription publisher_exclusion publisher_identification "
        "session_meta_api subscriber_blackwhite_listing subscription_meta_api testament_meta_api"
    ).split(),
    "dealer": (
        "call_canceling call_timeout caller_identification progressive_call_results registration_meta_api "
        "session_meta_api shared_registration testament_meta_api"
    ).split(),
}
ROLES = {role: {"features": dict.fromkeys(names, True)} for role, names in _FEATURES.items()}


def choose_method(hello: HelloDetails, login: bool) -> str:
    """Return how a client logs in: the first of its methods that hubbub knows. Raises Malformed."""
    offered = hello.authmethods or [ANONYMOUS]
    known = [one for one in offered if one in METHODS]
    if not login and ANONYMOUS in known:
        return ANONYMOUS
    if not known:
        uri = "wamp.error.no_matching_auth_method"
        raise Malformed(f"hubbub has the methods {', '.join(METHODS)}", uri, "not-authorized")
    return known[0]


def connect_event(method: str, hello: HelloDetails) -> Connect:
    """Return the login of a client without a ticket. Raises Malformed."""
    user = (hello.authid or "")[: limits.NAME_CHARACTERS]
    if method == ANONYMOUS:
        return Connect("")
    return Connect("", user=user, auth_method=method, auth_data=_json({"authextra": hello.authextra or {}}))


def ticket_event(hello: HelloDetails, ticket: str) -> Connect:
    """Return the login of a client with a ticket: a token says itself whose it is."""
    if not hello.authid or (ticket.startswith("eyJ") and len(ticket.split(".")) == _TOKEN_PARTS):
        return Connect("", token=ticket)
    return Connect("", user=hello.authid[: limits.NAME_CHARACTERS], password=ticket)


def challenge(speaker: Speaker, method: str, extra: dict[str, Any]) -> bytes:
    """Return CHALLENGE."""
    return speaker.say(CHALLENGE, method, extra)


def welcome(speaker: Speaker, method: str, data: bytes) -> bytes:
    """Return WELCOME; `data` is JSON that the login adds to it."""
    member = speaker.member
    assert member is not None
    details: dict[str, Any] = {"realm": speaker.realm.name, "roles": ROLES, **member.details()}
    del details["session"]
    if data:
        details["authextra"] = json.loads(data)
    return speaker.say(WELCOME, member.id, details)


def refused(speaker: Speaker, refusal: Refusal) -> bytes:
    """Return the ABORT of a login that has failed."""
    uris = {"not-authorized": "wamp.error.authentication_failed", "timeout": "wamp.error.timeout"}
    method = "of that method" in refusal.reason
    uri = "wamp.error.no_matching_auth_method" if method else uris.get(refusal.code, "wamp.error.authorization_failed")
    return speaker.abort(uri, refusal.reason)


def asked(speaker: Speaker, method: str, data: bytes) -> bytes:
    """Return CHALLENGE with what a checker asks: a JSON object."""
    return challenge(speaker, method, json.loads(data))


def answer(message: list[Any]) -> bytes:
    """Return AUTHENTICATE as a checker reads it: a JSON object. Raises Malformed."""
    extra = message[2] if len(message) > 2 and type(message[2]) is dict else {}
    return _json({"signature": message[1], "extra": extra})


def _json(details: dict[str, Any]) -> bytes:
    """Return what a client has said as a checker reads it. Raises Malformed."""
    try:
        return json_of(details, limits.LINE_SLACK)
    except Refusal as refusal:
        raise Malformed(refusal.reason) from None
