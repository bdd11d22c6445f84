"""What sessions may ask of their realm, and what it tells them."""

from __future__ import annotations

import pytest

import wamp_client as wamp
from hubbub import limits
from hubbub.errors import Refusal
from wamp_client import WampHub


@pytest.fixture
def hub():
    return WampHub()


def ask(client, name, *args, **kwargs):
    """The result of a procedure of the realm, or the URI of its error."""
    answer = client.ask(wamp.CALL, {}, f"wamp.{name}", list(args), kwargs)[-1]
    return answer[3][0] if answer[0] == wamp.RESULT else answer[4]


def test_sessions(hub):
    one, other = hub.client(), hub.client()
    assert ask(one, "session.count") == 2
    assert sorted(ask(one, "session.list")) == sorted([one.id, other.id])
    assert ask(one, "session.count", ["operators"]) == 0
    details = ask(one, "session.get", other.id)
    assert (details["session"], details["authrole"]) == (other.id, "anonymous")
    other.end.leave()
    hub.world.turn()
    assert ask(one, "session.get", other.id) == "wamp.error.no_such_session"
    assert ask(one, "session.count") == 1


def test_subscriptions(hub):
    one, other = hub.client(), hub.client()
    exact, prefix = one.subscribe("com.app.a"), other.subscribe("com.app", match="prefix")
    other.subscribe("com.app.a")
    assert ask(one, "subscription.list") == {"exact": [exact], "prefix": [prefix], "wildcard": []}
    assert ask(one, "subscription.lookup", "com.app", {"match": "prefix"}) == prefix
    assert ask(one, "subscription.lookup", "com.app") is None
    assert sorted(ask(one, "subscription.match", "com.app.a")) == [exact, prefix]
    assert ask(one, "subscription.match", "com") is None
    details = ask(one, "subscription.get", exact)
    assert (details["uri"], details["match"], details["created"][-1]) == ("com.app.a", "exact", "Z")
    assert ask(one, "subscription.list_subscribers", exact) == [one.id, other.id]
    assert ask(one, "subscription.count_subscribers", exact) == 2
    assert ask(one, "subscription.get", 99) == "wamp.error.no_such_subscription"


def test_registrations(hub):
    one, other = hub.client(), hub.client()
    id = one.register("com.app.f", invoke="roundrobin")
    other.register("com.app.f", invoke="roundrobin")
    assert ask(one, "registration.list")["exact"] == [id]
    assert ask(one, "registration.lookup", "com.app.f") == ask(one, "registration.match", "com.app.f") == id
    assert ask(one, "registration.get", id)["invoke"] == "roundrobin"
    assert ask(one, "registration.list_callees", id) == [one.id, other.id]
    one.end.leave()
    hub.world.turn()
    assert ask(other, "registration.count_callees", id) == 1
    assert ask(other, "registration.get", 99) == "wamp.error.no_such_registration"


@pytest.mark.parametrize(
    ("name", "args"), [("session.get", []), ("session.kill_by_authid", []), ("subscription.match", [7]),
                       ("session.add_testament", [7]), ("session.count", [7])],
)  # fmt: skip
def test_arguments_that_are_wrong(hub, name, args):
    assert ask(hub.client(), name, *args) == "wamp.error.invalid_argument"


def test_a_procedure_that_the_realm_lacks(hub):
    assert ask(hub.client(), "session.nothing") == "wamp.error.no_such_procedure"


def test_what_the_realm_decides(hub):
    ear = hub.client()
    names = {ear.subscribe("wamp", match="prefix"): ""}
    ear.output()
    client = hub.client()
    topic = client.subscribe("a")
    procedure = client.register("f")
    client.ask(wamp.UNSUBSCRIBE, topic)
    client.end.leave()
    reported = [(event[3]["topic"].removeprefix("wamp."), event[4][0:]) for event in ear.output() if event[1] in names]
    assert [name for name, _ in reported] == [
        "session.on_join", "subscription.on_create", "subscription.on_subscribe", "registration.on_create",
        "registration.on_register", "subscription.on_unsubscribe", "subscription.on_delete",
        "registration.on_unregister", "registration.on_delete", "session.on_leave",
    ]  # fmt: skip
    by_name = dict(reported)
    assert by_name["session.on_join"][0]["session"] == client.id
    assert by_name["registration.on_register"] == [client.id, procedure]
    assert by_name["session.on_leave"][0] == client.id


def test_no_client_can_tell_it(hub):
    from hubbub.dialects.lines import Lines
    from hubbub.option import configure

    ear = hub.client()
    ear.subscribe("wamp.session.on_join")
    liar = hub.world.listen("tcp", configure(Lines, {})).connect()
    ear.subscribe("", match="prefix")
    ear.output()
    liar.send(b"PUB wamp/session/on_join {}\nPUB $wamp/realm1/session/on_join {}\n")
    hub.world.turn()
    assert ear.output() == []


class Manager:
    """The rights of one that may end sessions."""

    def __init__(self, allowed):
        self.allowed = allowed

    def publish(self, topic):
        if topic.startswith("$hubbub/") and not self.allowed:
            raise Refusal("not-authorized", "no")

    def subscribe(self, filter):
        pass

    def receives(self, topic):
        return True


@pytest.mark.parametrize("allowed", [None, False, True])
def test_ending_a_session_takes_a_right(allowed):
    hub = WampHub(rights=None if allowed is None else lambda session: Manager(allowed))
    one, other, third = (hub.client() for _ in range(3))
    found = ask(one, "session.kill", other.id, reason="com.app.out", message="go")
    assert found == (None if allowed else "wamp.error.not_authorized")
    assert other.output() == [[wamp.GOODBYE, {"message": "go"}, "com.app.out"]] * bool(allowed)
    assert other.closed == bool(allowed)
    if allowed:
        assert ask(one, "session.kill_by_authid", f"anonymous-{third.id}") == 1
        assert (ask(one, "session.kill_all"), ask(one, "session.kill_by_authrole", "anonymous")) == (0, 0)
        assert third.closed
        assert not one.closed


def test_a_testament_is_published_when_the_session_ends(hub):
    client, ear = hub.client(), hub.client()
    ear.subscribe("a")
    ask(client, "session.add_testament", "a", ["gone"], {"k": 1})
    ask(client, "session.add_testament", "a", [2], {}, scope="detached")
    assert ask(client, "session.flush_testaments", scope="detached") == 1
    assert ear.output() == []
    client.end.leave()
    assert [event[4:] for event in ear.output()] == [[["gone"], {"k": 1}]]


def test_testaments_are_bounded(hub):
    client = hub.client()
    found = [ask(client, "session.add_testament", "a", [], {}) for _ in range(limits.WAMP_TESTAMENTS + 1)]
    assert found == [None] * limits.WAMP_TESTAMENTS + ["hubbub.error.quota"]
