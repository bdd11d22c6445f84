"""chat: who is in a room, what they are called, and who said what."""

from __future__ import annotations

import json

import pytest

import hubbub_plugins.chat as module
from hubbub.kernel.routing.retained import Retained
from hubbub.testing import World
from hubbub_plugins.chat import Chat
from interop.clients import Program, Udp, WebSocket
from matrix.speakers import EVERY, seat
from running import Daemon


class Room:
    """A world with a chat, and an ear that hears what is told about a room."""

    def __init__(self, world=None):
        self.world = world or World()
        self.chat = self.world.run(Chat)
        self.ear = seat(self.world, "websocket-json", subscribes="chat/+/+")

    def say(self, speaker, text, room="tea"):
        """Say something, and return what was told about it, and what the speaker alone was answered."""
        speaker.publish(f"chat/{room}", text.encode() if isinstance(text, str) else text)
        return self.reported(), [payload.decode() for _, _, payload in speaker.output()]

    def reported(self):
        self.world.advance(module.LIST_SECONDS)
        return [
            (topic.removeprefix("chat/"), json.loads(payload) if payload else None)
            for _, topic, payload in self.ear.output()
        ]

    def who(self, room="tea"):
        kept = self.world.hub.retained.get(f"chat/{room}/who")
        return None if kept is None else kept.json()


@pytest.fixture
def room():
    return Room()


def event(event, name, room="tea", **more):
    return (f"{room}/events", {"event": event, "name": name, **more})


def test_the_first_word_is_the_way_in(room):
    reported, answers = room.say(seat(room.world, "tcp-lines"), "hello, all")
    assert reported == [
        event("joined", "guest-1"),
        event("said", "guest-1", text="hello, all"),
        ("tea/who", ["guest-1"]),
    ]
    assert answers == []
    assert room.who() == ["guest-1"]


def test_what_a_member_writes_is_relayed_as_it_is(room):
    other = seat(room.world, "tcp-lines", subscribes="chat/tea")
    room.say(seat(room.world, "websocket-json"), "straße")
    assert other.output() == [("message", "chat/tea", "straße".encode())]


def test_a_name_is_set_by_a_line_and_known_in_every_room(room):
    ada = seat(room.world, "tcp-lines")
    reported, answers = room.say(ada, "/nick Ada")
    assert answers == ["* you are Ada"]
    assert reported == [
        event("joined", "guest-1"),
        event("renamed", "Ada", was="guest-1"),
        ("tea/who", ["Ada"]),
    ]
    assert room.say(ada, "hi", "work")[0][0] == event("joined", "Ada", "work")
    reported, _ = room.say(ada, "/nick  Ada Lovelace ")
    assert reported == [
        event("renamed", "Ada Lovelace", was="Ada"),
        event("renamed", "Ada Lovelace", "work", was="Ada"),
        ("tea/who", ["Ada Lovelace"]),
        ("work/who", ["Ada Lovelace"]),
    ]
    assert room.say(ada, "/nick Ada Lovelace") == ([], ["* you are Ada Lovelace"])
    assert room.say(ada, "/nick ADA LOVELACE")[1] == ["* you are ADA LOVELACE"]


def test_a_name_is_given_once_and_is_free_again_later(room):
    ada, bob = seat(room.world, "tcp-lines"), seat(room.world, "tcp-lines")
    room.say(ada, "/nick Ada")
    assert room.say(bob, "/nick ada")[1] == ["* ada is taken"]
    room.say(ada, "/nick Eve")
    assert room.say(bob, "/nick ada")[1] == ["* you are ada"]
    assert room.who() == ["Eve", "ada"]
    bob.client.vanish()
    room.reported()
    assert room.say(ada, "/nick ada")[1] == ["* you are ada"]


@pytest.mark.parametrize("name", ["", " ", "x" * 33, "a\x07b", "a\u202eb", "a\u2028b"])
def test_a_bad_name_is_refused(room, name):
    ada = seat(room.world, "tcp-lines")
    assert room.say(ada, f"/nick {name}")[1] == ["* a name has up to 32 characters that can be seen, as in /nick Ada"]
    assert room.who() == ["guest-1"]


