"""The single messages of WAMP's public test suite, and what a router makes of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wamp_client as wamp
from hubbub_plugins.wamp.codec import CBOR, JSON, MSGPACK
from wamp_client import WampHub

LINES = [line.split("\t") for line in (Path(__file__).parent / "vectors.txt").read_text().splitlines()[1:]]
OF_CLIENTS = {16, 32, 34, 48, 49, 64, 66, 70}
ANSWERED = {34: wamp.ERROR, 48: wamp.ERROR, 66: wamp.ERROR, 32: wamp.SUBSCRIBED, 64: wamp.REGISTERED}


def test_all_are_there():
    assert (len(LINES), len({json.loads(line[0])[0] for line in LINES})) == (102, 25)


@pytest.mark.parametrize("line", [line for line in LINES if len(line) > 2], ids=lambda line: line[0][:40])
def test_serializers_read_and_write_them(line):
    text, _, msgpack, cbor = line
    (message,) = JSON.read(text.encode())
    assert MSGPACK.read(bytes.fromhex(msgpack)) == CBOR.read(bytes.fromhex(cbor)) == [message]
    assert (MSGPACK.write(message).hex(), CBOR.write(message).hex()) == (msgpack, cbor)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0][:60])
def test_what_a_router_makes_of_them(line):
    message, right = json.loads(line[0]), line[1] == "ok"
    hub = WampHub(options={"realms": "com.example.realm"})
    if message[0] == wamp.HELLO:
        assert hub.stranger().say(*message)[0][0] == wamp.WELCOME
        return
    client = hub.client()
    answers = client.say(*message)
    if message[0] == wamp.GOODBYE:
        assert answers[0][0] == wamp.GOODBYE
    elif message[0] not in OF_CLIENTS or not right:
        assert [answer[0] for answer in answers] == ([] if message[0] == wamp.ABORT else [wamp.ABORT])
        assert client.closed
    elif message[0] == 16:
        acknowledged = message[2].get("acknowledge") and not message[2].get("enc_algo")
        assert [answer[0] for answer in answers] == [wamp.PUBLISHED] * bool(acknowledged)
    else:
        assert [answer[0] for answer in answers] == ([ANSWERED[message[0]]] if message[0] in ANSWERED else [])
