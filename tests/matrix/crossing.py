"""Who hears and who talks in the tests of docs/semantics.md: what each is told of a message, and what each can say.

A message is told as a dict by the rows of the page's tables: what isn't told isn't there.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest

from hubbub import Handler, on
from hubbub.nats_protocol.subjects import topic_of
from matrix.speakers import seat
from wamp_client import EVENT


class Ear:
    """Subscribes to everything, at a QoS if its dialect has one."""

    def __init__(self, world, name, qos=0):
        self.world = world
        self.dialect = name.partition("-")[2]
        self.one = seat(world, name, **({"subscribes": "#", "publishes": "ear"} if name.endswith("raw") else {}))
        if self.dialect.startswith("mqtt"):
            self.one.subscribe("#", qos=qos)
        elif self.dialect == "json":
            self.one.subscribe("#", meta=True)
        elif self.dialect in ("lines", "nats", "stomp", "wamp"):
            self.one.subscribe("#")

    def output(self):
        found = [getattr(self, self.dialect)(unit) for unit in self.units()]
        return [one for one in found if one]

    def units(self):
        if self.dialect == "lines":
            return self.one.output()
        self.world.turn()
        return self.one.units()

    def mqtt(self, packet):
        if not hasattr(packet, "topic"):
            return None
        said = packet.properties
        found = {
            "topic": packet.topic, "payload": packet.payload, "qos": packet.qos, "retain": packet.retain,
            "expiry": said.get("message_expiry_interval"), "content type": said.get("content_type"),
            "response topic": said.get("response_topic"), "correlation": said.get("correlation_data"),
            "user properties": said.get("user_property"),
        }  # fmt: skip
        return reported(found)

    mqtt311 = mqtt

    def nats(self, operation):
        words, data = operation
        if words[0] not in (b"MSG", b"HMSG"):
            return None
        size = int(words[-2]) if words[0] == b"HMSG" else 0
        pairs = [tuple(line.split(": ", 1)) for line in data[:size].decode().split("\r\n")[1:-2]]
        kinds = [value for name, value in pairs if name == "Content-Type"]
        reply = words[3:-2] if size else words[3:-1]
        found = {
            "topic": topic_of(words[1].decode()), "payload": data[size:],
            "content type": kinds[0] if kinds else None,
            "response topic": topic_of(reply[0].decode()) if reply else None,
            "user properties": [pair for pair in pairs if pair[0] != "Content-Type"] or None,
        }  # fmt: skip
        return reported(found)

    def json(self, unit):
        said = json.loads(unit)
        if said["op"] != "message":
            return None
        about = said.get("correlation")
        found = {
            "topic": said["topic"], "payload": self.one.read(unit)[2], "qos": said.get("qos", 0),
            "retain": said["retained"], "expiry": said.get("message_expiry"), "content type": said.get("content_type"),
            "response topic": said.get("reply_to"), "correlation": about and b64decode(about),
            "user properties": list(said.get("properties", {}).items()) or None,
        }  # fmt: skip
        return reported(found)

    def stomp(self, frame):
        if frame.command != "MESSAGE":
            return None
        said = dict(frame.headers)
        for name in ("subscription", "message-id", "content-length"):
            del said[name]
        expires, about = said.pop("expires", None), said.pop("correlation-id", None)
        found = {
            "topic": said.pop("destination"), "payload": frame.body, "qos": int(said.pop("persistent", "") == "true"),
            "retain": said.pop("retained", "") == "true",
            "expiry": expires and pytest.approx(int(expires) / 1_000 - self.world.wall()),
            "content type": said.pop("content-type", None), "response topic": said.pop("reply-to", None),
            "correlation": about and (b64decode(about[7:]) if about.startswith("base64:") else about.encode()),
            "user properties": list(said.items()) or None,
        }  # fmt: skip
        return reported(found)

    def wamp(self, message):
        if message[0] != EVENT:
            return None
        _, topic, payload = self.one.read(message)
        details = message[3]
        return reported({"topic": topic, "payload": payload, "retain": details.get("retained", False)})

    def lines(self, output):
        return {"topic": output[1], "payload": output[2]} if output[0] == "message" else None

    def raw(self, unit):
        return {"payload": unit}


class HandlerEar:
    def __init__(self, world, name, qos=0):
        self.world = world
        self.messages = messages = []

        class Hears(Handler):
            @on("#")
            def receive(self, message):
                messages.append(message)

        world.run(Hears)

    def output(self):
        self.world.turn()
        found = [
            reported({
                "topic": one.topic, "payload": one.payload, "qos": one.qos, "retain": one.retained,
                "expiry": one.message_expiry, "content type": one.content_type, "response topic": one.reply_to,
                "correlation": one.correlation, "user properties": list((one.properties or {}).items()) or None,
            })
            for one in self.messages
        ]  # fmt: skip
        self.messages.clear()
        return found


def reported(found):
    return {name: value for name, value in found.items() if value is not None}


def ear(world, name, qos=0):
    return (HandlerEar if name == "a handler" else Ear)(world, name, qos)


# Those who talk: what each can say beside topic and payload


class Mouth:
    """One client. `keys` are those of its listener."""

    words = {"retain"}

    def __init__(self, world, name, topic="a/b", **keys):
        self.one = seat(world, name, publishes=topic, **keys)

    def say(self, topic="a/b", payload=b"1", **more):
        assert set(more) <= self.words
        self.one.publish(topic, payload, **more)


class RawMouth(Mouth):
    words = frozenset()


class JsonMouth(Mouth):
    words = {"retain", "qos", "message_expiry", "content_type", "reply_to", "correlation", "properties"}

    def say(self, topic="a/b", payload=b"1", correlation=None, **more):
        if correlation is not None:
            more["correlation"] = b64encode(correlation).decode()
        super().say(topic, payload, **more)


class MqttMouth(Mouth):
    words = JsonMouth.words
    NAMES = {
        "message_expiry": "message_expiry_interval",
        "reply_to": "response_topic",
        "correlation": "correlation_data",
    }

    def say(self, topic="a/b", payload=b"1", qos=0, **more):
        pairs = more.pop("properties", None)
        said = {self.NAMES.get(name, name): value for name, value in more.items()}
        self.one.publish(topic, payload, qos=qos, **said, **({} if pairs is None else {"user_property": pairs}))


class Mqtt311Mouth(MqttMouth):
    words = {"retain", "qos"}


class NatsMouth(Mouth):
    words = {"content_type", "reply_to", "properties"}

    def say(self, topic="a/b", payload=b"1", content_type=None, reply_to="", properties=()):
        pairs = [("Content-Type", content_type)] * (content_type is not None) + list(properties)
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        self.one.publish(topic, payload, reply_to, f"NATS/1.0\r\n{lines}\r\n".encode() if pairs else b"")


class StompMouth(Mouth):
    words = JsonMouth.words

    def say(self, topic="a/b", payload=b"1", qos=0, message_expiry=None, correlation=None, properties=(), **more):
        headers = dict(properties)
        if qos:
            headers["persistent"] = "true"
        if message_expiry is not None:
            headers["expires"] = round(1_000 * (self.one.world.wall() + message_expiry))
        if correlation is not None:
            headers["correlation-id"] = "base64:AP8=" if correlation == b"\0\xff" else correlation.decode()
        self.one.publish(topic, payload, **more, **headers)


class HandlerMouth(Mouth):
    words = JsonMouth.words

    def __init__(self, world, name, topic="a/b"):
        self.one = world.run(Handler)


MOUTHS = {
    "lines": Mouth, "json": JsonMouth, "raw": RawMouth, "a handler": HandlerMouth, "nats": NatsMouth,
    "mqtt": MqttMouth, "mqtt311": Mqtt311Mouth, "stomp": StompMouth, "wamp": Mouth,
}  # fmt: skip


def mouth(world, name, *more, **keys):
    return MOUTHS[name.rpartition("-")[2]](world, name, *more, **keys)
