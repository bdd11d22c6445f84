"""The outbox of a UDP link: each unit is a datagram, and one that is too long is dropped."""

from __future__ import annotations

from hubbub.kernel.connection.datagram_outbox import DatagramOutbox
from hubbub.kernel.routing.batch import Batch
from hubbub.message import Message
from unit.kernel_help import World


class Datagrams:
    def __init__(self):
        self.world = World()
        self.sent = []
        self.longest = 100
        self.receiver = DatagramOutbox(
            self.world.hub.turn, self.world.hub.slow_consumers, self, self, "drop-oldest", 10_000
        )

    def gap(self, n):
        return b"gap %d" % n

    def on_overflow(self):
        raise AssertionError

    def write(self, data):
        if len(data) > self.longest:
            return False
        self.sent.append(data)
        return True

    def put(self, *payloads):
        self.receiver.put(Batch([Message("t", one) for one in payloads], payloads, stream=False))
        self.world.hub.turn.schedule_flush()


def test_each_unit_is_a_datagram():
    peer = Datagrams()
    peer.put(b"1", b"2")
    peer.receiver.answer(b"ok")
    peer.put(b"3")
    peer.world.turn()
    assert peer.sent == [b"1", b"2", b"ok", b"3"]


def test_a_datagram_that_is_too_long_counts_in_the_gap():
    peer = Datagrams()
    peer.put(b"1", b"x" * 200, b"2", b"y" * 200)
    peer.world.turn()
    assert peer.sent == [b"1", b"gap 1", b"2", b"gap 1"]
    assert (peer.receiver.sent, peer.receiver.dropped) == (2, 2)
    peer.put(b"3")
    peer.world.turn()
    assert peer.sent[4:] == [b"3"]


def test_an_answer_that_is_too_long_is_no_lost_message():
    peer = Datagrams()
    peer.receiver.answer(b"x" * 200)
    peer.world.turn()
    assert (peer.sent, peer.receiver.dropped) == ([], 0)


def test_a_notice_that_cannot_be_sent_is_reported_later():
    peer = Datagrams()
    peer.longest = 0
    peer.put(b"1")
    peer.world.turn()
    peer.put(b"1")
    peer.world.turn()
    peer.longest = 100
    peer.put(b"2")
    peer.world.turn()
    assert peer.sent == [b"gap 2", b"2"]
