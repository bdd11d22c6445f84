"""A request of a real MQTT 5 client, answered by whoever speaks something else: with its correlation, if they can."""

from __future__ import annotations

import json
import subprocess

import pytest

from running import Daemon, LineClient

ABOUT = "c0ffee"
SECONDS = 20


@pytest.fixture(scope="module")
def daemon(need):
    need("mosquitto_rr")
    scale = "tcp:0:id=scale:dialect=raw:end=lf:topic=scale:subscribe=ask/scale:answer=5s"
    with Daemon("--tcp", "tcp:0", "--tcp", scale, "--handler", "upper") as daemon:
        yield daemon


def ask(daemon, topic):
    """Begin a request; its output will be the correlation of the answer and its payload."""
    port = str(daemon.tcp[0][1])
    words = ["-V", "mqttv5", "-p", port, "-t", topic, "-e", f"back/{topic}", "-m", "how are you", "-W", str(SECONDS)]
    about = ["-D", "publish", "correlation-data", ABOUT, "-F", "%D %p"]
    return subprocess.Popen(["mosquitto_rr", *words, *about], stdout=subprocess.PIPE, text=True)


def answered(asker):
    output, _ = asker.communicate(timeout=SECONDS)
    assert asker.returncode == 0
    return output.rstrip("\n")


def test_a_handler(daemon):
    assert answered(ask(daemon, "echo/ann")) == f"{ABOUT} HOW ARE YOU"


def test_a_client_of_json(daemon):
    with LineClient(daemon.tcp[0]) as page:
        page.ask('{"op":"subscribe","topic":"ask/json","meta":true}')
        asker = ask(daemon, "ask/json")
        asked = json.loads(page.line())
        assert (asked["data"], asked["reply_to"]) == ("how are you", "back/ask/json")
        answer = {"op": "publish", "topic": asked["reply_to"], "data": "fine", "correlation": asked["correlation"]}
        page.send(json.dumps(answer))
        assert answered(asker) == f"{ABOUT} fine"


def test_a_half_duplex_device(daemon):
    with LineClient(daemon.tcp[1]) as scale:
        asker = ask(daemon, "ask/scale")
        assert scale.line() == "how are you"
        scale.send("heavy")
        assert answered(asker) == f"{ABOUT} heavy"


def test_a_client_of_lines_that_knows_where_to(daemon):
    with LineClient(daemon.tcp[0]) as person:
        person.ask("SUB ask/lines")
        asker = ask(daemon, "ask/lines")
        assert person.line() == "MSG ask/lines how are you"
        person.send("PUB back/ask/lines fine")
        assert answered(asker) == " fine"
