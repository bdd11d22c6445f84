"""What WAMP sessions say, message by message: valid and invalid, for hubbub and for Crossbar.

A step is the name of a session and a message. "T." begins the URIs of the script; "$sub", "$reg" and "$inv" are the ids
that the session got last, "$a" is that of the session a. A session begins with HELLO, unless it is called raw.
"""

from __future__ import annotations

from typing import Any

Step = tuple[str, Any]

FEATURES: dict[str, bool] = dict.fromkeys(
    (
        "publisher_identification", "publisher_exclusion", "subscriber_blackwhite_listing",
        "pattern_based_subscription", "caller_identification", "call_timeout", "call_canceling",
        "progressive_call_results", "shared_registration", "pattern_based_registration", "testament_meta_api",
        "event_retention",
    ),
    True,
)  # fmt: skip
ROLES = {role: {"features": FEATURES} for role in ("publisher", "subscriber", "caller", "callee")}
HELLO = [1, "realm1", {"roles": ROLES}]
ME = {"exclude_me": False}


def subscribe(**options: Any) -> list[Any]:
    """SUBSCRIBE to T.a."""
    return [32, 1, options, "T.a"]


def register(**options: Any) -> list[Any]:
    """REGISTER T.add."""
    return [64, 1, options, "T.add"]


def call(number: int = 1, *more: Any, **options: Any) -> list[Any]:
    """CALL T.add."""
    return [48, number, options, "T.add", *more]


def to_all(publish: list[Any], **options: Any) -> list[Step]:
    """Subscribe a and b, then have c publish."""
    return [("a", subscribe(**options)), ("b", subscribe(**options)), ("c", publish)]


def error(kind: int) -> list[Any]:
    """ERROR to the last invocation or whatever `kind` is."""
    return [8, kind, "$inv", {}, "T.failed", ["why"], {"k": 1}]


BROKER: dict[str, list[Step]] = {
    "an event": to_all([16, 1, {}, "T.a"]),
    "arguments": to_all([16, 1, {}, "T.a", [1, "x", None, {"y": [2.5]}], {"k": True}]),
    "keywords alone": to_all([16, 1, {}, "T.a", [], {"k": True}]),
    "acknowledged": to_all([16, 1, {"acknowledge": True}, "T.a", ["x"]]),
    "to oneself": [("a", subscribe()), ("a", [16, 2, ME, "T.a", ["x"]])],
    "not to oneself": [("a", subscribe()), ("a", [16, 2, {}, "T.a", ["x"]])],
    "excluded": to_all([16, 1, {"exclude": ["$a"]}, "T.a", ["x"]]),
    "eligible": to_all([16, 1, {"eligible": ["$a"]}, "T.a", ["x"]]),
    "nobody is eligible": to_all([16, 1, {"eligible": []}, "T.a", ["x"]]),
    "excluded by role": to_all([16, 1, {"exclude_authrole": ["anonymous"]}, "T.a", ["x"]]),
    "eligible by role": to_all([16, 1, {"eligible_authrole": ["anonymous"]}, "T.a", ["x"]]),
    "who has published": to_all([16, 1, {"disclose_me": True}, "T.a", ["x"]]),
    "a prefix": [("a", [32, 1, {"match": "prefix"}, "T.a"]), ("c", [16, 1, {}, "T.a.b", ["x"]])],
    "a prefix within a component": [("a", [32, 1, {"match": "prefix"}, "T.a"]), ("c", [16, 1, {}, "T.abc", ["x"]])],
    "a wildcard": [("a", [32, 1, {"match": "wildcard"}, "T..c"]), ("c", [16, 1, {}, "T.b.c", ["x"]])],
    "a match that is none": [("a", [32, 1, {"match": "regexp"}, "T.a"])],
    "one topic twice": [("a", subscribe()), ("a", [32, 2, {}, "T.a"]), ("c", [16, 1, {}, "T.a", ["x"]])],
    "a topic and its prefix": [
        ("a", subscribe()), ("a", [32, 2, {"match": "prefix"}, "T"]), ("c", [16, 1, {}, "T.a", ["x"]])
    ],
    "UNSUBSCRIBE": [("a", subscribe()), ("a", [34, 2, "$sub"]), ("c", [16, 1, {}, "T.a", ["x"]])],
    "UNSUBSCRIBE of nothing": [("a", [34, 1, 4711])],
    "retained": [("c", [16, 1, {"retain": True}, "T.a", ["x"]]), ("a", subscribe(get_retained=True))],
    "retained, and not asked for": [("c", [16, 1, {"retain": True}, "T.a", ["x"]]), ("a", subscribe())],
    "an empty component": [("a", [32, 1, {}, "T..a"])],
    "an empty URI": [("a", [32, 1, {}, ""])],
    "a URI with a space": [("a", [32, 1, {}, "T.a b"])],
    "a URI with #": [("a", [32, 1, {}, "T.a#b"])],
    "PUBLISH to a bad URI": [("a", [16, 1, {}, "T..a"])],
    "PUBLISH to a bad URI, acknowledged": [("a", [16, 1, {"acknowledge": True}, "T..a"])],
    "PUBLISH to wamp": [("a", [16, 1, {"acknowledge": True}, "wamp.session.x"])],
}  # fmt: skip

