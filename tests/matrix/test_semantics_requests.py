"""Requests that cross from one protocol to another: the table of docs/semantics.md on who asks and who answers."""

from __future__ import annotations

import json

import pytest

from hubbub import Handler, Refusal, on
from hubbub.dialects.http import Http
from hubbub.http import HttpRequest
from hubbub.nats_protocol.subjects import topic_of
from hubbub.testing import World
from matrix import page
from matrix.speakers import seat
from wamp_client import YIELD


class Visit:
    """One HTTP request, behind the transport that reads it."""

    def __init__(self, world, method, path, body=b"", **query):
        listener = world.listen("websocket", Http)
        self.end = listener.connect()
        (link,) = listener.context.links
        link.receive(
            HttpRequest.made(method, path.encode(), {name: [value] for name, value in query.items()}, {}, body)
        )
        world.turn()

    def answer(self):
        """What has come: a reply, or why there is none."""
        for found in self.end.received():
            said = json.loads(found) if found.startswith(b"{") else {}
            return [("error", {404: "no-responders", 504: "timeout"}[said["status"]])] if said else [("reply", found)]
        return []


class Answerer:
    """Subscribes to `ask`, and answers what comes: `back` is the topic that it may know by agreement."""

    def __init__(self, world, column):
        self.world = world
        self.column = column
        getattr(self, "seat_" + column.replace(" ", "_").replace(".", "").replace("`", "").replace("=", ""))()

    def seat_MQTT_5(self):
        self.one = seat(self.world, "tcp-mqtt", subscribes="ask")

    def seat_MQTT_311(self):
        self.one = seat(self.world, "tcp-mqtt311", subscribes="ask")

    def seat_NATS(self):
        self.one = seat(self.world, "websocket-nats", subscribes="ask")

    def seat_STOMP(self):
        self.one = seat(self.world, "websocket-stomp", subscribes="ask")

    def seat_WAMP(self):
        self.one = seat(self.world, "tcp-wamp")
        self.one.register("ask")
        self.one.reported()

    def seat_json(self):
        self.one = seat(self.world, "udp-json")
        self.one.subscribe("ask", meta=True)
        self.one.reported()

    def seat_HTTP(self):
        self.one = Visit(self.world, "GET", "/messages", filter="ask")
        assert self.one.answer() == [("reply", b"")]

    def seat_lines(self):
        self.one = seat(self.world, "tcp-lines", subscribes="ask")

    def seat_a_handler(self):
        class Answers(Handler):
            @on("ask")
            def answer(self, message):
                message.reply(b"an answer")

        self.one = self.world.run(Answers)

    def seat_lines_with_answer(self):
        self.one = seat(self.world, "tcp-lines", subscribe="ask", answer=2.0)

    def seat_raw_with_answer(self):
        self.one = seat(self.world, "tcp-raw", subscribes="ask", publishes="up", answer=2.0)

    def answer(self):
        self.world.turn()
        if self.column == "MQTT 5":
            (asked,) = self.one.reported()
            assert asked.payload == b"what?"
            about = asked.properties.get("correlation_data")
            more = {} if about is None else {"correlation_data": about}
            self.one.publish(asked.properties["response_topic"], b"an answer", **more)
        elif self.column == "STOMP":
            (asked,) = self.one.reported()
            more = {name: value for name, value in asked.headers.items() if name == "correlation-id"}
            self.one.publish(asked.reply_to, b"an answer", **more)
        elif self.column == "WAMP":
            ((_, number, _, _, args),) = self.one.reported()
            assert args == ["what?"]
            self.one.say(YIELD, number, {}, ["an answer"])
        elif self.column == "json":
            (asked,) = self.one.reported()
            more = {"correlation": asked["correlation"]} if "correlation" in asked else {}
            self.one.publish(asked["reply_to"], b"an answer", **more)
        elif self.column == "HTTP":
            (asked,) = map(json.loads, self.one.end.received())
            assert asked["data"] == "what?"
            Visit(self.world, "POST", f"/topics/{asked['reply_to']}", b"an answer")
        elif self.column == "NATS":
            self.world.turn()
            ((words, payload),) = self.one.units()
            assert payload[int(words[-2]) if words[0] == b"HMSG" else 0 :] == b"what?"
            self.one.publish(topic_of(words[3].decode()), b"an answer")
        elif self.column != "a handler":
            assert self.one.output() == [self.one.message("ask", b"what?")]
            self.one.publish("up" if "answer" in self.column else "back", b"an answer")
        self.world.turn()


def ask(world, row):
    """Ask, and return what tells the outcome: a reply with what it says of itself, or a refusal's code."""
    if row == "a handler":
        outcome = []

        class Asks(Handler):
            @on("go")
            async def go(self, message):
                try:
                    answer = await self.request("ask", b"what?")
                except Refusal as refusal:
                    outcome.append(("error", refusal.code))
                else:
                    outcome.append(("reply", answer.payload))

        world.run(Asks)
        seat(world, "udp-lines").publish("go", b"")
        return lambda: outcome
    if row == "MQTT 5":
        one = seat(world, "tcp-mqtt", subscribes="back")
        one.publish("ask", b"what?", response_topic="back", correlation_data=b"\0\xff")

        def replies():
            found = [packet for packet in one.reported() if hasattr(packet, "topic")]
            return [("reply", packet.payload, packet.properties.get("correlation_data")) for packet in found]

        return replies
    if row.startswith("HTTP"):
        return Visit(world, "POST", "/requests/ask", b"what?").answer
    if row == "NATS":
        one = seat(world, "tcp-nats", subscribes="back")
        one.request("ask", b"what?")
        return one.output
    if row == "STOMP":
        one = seat(world, "tcp-stomp", subscribes="back")
        one.publish("ask", b"what?", reply_to="back", correlation_id="base64:AP8=")

        def answers():
            about = {"base64:AP8=": b"\0\xff"}
            return [("reply", frame.body, about.get(frame.headers.get("correlation-id"))) for frame in one.reported()]

        return answers
    asking = {"lines `REQ`": "tcp-lines", "WAMP": "websocket-wamp"}
    one = seat(world, asking.get(row, "websocket-json"))
    one.request("ask", b"what?")
    return one.output


ASKED = list(page.crossed("asks"))
OUTCOMES = {
    "the reply": [("reply", b"an answer")],
    "no reply": [("error", "timeout")],
    "with its correlation": [("reply", b"an answer", b"\0\xff")],
    "without its correlation": [("reply", b"an answer", None)],
    "by agreement": [("reply", b"an answer", None)],
}


@pytest.mark.parametrize(("row", "column", "cell"), ASKED)
def test_requests_and_replies(row, column, cell):
    world = World()
    answerer = Answerer(world, column)
    outcome = ask(world, row)
    answerer.answer()
    world.advance(3)
    shown = 2 if row == "NATS" else 3  # it has no correlation
    assert outcome() == [found[:shown] for found in OUTCOMES[cell]]


def test_every_asker_and_answerer_is_there():
    assert {row for row, *_ in ASKED} == {
        "lines `REQ`",
        "json `request`",
        "HTTP `POST /requests/`",
        "a handler",
        "MQTT 5",
        "NATS",
        "STOMP",
        "WAMP",
    }
    assert {cell for *_, cell in ASKED} == set(OUTCOMES) <= page.explained()
