"""Who sees what of others: lists of sessions, realms, and what a client leaves behind."""

from __future__ import annotations

import pytest

import wamp_client as wamp
from hubbub.errors import Refusal
from hubbub.kernel.history.rule import HistoryRule
from hubbub.option import configure
from hubbub.testing import World
from hubbub_plugins.wamp import Wamp
from wamp_client import Client, WampHub


@pytest.fixture
def hub():
    return WampHub()


LISTS = [{"exclude": [1]}, {"exclude_authid": ["ann"]}, {"exclude_authrole": ["x"]}, {"eligible": []},
         {"eligible_authid": ["ann"]}, {"eligible_authrole": ["x"]}]  # fmt: skip


@pytest.mark.parametrize("lists", LISTS, ids=lambda lists: next(iter(lists)))
def test_a_message_for_some_sessions_isnt_retained(hub, lists):
    client, late = hub.client(), hub.client()
    (error,) = client.publish("a", "secret", acknowledge=True, retain=True, **lists)
    assert (error[0], error[4]) == (wamp.ERROR, "hubbub.error.bad_command")
    assert [answer[0] for answer in late.ask(wamp.SUBSCRIBE, {"get_retained": True}, "a")] == [wamp.SUBSCRIBED]


def test_nor_by_a_listener_that_retains_all():
    hub = WampHub(retain=True)
    client, late = hub.client(), hub.client()
    client.publish("a", "for all")
    client.publish("a", "secret", eligible=[client.id], exclude_me=False)
    answers = late.ask(wamp.SUBSCRIBE, {"get_retained": True}, "a")
    assert [answer[4] for answer in answers[1:]] == [["for all"]]


def test_the_history_has_what_all_get_and_nothing_else(hub):
    hub.world.hub.keep_history([HistoryRule("a")])
    client = hub.client()
    client.publish("a", "for all")
    client.publish("a", "for me too", exclude_me=False)
    client.publish("a", "secret", eligible=[])
    hub.world.turn()
    assert hub.world.hub.history.metrics()["messages"] == 2


def test_a_retained_message_may_come_back_to_its_publisher(hub):
    client, late = hub.client(), hub.client()
    client.subscribe("a")
    assert client.publish("a", 1, retain=True, exclude_me=False)[0][4] == [1]
    assert late.ask(wamp.SUBSCRIBE, {"get_retained": True}, "a")[1][4] == [1]


def test_a_client_whose_login_has_ended_leaves_no_testament(hub):
    client = hub.client()
    (link,) = hub.listener.context.links
    ear = hub.client()
    ear.subscribe("a")
    client.ask(wamp.CALL, {}, "wamp.session.add_testament", ["a", ["gone"], {}])
    link.revoke("the login has ended", Refusal("not-authorized", "the login has ended"))
    assert client.output()[-1][0] == wamp.GOODBYE
    client.end.leave()
    hub.world.turn()
    assert ear.output() == []


def test_a_caller_gets_an_error_when_its_callee_loses_its_right(hub):
    callee = hub.client()
    (link,) = hub.listener.context.links
    caller = hub.client()
    callee.register("a")
    caller.call("a")
    link.revoke("the login has ended", Refusal("not-authorized", "the login has ended"))
    callee.end.leave()
    assert caller.output()[0][4] == "wamp.error.canceled"


def test_two_names_of_the_root_are_two_realms():
    world = World()
    ends = []
    for root in ("red", "blue"):
        listener = world.listen("websocket", configure(Wamp, {"root": root}))
        ends.append(Client(listener, "json"))
        assert ends[-1].hello(root)[2]["realm"] == root
    red, blue = ends
    assert red.ask(wamp.CALL, {}, "wamp.session.list")[0][3] == [[red.id]]
    red.subscribe("a")
    blue.publish("a", 1)  # in one topic space
    assert red.output()[0][4] == [1]


def test_a_call_to_another_realm_is_interrupted():
    hub = WampHub(options={"realms": "com.acme"})
    callee, caller = hub.client(realm="com.acme"), hub.client()
    callee.register("f")
    caller.call("com.acme.f")
    number = callee.output()[0][1]
    caller.say(wamp.CANCEL, 1, {})
    assert callee.output() == [[wamp.INTERRUPT, number, {"mode": "killnowait"}]]
