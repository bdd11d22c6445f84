"""Which filters cover others, and which overlap: against all topics of a small alphabet."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.kernel.authorization.filter_sets import FilterSet, covers, overlaps
from hubbub.topics import matches

NAMES = ("a", "b", "", "$x")
OTHER = "other"  # stands for the names that no filter has
TOPICS = [
    "/".join(levels) for count in range(1, 5) for levels in product((*NAMES, OTHER), repeat=count) if "/".join(levels)
]
FILTERS = (
    st.tuples(st.lists(st.sampled_from((*NAMES, "+")), max_size=3), st.sampled_from(((), (), ("#",))))
    .map(lambda parts: "/".join((*parts[0], *parts[1])))
    .filter(bool)
)


def topics(filter):
    return {topic for topic in TOPICS if matches(filter, topic)}


@given(FILTERS, FILTERS)
def test_covering_and_overlapping(one, other):
    assert covers(one, other) == (topics(one) >= topics(other))
    assert overlaps(one, other) == overlaps(other, one) == bool(topics(one) & topics(other))


@given(st.lists(FILTERS, max_size=4), FILTERS)
def test_together(several, filter):
    filters = FilterSet(several)
    together = set().union(*map(topics, several))
    found = filters.covering(filter)
    assert bool(found) == (together >= topics(filter))
    assert set(found) <= set(several)
    assert not found or set().union(*map(topics, found)) >= topics(filter)
    overlapping = filters.overlapping(filter)
    assert (overlapping is not None) == bool(together & topics(filter))
    assert overlapping is None or topics(overlapping) & topics(filter)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("#", "a/#", True), ("#", "$SYS/a", False), ("+/#", "#", True), ("#", "+/#", True), ("a/#", "a", True),
        ("a/+", "a/#", False), ("a/#", "a/+", True), ("+", "a", True), ("a", "+", False), ("$x/#", "$x/+/b", True),
        ("+/b", "$x/b", False), ("a/+/c", "a/b/+", False),
    ],
)  # fmt: skip
def test_covers(wide, narrow, expected):
    assert covers(wide, narrow) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("+", "/#", False), ("+", "a/#", True), ("#", "$x", False), ("$x/+", "$x/#", True), ("a/+", "+/b", True),
        ("a/b", "+/c", False), ("a/#", "a", True), ("a/+", "a", False), ("/#", "/", True),
    ],
)  # fmt: skip
def test_overlaps(one, other, expected):
    assert overlaps(one, other) is overlaps(other, one) is expected


def test_what_is_deeper_than_all_that_is_allowed_is_not_covered():
    assert FilterSet(["a", "a/+"]).covering("a/#") == ()
    assert FilterSet(["a", "a/+", "a/+/+/#"]).covering("a/#") == ("a", "a/+", "a/+/+/#")


def test_several_that_cover_only_together_are_all_named():
    assert FilterSet(["a", "a/+/#"]).covering("a/#") == ("a", "a/+/#")
    assert FilterSet(["a/b", "a/+"]).covering("a/+") == ("a/+",)
    assert FilterSet([]).covering("a") == ()
    assert FilterSet([]).overlapping("#") is None


@pytest.mark.parametrize("filter", ["/".join("+" * 128), "/".join("+" * 127) + "/#", "#"])
def test_the_deepest_filters_are_looked_at_once(filter):
    """128 wildcards, each of which could be two ways: 2**128 ways in all."""
    deep = [("+/" * at + "a/" + "+/" * (126 - at)) + "#" for at in range(127)]
    assert FilterSet(deep).covering(filter) == ()
    assert FilterSet(deep).overlapping(filter) is not None