def test_people_leave_by_a_line(room):
    ada, bob = seat(room.world, "tcp-lines"), seat(room.world, "tcp-lines")
    room.say(ada, "/nick Ada")
    room.say(bob, "/nick Bob")
    reported, answers = room.say(ada, "/leave")
    assert (reported, answers) == ([event("left", "Ada"), ("tea/who", ["Bob"])], ["* you have left tea"])
    assert room.say(ada, "/leave") == ([], ["* you aren't in tea"])


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("udp")])
def test_a_client_that_disconnects_has_left_every_room(room, name):
    one = seat(room.world, name, publishes="chat/tea")
    room.say(one, "/nick One")
    if not name.endswith("raw"):
        room.say(one, "hi", "work")
    one.client.vanish()
    reported = room.reported()
    assert reported[0] == event("left", "One")
    assert ("tea/who", None) in reported
    assert (room.who(), room.who("work")) == (None, None)
    assert [room.chat._members, room.chat._rooms, room.chat._names, room.chat._changed] == [{}, {}, set(), set()]


@pytest.mark.parametrize("name", [name for name in EVERY if not name.endswith("wamp")])
def test_everybody_may_talk(room, name):
    """An event of WAMP needs a subscription, so nothing can be answered to a session alone."""
    one = seat(room.world, name, publishes="chat/tea")
    assert room.say(one, "/nick One")[1] == ["* you are One"]
    assert room.say(one, "hi")[0] == [event("said", "One", text="hi")]


def test_a_request_is_answered_too(room):
    ada = seat(room.world, "tcp-lines")
    ada.request("chat/tea", b"/nick Ada")
    assert ada.output() == [("reply", b"* you are Ada")]


def test_an_answer_is_text_whatever_the_question_was(room):
    page = seat(room.world, "websocket-json")
    page.op("publish", topic="chat/tea", data="/nick Ada", content_type="application/json")
    assert page.output() == [("message", "chat/tea", b"* you are Ada")]


def test_the_name_of_the_login_comes_first(room):
    first = seat(room.world, "tcp-lines", user="ann")
    second = seat(room.world, "tcp-lines", user="ann")
    odd = seat(room.world, "tcp-lines", user="x" * 100)
    for speaker in (first, second, odd):
        room.say(speaker, "hi")
    assert room.who() == ["ann", "ann-1", "guest-2"]


def test_over_udp_silence_is_leaving(room):
    seat(room.world, "tcp-lines").publish("chat/tea", b"/nick Tom")
    una = seat(room.world, "udp-lines")
    una.publish("chat/tea", b"/nick Una")
    room.world.advance(module.SILENCE_SECONDS - 100)
    una.publish("chat/tea", b"still here")
    room.world.advance(module.SILENCE_SECONDS - 1)
    assert room.who() == ["Tom", "Una"]
    room.world.advance(module.SWEEP_SECONDS + 1)
    assert room.who() == ["Tom"]


def test_an_address_without_a_link_yet_is_not_listed(room):
    stranger = seat(room.world, "udp-lines", peers=())
    assert room.say(stranger, "hi") == ([], [])
    assert room.chat._members == {}


def test_what_is_no_text_or_was_retained_is_only_relayed(room):
    one = seat(room.world, "tcp-lines", subscribes="chat/tea")
    one.publish("chat/tea", b"\xff")
    one.publish("chat/tea", b"kept", retain=True)
    room.reported()
    assert room.who() == ["guest-1"]  # by its second word
    assert room.world.run(Chat)._members == {}


def test_bounds(room, monkeypatch):
    for name in ("ROOMS", "MEMBERS", "ROOMS_PER_MEMBER"):
        monkeypatch.setattr(module, name, 2)
    people = [seat(room.world, "tcp-lines") for _ in range(3)]
    for one in people[:2]:
        assert room.say(one, "hi")[1] == []
    assert room.say(people[2], "hi") == ([], ["* tea is full: 2 people are there"])
    room.say(people[0], "hi", "work")
    assert room.say(people[0], "hi", "cat") == ([], ["* you are in 2 rooms already; /leave one"])
    assert room.say(people[2], "hi", "cat") == ([], ["* there are 2 rooms already"])
    assert room.say(people[2], "hi", "r" * 65) == ([], ["* a room's name has up to 64 characters"])
    assert len(room.chat._members) == 2


