"""plugins/stomp/messages.py: two ways to encode a MESSAGE, which say the same."""

from __future__ import annotations

import pytest

from hubbub import IdForm, Publish, QosPublish
from hubbub_plugins.stomp import Stomp
from hubbub_plugins.stomp.destinations import TOPIC
from hubbub_plugins.stomp.frames import V10, V12
from hubbub_plugins.stomp.messages import encode_around, form_of
from hubbub_plugins.stomp.messages import encode_plain as encode_all_plain

ID = b"subscription:1\n"
FORM = form_of(V12, TOPIC, False, False)


def encode_plain(message, form, id):
    (unit,) = encode_all_plain([message], form, id)
    return unit


def spliced(message, form=FORM):
    head, tail = encode_around(message, form)
    return head + ID + tail


@pytest.mark.parametrize("size", [0, 1, 9, 10, 1_023])
def test_a_plain_message_is_encoded_as_others_are(size):
    message = Publish("a/b", b"\0" * size)
    assert encode_plain(message, FORM, ID) == spliced(message)


@pytest.mark.parametrize(
    ("message", "form"),
    [
        (Publish("a", b"x" * 1_024), FORM),
        (Publish("a", b"x", content_type="t"), FORM),
        (Publish("a", b"x", reply_to="b"), FORM),
        (Publish("a", b"x", properties={"b": "c"}), FORM),
        (QosPublish("a", b"x", 1), FORM),
        (Publish("a", b"x"), form_of(V12, TOPIC, True, False)),
        (Publish("a", b"x"), form_of(V12, TOPIC, False, True)),
        (Publish("a\nb", b"x"), form_of(V10, TOPIC, False, False)),
    ],
)
def test_other_messages_are_left_to_the_other_way(message, form):
    assert encode_plain(message, form, ID) is None


def test_a_retained_message_is_left_to_the_other_way():
    message = Publish("a", b"x")
    message.retained = True
    assert encode_plain(message, FORM, ID) is None
    assert b"\nretained:true\n" in spliced(message)


def test_each_message_has_a_number_of_its_own():
    units = [encode_plain(Publish("a", b"x"), FORM, ID) for _ in range(2_500)]
    assert len(set(units)) == len(units)
    assert len({len(unit) for unit in units}) == 1


def test_encodings_of_one_message_share_its_number():
    message = Publish("a", b"x")
    other = b"subscription:2\n"
    assert encode_plain(message, FORM, ID) == encode_plain(message, FORM, other).replace(other, ID) == spliced(message)


def test_plain_messages_and_others_go_out_in_their_order():
    messages = [Publish("a", b"%d" % n, content_type="t" if n % 3 == 1 else None) for n in range(7)]
    for some in (messages, messages[:3], messages[:1]):
        units = Stomp.encode_all(some, IdForm(FORM, ID))
        assert [unit[unit.index(b"\n\n") + 2 : -1] for unit in units] == [one.payload for one in some]
        assert [b"\ncontent-type:t\n" in unit for unit in units] == [one.content_type == "t" for one in some]
