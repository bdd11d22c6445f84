"""plugins/wamp: calls, and who works on them."""

from __future__ import annotations

import pytest

import wamp_client as wamp
from wamp_client import WampHub


@pytest.fixture
def hub():
    return WampHub()


def test_call(hub):
    callee, caller = hub.client(), hub.client("cbor")
    id = callee.register("com.app.add")
    caller.ask(wamp.CALL, {}, "com.app.add", [2, 3], {"k": 1})
    ((code, number, registration, details, args, kwargs),) = callee.output()
    assert (code, registration, details, args, kwargs) == (wamp.INVOCATION, id, {}, [2, 3], {"k": 1})
    callee.say(wamp.YIELD, number, {}, [5], {"more": b"x".decode()})
    assert caller.output() == [[wamp.RESULT, 1, {}, [5], {"more": "x"}]]


def test_subscribers_dont_get_calls(hub):
    ear, caller = hub.client(), hub.client()
    ear.subscribe("com", match="prefix")
    assert caller.call("com.app.add", 1)[0][4] == "wamp.error.no_such_procedure"
    callee = hub.client()
    callee.register("com.app.add")
    caller.call("com.app.add", 1)
    assert ear.output() == []


def test_published_messages_dont_reach_procedures(hub):
    callee = hub.client()
    callee.register("a")
    hub.client().publish("a", 1)
    assert callee.output() == []


@pytest.mark.parametrize("count", [1, 2])
def test_what_comes_at_once(hub, count):
    callees, caller, counters = [hub.client() for _ in range(count)], hub.client(), hub.world.hub.turn.counters
    for callee in callees:
        callee.register("a", invoke="roundrobin")
    delivered, size, uncarried = counters.delivered, counters.delivered_bytes, counters.uncarried
    for number in range(1, 5):
        caller.end.send(caller.framed(wamp.CALL, number, {}, "a", [f"call {number}"]))
        caller.end.send(caller.framed(wamp.PUBLISH, 1, {}, "a", ["an event"]))
    found = [[one[4] for one in callee.output()] for callee in callees]
    assert sorted([one for each in found for one in each]) == [[f"call {number}"] for number in range(1, 5)]
    assert all(one == sorted(one) and len(one) == 4 // count for one in found)
    assert (counters.delivered - delivered, counters.delivered_bytes - size) == (4, 4 * len("call 1"))
    assert counters.uncarried - uncarried == 4


def test_errors_come_back(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a")
    callee.say(wamp.ERROR, wamp.INVOCATION, callee.output()[0][1], {}, "com.app.error", ["why", 7], {"k": 1})
    assert caller.output() == [[wamp.ERROR, wamp.CALL, 1, {}, "com.app.error", ["why", 7], {"k": 1}]]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("first", [0, 0, 0, 0]), ("last", [2, 2, 2, 2]), ("roundrobin", [0, 1, 2, 0])],
)
def test_policies(hub, policy, expected):
    callees, caller = [hub.client() for _ in range(3)], hub.client()
    for callee in callees:
        callee.register("a", invoke=policy)
    for n in expected:
        caller.call("a")
        assert [len(callee.output()) for callee in callees] == [int(at == n) for at in range(3)]


def test_the_policy_random_chooses_among_all(hub):
    callees, caller = [hub.client() for _ in range(2)], hub.client()
    for callee in callees:
        callee.register("a", invoke="random")
    for _ in range(50):
        caller.call("a")
    counts = [len(callee.output()) for callee in callees]
    assert (sum(counts), min(counts) > 0) == (50, True)


def test_a_procedure_of_one(hub):
    one, other = hub.client(), hub.client()
    id = one.register("a")
    assert other.ask(wamp.REGISTER, {}, "a")[0][4] == "wamp.error.procedure_already_exists"
    assert one.ask(wamp.REGISTER, {}, "a")[0][4] == "wamp.error.procedure_already_exists"
    assert one.ask(wamp.UNREGISTER, id) == [[wamp.UNREGISTERED, 3]]
    assert one.ask(wamp.UNREGISTER, id)[0][4] == "wamp.error.no_such_registration"
    other.register("a", invoke="first")
    uri = "wamp.error.procedure_exists_with_different_invocation_policy"
    assert one.ask(wamp.REGISTER, {"invoke": "last"}, "a")[0][4] == uri