DEALER: dict[str, list[Step]] = {
    "a call": [
        ("a", register()), ("c", call(1, [1, 2], {"k": 3})), ("a", [70, "$inv", {}, [3], {"sum": 3}]),
    ],
    "no result": [("a", register()), ("c", call()), ("a", [70, "$inv", {}])],
    "a call of nothing": [("c", call())],
    "an error": [("a", register()), ("c", call()), ("a", error(68))],
    "one procedure twice": [("a", register()), ("b", register())],
    "roundrobin": [
        ("a", register(invoke="roundrobin")), ("b", register(invoke="roundrobin")), ("c", call()), ("c", call(2)),
    ],
    "first": [("a", register(invoke="first")), ("b", register(invoke="first")), ("c", call())],
    "last": [("a", register(invoke="last")), ("b", register(invoke="last")), ("c", call())],
    "single and first": [("a", register()), ("b", register(invoke="first"))],
    "a policy that is none": [("a", register(invoke="best"))],
    "a prefix of procedures": [("a", [64, 1, {"match": "prefix"}, "T"]), ("c", call())],
    "a wildcard of procedures": [("a", [64, 1, {"match": "wildcard"}, "T..x"]), ("c", [48, 1, {}, "T.b.x"])],
    "the exact one first": [("a", [64, 1, {"match": "prefix"}, "T"]), ("b", register()), ("c", call())],
    "who calls": [("a", register()), ("c", call(disclose_me=True))],
    "progress": [
        ("a", register()), ("c", call(receive_progress=True)),
        ("a", [70, "$inv", {"progress": True}, [1]]), ("a", [70, "$inv", {}, [2]]),
    ],
    "progress that nobody wants": [
        ("a", register()), ("c", call()), ("a", [70, "$inv", {"progress": True}, [1]]), ("a", [70, "$inv", {}, [2]]),
    ],
    "a callee that goes": [("a", register()), ("c", call()), ("a", [6, {}, "wamp.close.close_realm"])],
    "a call's timeout": [("a", register()), ("c", call(timeout=300)), ("c", [32, 9, {}, "T.later"])],
    "cancel, skip": [("a", register()), ("c", call()), ("c", [49, 1, {"mode": "skip"}]), ("a", [70, "$inv", {}])],
    "cancel, kill": [("a", register()), ("c", call()), ("c", [49, 1, {"mode": "kill"}]), ("a", error(68))],
    "cancel, killnowait": [
        ("a", register()), ("c", call()), ("c", [49, 1, {"mode": "killnowait"}]), ("a", error(68)),
    ],
    "cancel in a mode that is none": [("a", register()), ("c", call()), ("c", [49, 1, {"mode": "slay"}])],
    "cancel of nothing": [("c", [49, 1, {}])],
    "UNREGISTER": [("a", register()), ("a", [66, 2, "$reg"]), ("c", call())],
    "UNREGISTER of nothing": [("a", [66, 1, 4711])],
    "UNREGISTER of another's": [("a", register()), ("b", [66, 1, 1])],
    "YIELD to nothing": [("a", [70, 4711, {}])],
    "ERROR to nothing": [("a", [8, 68, 4711, {}, "T.x"])],
    "REGISTER of a bad URI": [("a", [64, 1, {}, "T..a"])],
    "REGISTER of wamp": [("a", [64, 1, {}, "wamp.x"])],
    "CALL of a bad URI": [("a", [48, 1, {}, "T..a"])],
    "the session's own call": [("a", [64, 1, {}, "T.add"]), ("a", call(2)), ("a", [70, "$inv", {}, ["x"]])],
    "wamp.session.count": [("a", [48, 1, {}, "wamp.session.count", [["nobody"]]])],
    "wamp.session.get": [("a", [48, 1, {}, "wamp.session.get", [4711]])],
    "wamp.registration.match": [("a", [48, 1, {}, "wamp.registration.match", ["T.none"]])],
    "wamp.registration.get": [("a", [48, 1, {}, "wamp.registration.get", [4711]])],
    "wamp.subscription.lookup": [("a", [48, 1, {}, "wamp.subscription.lookup", ["T.none"]])],
    "a procedure of wamp that isn't there": [("a", [48, 1, {}, "wamp.session.dance"])],
}  # fmt: skip

