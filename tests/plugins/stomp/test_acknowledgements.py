"""plugins/stomp: ACK and NACK in each version, and transactions."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.option import configure
from hubbub_plugins.stomp import Stomp
from stomp_client import StompHub, write

VERSIONS = ("1.0", "1.1", "1.2")


@pytest.fixture(params=["tcp", "websocket"])
def context(request):
    return StompHub(request.param)


@pytest.fixture
def hub():
    return StompHub()


def unacknowledged(hub):
    """The messages that clients have and haven't acknowledged."""
    return hub.world.hub.clients.queued


def sent(client, count, destination="a"):
    """Publish, and return what comes of it."""
    return client.raw(
        b"".join(write("SEND", b"%d" % n, destination=destination, persistent="true") for n in range(count))
    )


def bodies(frames):
    assert {frame.command for frame in frames} <= {"MESSAGE"}
    return [frame.body for frame in frames]


WAYS = {  # the headers of ACK as clients send them, from those of MESSAGE
    "stomp-py 1.2": ("1.2", lambda frame: {"id": frame.ack}),
    "stompman, stompjs 1.2": ("1.2", lambda frame: {"id": frame.ack, "subscription": frame.subscription}),
    "aiostomp, all of 1.1": (
        "1.1", lambda frame: {"message_id": frame.message_id, "subscription": frame.subscription},
    ),
    "all of 1.0": ("1.0", lambda frame: {"message_id": frame.message_id, "subscription": frame.subscription}),
    "stompit": (
        "1.2",
        lambda frame: {"id": frame.ack, "message_id": frame.message_id, "subscription": frame.subscription},
    ),
    "Net::Stomp": ("1.0", lambda frame: {"message_id": frame.message_id}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["client", "client-individual"])
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_as_clients_acknowledge(context, way, mode, command):
    version, headers = WAYS[way]
    client = context.client(version)
    client.subscribe("a", ack=mode)
    frames = sent(client, 3)
    assert unacknowledged(context) == 3
    (receipt,) = client.say(command, **headers(frames[1]), receipt="r")
    assert receipt.receipt_id == "r"
    assert unacknowledged(context) == (1 if mode == "client" else 2)
    assert context.world.hub.turn.counters.dropped == (3 - unacknowledged(context)) * (command == "NACK")


def test_what_is_acknowledged_at_once_is_that_subscriptions_only(hub):
    client = hub.client()
    client.subscribe("a", id="one", ack="client")
    client.subscribe("a", id="two", ack="client")
    frames = sent(client, 3)
    last = [frame for frame in frames if frame.subscription == "one"][-1]
    client.say("ACK", id=last.ack)
    assert unacknowledged(hub) == 3


def test_messages_of_qos_0_need_no_acknowledgement(hub):
    client = hub.client()
    client.subscribe("a", ack="client")
    (frame,) = client.publish("a")
    assert frame.ack == frame.message_id
    assert unacknowledged(hub) == 0
    assert client.say("ACK", id=frame.ack) == []


@pytest.mark.parametrize("id", ["1-7", "0-65535"])
def test_an_unknown_message_is_no_error(hub, id):
    client = hub.client()
    assert client.say("ACK", id=id, receipt=1)[0].command == "RECEIPT"


@pytest.mark.parametrize("headers", [{}, {"id": ""}, {"id": "x"}, {"id": "1"}, {"message_id": "1-"}, {"id": "1-2-3"}])
def test_what_names_no_message_is_an_error(hub, headers):
    client = hub.client()
    (frame,) = client.say("ACK", **headers)
    assert (frame.command, frame.code) == ("ERROR", "bad-command")


def test_one_acknowledgement_twice_changes_nothing(hub):
    client = hub.client()
    client.subscribe("a", ack="client-individual")
    frames = sent(client, 2)
    for _ in range(2):
        client.say("ACK", id=frames[0].ack)
    assert unacknowledged(hub) == 1


def test_after_unsubscribe_what_came_may_be_acknowledged(hub):
    client = hub.client()
    client.subscribe("a", ack="client")
    frames = sent(client, 2)
    client.say("UNSUBSCRIBE", id=0)
    for frame in frames:
        client.say("ACK", id=frame.ack)
    assert unacknowledged(hub) == 0


@pytest.mark.parametrize("prefetch", [1, 3, limits.INFLIGHT_MESSAGES])
def test_prefetch_bounds_what_is_unacknowledged(prefetch):
    hub = StompHub(options={"prefetch": prefetch})
    client = hub.client()
    client.subscribe("a", ack="client")
    frames = sent(client, prefetch + 2)
    assert len(frames) == prefetch
    assert bodies(client.say("ACK", id=frames[-1].ack)) == [b"%d" % (prefetch + n) for n in range(2)][:prefetch]


@pytest.mark.parametrize("prefetch", [0, 101, "x", -1])
def test_bad_prefetch(prefetch):
    from hubbub import ConfigError

    with pytest.raises(ConfigError, match="expected 1 to 100 messages"):
        configure(Stomp, {"prefetch": prefetch})


# Transactions


def test_a_transaction_is_published_at_once(context):
    ear, client = context.client(), context.client()
    ear.subscribe("#")
    assert client.say("BEGIN", transaction="t", receipt=1)[0].receipt_id == "1"
    for n in range(3):
        (receipt,) = client.publish("a", b"%d" % n, transaction="t", receipt=f"s{n}")
        assert receipt.receipt_id == f"s{n}"
    client.publish("b", b"outside")
    assert bodies(ear.output()) == [b"outside"]
    assert [frame.receipt_id for frame in client.say("COMMIT", transaction="t", receipt=2)] == ["2"]
    assert bodies(ear.output()) == [b"0", b"1", b"2"]


def test_what_is_aborted_isnt_published(hub):
    client = hub.client()
    client.subscribe("a")
    client.say("BEGIN", transaction="t")
    client.publish("a", transaction="t")
    assert client.say("ABORT", transaction="t", receipt=1)[0].receipt_id == "1"
    client.say("BEGIN", transaction="t")
    assert client.say("COMMIT", transaction="t") == []


def test_acknowledgements_in_a_transaction(hub):
    client = hub.client()
    client.subscribe("a", ack="client-individual")
    frames = sent(client, 2)
    for end, left in (("ABORT", 2), ("COMMIT", 1)):
        client.say("BEGIN", transaction="t")
        client.say("ACK", id=frames[0].ack, transaction="t")
        assert unacknowledged(hub) == 2
        client.say(end, transaction="t")
        assert unacknowledged(hub) == left


def test_a_connection_that_ends_aborts(hub):
    ear, client = hub.client(), hub.client()
    ear.subscribe("#")
    client.say("BEGIN", transaction="t")
    client.publish("a", transaction="t")
    client.say("DISCONNECT")
    assert ear.output() == []


@pytest.mark.parametrize(
    ("command", "headers"),
    [
        ("BEGIN", {}), ("BEGIN", {"transaction": "t"}), ("BEGIN", {"transaction": "x" * 257}), ("COMMIT", {}),
        ("COMMIT", {"transaction": "other"}), ("ABORT", {"transaction": "other"}),
        ("SEND", {"destination": "a", "transaction": "other"}), ("ACK", {"id": "1-1", "transaction": "other"}),
        ("SEND", {"destination": "#", "transaction": "t"}),
    ],
)  # fmt: skip
def test_wrong_transactions(hub, command, headers):
    client = hub.client()
    client.say("BEGIN", transaction="t")
    (frame,) = client.say(command, **headers)
    assert frame.command == "ERROR"
    assert client.closed


@pytest.mark.parametrize("what", ["transactions", "steps", "bytes", "headers"])
def test_transactions_are_bounded(what):
    hub = StompHub(max_message=1_000)
    client = hub.client()
    if what == "transactions":
        frames = client.raw(b"".join(write("BEGIN", transaction=n) for n in range(limits.STOMP_TRANSACTIONS + 1)))
    else:
        client.say("BEGIN", transaction="t")
        if what == "steps":
            said = write("ACK", id="1-1", transaction="t") * (limits.STOMP_TRANSACTION_STEPS + 1)
        else:
            said = write("SEND", b"x" * 1_000, destination="a", transaction="t") * 70
            if what == "headers":
                said = write("ACK", id="1-1", transaction="t", more="x" * 1_000) * 70
        frames = client.raw(said)
    assert [(frame.command, frame.code) for frame in frames] == [("ERROR", "quota")]


def test_what_has_ended_makes_room_for_other_transactions():
    hub = StompHub(max_message=1_000)
    client = hub.client()
    for end in ("COMMIT", "ABORT") * 20:
        client.say("BEGIN", transaction="t")
        client.raw(write("SEND", b"x" * 1_000, destination="a", transaction="t") * 40)
        client.say(end, transaction="t")
    assert not client.closed
