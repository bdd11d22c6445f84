"""Presence that somebody else might set: a topic belongs to one client of one user."""

from __future__ import annotations

import contextlib
import socket

import pytest

from hostile.mqtt import MqttClient
from running import Daemon, LineClient
from service.test_passwords import cheap
from system.clients import reset_on_close

RULES = """
[[rule]]
who = "everyone"
allow.subscribe = "#"
[[rule]]
who.login = true
allow.publish = "#"
[[rule]]
who.login = false
allow.publish = "lobby/#"
"""
OPTIONS = (
    "--auth", "hubbub:passwords", "--permissions", "rules.toml",
    "--tcp", "tcp:0:id=plant:anonymous=yes:presence=plant/{client}/online",
    "--tcp", "tcp:0:id=lobby:anonymous=yes:presence=lobby/{client}/online",
    "--tcp", "tcp:0:id=plc7:anonymous=yes:presence=line/{id}/online",
    "--tcp", "tcp:0:id=people:presence=people/{user}/online",
)  # fmt: skip


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presence")
    (folder / "passwords").write_text(f"ann:{cheap('a')}\nben:{cheap('b')}\n")
    (folder / "rules.toml").write_text(RULES)
    with Daemon(*OPTIONS, folder=folder) as one:
        one.at = dict(zip(("plant", "lobby", "plc7", "people"), one.tcp, strict=True))
        yield one


@pytest.fixture
def come(hub):
    """Connect by MQTT, as a user whose password is the first letter of the name, or as nobody."""
    with contextlib.ExitStack() as stack:

        def connect(client, user=None, at="plant"):
            link = stack.enter_context(socket.create_connection(hub.at[at]))
            return MqttClient(link, client, **({"user": user, "password": user[:1].encode()} if user else {}))

        yield connect


def presence(hub, topic):
    """What is retained on a topic, once the hub has seen the ends of links that have gone before; None: nothing."""
    with LineClient(hub.at["plant"]) as looking:
        looking.send(f"SUB {topic}", "PING")
        said = [looking.line(), looking.line()]
    return said[1].rpartition(" ")[2] if said[1].startswith("MSG ") else None


def test_a_stranger_with_the_same_client_id_does_not_set_it(hub, come):
    owner = come("one", "ann")
    assert presence(hub, "plant/one/online") == "1"
    come("one").drop()
    assert presence(hub, "plant/one/online") == "1"
    owner.drop()
    assert presence(hub, "plant/one/online") == "0"


def test_nor_does_another_user(hub, come):
    owner, other = come("two", "ann"), come("two", "ben")
    other.drop()
    assert presence(hub, "plant/two/online") == "1"
    come("two", "ben")
    owner.drop()
    assert presence(hub, "plant/two/online") == "0"


def test_a_login_takes_it_from_an_anonymous_client(hub, come):
    stranger = come("three", at="lobby")
    owner = come("three", "ann", at="lobby")
    stranger.drop()
    assert presence(hub, "lobby/three/online") == "1"
    owner.drop()
    assert presence(hub, "lobby/three/online") == "0"


def test_strangers_create_topics_only_where_they_may_publish(hub, come):
    come("four")
    come("four", at="lobby")
    assert presence(hub, "plant/four/online") is None
    assert presence(hub, "lobby/four/online") == "1"


def test_the_topic_of_the_listener_itself_is_not_chosen_by_strangers(hub):
    with LineClient(hub.at["plc7"]) as device:
        assert device.ask("PING") == "PONG"
        assert presence(hub, "line/plc7/online") == "1"


def test_an_older_live_link_takes_it_back(hub):
    with LineClient(hub.at["people"]) as older, LineClient(hub.at["people"]) as newer:
        for one in (older, newer):
            assert one.ask("AUTH ann a") == "OK AUTH ann"
            reset_on_close(one.socket)
        newer.close()
        assert presence(hub, "people/ann/online") == "1"
        older.close()
    assert presence(hub, "people/ann/online") == "0"
