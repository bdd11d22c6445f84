"""hubbub/nats_protocol/subjects.py: the map between topics and subjects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadFilter, BadTopic, Refusal
from hubbub.nats_protocol.subjects import filter_of, shared_filter, subject_of, subjects_of, topic_of
from hubbub.topics import check_filter, matches, unshared

LEVELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#/"), max_size=4) | st.text(
    "ab%.*> \t\n\x7f2EF0é", max_size=6
)
TOPICS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join).filter(bool)
SUBJECTS = st.text("ab.*>%2E05F/+# \t\0é", max_size=12)
PAIRS = {
    "a": "a",
    "a/b/c": "a.b.c",
    "a//b": "a.%.b",
    "/": "%.%",
    "a/b.c": "a.b%2Ec",
    "%": "%25",
    "%/": "%25.%",
    "a b/1.5/50%": "a%20b.1%2E5.50%25",
    "*/>": "%2A.%3E",
    "a*b/c>": "a%2Ab.c%3E",
    "\x7f\x01": "%7F%01",
    "naïve/温度": "naïve.温度",
    "$SYS/x": "$SYS.x",
}


@pytest.mark.parametrize(("topic", "subject"), PAIRS.items())
def test_a_topic_has_one_subject(topic, subject):
    assert subject_of(topic) == subject
    assert topic_of(subject) == topic
    assert filter_of(subject) == topic
    assert subjects_of(topic) == (subject,)


@given(TOPICS)
def test_nothing_is_lost(topic):
    subject = subject_of(topic)
    assert topic_of(subject) == topic
    assert not any(byte <= 32 or byte == 127 for byte in subject.encode())
    assert not {"*", ">", ""} & set(subject.split("."))


@given(SUBJECTS)
def test_a_subject_is_that_of_its_topic_or_refused(subject):
    try:
        topic = topic_of(subject)
    except BadTopic:
        return
    assert subject_of(topic) == subject


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "%",
        ".a",
        "a.",
        "a..b",
        "a/b",
        "a.+",
        "a.#",
        "a b",
        "a.*",
        "a.>",
        "a*",
        "%2F",
        "%2e",
        "%2",
        "%41",
        "%00",
        "\0",
    ],
)
def test_a_subject_that_is_no_topics_is_refused(subject):
    with pytest.raises(BadTopic):
        topic_of(subject)


FILTERS = {
    "a/+/c": ("a.*.c",),
    "+": ("*",),
    "#": (">",),
    "a/#": ("a", "a.>"),
    "a/+/#": ("a.>",),
    "+/+/#": ("*.>",),
    "//#": ("%.%", "%.%.>"),
    "a.b/+": ("a%2Eb.*",),
}


@pytest.mark.parametrize(("filter", "subjects"), FILTERS.items())
def test_filters(filter, subjects):
    assert subjects_of(filter) == subjects
    if len(subjects) == 1:
        assert filter_of(subjects[0]) == filter


@pytest.mark.parametrize("subject", ["", ">.a", "a.>.b", "a*", "a>", "a.+", "#", "a..>", "%.", "*a.b"])
def test_a_subject_that_is_no_filter_is_refused(subject):
    with pytest.raises(BadFilter):
        filter_of(subject)


def covers(subject, other):
    """Tell as nats-server does whether a subject with wildcards matches one without."""
    wanted, levels = subject.split("."), other.split(".")
    for at, level in enumerate(wanted):
        if level == ">":
            return len(levels) > at
        if at >= len(levels) or level not in ("*", levels[at]):
            return False
    return len(wanted) == len(levels)


WILD = st.lists(st.sampled_from(["+", "a", "b", "", "a.b", "*", "%"]), min_size=1, max_size=4)
FILTER = st.tuples(WILD, st.booleans()).map(lambda made: "/".join([*made[0], *["#"] * made[1]])).filter(bool)


@given(FILTER, WILD.map(lambda levels: "/".join(levels).replace("+", "c")).filter(bool))
def test_the_subjects_of_a_filter_match_what_it_matches(filter, topic):
    assert any(covers(one, subject_of(topic)) for one in subjects_of(filter)) == matches(filter, topic)


@given(
    st.text("ab.*>%", min_size=1, max_size=8), WILD.map(lambda levels: "/".join(levels).replace("+", "c")).filter(bool)
)
def test_the_filter_of_a_subject_matches_what_it_matches(subject, topic):
    try:
        filter = filter_of(subject)
    except BadFilter:
        return
    assert matches(filter, topic) == covers(subject, subject_of(topic))
    assert subjects_of(filter) == ((">",) if subject == "*.>" else (subject,))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8))
def test_a_queue_is_a_group_of_its_own_name(queue):
    shared = shared_filter(queue, "a/b")
    assert unshared(check_filter(shared)) == "a/b"
    assert shared.count("/") == 3


def test_a_queue_of_another_name_is_another_group():
    assert len({shared_filter(queue, "a") for queue in ("a/b", "a%2Fb", "a+b", "a#b")}) == 4


def test_errors_say_what_to_write():
    with pytest.raises(Refusal, match="which is written %"):
        topic_of("a..b")