def test_the_list_is_sent_ten_times_a_second_at_most(room):
    people = [seat(room.world, "tcp-lines") for _ in range(50)]
    for number, one in enumerate(people):
        for _ in range(5):
            one.publish("chat/tea", b"/leave")
            one.publish("chat/tea", b"/nick %d" % number)
    reported = room.reported()
    assert [said for topic, said in reported if topic == "tea/who"] == [[str(number) for number in range(50)]]


def test_no_room_for_a_list_costs_the_list_only(room):
    room.world.hub.retained.max_messages = 0
    ada = seat(room.world, "tcp-lines")
    room.say(ada, "/nick Ada")
    assert (room.who(), room.chat.runner.failed) == (None, 1)
    room.world.hub.retained.max_messages = 1
    room.say(ada, "/nick Eve")
    assert room.who() == ["Eve"]


def test_a_stopped_chat_leaves_no_list_behind():
    retained = Retained()
    room = Room(World(retained=retained))
    room.say(seat(room.world, "tcp-lines"), "hi")
    assert room.who() == ["guest-1"]
    room.chat.runner.stop()
    room.reported()
    assert retained.count == 0


def test_nc_udp_and_a_page_at_once(need):
    options = ("--tcp", "tcp:0", "--udp", "udp:0", "--websocket", "tcp:0", "--handler", "chat")
    with Daemon(*options) as daemon:
        host, port = daemon.tcp[0]
        with Program(need("nc"), host, port) as nc, Udp(daemon.udp[0]) as udp, WebSocket(daemon.url(), None) as page:
            page.send('{"op":"subscribe","topic":"chat/tea/#"}')
            page.expect('{"op":"subscribed","topic":"chat/tea/#"}')
            for one in (nc, udp):
                one.send("SUB chat/tea")
                one.expect("OK SUB chat/tea")

            nc.send("PUB chat/tea /nick Ada")
            for one in (nc, udp):
                one.expect("MSG chat/tea /nick Ada")
            nc.expect("MSG chat/tea * you are Ada")
            output = [json.loads(page.receive()) for _ in range(4)]
            assert output[0] == {"op": "message", "topic": "chat/tea", "data": "/nick Ada"}
            assert [said["data"]["event"] for said in output[1:3]] == ["joined", "renamed"]
            assert output[3] == {"op": "message", "topic": "chat/tea/who", "data": ["Ada"]}

            udp.send("PUB chat/tea hello from UDP")
            for one in (nc, udp):
                one.expect("MSG chat/tea hello from UDP")
            output = [json.loads(page.receive()) for _ in range(4)]
            assert output[2]["data"] == {"event": "said", "name": "guest-2", "text": "hello from UDP"}
            assert output[3]["data"] == ["Ada", "guest-2"]

            page.send('{"op":"publish","topic":"chat/tea","data":"/nick Pia"}')
            for one in (nc, udp):
                one.expect("MSG chat/tea /nick Pia")
            output = [json.loads(page.receive()) for _ in range(5)]
            assert {"op": "message", "topic": "chat/tea", "data": "* you are Pia"} in output
            assert output[-1]["data"] == ["Ada", "guest-2", "Pia"]

            nc.send("QUIT")  # killed, it could still be one who has only ended its input and listens
            output = [json.loads(page.receive()) for _ in range(2)]
            assert [said["data"] for said in output] == [{"event": "left", "name": "Ada"}, ["guest-2", "Pia"]]
            udp.send("SUB chat/tea/who")
            udp.expect("OK SUB chat/tea/who")
            udp.expect('MSG chat/tea/who ["guest-2","Pia"]')
        assert "failed" not in daemon.log
