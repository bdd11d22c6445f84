"""MQTT messages that go out together are encoded as each of them alone is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Message, Publish, QosPublish
from hubbub_plugins.mqtt.messages import encode_publish, encode_publishes

topics = st.sampled_from(["a", "p/12", "ü" * 40, "x" * 70_000, "nul\0", "a" * 4_000])
sizes = st.one_of(st.integers(118, 128), st.integers(16_372, 16_386), st.just(70_000))
payloads = st.one_of(st.binary(max_size=10), sizes.map(bytes))
optional = {
    "retain": st.booleans(),
    "content_type": st.one_of(st.none(), st.just("text/plain")),
    "reply_to": st.one_of(st.none(), st.just("r")),
    "properties": st.one_of(st.none(), st.just({}), st.just({"a": "b"})),
}
plain = st.builds(Publish, topics, payloads)
messages = st.one_of(
    plain,
    plain,
    st.builds(Message, topics, payloads, **optional),
    st.builds(
        QosPublish, topics, payloads, st.integers(0, 2), **optional,
        message_expiry=st.one_of(st.none(), st.just(2.5)), correlation=st.one_of(st.none(), st.just(b"c")),
    ),
)  # fmt: skip
forms = st.tuples(
    st.booleans(),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([b"", b"\x0b\x01"]),
    st.sampled_from([None, 20, 130, 16_383, 16_384, 70_000]),
    st.booleans(),
)


@given(st.lists(st.tuples(messages, st.booleans()), max_size=4), forms)
def test_messages_in_company_are_encoded_as_each_alone(pairs, form):
    for message, retained in pairs:
        message.retained = retained
    sent = [message for message, _ in pairs]
    assert encode_publishes(sent, form) == [encode_publish(message, form) for message in sent]


@pytest.mark.parametrize("v5", [False, True])
@pytest.mark.parametrize("qos", [0, 1])
def test_remaining_lengths_of_one_two_and_three_bytes(v5, qos):
    form = (v5, qos, False, b"", None, False)
    sent = [QosPublish("a", bytes(size), qos) for size in (*range(118, 129), *range(16_374, 16_386))]
    assert encode_publishes(sent, form) == [encode_publish(message, form) for message in sent]


@pytest.mark.parametrize("max_packet", range(16_382, 16_389))
def test_a_packet_with_its_fixed_header_is_not_longer_than_the_client_takes(max_packet):
    """MQTT-3.1.2-24."""
    form = (False, 0, False, b"", max_packet, False)
    sent = [Publish("a", bytes(size)) for size in range(16_374, 16_386)]
    frames = encode_publishes(sent, form)
    assert frames == [encode_publish(message, form) for message in sent]
    assert all(frame is None or len(frame) <= max_packet for frame in frames)
