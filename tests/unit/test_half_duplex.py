"""A half-duplex link: one command at a time, and what comes in next is its reply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.message import Message
from hubbub.publish import QosPublish, Request
from hubbub.template import Template
from unit.kernel_help import FakeWire, Receiver, World

ANSWER = 0.5


@pytest.fixture
def device(world):
    """A link that hears `down` as commands; whatever it says is on `up`."""
    return world.link(subscribe=Template("down", "filter"), answer=ANSWER)


class Asker:
    """Asks, and keeps what it is told."""

    def __init__(self, world: World, payload: bytes, timeout: float = 2.0, topic: str = "down") -> None:
        self.reported: list[object] = []
        self.at = 0.0
        self.world = world
        self.session = world.session()
        event = Request(topic, payload, timeout)
        event.sender = self.session
        world.hub.requests.request(event, self._done)
        world.turn()

    def _done(self, result):
        self.reported.append(f"{result.code}" if isinstance(result, Refusal) else result.payload)
        self.at = self.world.clock


def says(world: World, device, payload: str) -> None:
    device.receive(f"pub up {payload}\n".encode())
    world.turn()


def test_one_command_at_a_time_and_each_answer_to_its_requester(world, device):
    watcher = Receiver()
    world.subscribe(world.session(), "up", watcher)
    askers = [Asker(world, b"%d" % n) for n in range(50)]
    for n in range(50):
        assert device.wire.output().startswith(b"down=%d <$reply/" % n)
        says(world, device, f"answer-{n}")
    assert [asker.reported for asker in askers] == [[b"answer-%d" % n] for n in range(50)]
    assert watcher.payloads == [b"answer-%d" % n for n in range(50)]
    assert not world.hub.requests.pending


def test_the_askers_clock_stands_while_its_command_waits(world, device):
    first, second = Asker(world, b"1"), Asker(world, b"2", timeout=0.4)
    world.sleep(0.45)
    assert second.reported == []  # its clock stands
    says(world, device, "one")
    world.sleep(0.3)
    says(world, device, "two")
    assert (first.reported, second.reported) == ([b"one"], [b"two"])


def test_no_answer_in_time(world, device):
    asker = Asker(world, b"1")
    world.sleep(ANSWER - 0.01)
    assert asker.reported == []
    world.sleep(0.02)
    assert asker.reported == ["timeout"]


def test_the_askers_own_time_may_be_over_first(world, device):
    first, second = Asker(world, b"1", timeout=0.2), Asker(world, b"2")
    world.sleep(0.3)
    assert first.reported == ["timeout"]
    device.wire.output()
    says(world, device, "one")  # in time for the device, and nobody's any more
    assert (second.reported, world.hub.turn.counters.unanswered) == ([], 1)
    assert b"down=2" in device.wire.output()
    says(world, device, "two")
    assert second.reported == [b"two"]


def test_a_command_whose_requester_has_gone_is_dropped(world, device):
    asker = Asker(world, b"1")
    letter = QosPublish("down", b"2", qos=1, message_expiry=0.1)
    world.hub.router.publish(letter)
    world.hub.router.publish(QosPublish("down", b"3", qos=1, message_expiry=60))
    device.wire.output()
    world.sleep(0.2)
    says(world, device, "one")
    assert asker.reported == [b"one"]
    assert device.wire.output().startswith(b"down=3")
    assert world.hub.turn.counters.dropped == 1


def test_a_late_answer_is_not_taken_for_the_next_one(world, device):
    watcher = Receiver()
    world.subscribe(world.session(), "up", watcher)
    first, second = Asker(world, b"1"), Asker(world, b"2")
    device.wire.output()
    world.sleep(ANSWER)
    assert (first.reported, device.wire.output()) == (["timeout"], b"")  # the line rests
    world.sleep(0.3)
    says(world, device, "late")
    assert (second.reported, watcher.payloads) == ([], [b"late"])
    assert b"down=2" in device.wire.output()  # as soon as it has come
    says(world, device, "two")
    assert second.reported == [b"two"]


def test_the_rest_ends_where_no_late_answer_comes(world, device):
    first, second = Asker(world, b"1"), Asker(world, b"2", timeout=0.6)
    device.wire.output()
    world.sleep(ANSWER)
    world.sleep(ANSWER - 0.01)
    assert device.wire.output() == b""
    world.sleep(0.02)
    assert b"down=2" in device.wire.output()
    says(world, device, "two")
    assert (first.reported, second.reported) == (["timeout"], [b"two"])


def test_input_without_a_command_goes_to_no_request(world, device):
    says(world, device, "hello")
    asker = Asker(world, b"1")
    says(world, device, "one")
    says(world, device, "more")
    assert asker.reported == [b"one"]


def test_a_second_frame_in_one_piece_is_not_the_answer_to_what_is_not_written(world, device):
    first, second = Asker(world, b"1"), Asker(world, b"2")
    device.receive(b"pub up one\npub up rubbish\n")
    world.turn()
    assert (first.reported, second.reported) == ([b"one"], [])
    says(world, device, "two")
    assert second.reported == [b"two"]


def test_answers_in_pieces(world, device):
    asker = Asker(world, b"1")
    for byte in b"pub up one\n":
        assert asker.reported == []
        device.receive(bytes([byte]))
        world.turn()
    assert asker.reported == [b"one"]


def test_the_line_is_bounded(world, device):
    askers = [Asker(world, b"%d" % n) for n in range(102)]
    assert [n for n, asker in enumerate(askers) if asker.reported] == [101]
    assert askers[101].reported == ["quota"]
    assert world.hub.turn.counters.dropped == 1


def test_so_is_what_comes_in_one_turn(world, device):
    askers = []
    hub = world.hub
    for n in range(102):
        event = Request("down", b"%d" % n)
        hub.requests.request(event, askers.append)
    world.turn()
    assert [refusal.code for refusal in askers] == ["quota"]


def test_commands_without_an_asker_take_their_turn(world, device):
    world.publish("down", b"set")
    asker = Asker(world, b"get")
    assert device.wire.output() == b"down=set\n"
    says(world, device, "ok")
    assert asker.reported == []
    says(world, device, "got")
    assert asker.reported == [b"got"]


def test_a_reply_topic_of_the_askers_own(world, device):
    receiver = Receiver()
    asker = world.session()
    world.subscribe(asker, "mine", receiver)
    world.publish("down", b"get", asker, reply_to="mine")
    world.turn()
    says(world, device, "got")
    assert receiver.payloads == [b"got"]


def test_a_reply_topic_that_the_asker_may_not_use(world, device):
    class Rights:
        def publish(self, topic):
            raise Refusal("not-authorized", "no")

    receiver = Receiver()
    world.subscribe(world.session(), "theirs", receiver)
    asker = world.session()
    asker.rights = Rights()
    world.publish("down", b"get", asker, reply_to="theirs")
    world.turn()
    says(world, device, "got")
    assert (receiver.payloads, world.hub.turn.counters.unanswered) == ([], 1)


def test_the_devices_time_starts_when_the_transport_has_taken_the_command(world):
    device = world.link(subscribe=Template("down", "filter"), answer=ANSWER)
    device.wire.full = True
    asker = Asker(world, b"1", timeout=1.0)
    says(world, device, "hello")  # it can't have read the command
    world.sleep(5)
    assert asker.reported == []
    device.wire.room()
    world.turn()
    world.sleep(ANSWER - 0.1)
    says(world, device, "one")
    assert asker.reported == [b"one"]


def test_a_device_that_goes(world, device):
    askers = [Asker(world, b"1"), Asker(world, b"2")]
    device.lost()
    world.turn()
    assert [asker.reported for asker in askers] == [["unavailable"], ["unavailable"]]
    assert not world.hub.requests.pending
    world.sleep(10)


def test_retained_commands_stand_in_line(world):
    for name in ("a", "b"):
        world.publish(f"down/{name}", name.encode(), retain=True)
    device = world.link(subscribe=Template("down/+", "filter"), answer=ANSWER)
    world.turn()
    first = device.wire.output()
    assert first.count(b"\n") == 1
    says(world, device, "ok")
    assert sorted([first, device.wire.output()]) == [b"down/a=a\n", b"down/b=b\n"]


def test_retained_commands_that_find_no_room_are_counted(world):
    for n in range(limits.COMMANDS_WAITING + 5):
        world.publish(f"down/{n}", b"x", retain=True)
    device = world.link(subscribe=Template("down/+", "filter"), answer=ANSWER)
    world.turn()
    sent = 0
    while device.wire.output():
        sent += 1
        says(world, device, "ok")
    assert (sent, device.outbox.dropped) == (1 + limits.COMMANDS_WAITING, 4)  # one is out
    assert world.hub.turn.counters.dropped == 4


def test_a_handlers_reply_to_the_device_stands_in_line(world, device):
    asker = Asker(world, b"1")
    device.wire.output()
    assert device.session.link.send(Message("up", b"direct"))
    world.turn()
    assert device.wire.output() == b""
    says(world, device, "one")
    assert (asker.reported, device.wire.output()) == ([b"one"], b"up=direct\n")


def test_under_a_mount_point(world):
    device = world.link(subscribe=Template("down", "filter"), answer=ANSWER, prefix=Template("plant"))
    asker = Asker(world, b"1", topic="plant/down")
    assert b"down=1" in device.wire.output()
    says(world, device, "one")
    assert asker.reported == [b"one"]


def test_a_request_from_a_client(world, device):
    client = world.link()
    client.receive(b"req down 1\nping\n")
    world.turn()
    assert client.wire.output() == b""
    says(world, device, "one")
    assert client.wire.output() == b"reply one\npong 0\n"


def test_over_udp(world):
    wire = FakeWire()
    device = world.link(transport="udp", wire=wire, subscribe=Template("down", "filter"), answer=ANSWER)
    first, second = Asker(world, b"1"), Asker(world, b"2")
    assert len(wire.writes) == 1
    says(world, device, "one")
    says(world, device, "two")
    assert (first.reported, second.reported) == ([b"one"], [b"two"])


def test_what_waits_is_forgotten_once_the_device_may_no_longer_receive_it(world):
    class Rights:
        def publish(self, topic):
            pass

        def subscribe(self, filter):
            pass

        def receives(self, topic):
            return topic != "down/b"

    device = world.link(subscribe=Template("down/+", "filter"), answer=ANSWER)
    one, other, third = (Asker(world, name.encode(), topic=f"down/{name}") for name in "abc")
    device.context.rights = lambda session: Rights()
    device.reconsider()
    world.turn()
    assert other.reported == ["unavailable"]
    device.wire.output()
    says(world, device, "a")
    assert device.wire.output().startswith(b"down/c=c ")
    assert (one.reported, third.reported) == ([b"a"], [])


def test_the_clock_goes_on_with_what_was_left(world):
    device = world.link(subscribe=Template("down", "filter"), answer=10.0)
    Asker(world, b"1")
    second = Asker(world, b"2", timeout=2.0)
    world.sleep(1)
    says(world, device, "one")
    world.sleep(1.5)
    assert second.reported == []
    world.sleep(0.5)
    assert second.reported == ["timeout"]


def test_a_reload_without_answer_leaves_the_line_of_a_link_as_it_is(world, device):
    first = Asker(world, b"1")
    device.context.adopt(replace(device.context, answer=None))
    device.reconsider()
    says(world, device, "one")
    second = Asker(world, b"2")
    says(world, device, "two")
    assert (first.reported, second.reported) == ([b"one"], [b"two"])
