"""NATS applications and MQTT clients on mapped names, through a node: nats-py, npm's client, paho."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from cluster.test_daemons import joined, node, status
from interop.mqtt.base import V5, At, Said, Wish
from interop.mqtt.javascript import driven
from interop.mqtt.paho_client import Paho
from interop.nats.clients import DRIVER, FOLDER, NatsJs, NatsPy
from waiting import wait_until

TOPICS = {
    "plain/a/b": "plain.a.b",
    "a//b": "a.%.b",
    "/": "%.%",
    "a b/1.5/50%": "a%20b.1%2E5.50%25",
    "a*b>c": "a%2Ab%3Ec",
    "tab\t/\x01\x7f": "tab%09.%01%7F",
    "ü/日本/😀/\u00a0/\u2028": "ü.日本.😀.\u00a0.\u2028",
    "!\"'$&(),;:=@[]\\^_`{|}~": "!\"'$&(),;:=@[]\\^_`{|}~",
    "$own/x": "$own.x",
}
"""One for each class of characters that MQTT allows, and its subject."""


@pytest.fixture(scope="module")
def daemon(server):
    with ExitStack() as stack:
        made = node(stack, server.port, "apps")
        joined(made)
        yield made


@pytest.fixture(scope="module")
def javascript(need):
    yield from driven(need, DRIVER, FOLDER)


@pytest.fixture(params=["nats-py", "transport"])
def app(request, server):
    at = At("tcp", "127.0.0.1", server.port)
    if request.param == "nats-py":
        with NatsPy(at) as made:
            yield made
    else:
        with NatsJs(request.getfixturevalue("javascript"), request.param, at) as made:
            yield made


@pytest.fixture
def sensor(daemon):
    with Paho(At("tcp", *daemon.tcp[0]), Wish(V5)) as made:
        yield made


def test_every_class_of_characters_crosses_both_ways(daemon, app, sensor):
    for subject in TOPICS.values():
        app.subscribe(subject)
    for topic in TOPICS:
        sensor.publish(topic, b"up")
    assert [app.next()[:2] for _ in TOPICS] == [(subject, b"up") for subject in TOPICS.values()]
    before = status(daemon)["filters"]
    for topic in TOPICS:
        sensor.subscribe(f"{topic}/down", 0)
    wait_until(lambda: status(daemon)["filters"] == before + len(TOPICS))
    for subject in TOPICS.values():
        app.publish(f"{subject}.down", b"down")
    output = [sensor.next() for _ in TOPICS]
    assert [(one.topic, one.payload) for one in output] == [(f"{topic}/down", b"down") for topic in TOPICS]


def test_a_request_of_an_application_is_answered_by_a_client(daemon, app, sensor):
    sensor.subscribe("service/double", 0)
    wait_until(lambda: status(daemon)["filters"] >= 1)
    app.subscribe("reply.here")
    app.publish("service.double", b"21", reply="reply.here", headers=[("Unit", "V")])
    output = sensor.next()
    assert (output.payload, output.said.response_topic) == (b"21", "reply/here")
    assert ("Unit", "V") in output.said.user
    sensor.publish("reply/here", b"42", said=Said(content_type="text/plain", user=(("Unit", "mV"),)))
    answer = app.next()
    assert (answer.subject, answer.payload) == ("reply.here", b"42")
    assert {("Content-Type", "text/plain"), ("Unit", "mV")} <= set(answer.headers)