SESSION: dict[str, list[Step]] = {
    "GOODBYE": [("a", [6, {}, "wamp.close.close_realm"])],
    "HELLO": [("raw", HELLO), ("raw", [6, {}, "wamp.close.close_realm"])],
    "HELLO twice": [("a", HELLO)],
    "HELLO to an unknown realm": [("raw", [1, "nowhere", {"roles": ROLES}])],
    "HELLO without roles": [("raw", [1, "realm1", {}])],
    "HELLO with unknown roles": [("raw", [1, "realm1", {"roles": {"dancer": {}}}])],
    "HELLO with a login that nobody asked for": [
        ("raw", [1, "realm1", {"roles": ROLES, "authmethods": ["ticket"], "authid": "ann"}])
    ],
    "ABORT": [("a", [3, {}, "T.why"])],
    "ABORT first": [("raw", [3, {}, "T.why"])],
    "GOODBYE first": [("raw", [6, {}, "wamp.close.close_realm"])],
    "SUBSCRIBE first": [("raw", subscribe())],
    "AUTHENTICATE": [("a", [5, "x", {}])],
    "WELCOME": [("a", [2, 1, {"roles": {"broker": {}}}])],
    "EVENT": [("a", [36, 1, 1, {}])],
    "SUBSCRIBED": [("a", [33, 1, 1])],
    "an unknown message": [("a", [99, 1])],
    "no message": [("a", [])],
    "an object": [("a", {})],
    "a number": [("a", 7)],
    "no JSON": [("a", b"[16,")],
    "no UTF-8": [("a", b'[16,1,{},"\xff"]')],
    "SUBSCRIBE without a topic": [("a", [32, 1, {}])],
    "SUBSCRIBE with too much": [("a", [*subscribe(), 1])],
    "SUBSCRIBE with a text for an id": [("a", [32, "x", {}, "T.a"])],
    "SUBSCRIBE with a negative id": [("a", [32, -1, {}, "T.a"])],
    "SUBSCRIBE with an id beyond 2^53": [("a", [32, 2**53 + 1, {}, "T.a"])],
    "SUBSCRIBE with an id of 0": [("a", [32, 0, {}, "T.a"])],
    "SUBSCRIBE with a list for options": [("a", [32, 1, [], "T.a"])],
    "SUBSCRIBE with a number for a topic": [("a", [32, 1, {}, 7])],
    "PUBLISH with a text for arguments": [("a", [16, 1, {}, "T.a", "x"])],
    "PUBLISH with a list for keywords": [("a", [16, 1, {}, "T.a", [], []])],
    "PUBLISH with a text for acknowledge": [("a", [16, 1, {"acknowledge": "x"}, "T.a"])],
    "PUBLISH with an option that is none": [("a", [16, 1, {"_x": 1, "acknowledge": True}, "T.a"])],
    "CALL with a text for its timeout": [("a", [48, 1, {"timeout": "x"}, "T.a"])],
    "one id twice": [("a", subscribe()), ("a", [32, 1, {}, "T.b"])],
    "an id left out": [("a", [32, 5, {}, "T.a"])],
}  # fmt: skip

SCRIPTS: dict[str, list[Step]] = {**BROKER, **DEALER, **SESSION}