@pytest.mark.parametrize(("uri", "options"), [("a", {"match": "prefix"}), ("wamp.a", {}), ("a b", {})])
def test_what_cant_be_registered(hub, uri, options):
    assert hub.client().ask(wamp.REGISTER, options, uri)[0][0] == wamp.ERROR


def test_progressive_results(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a", receive_progress=True)
    ((_, number, _, details),) = callee.output()
    assert details == {"receive_progress": True}
    for part in range(3):
        callee.say(wamp.YIELD, number, {"progress": True}, [part])
        assert caller.output() == [[wamp.RESULT, 1, {"progress": True}, [part]]]
    callee.say(wamp.YIELD, number, {}, ["all"])
    assert caller.output() == [[wamp.RESULT, 1, {}, ["all"]]]


def test_progressive_results_without_receive_progress(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a")
    number = callee.output()[0][1]
    callee.say(wamp.YIELD, number, {"progress": True}, [1])
    callee.say(wamp.YIELD, number, {}, [2])
    assert caller.output() == [[wamp.RESULT, 1, {}, [2]]]


def test_a_yield_that_belongs_to_nothing_is_ignored(hub):
    callee = hub.client()
    assert callee.say(wamp.YIELD, 7, {}, [1]) == []
    assert callee.say(wamp.ERROR, wamp.INVOCATION, 7, {}, "a.b") == []
    assert not callee.closed


def test_a_timeout_interrupts_the_callee(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a", timeout=500)
    number = callee.output()[0][1]
    hub.world.advance(0.4)
    assert caller.output() == []
    hub.world.advance(0.2)
    assert caller.output()[0][:5] == [wamp.ERROR, wamp.CALL, 1, {}, "wamp.error.timeout"]
    assert callee.output() == [[wamp.INTERRUPT, number, {"mode": "killnowait"}]]


@pytest.mark.parametrize(
    ("options", "at_once", "interrupt"),
    [({}, True, "killnowait"), ({"mode": "skip"}, True, None), ({"mode": "kill"}, False, "kill")],
)
def test_cancel(hub, options, at_once, interrupt):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a")
    number = callee.output()[0][1]
    answers = caller.say(wamp.CANCEL, 1, options)
    assert [answer[4] for answer in answers] == ["wamp.error.canceled"] * at_once
    assert callee.output() == [[wamp.INTERRUPT, number, {"mode": interrupt}]] * (interrupt is not None)
    callee.say(wamp.ERROR, wamp.INVOCATION, number, {}, "com.app.stopped")
    assert [answer[4] for answer in caller.output()] == ["com.app.stopped"] * (not at_once)
    assert caller.say(wamp.CANCEL, 1, {}) == []


def test_a_callee_without_the_feature_isnt_interrupted(hub):
    callee, caller = hub.stranger(), hub.client()
    callee.say(wamp.HELLO, "realm1", {"roles": {"callee": {}}})
    callee.register("a")
    caller.call("a")
    callee.output()
    assert caller.say(wamp.CANCEL, 1, {"mode": "kill"})[0][4] == "wamp.error.canceled"
    assert callee.output() == []


def test_a_callee_that_goes_fails_its_calls(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a")
    callee.end.leave()
    assert caller.output()[0][:5] == [wamp.ERROR, wamp.CALL, 1, {}, "wamp.error.canceled"]


def test_a_caller_that_goes_interrupts_its_calls(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a")
    number = callee.output()[0][1]
    caller.end.leave()
    assert callee.output() == [[wamp.INTERRUPT, number, {"mode": "killnowait"}]]


def test_a_caller_may_disclose_itself(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a", disclose_me=True)
    details = callee.output()[0][3]
    assert (details["caller"], details["caller_authrole"]) == (caller.id, "anonymous")


def test_a_request_id_in_use_breaks_the_protocol(hub):
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.say(wamp.CALL, 1, {}, "a")
    assert caller.say(wamp.CALL, 1, {}, "a")[0][0] == wamp.ABORT


def test_websocket_takes_calls_and_results_of_any_length():
    hub = WampHub(max_message=8_000_000)
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    caller.call("a", "x" * 3_000_000)
    ((code, number, *_),) = callee.output()
    assert code == wamp.INVOCATION
    callee.say(wamp.YIELD, number, {}, ["é" * 2_500_000])
    assert caller.output()[0][0] == wamp.RESULT
