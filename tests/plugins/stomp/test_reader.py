"""plugins/stomp/reader.py: heads that came before, which aren't read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Publish, limits
from hubbub_plugins.stomp.reader import Reader

MAX_BODY = 20
SEND = b"SEND\ndestination:a\ncontent-length:%d\n\n%b\0"


class Play:
    """A reader whose frames become messages: the topic of each is its head without the digits of its length.

    read  how many heads were read; remember: whether they are remembered
    """

    def __init__(self, remember=True):
        self.error = None
        self.read = 0
        self.reader = Reader(MAX_BODY)
        self.remember = remember
        self._events = []

    def feed(self, data):
        if self.error is None:
            self.error = self.reader.feed(data, self._events, self._act)

    def _act(self, head, body, events):
        self.read += 1
        topic = head.alike.decode("latin-1")
        if self.remember:
            self.reader.remember(head, topic, None)
        events.append(Publish(topic, body))
        return True

    def outcome(self):
        error = None if self.error is None else self.error.reason
        held = self.reader.held() if self.error is None else ""
        return [(event.topic, event.payload) for event in self._events], error, held


def bodies(play):
    return [body for _, body in play.outcome()[0]]


def test_heads_that_differ_in_their_length_alone_are_read_once():
    play = Play()
    sent = [b"x" * size for size in (3, 3, 5, 3, 0, 12, 12)]
    for pieces in (sent, reversed(sent)):
        play.feed(b"".join(SEND % (len(body), body) for body in pieces))
    assert (bodies(play), play.read) == ([*sent, *reversed(sent)], 1)


@pytest.mark.parametrize(
    "other",
    [
        SEND.replace(b"destination:a", b"destination:b") % (1, b"x"),
        SEND.replace(b"content-length", b"content-type:t\ncontent-length") % (1, b"x"),
        SEND.replace(b"\n\n", b"\ncontent-type:t\n\n") % (1, b"x"),
        SEND.replace(b"content-length", b"Content-length") % (1, b"x"),
        b"SEND\ndestination:a\n\nx\0",
    ],
)
def test_a_head_that_differs_in_more_is_read(other):
    play = Play()
    play.feed(SEND % (3, b"abc") + other + SEND % (1, b"x") + other)
    assert (bodies(play), play.read) == ([b"abc", b"x", b"x", b"x"], 2)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\n\n\n"])
def test_line_ends_between_frames(ends):
    play = Play()
    play.feed((SEND % (3, b"abc") + ends) * 3)
    assert (bodies(play), play.read) == ([b"abc"] * 3, 1)


@pytest.mark.parametrize(
    ("length", "body", "reason"),
    [
        (b"", b"abc", "a content-length is a number"),
        (b"-3", b"abc", "a content-length is a number"),
        (b" 3", b"abc", "a content-length is a number"),
        (b"00000000003", b"abc", "a content-length is a number"),
        (b"2", b"abc", "a body is longer than its content-length"),
        (b"3", b"abcd", "a body is longer than its content-length"),
        (b"21", b"x" * 21, "a body has more than 20 bytes"),
        (b"3\0", b"abc", "a NUL comes before"),
    ],
)
def test_a_length_is_checked_behind_a_head_that_came_before(length, body, reason):
    play = Play()
    play.feed(SEND % (3, b"abc") + b"SEND\ndestination:a\ncontent-length:" + length + b"\n\n" + body + b"\0")
    assert bodies(play) == [b"abc"]
    assert play.error.reason.startswith(reason)


def test_a_long_head_isnt_remembered():
    head = b"SEND\ndestination:" + b"a" * limits.TOPIC_TABLE_BYTES + b"\ncontent-length:1\n\nx\0"
    play = Play()
    play.feed(head * 3)
    assert (bodies(play), play.read) == ([b"x"] * 3, 3)


def test_more_lengths_than_are_remembered():
    play = Play()
    play.reader = Reader(2 * limits.TOPIC_TABLE)
    sent = [b"x" * size for size in range(2 * limits.TOPIC_TABLE)]
    play.feed(b"".join(SEND % (len(body), body) for body in sent))
    assert (bodies(play), play.read) == (sent, 1)
    assert len(play.reader._heads) <= limits.TOPIC_TABLE


PIECES = [
    *[SEND % (size, b"x" * size) for size in (0, 1, 2, 20)],
    *[SEND.replace(b"\n", b"\r\n") % (size, b"\0" * size) for size in (1, 2)],
    b"SEND\ncontent-length:1\ncontent-length:2\n\nx\0",
    b"SEND\ndestination:a\n\nab\0",
    b"SEND\ndestination:a\ncontent-length:",
    *[b"1", b"2", b"\r", b"\n", b"\0", b"x", b"\n\n"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.lists(st.integers(1, 30), max_size=12))
def test_what_is_remembered_changes_nothing(pieces, sizes):
    data = b"".join(pieces)
    plays = [Play(remember) for remember in (False, True)]
    for play in plays:
        at = 0
        for size in [*sizes, len(data)]:
            play.feed(data[at : at + size])
            at += size
    assert plays[0].outcome() == plays[1].outcome()
