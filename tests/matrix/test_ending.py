"""How links end: by word, by end of input, by a loss; and what is flushed before."""

from __future__ import annotations

import pytest

from hubbub.dialects.lines import Lines
from hubbub.testing.websocket import masked
from matrix.speakers import COMMANDING, EVERY, STREAMS, seat


@pytest.mark.parametrize("name", EVERY)
def test_a_link_that_has_gone_leaves_nothing_behind(world, name):
    ear = seat(world, name, subscribes="a/#", publishes="ear")
    ear.client.vanish()
    world.advance(120)  # over UDP the lease has to run out
    mouth = seat(world, "tcp-json")
    mouth.publish("a/b", b"1", id=1)
    assert mouth.reported()[0]["receivers"] == 0
    assert ear.listener.context.links == set()


@pytest.mark.parametrize("name", COMMANDING)
def test_ping(world, name):
    one = seat(world, name)
    one.ping()
    assert one.output() == [("pong",)]


@pytest.mark.parametrize("name", STREAMS)
def test_leaving(world, name):
    one = seat(world, name, subscribes="#")
    one.publish("a", b"1")
    one.leave()
    one.publish("a", b"never")
    assert one.output() == [("message", "a", b"1"), ("bye",)]
    assert one.client.closed
    assert world.hub.subscriptions.sessions == set()
    if name.startswith("websocket"):
        assert one.client.close_code == 1000


@pytest.mark.parametrize("name", [name for name in COMMANDING if name not in STREAMS])
def test_leaving_over_udp_ends_the_subscriptions(world, name):
    one = seat(world, name, subscribes="#")
    one.leave()
    assert one.output() == [("bye",)]
    one.publish("a", b"1")
    assert one.output() == []
    assert world.hub.turn.counters.delivered == 0


@pytest.mark.parametrize("name", STREAMS)
def test_the_hub_says_goodbye(world, name):
    one = seat(world, name, subscribes="#")
    (link,) = one.listener.context.links
    one.publish("a", b"1")
    one.client.move()
    link.close("shutdown")
    assert one.output() == [("message", "a", b"1"), ("bye",)]
    assert one.client.closed
    if name.startswith("websocket"):
        assert one.client.close_code == 1012


@pytest.mark.parametrize("name", ["tcp-lines", "tcp-json"])
def test_after_its_end_of_input_a_subscribed_link_stays_for_writing(world, name):
    one = seat(world, name)
    one.subscribe("a/#")
    one.client.finish()
    assert one.output() == [("subscribed", "a/#")]
    seat(world, "udp-lines").publish("a/b", b"1")
    assert one.output() == [("message", "a/b", b"1")]
    assert not one.client.closed


@pytest.mark.parametrize("name", ["tcp-lines", "tcp-json"])
def test_without_a_subscription_end_of_input_ends_the_link_once_answers_are_flushed(world, name):
    ear = seat(world, "udp-lines", subscribes="a")
    one = seat(world, name)
    one.subscribe("b")
    one.unsubscribe("b")
    one.ping()
    one.publish("a", b"1")
    one.client.finish()
    assert one.output() == [("subscribed", "b"), ("unsubscribed", "b"), ("pong",)]
    assert ear.output() == [("message", "a", b"1")]
    assert one.client.closed


@pytest.mark.parametrize("name", ["tcp-lines", "tcp-json"])
def test_a_last_line_without_its_end_is_a_command_too(world, name):
    one = seat(world, name)
    one.client.send(b"PING" if name == "tcp-lines" else b'{"op":"ping"}')
    assert one.output() == []
    one.client.finish()
    assert one.output() == [("pong",)]
    assert one.client.closed


@pytest.mark.parametrize("name", ["tcp-lines", "tcp-json"])
def test_a_request_is_waited_for_after_end_of_input(world, name):
    seat(world, "udp-json", subscribes="ask")
    one = seat(world, name)
    one.request("ask", b"1")
    one.client.finish()
    assert one.output() == []
    assert not one.client.closed
    world.advance(2.1)
    assert one.output() == [("error", "timeout")]
    assert one.client.closed


def test_raw_ends_with_its_input_once_what_it_caused_is_flushed(world):
    from hubbub_plugins.upper import Upper

    world.run(Upper)
    one = seat(world, "tcp-raw", publishes="echo", subscribes="a")
    one.publish("echo", b"last")
    one.client.finish()
    assert one.output() == [("message", None, b"LAST")]
    assert one.client.closed


@pytest.mark.parametrize("name", ["websocket-lines", "websocket-json", "websocket-raw"])
def test_a_websocket_client_closes(world, name):
    one = seat(world, name, subscribes="a", publishes="b")
    one.client.leave()
    world.turn()
    assert (one.client.close_code, one.client.closed) == (1000, True)
    assert world.hub.subscriptions.sessions == set()


def test_answers_go_out_before_the_closing_handshake(world):
    """Commands and the close frame in one read: what was said is answered, as over TCP."""
    client = world.listen("websocket", Lines).connect()
    client.send_bytes(client.encode("SUB a") + client.encode("PING") + masked(b"\x03\xe8", 0x8))
    world.turn()
    assert client.received() == ["OK SUB a", "PONG"]
    assert client.close_code == 1000


@pytest.mark.parametrize("name", ["websocket-lines", "websocket-json", "websocket-raw"])
def test_a_silent_websocket_client_is_asked_and_may_stay(world, name):
    one = seat(world, name, subscribes="a", publishes="b")
    world.advance(3_600)
    assert not one.client.closed
    one.client.taking = False  # and so it doesn't answer
    world.advance(600)
    assert one.client.closed
