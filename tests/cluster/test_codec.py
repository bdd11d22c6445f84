"""Messages between nodes: what any client may say crosses unchanged, and what nobody may say is refused."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import Refusal
from hubbub.nats_protocol.headers import read_headers
from hubbub.nats_protocol.plain import KnownNode, PlainReader, PlainWriter
from hubbub.nats_protocol.subjects import subject_of
from hubbub.nats_protocol.wire import Reader
from hubbub.publish import PartialReply, Publish, QosPublish
from hubbub.service.cluster.message_codec import STORED, decode, encode_headers_of
from hubbub.user_properties import UserProperties

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = TEXT | st.sampled_from(["Content-Type", "hubbub-path", "Hubbub-Number", "Hubbub-Message", "a b", "a:b", "A"])
VALUES = TEXT | st.sampled_from([" x", "x ", "a\r\nb: c", "\0", ""])
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=4)


@st.composite
def messages(draw):
    payload, kind = draw(st.binary(max_size=40)), draw(st.sampled_from([Publish, QosPublish, PartialReply]))
    message = kind("a/b", payload)
    message.content_type = draw(st.none() | VALUES)
    message.hops = draw(st.integers(0, 8))
    if draw(st.booleans()):
        pairs, format = draw(PAIRS), draw(st.none() | st.integers(0, 1))
        message.properties = UserProperties(pairs, format) if pairs or format is not None else None
    if kind is QosPublish:
        message.qos, message.time = draw(st.integers(0, 2)), 1_000.0
        message.message_expiry = draw(st.none() | st.integers(0, 10**6).map(float))
        message.correlation = draw(st.none() | st.binary(max_size=20))
    return message


@given(messages(), st.lists(TEXT, max_size=2).map(tuple), st.integers(1, 10**15 - 1))
def test_nothing_is_lost(message, taken, number):
    block = encode_headers_of(message, "a1 b2", number, 1_000.0, taken)
    found, origin = decode("a/b", "re/ply", block, message.payload)
    assert (origin.path, origin.node, origin.number, origin.taken) == ("a1 b2", "b2", number, taken)
    assert (found.payload, found.content_type, found.hops) == (message.payload, message.content_type, message.hops)
    assert (found.reply_to, found.path) == ("re/ply", "a1 b2")
    for name, default in (("qos", 0), ("message_expiry", None), ("correlation", None)):
        assert getattr(found, name, default) == getattr(message, name, default)
    assert (type(found) is PartialReply) == (type(message) is PartialReply)
    before, after = message.properties, found.properties
    assert getattr(after, "format", None) == getattr(before, "format", None)
    pairs = [pair for pair in (before.pairs if before else ()) if pair[0] != "hubbub-path"]  # it stands elsewhere
    assert list(after.pairs if after else ()) == pairs


@pytest.mark.parametrize(
    "block",
    [
        b"NATS/1.0\r\nContent-Type: x\r\nA: 1\r\nB: 2\r\n\r\n",
        b"NATS/1.0 503 No Responders\r\n\r\n",
        b"NATS/1.0\r\nA: 1\r\nA:  2 \r\na: \xc3\xbc\r\n\r\n",
    ],
)
def test_headers_of_nats_clients_pass_as_they_are(block):
    message = Publish("a", b"x")
    message.properties, message.content_type = read_headers(block)
    found, _ = decode("a", None, encode_headers_of(message, "a1", 1, 0.0), b"x")
    assert found.properties.block == block
    assert (found.properties, found.content_type) == (message.properties, message.content_type)


PATH = b"NATS/1.0\r\nhubbub-path: a1\r\n"


@pytest.mark.parametrize(
    "block",
    [
        b"NATS/1.0",
        b"x",
        PATH + b"Hubbub-Number: \r\n\r\n",
        PATH + b"Hubbub-Number: x\r\n\r\n",
        PATH + b"Hubbub-Number: 1234567890123456\r\n\r\n",
        PATH + b"Hubbub-Number: 1\r\nHubbub-Message: {\r\n\r\n",
        PATH + b'Hubbub-Number: 1\r\nHubbub-Message: {"qos":7}\r\n\r\n',
        PATH + b'Hubbub-Number: 1\r\nHubbub-Message: {"qos":"x"}\r\n\r\n',
        PATH + b'Hubbub-Number: 1\r\nHubbub-Message: {"expiry":"x"}\r\n\r\n',
        PATH + b"Hubbub-Number: 1\r\nHubbub-Message: " + b"[" * 10_000 + b"\r\n\r\n",
        PATH + b"Hubbub-Number: 1\r\nno header\r\n\r\n",
        PATH + b"Hubbub-Number: 1\r\n" + b"A: 1\r\n" * 100 + b"\r\n",
        b"NATS/1.0\r\nhubbub-path: " + b"a" * 10_000 + b"\r\nHubbub-Number: 1\r\n\r\n",
    ],
)
def test_what_no_node_says_is_refused(block):
    with pytest.raises(Refusal):
        decode("a", None, block, b"")


@given(st.binary(max_size=60), st.sampled_from([b"", b"NATS/1.0\r\n", PATH, PATH + b"Hubbub-Number: 1\r\n"]))
def test_whatever_comes_is_read_or_refused(data, begin):
    with contextlib.suppress(Refusal):
        decode("a", None, begin + data, b"")


NODE = "0123456789abcdef"


@given(st.sampled_from(["a", "b/c", "d.e"]), st.binary(max_size=30), st.sampled_from([1, 2]), st.integers(1, 10**6))
def test_a_message_that_is_in_the_stream_too_is_written_quickly_as_otherwise(topic, payload, qos, number):
    writer = PlainWriter(NODE, lambda message: None, {}, STORED)
    writer.most, writer.number = 30, number - 1
    message = QosPublish(topic, payload, qos)
    message.path = NODE
    block = encode_headers_of(message, NODE, number, 0.0, (), True)
    line = b"HPUB %b %d %d\r\n" % (subject_of(topic).encode(), len(block), len(block) + len(payload))
    assert writer.encode_all([message]) == [line + block + payload + b"\r\n"]


@pytest.mark.parametrize("more", [{"correlation": b"c"}, {"message_expiry": 5.0}, {"properties": {"a": "b"}}])
def test_a_message_of_the_stream_with_more_is_left_to_the_other_writer(more):
    writer = PlainWriter(NODE, lambda message: b"other", {}, STORED)
    writer.most = 30
    message = QosPublish("a", b"", 1, **more)
    message.path = NODE
    elsewhere = QosPublish("a", b"", 1)
    elsewhere.path = "f" * 16
    assert writer.encode_all([message, elsewhere]) == [b"other"] * 2


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b/c", "d.e"]), st.binary(max_size=30))),
    st.lists(st.integers(0, 400)),
    st.sampled_from([0, 7, 98]),
)
def test_plain_messages_are_read_as_they_are_written(sent, cuts, number):
    """Over any cuts of the stream; the first one behind each line comes by the other reader."""
    writer, node, found = PlainWriter(NODE, lambda message: None, {}, STORED), KnownNode(NODE), []
    writer.most, writer.number = 30, number
    plain = PlainReader(lambda run: found.extend([(one.topic, one.payload) for one in run]), None)
    plain.know(node)
    reader = Reader((b"HMSG",), 1_000)
    reader.fast = plain.read

    def act(line, words, rest, events):
        message, origin = decode(words[1].decode().replace(".", "/").replace("%2E", "."), None, *halves(words, rest))
        node.last = origin.number
        found.append((message.topic, message.payload))
        plain.learn(line, words[1], int(words[-2]), int(words[-1]))

    stream = b"".join(writer.encode_all([Publish(*one) for one in sent]))
    for head in (b"HPUB a ", b"HPUB b.c ", b"HPUB d%2Ee "):
        stream = stream.replace(head, b"HMSG" + head[4:] + b"1 ")
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    for start, stop in itertools.pairwise(places):
        assert reader.feed(stream[start:stop], [], act) is None
    assert found == sent
    assert reader.feed(stream, [], act) is None
    assert found == sent


def test_a_long_message_of_a_batch_is_left_to_the_other_writer():
    writer = PlainWriter(NODE, lambda message: b"other", {}, STORED)
    writer.most = 2
    frames = writer.encode_all(
        [Publish("a", b"1"), Publish("a", b"123"), Publish("a", b"12"), Publish("a" * 5_000, b"")]
    )
    assert [frame == b"other" for frame in frames] == [False, True, False, True]


def test_of_a_run_that_came_in_part_the_rest_is_published():
    found, node = [], KnownNode(NODE)
    plain = PlainReader(lambda run: found.extend([(one.payload, one.path) for one in run]), None)
    plain.know(node)
    writer = PlainWriter(NODE, lambda message: None, {}, STORED)
    writer.most = 30
    stream = b"".join(writer.encode_all([Publish("a", b"%d" % one) for one in range(9)])).replace(
        b"HPUB a", b"HMSG a 1"
    )
    line = stream[: stream.find(b"\n") + 1]
    plain.learn(line, b"a", *map(int, line.split()[-2:]))
    node.last = 4
    assert plain.read(stream, 0) == len(stream)
    assert (found, node.last, plain.count) == ([(b"%d" % one, NODE) for one in range(4, 9)], 9, 5)


def halves(words, rest):
    size = int(words[-2])
    return rest[:size], rest[size:]
