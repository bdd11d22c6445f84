"""plugins/wamp against what holds for every dialect."""

from __future__ import annotations

import json

from hubbub.testing import DialectContract
from hubbub_plugins.wamp import Wamp

HELLO = [1, "realm1", {"roles": {"publisher": {}, "callee": {}}}]
SAMPLES = [
    ([16, 1, {}, "com.app.temp", ["21.5"]], ["Publish com/app/temp '21.5' content_type='text/plain; charset=utf-8'"]),
    ([16, 2, {"acknowledge": True}, "a", [1, 2]], ["Publish a '{\"args\":[1,2]}'"]),
    ([16, 3, {}, "a..b"], ["Fault bad-topic"]),
    ([16, 4, {"exclude": [7]}, "a"], ["SelectivePublish a ''"]),
    ([32, 5, {"match": "prefix"}, "com.app"], ["Subscribe com/app/#"]),
    ([32, 6, {"match": "wildcard", "get_retained": True}, "com..temp"], ["Subscribe com/+/temp"]),
    ([34, 7, 1], ["Unsubscribe"]),
    ([64, 8, {"invoke": "roundrobin"}, "com.app.add"], ["Subscribe $share/procedure/com/app/add"]),
    ([66, 9, 3], ["Unsubscribe"]),
    ([48, 10, {"timeout": 100}, "com.app.add", [1], {"b": 2}], ["Request com/app/add"]),
    ([49, 10, {}], ["Cancel"]),
    ([70, 1, {}, [3]], []),
    ([8, 68, 1, {}, "com.app.error"], []),
    ([6, {}, "wamp.close.normal"], ["Close the client sent GOODBYE"]),
]


def unit(message):
    return json.dumps(message, separators=(",", ":")).encode()


def framed(message):
    data = unit(message)
    return len(data).to_bytes(4, "big") + data


class TestWebSocket(DialectContract):
    dialect = Wamp
    transports = ("websocket",)
    greeting = unit(HELLO)
    samples = [(unit(message), events) for message, events in SAMPLES]


class TestRawSocket(DialectContract):
    dialect = Wamp
    transports = ("tcp",)
    greeting = b"\x7f\xf1\0\0" + framed(HELLO)
    samples = [(framed(message), events) for message, events in SAMPLES]


class TestHello(DialectContract):
    dialect = Wamp
    transports = ("tcp",)
    samples = [
        (b"\x7f\xf1\0\0", ["Answer"]),
        (b"\x01\0\0\x02hi", ["Answer"]),
        (framed(HELLO), ["Connect client=''"]),
        (b"\x07\0\0\0", ["Close bad-command"]),
    ]
