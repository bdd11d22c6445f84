"""Topics and filters: what is well formed, what matches (MQTT 5.0 section 4.7), and how they are written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.errors import BadFilter, BadTopic
from hubbub.topics import check_filter, check_topic, is_wildcard, matches, overlap, quote, quote_value, unquote
from unit.kernel_help import FILTERS, TOPICS

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    "topic", ["a", "/", "//", "a/", "/a", " ", "$", "$SYS/x", "欢迎/访问", "a" * 65_535, "/" * 127]
)
def test_a_good_topic_stays_as_it_is(topic):
    assert check_topic(topic) is topic
    assert check_filter(topic) is topic


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        ("", "empty"),
        ("a/+", "wildcards"),
        ("#", "wildcards"),
        ("a#b", "wildcards"),
        ("a\0b", "NUL"),
        ("/" * 1024, "levels"),
        ("/" * 1_000_000, "levels"),
        ("a" * 65_536, "longer"),
        ("é" * 32_768, "longer"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_bad_topic_is_refused(topic, why):
    with pytest.raises(BadTopic, match=why) as found:
        check_topic(topic)
    assert found.value.code == "bad-topic"


@pytest.mark.parametrize("text", ["#", "+", "a/#", "+/+", "/#", "+/", "a/+/b/#", "$SYS/#"])
def test_a_good_filter_stays_as_it_is(text):
    assert check_filter(text) is text
    assert is_wildcard(text)


@pytest.mark.parametrize(
    "text", ["", "a/#/b", "a+", "+a", "a#", "#/a", "a/b#", "##", "++", "a\0", "\udfff", "+/" * 1024]
)
def test_a_bad_filter_is_refused(text):
    with pytest.raises(BadFilter):
        check_filter(text)


@pytest.mark.parametrize(
    ("text", "topic", "does"),
    [
        # The examples of MQTT 5.0 section 4.7.1.2, 4.7.1.3, 4.7.2
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/a", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/a", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        # and more
        ("#", "/", True),
        ("#", "a", True),
        ("+", "$SYS", False),
        ("$SYS/#", "$SYS", True),
        ("a/$b/#", "a/$b/c", True),
        ("a/+", "a/$b", True),
        ("ACCOUNTS", "Accounts", False),
        ("a", "a/", False),
        ("a/b", "a", False),
        ("+/b/#", "a/b", True),
    ],
)
def test_what_matches(text, topic, does):
    assert matches(text, topic) is does


def as_pattern(text):
    """The same as a regular expression: another way to the same answer."""
    pattern = "".join("[^/]*" if char == "+" else re.escape(char) for char in text.removesuffix("#"))
    if text.endswith("#"):
        pattern = f"{pattern}.*|{pattern[:-1]}" if pattern.endswith("/") else ".*"
    return f"(?!\\$)(?:{pattern})" if text[0] in "+#" else f"(?:{pattern})"


@given(FILTERS, TOPICS)
def test_matching_is_that_of_a_regular_expression(text, topic):
    assert matches(text, topic) is bool(re.fullmatch(as_pattern(text), topic, re.DOTALL))


@given(TOPICS)
def test_a_topic_matches_itself(topic):
    assert matches(topic, topic)
    assert not is_wildcard(topic)


@given(TEXT)
def test_what_is_quoted_comes_back(text):
    quoted = quote(text)
    assert unquote(quoted.encode()) == text
    assert not re.search("[\x00-\x20\x7f-\x9f]", quoted)
    assert len(f"a{quoted}b".splitlines()) == 1


@given(TEXT)
def test_a_quoted_value_is_one_level_without_wildcards(text):
    assert not re.search("[\x00-\x20/+#$\x7f-\x9f]", quote_value(text))
    assert unquote(quote_value(text).encode()) == (text or "-")


@pytest.mark.parametrize("data", [b"%", b"a%2", b"%zz", b"%%20", b"\xff", b"%ff", b"%ED%A0%80"])
def test_what_quote_never_writes_is_refused(data):
    with pytest.raises(ValueError, match=r"%|utf-8"):
        unquote(data)


def test_the_limits_are_those_of_the_page():
    assert (limits.TOPIC_BYTES, limits.TOPIC_LEVELS, limits.MAX_TOPIC_LEVELS) == (65_535, 128, 1_024)


@pytest.mark.parametrize(
    ("one", "other", "reported"),
    [
        ("a", "a", True), ("a/b", "a/c", False), ("a/+", "+/b", True), ("a/#", "a", True), ("a/b/#", "a", False),
        ("#", "x/y", True), ("+", "a/b", False), ("+/b", "a/c", False), ("a/#", "b/#", False), ("a/+/#", "a", False),
    ],
)  # fmt: skip
def test_filters_that_share_topics(one, other, reported):
    assert overlap(one, other) is overlap(other, one) is reported


@given(FILTERS, FILTERS, TOPICS)
def test_filters_that_match_one_topic_share_it(one, other, topic):
    if matches(one, topic) and matches(other, topic):
        assert overlap(one, other)
